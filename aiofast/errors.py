"""What can go wrong, as exceptions.

The tree has the names, bases, signatures and attributes that programs written
for aiohttp catch and read. Every exception that the engine causes says in
which phase, with which host, under which limit and after what time; it also
carries `url`, `method`, `phase`, `limit` and `elapsed` as attributes. No text
ever holds the user information of a URL.

`from_core()` is what the engine calls to have its result codes turned into
these; `failures.py` does it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import namedtuple
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NamedTuple

    from multidict import CIMultiDictProxy
    from yarl import URL

    from ._core import ResponseBase

__all__ = (
    "ClientConnectionError",
    "ClientConnectionResetError",
    "ClientConnectorCertificateError",
    "ClientConnectorDNSError",
    "ClientConnectorError",
    "ClientConnectorSSLError",
    "ClientError",
    "ClientHttpProxyError",
    "ClientOSError",
    "ClientPayloadError",
    "ClientProxyConnectionError",
    "ClientResponseError",
    "ClientSSLError",
    "ConnectionKey",
    "ConnectionTimeoutError",
    "ContentTypeError",
    "FetchTimeoutError",
    "InvalidURL",
    "InvalidUrlClientError",
    "InvalidUrlRedirectClientError",
    "NonHttpUrlClientError",
    "NonHttpUrlRedirectClientError",
    "PrivateAddressError",
    "RedirectClientError",
    "RequestInfo",
    "ServerConnectionError",
    "ServerDisconnectedError",
    "ServerFingerprintMismatch",
    "ServerTimeoutError",
    "SocketTimeoutError",
    "TooManyRedirects",
    "TotalTimeoutError",
    "UnixClientConnectorError",
    "UploadAbortedError",
    "WSMessageTypeError",
    "WSServerHandshakeError",
)


if TYPE_CHECKING:

    class ConnectionKey(NamedTuple):
        """What a connection was made for; the first argument of connector errors."""

        host: str
        port: int | None
        is_ssl: bool
        ssl: Any = True
        proxy: Any = None
        proxy_auth: Any = None
        proxy_headers_hash: int | None = None
        server_hostname: str | None = None

    class _RequestInfo(NamedTuple):
        url: URL
        method: str
        headers: CIMultiDictProxy[str]
        real_url: URL

else:
    # typing's way costs the import a millisecond.
    ConnectionKey = namedtuple(
        "ConnectionKey",
        "host port is_ssl ssl proxy proxy_auth proxy_headers_hash server_hostname",
        defaults=(True, None, None, None, None),
        module=__name__,
    )
    _RequestInfo = namedtuple("_RequestInfo", "url method headers real_url")


SECRETS = frozenset(("authorization", "cookie", "proxy-authorization"))
OF_ORIGIN = SECRETS | {"host"}  # what no other origin gets


class RequestInfo(_RequestInfo):
    """The request behind a response: `url` (without fragment), `method`, the
    `headers` as they were sent, `real_url` (with fragment)."""

    __slots__ = ()

    def __new__(
        cls,
        url: URL,
        method: str,
        headers: CIMultiDictProxy[str],
        real_url: URL | None = None,
    ) -> RequestInfo:
        return super().__new__(cls, url, method, headers, url if real_url is None else real_url)

    def __repr__(self) -> str:
        # It stands in the repr() of errors, which end up in logs.
        headers = [
            (name, "***" if name.lower() in SECRETS else value)
            for name, value in (self.headers or {}).items()
        ]
        return (
            f"RequestInfo(url={self.url!r}, method={self.method!r}, "
            f"headers={headers!r}, real_url={self.real_url!r})"
        )


def request_info(response: ResponseBase) -> RequestInfo:
    """The RequestInfo of |response|, whichever face it wears."""
    from yarl import URL

    real_url = URL(response.url_text)
    return RequestInfo(
        real_url.with_fragment(None), response.method, response.request_headers, real_url
    )


# --- the tree ---------------------------------------------------------------


class ClientError(Exception):
    """Base of all failures of a request."""

    url: Any = None  # of the hop that failed, without user information
    method: str | None = None
    phase: str | None = None  # queued, dns, connect, tls, send, wait, receive
    limit: str | None = None  # the limit that was reached, if one was
    elapsed: float | None = None  # seconds from the start of the request


class ClientResponseError(ClientError):
    """The response is not what was asked for, or not HTTP.

    `status` (0 if there was none), `message`, `headers` (or None),
    `request_info`, `history`.
    """

    def __init__(
        self,
        request_info: RequestInfo | None,
        history: tuple[Any, ...],
        *,
        code: int | None = None,
        status: int | None = None,
        message: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if code is not None:
            if status is not None:
                raise ValueError("give either status or code, which is its old name")
            _warn("code argument is deprecated, use status instead")
        self.request_info = request_info
        self.history = history
        self.status = (status if status is not None else code) or 0
        self.message = message
        self.headers = headers
        self.args = (request_info, history)

    @property
    def code(self) -> int:
        """The old name of `status`."""
        _warn("code property is deprecated, use status instead")
        return self.status

    @code.setter
    def code(self, value: int) -> None:
        _warn("code property is deprecated, use status instead")
        self.status = value

    def __str__(self) -> str:
        url = self.request_info.real_url if self.request_info is not None else self.url
        return f"{self.status}, message={self.message!r}, url={redact(str(url))!r}"

    def __repr__(self) -> str:
        parts = [repr(self.request_info), repr(self.history)]
        if self.status:
            parts.append(f"status={self.status!r}")
        if self.message:
            parts.append(f"message={self.message!r}")
        if self.headers is not None:
            parts.append(f"headers={self.headers!r}")
        return f"{type(self).__name__}({', '.join(parts)})"


class ContentTypeError(ClientResponseError):
    """The body has another media type than the one asked for."""


class WSServerHandshakeError(ClientResponseError):
    """The server did not agree to a WebSocket."""


class ClientHttpProxyError(ClientResponseError):
    """The proxy answered a CONNECT with something other than success."""


class TooManyRedirects(ClientResponseError):
    """More redirects than `max_redirects` allows, as in a redirect loop."""


class ClientConnectionError(ClientError):
    """Something is wrong with the connection."""


class ClientConnectionResetError(ClientConnectionError, ConnectionResetError):
    """The connection was reset."""


class ClientOSError(ClientConnectionError, OSError):
    """The system reports an error on an established connection."""


class ClientConnectorError(ClientOSError):
    """No connection could be made. `host`, `port`, `ssl`, `os_error`."""

    def __init__(self, connection_key: ConnectionKey, os_error: OSError) -> None:
        self._conn_key = connection_key
        self._os_error = os_error
        super().__init__(os_error.errno, os_error.strerror)
        self.args = (connection_key, os_error)

    @property
    def os_error(self) -> OSError:
        return self._os_error

    @property
    def host(self) -> str:
        return self._conn_key.host

    @property
    def port(self) -> int | None:
        return self._conn_key.port

    @property
    def ssl(self) -> Any:
        return self._conn_key.ssl

    def __str__(self) -> str:
        reason = self._os_error.strerror or str(self._os_error)
        return f"Cannot connect to host {_place(self._conn_key)} [{reason}]"


class ClientConnectorDNSError(ClientConnectorError):
    """The host's name could not be resolved."""


