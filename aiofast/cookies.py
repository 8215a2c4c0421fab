"""Cookies (RFC 6265): a jar in memory, one per session.

Values are kept as they came: nothing is quoted, unquoted or decoded. Bounded:
a host keeps 150 cookies and the jar 3,000 (RFC 6265 6.1 asks for 50 and 3,000);
the oldest make room. There is no list of public suffixes; domains of a single
label are refused.
"""

from __future__ import annotations

import re
import time
from datetime import UTC
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from http.cookies import SimpleCookie

    from ._core import ResponseBase

MAX_COOKIE = 8192  # bytes of name, value and attributes
MAX_PER_DOMAIN = 150
MAX_IN_ALL = 3000
MAX_HEADER = 16384  # bytes of cookies in one request


class Cookie:
    """One cookie with what decides where it goes. `expires` is a point of
    time.time(), or None for the life of the jar."""

    __slots__ = ("domain", "expires", "host_only", "httponly", "name", "path", "secure", "value")

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self.value = value
        self.domain = ""
        self.host_only = True
        self.path = ""
        self.secure = False
        self.httponly = False
        self.expires: float | None = None

    def __repr__(self) -> str:
        # Not the value: it may be a session's secret.
        return f"<Cookie {self.name} for {self.domain}{self.path}>"


class CookieJar:
    """Keeps the cookies that responses set and gives each request those that
    are meant for it (RFC 6265 5.3, 5.4).

    unsafe: keep cookies of hosts that are IP addresses too.
    """

    def __init__(self, *, unsafe: bool = False) -> None:
        self.unsafe = unsafe
        # By domain, then by (name, path, host_only), each in order of creation.
        # A session looks at this dict itself: while it is empty, no request
        # pays for cookies.
        self.by_domain: dict[str, dict[tuple[str, str, bool], Cookie]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Cookie]:
        now = time.time()
        for kept in list(self.by_domain.values()):
            for cookie in list(kept.values()):
                if cookie.expires is None or cookie.expires > now:
                    yield cookie

    def clear(self) -> None:
        """Forgets every cookie."""
        self.by_domain.clear()
        self._count = 0

    def learn(self, response: ResponseBase) -> None:
        """Keeps what the Set-Cookie headers of |response| ask for."""
        values = [v for n, v in response.raw_headers if n.lower() == b"set-cookie"]
        for value in values:
            self.set_cookie(value.decode("utf-8", "surrogateescape"), response.url_text)

    def set_cookie(self, header: str, url: str) -> None:
        """Keeps the cookie of one Set-Cookie value that came from |url|, or
        ignores it where RFC 6265 5.3 says so."""
        scheme, host, path = _origin(url)
        cookie = parse_set_cookie(header)
        if cookie is None or not self._settle_domain(cookie, host):
            return
        if cookie.secure and scheme != "https" and not _is_local(host):
            return
        if not cookie.path:
            cookie.path = default_path(path)
        self._keep(cookie)

    def _settle_domain(self, cookie: Cookie, host: str) -> bool:
        is_address = _is_address(host)
        if is_address and not self.unsafe:
            return False
        domain = cookie.domain
        if not domain or domain == host:
            cookie.host_only = not domain or is_address or "." not in host
            cookie.domain = host
            return True
        if is_address or "." not in domain or not host.endswith("." + domain):
            return False
        cookie.host_only = False
        return True

    def _keep(self, cookie: Cookie) -> None:
        kept = self.by_domain.get(cookie.domain)
        key = (cookie.name, cookie.path, cookie.host_only)
        if cookie.expires is not None and cookie.expires <= time.time():
            if kept is not None and kept.pop(key, None) is not None:
                self._count -= 1
                if not kept:
                    del self.by_domain[cookie.domain]
            return
        if kept is None:
            kept = self.by_domain[cookie.domain] = {}
        if key in kept:
            kept[key] = cookie  # in the place of the old one (5.3 step 11)
            return
        kept[key] = cookie
        self._count += 1
        if len(kept) > MAX_PER_DOMAIN:
            self._drop_oldest(cookie.domain)
        if self._count > MAX_IN_ALL:
            self._drop_oldest(next(iter(self.by_domain)))

    def _drop_oldest(self, domain: str) -> None:
        kept = self.by_domain[domain]
        del kept[next(iter(kept))]
        self._count -= 1
        if not kept:
            del self.by_domain[domain]

    def cookies_for(self, url: str) -> list[tuple[str, str]]:
        """Names and values to send to |url|, longer paths first."""
        if not self.by_domain:
            return []
        try:
            scheme, host, path = _origin(url)
        except ValueError:  # no URL; the engine says so when it is awaited
            return []
        secure = scheme == "https" or _is_local(host)
        now = time.time()
        found: list[Cookie] = []
        domain, exact = host, True
        while domain:
            for cookie in list(self.by_domain.get(domain, {}).values()):
                if cookie.expires is not None and cookie.expires <= now:
                    self._keep(cookie)  # which drops it
                elif (
                    (exact or not cookie.host_only)
                    and (secure or not cookie.secure)
                    and path_matches(path, cookie.path)
                ):
                    found.append(cookie)
            if _is_address(host):
                break
            domain, exact = domain.partition(".")[2], False
        found.sort(key=lambda cookie: -len(cookie.path))
        return [(cookie.name, cookie.value) for cookie in found]


