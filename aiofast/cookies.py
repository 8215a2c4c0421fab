"""Cookie jars (RFC 6265bis), one per session.

What a server set goes back as it came. Bounded: a domain keeps 180 cookies and
the jar 3,300; beyond that it is cut down to 150 and 3,000, first those that have
expired, then those that are not Secure, the longest unused first. Domains that
are public suffixes are refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from http.cookies import BaseCookie, Morsel, SimpleCookie
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .abc import AbstractCookieJar
from .cookieplans import Plan, Plans, header_order
from .cookiescope import (
    default_path,
    domains_of,
    is_address,
    is_local,
    origin_of,
    origins,
    path_of,
)
from .cookieviews import CookieViews
from .setcookie import (
    as_morsel,
    cookie_pairs,
    deadline,
    morsel_of,
    parse_set_cookie,
    prefix_holds,
    sent_as,
    simple_cookie,
)

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterable, Sequence

    from yarl import URL

    from ._core import ResponseBase

__all__ = ("CookieJar", "DummyCookieJar", "simple_cookie")

MAX_PER_DOMAIN = 180  # beyond which it is cut down to ...
KEPT_PER_DOMAIN = 150
MAX_IN_ALL = 3300
KEPT_IN_ALL = 3000
MAX_LEARNED = 50  # Set-Cookie fields of one response that are looked at


class Cookie:
    """A cookie that is kept, with what decides where it goes. `expires` is a
    point of time.time(), or None for the life of the jar."""

    __slots__ = ("domain", "expires", "host_only", "morsel", "name", "pair", "sent", "used")

    def __init__(self, name: str, morsel: Morsel[str], domain: str, host_only: bool) -> None:
        self.name = name  # by which it is kept; it is sent by that of the morsel
        self.morsel = morsel  # its path is set, its domain unless it goes everywhere
        self.domain = domain
        self.host_only = host_only
        self.expires: float | None = None
        self.used = 0
        self.sent: Morsel[str]  # as it goes out
        self.pair: str  # the same as text

    def prepare(self, quote: bool, learned: bool = False) -> None:
        """Decides how it goes out: with values quoted if |quote|, but as it came
        if it was |learned| from a Set-Cookie field."""
        morsel = self.morsel
        if learned and quote:
            self.sent = morsel_of(morsel.key, morsel.value, morsel.coded_value)
        else:
            self.sent = sent_as(morsel, quote)
        self.pair = f"{morsel.key}={self.sent.coded_value}"

    def __repr__(self) -> str:
        # Not the value: it may be a session's secret.
        return f"<Cookie {self.name} for {self.domain}{self.morsel['path']}>"


class CookieJar(CookieViews, AbstractCookieJar):
    """Keeps the cookies that responses set and gives each request those that
    are meant for it (RFC 6265bis 5.7, 5.8).

    unsafe: keep cookies of hosts that are IP addresses too.
    quote_cookie: quote values that a program sets where http.cookies does.
    treat_as_secure_origin: a URL or several whose origins may set and get Secure
        cookies over http too. localhost always may.
    """

    def __init__(
        self,
        *,
        unsafe: bool = False,
        quote_cookie: bool = True,
        treat_as_secure_origin: str | URL | Iterable[str | URL] | None = None,
        loop: AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(loop=loop)
        self._unsafe = unsafe
        self._quote_cookie = quote_cookie
        self._secure_origins = origins(treat_as_secure_origin)
        # By domain, then by (path without its last slash, name), each in order of
        # creation. A session looks at this dict itself: while it is empty, no
        # request pays for cookies. Domain "" holds what goes everywhere.
        self.by_domain: dict[str, dict[tuple[str, str], Cookie]] = {}
        self._count = 0
        self._clock = 0
        self._changes = 0  # counts what makes plans out of date
        self._plans = Plans()

    @property
    def unsafe(self) -> bool:
        """True if hosts that are IP addresses may set cookies."""
        return self._unsafe

    @property
    def quote_cookie(self) -> bool:
        """True if values are quoted where http.cookies does."""
        return self._quote_cookie

    @property
    def treat_as_secure_origin(self) -> frozenset[URL]:
        """Origins that get Secure cookies over http too."""
        return self._secure_origins

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Morsel[str]]:
        for cookie, _ in self.unexpired():
            yield cookie.morsel

    def unexpired(self) -> list[tuple[Cookie, str]]:
        """Every cookie, with its path without the last slash; those that have
        expired are dropped."""
        now = time.time()
        self._drop_where(lambda cookie: cookie.expires is not None and cookie.expires <= now)
        return [
            (cookie, path) for kept in self.by_domain.values() for (path, _), cookie in kept.items()
        ]

    def clear(self, predicate: Callable[[Morsel[str]], bool] | None = None) -> None:
        """Forgets every cookie, or those for which |predicate|, called with a
        Morsel, is true."""
        if predicate is None:
            self.by_domain.clear()
            self._count = 0
            self._changes += 1
            return
        now = time.time()
        self._drop_where(
            lambda cookie: (
                (cookie.expires is not None and cookie.expires <= now) or predicate(cookie.morsel)
            )
        )

    def clear_domain(self, domain: str) -> None:
        """Forgets the cookies of |domain| and of what is below it."""
        below = f".{domain}"
        self._drop_where(lambda c: c.domain == domain or c.domain.endswith(below))

    # --- keeping ---

    def learn(self, response: ResponseBase) -> None:
        """Keeps what the Set-Cookie headers of |response| ask for."""
        values = [v for n, v in response.raw_headers if n.lower() == b"set-cookie"]
        for value in values[:MAX_LEARNED]:
            self.set_cookie(value.decode("utf-8", "surrogateescape"), response.url_text)

    def set_cookie(self, header: str, url: str) -> None:
        """Keeps the cookie of one Set-Cookie value that came from |url|, or
        ignores it where RFC 6265bis 5.7 says so."""
        scheme, host, path = origin_of(url)
        morsel = parse_set_cookie(header)
        if morsel is None:
            return
        secure = self._is_secure(scheme, host, url)
        if not prefix_holds(morsel, secure) or (morsel["secure"] and not secure):
            return
        self._accept(morsel.key, morsel, host, path, learned=True)

    def update_cookies_from_headers(self, headers: Sequence[str], response_url: URL) -> None:
        """Keeps what Set-Cookie |headers| of |response_url| ask for."""
        for header in headers[:MAX_LEARNED]:
            self.set_cookie(header, str(response_url))

    def update_cookies(
        self, cookies: Any, response_url: Any = None, *, strict: bool = False
    ) -> None:
        """Keeps |cookies|, a mapping or pairs of names to values (str or Morsel),
        as if |response_url| had set them; without one they go everywhere. What
        cannot be sent is left out, or a ValueError if |strict|. TypeError for
        what is no cookie."""
        host, path = "", ""
        if response_url is not None and response_url.raw_host:
            _, host, path = origin_of(str(response_url))
        for name, value in cookie_pairs(cookies):
            try:
                morsel = as_morsel(name, value, self._quote_cookie)
            except ValueError:
                if strict:
                    raise
                continue
            self._accept(name if isinstance(name, str) else morsel.key, morsel, host, path)

    def _accept(
        self, name: str, morsel: Morsel[str], host: str, path: str, *, learned: bool = False
    ) -> None:
        domain = self._domain_for(morsel["domain"], host)
        if domain is None:
            return
        host_only = not domain
        morsel["domain"] = domain or host
        if not morsel["path"].startswith("/"):
            morsel["path"] = default_path(path)
        cookie = Cookie(name, morsel, domain or host, host_only and bool(host))
        cookie.expires = deadline(morsel)
        cookie.prepare(self._quote_cookie, learned)
        self._keep(cookie)

    def restore(
        self, name: str, morsel: Morsel[str], host: str, host_only: bool, expires: float | None
    ) -> None:
        """Keeps a cookie out of a file, under the rules for all others."""
        try:
            morsel = as_morsel(morsel.key, morsel, self._quote_cookie)
        except ValueError:
            return  # it cannot be sent
        if host_only:
            morsel["domain"] = ""
        domain = self._domain_for(morsel["domain"], host)
        if domain is not None:
            morsel["domain"] = domain or host
            cookie = Cookie(name, morsel, domain or host, not domain and bool(host))
            cookie.expires = expires
            cookie.prepare(self._quote_cookie)
            self._keep(cookie)

    def _domain_for(self, domain: str, host: str) -> str | None:
        """The domain that a cookie of |host| with the attribute |domain| gets;
        "" for the host alone, None if it is refused."""
        numeric = is_address(host)
        if numeric and not self._unsafe:
            return None
        domain = "" if domain.endswith(".") else domain.removeprefix(".").lower()
        if not domain or numeric:
            return "" if domain in ("", host) else None
        if host and domain != host and not host.endswith(f".{domain}"):
            return None
        from .suffixes import is_public_suffix

        if is_public_suffix(domain):
            return "" if domain == host else None
        return domain

    def _keep(self, cookie: Cookie) -> None:
        key = (cookie.morsel["path"].rstrip("/"), cookie.name)
        kept = self.by_domain.get(cookie.domain)
        old = None if kept is None else kept.get(key)
        if cookie.expires is not None and cookie.expires <= time.time():
            if old is not None:
                self._drop(cookie.domain, key)
            return
        if old is None and not self._make_room(cookie, kept or {}):
            return
        self.by_domain.setdefault(cookie.domain, {})[key] = cookie  # in the old one's place
        self._changes += 1
        self._touch((cookie,))
        if old is None:
            self._count += 1

    def _touch(self, cookies: Iterable[Cookie]) -> None:
        self._clock = now = self._clock + 1
        for cookie in cookies:
            cookie.used = now

    def _drop(self, domain: str, key: tuple[str, str]) -> None:
        self._changes += 1
        kept = self.by_domain[domain]
        del kept[key]
        self._count -= 1
        if not kept:
            del self.by_domain[domain]

    def _drop_where(self, test: Callable[[Cookie], bool]) -> None:
        for domain, kept in list(self.by_domain.items()):
            for key, cookie in list(kept.items()):
                if test(cookie):
                    self._drop(domain, key)

    def _make_room(self, cookie: Cookie, kept: dict[tuple[str, str], Cookie]) -> bool:
        """Room for one more among |kept|, those of its domain; False if it is not
        Secure and they all are."""
        if len(kept) < MAX_PER_DOMAIN and self._count < MAX_IN_ALL:
            return True
        self.unexpired()  # drops what has expired
        secure = bool(cookie.morsel["secure"])
        if len(kept) >= KEPT_PER_DOMAIN:
            open_ones = [key for key, c in kept.items() if not c.morsel["secure"]]
            if not open_ones and not secure:
                return len(kept) < MAX_PER_DOMAIN
            oldest = sorted(open_ones or kept, key=lambda key: kept[key].used)
            for key in oldest[: len(kept) - KEPT_PER_DOMAIN + 1]:
                self._drop(cookie.domain, key)
        elif self._count > KEPT_IN_ALL:
            places = [(d, key) for d, each in self.by_domain.items() for key in each]
            places.sort(key=lambda at: self.by_domain[at[0]][at[1]].used)
            for domain, key in places[: self._count - KEPT_IN_ALL]:
                self._drop(domain, key)
        return True

    # --- sending ---

    def header_for(self, url: str) -> str:
        """The Cookie field for |url|, "" for none: longer paths first."""
        field = self._plans.fields.get(url)
        if field is None or field.changes != self._changes or field.until <= time.time():
            field = self._plans.new_field(url, self._matching(url), self._changes)
        self._clock = now = self._clock + 1
        for cookie in field.cookies:
            cookie.used = now
        return field.text

    def cookies_for(self, url: str) -> list[tuple[str, str]]:
        """Names and values to send to |url|, longer paths first."""
        return [(c.sent.key, c.sent.coded_value) for c in header_order(self._matching(url))]

    def filter_cookies(self, request_url: Any = None) -> BaseCookie[str]:
        """The cookies for |request_url|, a yarl.URL: of equal names the one that
        fits best."""
        if isinstance(request_url, str):
            from .parameters import warn_deprecated

            warn_deprecated("filter_cookies expects yarl.URL instances only")
        filtered: BaseCookie[str] = BaseCookie()
        for cookie in self._matching(str(request_url or "")):
            filtered.pop(cookie.name, None)
            dict.__setitem__(filtered, cookie.name, cookie.sent)
        return filtered

    def _matching(self, url: str) -> list[Cookie]:
        """The cookies that go to |url|, those that fit best last; as many as go
        into one request."""
        if not self.by_domain:
            return []
        plan = self._plans.get(url)
        if plan is None or plan.changes != self._changes or plan.until <= time.time():
            plan = self._plan(url)
        found = plan.for_path(path_of(url) if "//" in url else "/")
        self._touch(found)
        return found

    def _plan(self, url: str) -> Plan:
        """What may go to the origin of |url|, as it is now."""
        from ._core import url_origin

        try:
            origin = url_origin(url)
        except ValueError:  # no URL; the engine says so when it is awaited
            origin = ("", "", 0)
        scheme, host = origin[0], origin[1].removesuffix(".")
        secure = self._is_secure(scheme, host, url)
        now = time.time()
        found: list[Cookie] = []
        for domain in domains_of(host):
            for cookie in list(self.by_domain.get(domain, {}).values()):
                if cookie.expires is not None and cookie.expires <= now:
                    self._keep(cookie)  # which drops it
                elif (domain == host or not cookie.host_only) and (
                    secure or not cookie.morsel["secure"]
                ):
                    found.append(cookie)
        found.sort(key=lambda c: (len(c.morsel["path"]), len(c.domain)))
        plan = Plan(found, self._changes)
        if host:
            self._plans.put(url, origin, plan)
        return plan

    def _is_secure(self, scheme: str, host: str, url: str) -> bool:
        if scheme in ("https", "wss") or is_local(host):
            return True
        if not self._secure_origins:
            return False
        from yarl import URL

        try:
            return URL(url).origin() in self._secure_origins
        except ValueError:
            return False

    # --- files ---

    def save(self, file_path: Any) -> None:
        """Writes the cookies to a file as JSON, readable for its owner alone: the
        format of aiohttp's jar. OSError."""
        from .cookiefile import save

        save(self, file_path)

    def load(self, file_path: Any) -> None:
        """Replaces the cookies by those of a file that save() wrote, ours or
        aiohttp's. OSError; ValueError for a file that is none (the jar stays as
        it is), such as the pickles of old versions of aiohttp."""
        from .cookiefile import load

        fresh, count = load(self, file_path)
        # A session holds on to the dict itself.
        self.by_domain.clear()
        self.by_domain.update(fresh)
        self._count = count
        self._changes += 1


class DummyCookieJar(AbstractCookieJar):
    """Keeps nothing."""

    unsafe = False
    quote_cookie = True
    cookies = MappingProxyType[tuple[str, str], SimpleCookie]({})
    host_only_cookies = frozenset[tuple[str, str, str]]()
    by_domain = MappingProxyType[str, Any]({})

    def __iter__(self) -> Iterator[Morsel[str]]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def clear(self, predicate: Callable[[Morsel[str]], bool] | None = None) -> None:
        """Does nothing."""

    def clear_domain(self, domain: str) -> None:
        """Does nothing."""

    def update_cookies(self, cookies: Any, response_url: Any = None) -> None:
        """Does nothing."""

    def update_cookies_from_headers(self, headers: Sequence[str], response_url: URL) -> None:
        """Does nothing."""

    def set_cookie(self, header: str, url: str) -> None:
        """Does nothing."""

    def learn(self, response: ResponseBase) -> None:
        """Does nothing."""

    def filter_cookies(self, request_url: Any = None) -> BaseCookie[str]:
        """No cookie."""
        return SimpleCookie()

    def cookies_for(self, url: str) -> list[tuple[str, str]]:
        """No cookie."""
        return []

    def header_for(self, url: str) -> str:
        """No cookie."""
        return ""