class PrivateAddressError(ClientConnectorError):
    """The host has no public address, and `allow_private` is False. The text
    and `os_error` (a PermissionError) name the address that was not dialled."""


class ClientProxyConnectionError(ClientConnectorError):
    """No connection to the proxy could be made."""


class UnixClientConnectorError(ClientConnectorError):
    """No connection to the Unix socket `path` could be made."""

    def __init__(self, path: str, connection_key: ConnectionKey, os_error: OSError) -> None:
        self._path = path
        super().__init__(connection_key, os_error)
        self.args = (path, connection_key, os_error)

    @property
    def path(self) -> str:
        return self._path

    def __str__(self) -> str:
        reason = self._os_error.strerror or str(self._os_error)
        return f"Cannot connect to unix socket {self._path} ssl:{_ssl_name(self.ssl)} [{reason}]"


class ClientSSLError(ClientConnectorError):
    """Base of the failures of TLS."""


class ClientConnectorSSLError(ClientSSLError, ssl.SSLError):
    """The TLS handshake failed for another reason than the certificate."""


class ClientConnectorCertificateError(ClientSSLError, ssl.SSLCertVerificationError):
    """The server's certificate is not trusted. `certificate_error`, `host`,
    `port`, `ssl`; `hint` says which CAs are trusted and how to trust others."""

    hint: str = ""

    def __init__(self, connection_key: ConnectionKey, certificate_error: Exception) -> None:
        self._conn_key = connection_key
        self._certificate_error = certificate_error
        self._os_error = (
            certificate_error
            if isinstance(certificate_error, OSError)
            else OSError(None, str(certificate_error))
        )
        self.errno, self.strerror = self._os_error.errno, self._os_error.strerror
        self.args = (connection_key, certificate_error)

    @property
    def ssl(self) -> bool:
        """True, as certificates are TLS's."""
        return self._conn_key.is_ssl

    @property
    def certificate_error(self) -> Exception:
        return self._certificate_error

    def __str__(self) -> str:
        error = self._certificate_error
        text = (
            f"Cannot connect to host {_authority(self._conn_key)} ssl:{self.ssl} "
            f"[{type(error).__name__}: {error.args}]"
        )
        return f"{text} {self.hint}" if self.hint else text