class DummyCookieJar(CookieJar):
    """Keeps nothing."""

    def set_cookie(self, header: str, url: str) -> None:
        """Does nothing."""


# --- Set-Cookie ---------------------------------------------------------------


def parse_set_cookie(header: str) -> Cookie | None:
    """A Set-Cookie value (RFC 6265 5.2); None if it is to be ignored. Domain in
    lower case without its leading dot, "" if there is none; path "" if the
    default is meant."""
    if len(header) > MAX_COOKIE or _CONTROL.search(header):
        return None
    pair, _, rest = header.partition(";")
    name, sep, value = pair.partition("=")
    name, value = name.strip(" \t"), value.strip(" \t")
    if not sep or not name:
        return None
    cookie = Cookie(name, value)
    max_age: float | None = None
    for attribute in rest.split(";") if rest else ():
        key, _, text = attribute.partition("=")
        key, text = key.strip(" \t").lower(), text.strip(" \t")
        if key == "expires":
            when = parse_date(text)
            cookie.expires = when if when is not None else cookie.expires
        elif key == "max-age":
            if _MAX_AGE.fullmatch(text):
                max_age = float(text[:16])
        elif key == "domain":
            cookie.domain = text.removeprefix(".").lower()
        elif key == "path":
            cookie.path = text if text.startswith("/") else ""
        elif key == "secure":
            cookie.secure = True
        elif key == "httponly":
            cookie.httponly = True
    if max_age is not None:  # wins over Expires (5.3 step 3)
        cookie.expires = time.time() + max_age if max_age > 0 else 0.0
    if not _prefix_holds(cookie):
        return None
    return cookie


# HTAB may stand in a value (RFC 6265bis 5.6).
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
_MAX_AGE = re.compile("-?[0-9]+")


def _prefix_holds(cookie: Cookie) -> bool:
    """The promises that names make (RFC 6265bis 4.1.3)."""
    name = cookie.name.lower()
    if name.startswith("__secure-"):
        return cookie.secure
    if name.startswith("__host-"):
        return cookie.secure and not cookie.domain and cookie.path == "/"
    return True


_DELIMITER = re.compile("[\x09\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[^0-9]|$)")
_DAY = re.compile(r"([0-9]{1,2})(?:[^0-9]|$)")
_YEAR = re.compile(r"([0-9]{2,4})(?:[^0-9]|$)")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def parse_date(text: str) -> float | None:
    """A cookie's date (RFC 6265 5.1.1) in seconds since 1970; None if it is
    none."""
    clock = day = month = year = None
    for token in _DELIMITER.split(text):
        if clock is None and (match := _TIME.match(token)):
            clock = int(match[1]), int(match[2]), int(match[3])
        elif day is None and (match := _DAY.match(token)):
            day = int(match[1])
        elif month is None and token[:3].lower() in _MONTHS:
            month = _MONTHS.index(token[:3].lower()) + 1
        elif year is None and (match := _YEAR.match(token)):
            year = int(match[1])
    if clock is None or day is None or month is None or year is None:
        return None
    if year < 100:
        year += 1900 if year >= 70 else 2000
    from datetime import datetime

    try:
        when = datetime(year, month, day, *clock, 0, UTC)
    except ValueError:
        return None
    return when.timestamp() if year >= 1601 else None


def default_path(path: str) -> str:
    """The path of a cookie that names none (RFC 6265 5.1.4)."""
    directory = path.rpartition("/")[0]
    return directory if directory.startswith("/") else "/"


