"""The cookies of a jar under the names that programs for aiohttp look at, by
domain, path and name. Read only: what is seen is what the jar holds now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http.cookies import SimpleCookie
from types import MappingProxyType
from typing import TYPE_CHECKING

from .cookiescope import domain_matches
from .setcookie import LATEST, parse_date

if TYPE_CHECKING:
    from .cookies import Cookie

    Place = tuple[str, str, str]  # domain, path without its last slash, name


class CookiesByPlace(Mapping[tuple[str, str], SimpleCookie]):
    """Cookies by domain and path (without its last slash), as they are now."""

    __slots__ = ("_jar",)

    def __init__(self, jar: CookieViews) -> None:
        self._jar = jar

    def __getitem__(self, place: tuple[str, str]) -> SimpleCookie:
        return self._jar._cookies[place]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._jar._cookies)

    def __len__(self) -> int:
        return len(self._jar._cookies)

    def __repr__(self) -> str:
        # Not the values: they may be secrets.
        return f"<cookies of {len(self)} places>"


class CookieViews:
    """What CookieJar shows of itself."""

    MAX_TIME = LATEST  # seconds since 1970, beyond which nothing expires

    def unexpired(self) -> list[tuple[Cookie, str]]:
        """Every cookie, with its path without the last slash."""
        raise NotImplementedError

    @property
    def cookies(self) -> MappingProxyType[tuple[str, str], SimpleCookie]:
        """The cookies by domain and path (without its last slash), as they are
        whenever it is looked at."""
        return MappingProxyType(CookiesByPlace(self))

    @property
    def _cookies(self) -> dict[tuple[str, str], SimpleCookie]:
        found: dict[tuple[str, str], SimpleCookie] = {}
        for cookie, path in self.unexpired():
            kept = found.setdefault((cookie.domain, path), SimpleCookie())
            dict.__setitem__(kept, cookie.name, cookie.morsel)
        return found

    @property
    def host_only_cookies(self) -> frozenset[Place]:
        """Domain, path and name of those that only their host gets."""
        return frozenset(
            (cookie.domain, path, cookie.name)
            for cookie, path in self.unexpired()
            if cookie.host_only
        )

    _host_only_cookies = host_only_cookies
    _parse_date = staticmethod(parse_date)
    _is_domain_match = staticmethod(domain_matches)

    @property
    def _expirations(self) -> dict[Place, float]:
        return {
            (cookie.domain, path, cookie.name): cookie.expires
            for cookie, path in self.unexpired()
            if cookie.expires is not None
        }

    @property
    def _expire_heap(self) -> list[tuple[float, Place]]:
        return sorted((when, place) for place, when in self._expirations.items())

    @property
    def _access_generations(self) -> dict[Place, int]:
        return {(c.domain, path, c.name): c.used for c, path in self.unexpired()}

    def _do_expiration(self) -> None:
        self.unexpired()
