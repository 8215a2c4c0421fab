"""Connectors: aiohttp's names for a pool of connections and how it dials."""

from __future__ import annotations

import warnings
from os import fspath
from time import monotonic
from typing import TYPE_CHECKING, Any

from . import _core
from .outgoing import Unset
from .parameters import merged_ssl, refuse
from .settings import tls_context

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from os import PathLike
    from types import TracebackType
    from typing import Self

    from ._core import Pool, Wait
    from .abc import AbstractResolver, ResolveResult
    from .clientrequest import ClientRequest
    from .tracing import Trace

__all__ = ("BaseConnector", "NamedPipeConnector", "TCPConnector", "UnixConnector")

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
    resolves = False  # by a resolver of its own, which may wait
    allowed_protocol_schema_set = frozenset(("", "http", "https"))

    def __init__(
        self,
        *,
        keepalive_timeout: float | None = _UNSET,
        force_close: bool = False,
        limit: int | None = 100,
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
        if enable_cleanup_closed:
            warnings.warn(
                "enable_cleanup_closed is ignored: connections are closed at once",
                DeprecationWarning,
                stacklevel=3,
            )
        self._keepalive_timeout = keepalive_timeout
        self._loop = loop
        self._limit = _count("limit", limit or 0)
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

    def __enter__(self) -> Self:
        warnings.warn('"with Connector():" is deprecated, use "async with"', DeprecationWarning, 2)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._pool.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self.close()

    async def addresses_of(self, request: ClientRequest, traces: list[Trace]) -> dict[str, Any]:
        """Where |request| is to go, as settings of the engine: by its own means."""
        return {}


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
        verify_ssl: bool | None = None,
        fingerprint: bytes | None = None,
        use_dns_cache: bool = True,
        ttl_dns_cache: float | None = 10,
        dns_cache_max_size: int = 1000,
        family: int = 0,
        ssl_context: Any = None,
        ssl: Any = True,
        local_addr: tuple[str, int] | None = None,
        resolver: AbstractResolver | None = None,
        happy_eyeballs_delay: float | None = 0.25,
        interleave: int | None = None,
        keepalive_timeout: float | None = _UNSET,
        force_close: bool = False,
        limit: int | None = 100,
        limit_per_host: int = 0,
        enable_cleanup_closed: bool = False,
        loop: AbstractEventLoop | None = None,
        timeout_ceil_threshold: float = 5,
        ssl_shutdown_timeout: Any = _UNSET,
        allow_private: bool = True,
        **unsupported: Any,
    ) -> None:
        refuse("TCPConnector", unsupported, _LATER)

        ssl = merged_ssl(ssl, verify_ssl, ssl_context, fingerprint)
        tls_context(ssl)  # TypeError now rather than at the first request
        if ssl_shutdown_timeout is not _UNSET:
            warnings.warn(
                "The ssl_shutdown_timeout parameter is deprecated and has no effect",
                DeprecationWarning,
                stacklevel=2,
            )
        if resolver is not None and not hasattr(resolver, "resolve"):
            raise TypeError(f"resolver must be an AbstractResolver, not {resolver!r}")
        ttl = _FOR_EVER if ttl_dns_cache is None else float(ttl_dns_cache)
        super().__init__(
            keepalive_timeout=keepalive_timeout,
            force_close=force_close,
            limit=limit,
            limit_per_host=limit_per_host,
            enable_cleanup_closed=enable_cleanup_closed,
            loop=loop,
            dns_ttl=ttl if use_dns_cache else 0.0,
            family=int(family),
            local_addr=local_addr,
            race_delay=happy_eyeballs_delay,
            allow_private=bool(allow_private),
        )
        self.ssl = True if ssl is None else ssl
        self._ssl = self.ssl
        self._family = int(family)
        self._use_dns_cache = bool(use_dns_cache)
        self._resolver = resolver
        self.resolves = (
            resolver is not None or type(self)._resolve_host is not TCPConnector._resolve_host
        )
        self._ttl = ttl if use_dns_cache else 0.0
        self._names_kept = max(1, dns_cache_max_size)
        self._names: dict[tuple[str, int], tuple[float, list[ResolveResult]]] = {}

    @classmethod
    def over(cls, pool: Pool) -> TCPConnector:
        """The face of a |pool| that a session made with the defaults."""
        connector = cls()
        connector._pool = pool
        return connector

    def clear_dns_cache(self, host: str | None = None, port: int | None = None) -> None:
        """Forgets the addresses of |host| and |port|, or all; those that a
        resolver of its own found. ValueError if only one is given."""
        if (host is None) is not (port is None):
            raise ValueError("either both host and port or none of them are allowed")
        if host is None or port is None:
            self._names.clear()
        else:
            self._names.pop((host, port), None)

    async def _resolve_host(
        self, host: str, port: int, traces: list[Trace] | None = None
    ) -> list[ResolveResult]:
        """The addresses of |host|: libraries override it. OSError."""
        from .resolver import ThreadedResolver
        from .tracing import tell

        key = (host, port)
        traces = traces or []
        kept = self._names.get(key)
        if kept is not None and kept[0] > monotonic():
            await tell(traces, "on_dns_cache_hit", host)
            return kept[1]
        if self._use_dns_cache:
            await tell(traces, "on_dns_cache_miss", host)
        if self._resolver is None:
            self._resolver = ThreadedResolver()
        await tell(traces, "on_dns_resolvehost_start", host)
        found = await self._resolver.resolve(host, port, family=self._family)  # type: ignore[arg-type]
        await tell(traces, "on_dns_resolvehost_end", host)
        if self._ttl and found:
            if len(self._names) >= self._names_kept:
                del self._names[next(iter(self._names))]
            self._names[key] = monotonic() + self._ttl, found
        return found

    async def addresses_of(self, request: ClientRequest, traces: list[Trace]) -> dict[str, Any]:
        """What the resolver says about the host of |request|, as settings of the
        engine. ClientConnectorDNSError."""
        from .cookiescope import is_address
        from .errors import ClientConnectorDNSError

        request.dns_signals = False
        host, port = request.host.removesuffix("."), request.port or 0
        if is_address(host):
            return {}
        try:
            found = await self._resolve_host(host, port, traces=traces)
            if not found:
                raise OSError(None, f"the resolver found no address of {host}")
        except OSError as error:
            if error.errno is None and isinstance(error, TimeoutError):
                raise
            raise ClientConnectorDNSError(request.connection_key, error) from error
        literals = [str(one["host"]) for one in found]
        return {"addresses": ",".join(literals), "address_port": int(found[0]["port"] or port)}

    def close(self, *, abort_ssl: bool = False) -> Wait[None]:
        """As BaseConnector.close(); a resolver that it made itself is closed."""
        self._names.clear()
        return super().close(abort_ssl=abort_ssl)

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


class NamedPipeConnector(BaseConnector):
    """Connections over Windows' named pipes, which this system does not have:
    RuntimeError."""

    def __init__(self, path: str, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("Named Pipes only available in proactor loop under windows")


_LATER = frozenset(("socket_factory",))