class ServerConnectionError(ClientConnectionError):
    """The server's side of the connection failed."""


class ServerDisconnectedError(ServerConnectionError):
    """The server closed the connection before it answered. `message`."""

    def __init__(self, message: Any = None) -> None:
        self.message = "Server disconnected" if message is None else message
        self.args = (self.message,)


class ServerTimeoutError(ServerConnectionError, asyncio.TimeoutError):
    """A limit of time ran out."""


class TotalTimeoutError(asyncio.TimeoutError):
    """The `total` limit of the whole request ran out. As aiohttp's, that of a session's
    request is a TimeoutError and no ClientError; it has the same attributes."""

    url: Any = None
    method: str | None = None
    phase: str | None = None
    limit: str | None = None
    elapsed: float | None = None


class FetchTimeoutError(TotalTimeoutError, ServerTimeoutError):
    """The same of fetch(), whose errors are all of one tree."""


class ConnectionTimeoutError(ServerTimeoutError):
    """A limit ran out before there was a connection."""


class SocketTimeoutError(ServerTimeoutError):
    """The server sent nothing for longer than `sock_read` allows."""


class ServerFingerprintMismatch(ServerConnectionError):
    """The server's certificate has another digest than the pinned one."""

    def __init__(self, expected: bytes, got: bytes, host: str, port: int) -> None:
        self.expected = expected
        self.got = got
        self.host = host
        self.port = port
        self.args = (expected, got, host, port)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} expected={self.expected!r} got={self.got!r} "
            f"host={self.host!r} port={self.port!r}>"
        )


class ClientPayloadError(ClientError):
    """The body is broken or incomplete. `partial` is what had come of it, or
    None if nothing was kept."""

    partial: bytes | None = None


class UploadAbortedError(ClientError):
    """The body of the request could not be sent to its end."""


class InvalidURL(ClientError, ValueError):
    """The URL cannot be requested. `url`, `description` (or None)."""

    def __init__(self, url: Any, description: str | None = None) -> None:
        self._url = url
        self._description = description
        if description is None:
            super().__init__(url)
        else:
            super().__init__(url, description)

    @property
    def url(self) -> Any:
        return self._url

    @property
    def description(self) -> str | None:
        return self._description

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    def __str__(self) -> str:
        url = shown(redact_malformed(str(self._url)))
        return url if self._description is None else f"{url} - {self._description}"


class InvalidUrlClientError(InvalidURL):
    """The URL of a request is not absolute or not well formed."""


class RedirectClientError(ClientError):
    """A redirect that cannot be followed."""


