"""aiohttp.abc: what programs derive from."""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from asyncio import get_running_loop
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http.cookies import BaseCookie, Morsel, SimpleCookie

    from yarl import URL

__all__ = ("AbstractCookieJar", "AbstractResolver", "ClearCookiePredicate", "ResolveResult")

ClearCookiePredicate = Callable[["Morsel[str]"], bool]


class ResolveResult(TypedDict):
    """One address of a host."""

    hostname: str  # the name that was asked for
    host: str  # the address
    port: int
    family: int  # socket.AF_INET, AF_INET6
    proto: int
    flags: int  # socket.AI_NUMERICHOST, ...


class AbstractResolver(ABC):
    """Turns names into addresses, for TCPConnector(resolver=...)."""

    @abstractmethod
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of |host|; OSError if it has none."""

    @abstractmethod
    async def close(self) -> None:
        """Called once, when the connector that made it is closed."""


class AbstractCookieJar(Sized, Iterable["Morsel[str]"]):
    """What a session keeps cookies in."""

    def __init__(self, *, loop: Any = None) -> None:
        if loop is None:
            try:
                loop = get_running_loop()
            except RuntimeError:
                loop = None
        self._loop = loop

    @abstractmethod
    def __iter__(self) -> Iterator[Morsel[str]]:
        """The cookies."""

    @property
    @abstractmethod
    def unsafe(self) -> bool:
        """True if hosts that are IP addresses may set cookies."""

    @property
    @abstractmethod
    def quote_cookie(self) -> bool:
        """True if values are quoted where http.cookies does."""

    @property
    def treat_as_secure_origin(self) -> frozenset[URL]:
        """Origins that get Secure cookies over http too."""
        return frozenset()

    @property
    @abstractmethod
    def cookies(self) -> Mapping[tuple[str, str], SimpleCookie]:
        """The cookies by domain and path."""

    @property
    @abstractmethod
    def host_only_cookies(self) -> frozenset[tuple[str, str, str]]:
        """Domain, path and name of those that only their host gets."""

    @abstractmethod
    def clear(self, predicate: ClearCookiePredicate | None = None) -> None:
        """Forgets all cookies, or those for which |predicate| is true."""

    @abstractmethod
    def clear_domain(self, domain: str) -> None:
        """Forgets the cookies of |domain| and below."""

    @abstractmethod
    def update_cookies(self, cookies: Any, response_url: Any = None) -> None:
        """Takes |cookies|, a mapping or pairs, as set by |response_url|."""

    def update_cookies_from_headers(self, headers: Sequence[str], response_url: URL) -> None:
        """Takes what Set-Cookie |headers| of |response_url| ask for."""
        from .cookies import simple_cookie

        found = simple_cookie(headers)
        if found:
            self.update_cookies(found, response_url)

    @abstractmethod
    def filter_cookies(self, request_url: URL) -> BaseCookie[str]:
        """The cookies for |request_url|."""
