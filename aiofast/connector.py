"""Connectors: aiohttp's names for a pool of connections and how it dials."""

from __future__ import annotations

from os import fspath
from typing import TYPE_CHECKING, Any

from . import _core
from .outgoing import Unset
from .parameters import refuse
from .settings import tls_context

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from os import PathLike
    from types import TracebackType
    from typing import Self

    from ._core import Pool, Wait

__all__ = ("BaseConnector", "TCPConnector", "UnixConnector")

_UNSET: Any = Unset()
_KEEPALIVE = 15.0
_FOR_EVER = 3e7  # seconds; the engine takes a year for no limit


class BaseConnector:
    """A pool of connections that sessions share; belongs to the loop of its
    first request.

    keepalive_timeout: seconds that an idle connection is kept, 15; None: no limit.
    force_close: use each connection once.
    limit: connections in all, 100; per host, 0. 0 means no limit.
    """

    ssl: Any = True

    def __init__(
        self,
        *,
        keepalive_timeout: float | None = _UNSET,
        force_close: bool = False,
        limit: int = 100,
        limit_per_host: int = 0,
        enable_cleanup_closed: bool = False,
        loop: AbstractEventLoop | None = None,
        timeout_ceil_threshold: float = 5,
        **dialing: Any,
    ) -> None:
        if force_close and keepalive_timeout is not _UNSET and keepalive_timeout is not None:
            raise ValueError("keepalive_timeout cannot be set if force_close is True")
        if keepalive_timeout is _UNSET:
            keepalive_timeout = _KEEPALIVE
        elif keepalive_timeout is None:
            keepalive_timeout = _FOR_EVER
        self._limit = _count("limit", limit)
        self._limit_per_host = _count("limit_per_host", limit_per_host)
        self._force_close = bool(force_close)
        self._pool: Pool = _core.Pool(
            limit=self._limit,
            limit_per_host=self._limit_per_host,
            keepalive_timeout=float(keepalive_timeout),
            force_close=self._force_close,
            **dialing,
        )

    @property
    def pool(self) -> Pool:
        """The engine's pool."""
        return self._pool

    @property
    def closed(self) -> bool:
        """True once closed."""
        return self._pool.closed

    @property
    def force_close(self) -> bool:
        """True if each connection is used once."""
        return self._force_close

    @property
    def limit(self) -> int:
        """How many connections there may be; 0 for no limit."""
        return self._limit

    @property
    def limit_per_host(self) -> int:
        """How many to one origin; 0 for no limit."""
        return self._limit_per_host

    def stats(self) -> dict[str, int]:
        """Connections open, idle, busy, dialing, and requests waiting."""
        return self._pool.stats()

    def close(self, *, abort_ssl: bool = False) -> Wait[None]:
        """Ends every request and connection at once. Awaiting the result is not
        needed."""
        self._pool.close()
        return _core.done(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._pool.close()


class TCPConnector(BaseConnector):
    """Connections over TCP.

    use_dns_cache, ttl_dns_cache: keep addresses, for 10 s; None: for ever.
    family: socket.AF_INET or AF_INET6 for addresses of one kind alone.
    ssl: as for a request; what requests do not override.
    local_addr: (host, port) to connect from.
    happy_eyeballs_delay: seconds until the next address is tried beside the one
        before (RFC 8305), 0.25; None: one after the other.
    allow_private: False refuses every address that is not the public Internet's,
        whatever a session or request says: PrivateAddressError.
    The rest as BaseConnector.
    """

    def __init__(
        self,
        *,
        verify_ssl: bool = True,
        use_dns_cache: bool = True,
        ttl_dns_cache: float | None = 10,
        dns_cache_max_size: int = 1000,
        family: int = 0,
        ssl_context: Any = None,
        ssl: Any = True,
        local_addr: tuple[str, int] | None = None,
        happy_eyeballs_delay: float | None = 0.25,
        interleave: int | None = None,
        keepalive_timeout: float | None = _UNSET,
        force_close: bool = False,
        limit: int = 100,
        limit_per_host: int = 0,
        enable_cleanup_closed: bool = False,
        loop: AbstractEventLoop | None = None,
        timeout_ceil_threshold: float = 5,
        allow_private: bool = True,
        **unsupported: Any,
    ) -> None:
        refuse("TCPConnector", unsupported, _LATER)

        if ssl_context is not None or not verify_ssl:  # the old names
            if ssl is not True:
                raise ValueError("ssl, ssl_context and verify_ssl cannot be combined")
            ssl = ssl_context if ssl_context is not None else False
        tls_context(ssl)  # TypeError now rather than at the first request
        ttl = _FOR_EVER if ttl_dns_cache is None else float(ttl_dns_cache)
        super().__init__(
            keepalive_timeout=keepalive_timeout,
            force_close=force_close,
            limit=limit,
            limit_per_host=limit_per_host,
            dns_ttl=ttl if use_dns_cache else 0.0,
            family=int(family),
            local_addr=local_addr,
            race_delay=happy_eyeballs_delay,
            allow_private=bool(allow_private),
        )
        self.ssl = True if ssl is None else ssl
        self._family = int(family)
        self._use_dns_cache = bool(use_dns_cache)

    @classmethod
    def over(cls, pool: Pool) -> TCPConnector:
        """The face of a |pool| that a session made with the defaults."""
        connector = cls()
        connector._pool = pool
        return connector

    @property
    def family(self) -> int:
        """The kind of addresses; 0 for any."""
        return self._family

    @property
    def use_dns_cache(self) -> bool:
        """True if addresses are kept."""
        return self._use_dns_cache


class UnixConnector(BaseConnector):
    """Connections to the Unix socket |path|; the URL's host goes into Host."""

    def __init__(
        self,
        path: str | PathLike[str],
        force_close: bool = False,
        keepalive_timeout: float | None = _UNSET,
        limit: int = 100,
        limit_per_host: int = 0,
        loop: AbstractEventLoop | None = None,
    ) -> None:
        self._path = fspath(path)
        super().__init__(
            keepalive_timeout=keepalive_timeout,
            force_close=force_close,
            limit=limit,
            limit_per_host=limit_per_host,
            unix_path=self._path,
        )

    @property
    def path(self) -> str:
        """Where the socket is."""
        return self._path


def _count(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {value!r}")
    if value < 0:
        raise ValueError(f"{name} must not be negative: {value}")
    return value


_LATER = frozenset(("fingerprint", "resolver", "socket_factory", "ssl_shutdown_timeout"))