def path_matches(path: str, of_cookie: str) -> bool:
    """RFC 6265 5.1.4."""
    if path == of_cookie:
        return True
    return path.startswith(of_cookie) and (
        of_cookie.endswith("/") or path[len(of_cookie) : len(of_cookie) + 1] == "/"
    )


# --- where it came from ---------------------------------------------------------


def _origin(url: str) -> tuple[str, str, str]:
    """Scheme, host (without a trailing dot) and path of an absolute URL."""
    from ._core import url_origin

    scheme, host, _ = url_origin(url)
    rest = url.partition("//")[2]
    for mark in "?#":
        rest = rest.partition(mark)[0]
    return scheme, host.removesuffix("."), "/" + rest.partition("/")[2]


def _is_address(host: str) -> bool:
    if ":" in host:
        return True
    last = host.rpartition(".")[2]
    # A host whose last label is a number can only be an IPv4 address (WHATWG
    # URL 3.5).
    return last.isdecimal() or last.startswith("0x")


def _is_local(host: str) -> bool:
    """Secure cookies are kept and sent here over http too: nothing leaves the
    machine, and development servers need it."""
    return host == "localhost" or host.endswith(".localhost")


# --- Cookie ---------------------------------------------------------------------


def format_cookies(cookies: Any) -> str:
    """What a caller passed as `cookies`, for a Cookie header: a mapping or pairs
    of names to values (str, or a Morsel). ValueError for what cannot stand in
    one; TypeError."""
    items: Iterable[tuple[str, Any]] = cookies.items() if hasattr(cookies, "items") else cookies
    parts = []
    for name, value in items:
        text = getattr(value, "coded_value", value)
        if not isinstance(name, str) or not isinstance(text, str):
            raise TypeError(f"a cookie is a name and a value of str, not {name!r}: {value!r}")
        if not name or _NOT_IN_NAME.search(name):
            raise ValueError(f"{name!r} cannot be the name of a cookie")
        if _NOT_IN_COOKIE.search(text):
            raise ValueError(f"the value of cookie {name!r} has a control character")
        if ";" in text:
            # A semicolon ends a value; only the quoting of http.cookies, which
            # the server must know, can carry it.
            from http.cookies import SimpleCookie

            text = SimpleCookie().value_encode(text)[1]
        parts.append(f"{name}={text}")
    return "; ".join(parts)


_NOT_IN_NAME = re.compile("[\x00-\x20\x7f;=,]")
_NOT_IN_COOKIE = re.compile("[\x00-\x08\x0a-\x1f\x7f]")


def merge_cookies(own: str | None, kept: Iterable[tuple[str, str]]) -> str | None:
    """A Cookie value: the caller's |own| text first, then those of the jar that
    it does not name, as far as they fit; None if there are none."""
    parts = [own] if own else []
    named = {part.partition("=")[0].strip() for part in own.split(";")} if own else ()
    room = MAX_HEADER - len(own or "")
    for name, value in kept:
        if name in named:
            continue
        room -= len(name) + len(value) + 3
        if room < 0:
            break
        parts.append(f"{name}={value}")
    return "; ".join(parts) or None


def split_cookies(cookie: str | None) -> list[tuple[str, str]]:
    """The names and values of a Cookie header."""
    pairs = (part.strip().partition("=") for part in (cookie or "").split(";"))
    return [(name, value) for name, _, value in pairs if name]


def simple_cookie(headers: Iterable[str]) -> SimpleCookie:
    """Set-Cookie values as http.cookies has them, for aiohttp's face."""
    from http.cookies import CookieError, Morsel, SimpleCookie

    cookies = SimpleCookie()
    for header in headers:
        pair, _, rest = header.partition(";")
        name, sep, coded = (part.strip() for part in pair.partition("="))
        if not sep or not name:
            continue
        morsel: Morsel[str] = Morsel()
        try:
            morsel.set(name, cookies.value_decode(coded)[0], coded)
        except CookieError:
            continue
        _set_attributes(morsel, rest)
        dict.__setitem__(cookies, name, morsel)
    return cookies


def _set_attributes(morsel: Mapping[str, Any], rest: str) -> None:
    for attribute in rest.split(";"):
        key, _, value = (part.strip() for part in attribute.partition("="))
        key = key.lower()
        if key in morsel:
            flag = key in ("secure", "httponly", "partitioned")
            morsel[key] = True if flag else value  # type: ignore[index]