class NonHttpUrlClientError(ClientError):
    """The URL's scheme is none of http and https. `description` (or None)."""

    description: str | None = None

    def __str__(self) -> str:
        url = shown(super().__str__())
        return url if self.description is None else f"{url} - {self.description}"


class InvalidUrlRedirectClientError(InvalidUrlClientError, RedirectClientError):
    """A Location that is not a well-formed reference (RFC 9110 10.2.2)."""


class NonHttpUrlRedirectClientError(NonHttpUrlClientError, RedirectClientError):
    """A Location whose scheme is none of http and https."""


class WSMessageTypeError(TypeError):
    """A WebSocket message of another type than the one asked for."""


def _ssl_name(value: object) -> str:
    return "default" if value is True else str(value)


def _authority(key: ConnectionKey) -> str:
    host = f"[{key.host}]" if ":" in key.host else key.host
    return f"{host}:{key.port}"


def _place(key: ConnectionKey) -> str:
    return f"{_authority(key)} ssl:{_ssl_name(key.ssl)}"


def _warn(message: str) -> None:
    import warnings

    warnings.warn(message, DeprecationWarning, stacklevel=3)


# --- texts ------------------------------------------------------------------


def redact(url: str) -> str:
    """|url| without user information: what stands before an '@' in the
    authority (RFC 3986 3.2.1)."""
    if "@" not in url:
        return url
    head, sep, rest = url.partition("//")
    if not sep:
        head, rest = "", url
    end = min((i for i in map(rest.find, "/?#\\") if i >= 0), default=len(rest))
    return head + sep + rest[:end].rpartition("@")[2] + rest[end:]


def redact_malformed(url: str) -> str:
    """As redact(), for a URL that does not parse: there the password may hold
    the very byte that broke it, so all up to the last '@' goes."""
    if "@" not in url or url[:7].lower() == "mailto:":
        return url  # nobody's password
    head, sep, rest = url.partition("//")
    if not sep:
        head, rest = "", url
    return head + sep + rest.rpartition("@")[2]


_LONGEST = 300


def shown(url: str) -> str:
    """|url| for a text: in one line, and not longer than anybody reads."""
    if len(url) > _LONGEST:
        url = f"{url[:_LONGEST]}... ({len(url)} characters)"
    if url.isprintable():
        return url
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in url
    )


def url_scheme(url: str) -> str:
    """The scheme of |url| in lower case, "" if it has none (RFC 3986 3.1)."""
    scheme, sep, _ = url.partition(":")
    if not sep or not scheme.isascii() or not scheme[:1].isalpha():
        return ""
    for char in scheme:
        if not (char.isalnum() or char in "+-."):
            return ""
    return scheme.lower()


def url_error(url: str, description: str | None, *, redirect: bool = False) -> ClientError:
    """The exception for |url| that cannot be requested."""
    safe = redact_malformed(url)
    known = ("", "http", "https") if redirect else ("", "http", "https", "ws", "wss")
    if url_scheme(url) not in known:
        kind = NonHttpUrlRedirectClientError if redirect else NonHttpUrlClientError
        other = kind(safe)
        other.description = "the scheme of the URL is neither http nor https"
        return other
    bad = InvalidUrlRedirectClientError if redirect else InvalidUrlClientError
    return bad(safe, description)


def from_core(facts: Mapping[str, Any]) -> BaseException:
    """The exception for a failure that the engine describes by |facts|; never
    raises."""
    try:
        from .failures import exception_for
    except (ImportError, OSError):  # as when no descriptor is left to read it
        return _plain(facts)
    return exception_for(facts)


def _plain(facts: Mapping[str, Any]) -> ClientError:
    """The exception for |facts| where failures.py cannot be had."""
    text, sys = facts.get("text") or "failed", facts.get("sys") or 0
    if sys < 0 and facts.get("phase") in ("queued", "dns", "connect", "tls"):
        key = ConnectionKey(facts.get("host") or "", facts.get("port"), bool(facts.get("ssl")))
        return ClientConnectorError(key, OSError(-sys, text))
    return ClientConnectionError(text)
