"""Basic authentication (RFC 7617)."""

from __future__ import annotations

from binascii import Error as _Base64Error
from binascii import a2b_base64, b2a_base64
from collections import namedtuple
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import NamedTuple

    from yarl import URL


if TYPE_CHECKING:

    class _BasicAuth(NamedTuple):
        login: str
        password: str
        encoding: str

else:
    _BasicAuth = namedtuple("_BasicAuth", "login password encoding")


class BasicAuth(_BasicAuth):
    """A login and password for the Authorization header."""

    __slots__ = ()

    def __new__(cls, login: str, password: str = "", encoding: str = "latin1") -> BasicAuth:
        if login is None or password is None:
            raise ValueError("login and password must be strings, not None")
        if ":" in login:
            raise ValueError("a login cannot contain ':' (RFC 7617 2)")
        return super().__new__(cls, login, password, encoding)

    def __repr__(self) -> str:
        return f"BasicAuth(login={self.login!r}, password=***, encoding={self.encoding!r})"

    @classmethod
    def decode(cls, auth_header: str, encoding: str = "latin1") -> BasicAuth:
        """From the value of an Authorization header. ValueError."""
        scheme, _, data = auth_header.strip().partition(" ")
        if scheme.lower() != "basic":
            raise ValueError(f"unknown authorization method {scheme}")
        try:
            text = a2b_base64(data.strip().encode("ascii"), strict_mode=True).decode(encoding)
        except (_Base64Error, UnicodeError):
            raise ValueError("the credentials are not valid base64") from None
        login, colon, password = text.partition(":")
        if not colon:
            raise ValueError("the credentials hold no ':'")
        return cls(login, password, encoding)

    @classmethod
    def from_url(cls, url: URL, *, encoding: str = "latin1") -> BasicAuth | None:
        """From the user information of |url|; None if it has none."""
        if url.user is None and url.password is None:
            return None
        return cls(url.user or "", url.password or "", encoding)

    def encode(self) -> str:
        """The value of the Authorization header."""
        return encode_basic_auth(self.login, self.password, self.encoding)


def encode_basic_auth(login: str, password: str = "", encoding: str = "utf-8") -> str:
    """The value of an Authorization header. ValueError for a ':' in |login|."""
    if ":" in login:
        raise ValueError("a login cannot contain ':' (RFC 7617 2)")
    token = b2a_base64(f"{login}:{password}".encode(encoding), newline=False)
    return "Basic " + token.decode("ascii")


def authorization(auth: Any) -> str:
    """The header's value for what a caller passed as `auth`: BasicAuth or a
    pair of login and password. TypeError, ValueError."""
    if type(auth).__name__ == "BasicAuth":  # ours, or that of aiohttp itself
        encoded: str = auth.encode()
        return encoded
    if isinstance(auth, tuple) and len(auth) == 2:
        login, password = auth
        if isinstance(login, str) and isinstance(password, str):
            return encode_basic_auth(login, password)
    raise TypeError("auth must be BasicAuth or a tuple of login and password")


def split_userinfo(url: str) -> tuple[str, str | None]:
    """Takes the user information out of |url| (RFC 3986 3.2.1): the URL without
    it and the Authorization value for it, or None if there was none. A URL that
    is not absolute comes back as it is."""
    head, sep, rest = url.partition("//")
    if not sep:
        return url, None
    end = min((i for i in map(rest.find, "/?#\\") if i >= 0), default=len(rest))
    userinfo, at, host = rest[:end].rpartition("@")
    if not at:
        return url, None
    url = head + sep + host + rest[end:]
    login, _, password = userinfo.partition(":")
    if not userinfo:
        return url, None
    from urllib.parse import unquote

    # A login may hold an escaped colon, which Basic has no way to say; the
    # server then splits at it, as it does for what browsers send.
    token = b2a_base64(f"{unquote(login)}:{unquote(password)}".encode(), newline=False)
    return url, "Basic " + token.decode("ascii")
