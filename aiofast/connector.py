"""Connectors: aiohttp's names for a pool of connections and how it dials."""

from __future__ import annotations

import warnings
from functools import partial
from os import fspath
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from . import _core
from .context import Closing
from .dialing import HOOKS, OWN, means_of, refuse_hooks, within
from .errors import ConnectionKey, UnixClientConnectorError
from .outgoing import Unset
from .parameters import merged_ssl
from .settings import tls_context
from .tcpdialing import TCPDialing

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable
    from os import PathLike
    from types import TracebackType
    from typing import Self

    from ._core import Pool
    from .abc import AbstractResolver
    from .client_proto import ResponseHandler
    from .clientrequest import ClientRequest
    from .timeouts import ClientTimeout
    from .tracing import Trace
    from .typedefs import SocketFactoryType

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
    allowed_protocol_schema_set = frozenset(("", "http", "https", "ws", "wss"))

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
        refuse_hooks(self)
        self._keepalive_timeout = keepalive_timeout
        self._given_loop = loop or _running_loop()
        self._timeout_ceil_threshold = timeout_ceil_threshold
        self._relayed: WeakSet[Any] = WeakSet()  # what is behind sockets of the engine
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
    def dials(self) -> bool:
        """True if it makes connections by means of its own, or wants to be asked."""
        return means_of(self) is not None or OWN.replaced(self, "connect", "_get_ssl_context")

    @property
    def _loop(self) -> AbstractEventLoop:
        """The loop that it was made in, else the running one."""
        from asyncio import get_running_loop

        return self._given_loop or get_running_loop()

    @property
    def _factory(self) -> Callable[[], ResponseHandler]:
        """Makes the protocol of a connection that the program opens."""
        from .client_proto import ResponseHandler

        return partial(ResponseHandler, loop=self._loop)

    @property
    def _closed(self) -> bool:
        return self._pool.closed

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout) -> Any:
        """A connection for |req|. For a request of a session it stands for the one
        that the engine will use, so that a subclass can do something before or after;
        else it is a new one, which `transport` and `protocol` are of."""
        from .connection import OpenConnection, Permit

        if req.permitted:
            return Permit(self)
        protocol = await self._create_connection(req, traces, timeout)
        return OpenConnection(req.connection_key, protocol)

    async def _create_connection(
        self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout
    ) -> ResponseHandler:
        """Opens a connection for |req|: what a subclass may do in its own way. Without
        one the engine does it, and this is not called."""
        raise NotImplementedError

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

    # aiohttp's lists, by which programs watch a pool: what is in them has only a number.

    @property
    def _conns(self) -> dict[ConnectionKey, list[object]]:
        """The connections that wait for a request, by what they are to."""
        return self._counted(3)

    @property
    def _acquired_per_host(self) -> dict[ConnectionKey, list[object]]:
        """Those that serve one, or are in the making."""
        return self._counted(4)

    @property
    def _acquired(self) -> list[object]:
        """The same, all of them."""
        return [one for several in self._counted(4).values() for one in several]

    def _counted(self, which: int) -> dict[ConnectionKey, list[object]]:
        found: dict[ConnectionKey, list[object]] = {}
        for origin in self._pool.origins():
            key = ConnectionKey(origin[0], origin[1], origin[2])
            if origin[which]:
                found.setdefault(key, []).extend(object() for _ in range(int(origin[which])))
        return found

    def close(self, *, abort_ssl: bool = False) -> Closing:
        """Ends every request and connection at once. Awaiting the result is not
        needed."""
        self._pool.close()
        for relay in list(self._relayed):
            relay.abort()
        return Closing()

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


class TCPConnector(TCPDialing, BaseConnector):
    """Connections over TCP.

    use_dns_cache, ttl_dns_cache: keep addresses, for 10 s; None: for ever.
    family: socket.AF_INET or AF_INET6 for addresses of one kind alone.
    ssl: as for a request; what requests do not override.
    local_addr: (host, port) to connect from.
    happy_eyeballs_delay: seconds until the next address is tried beside the one
        before (RFC 8305), 0.25; None: one after the other. interleave: how many of
        the first family come before the other's first.
    socket_factory: called with (family, type, proto, "", address), makes the socket.
    resolver: an AbstractResolver that names are looked up with.
    allow_private: False refuses every address that is not the public Internet's,
        whatever a session or request says: PrivateAddressError.
    The rest as BaseConnector. Subclasses may have their own _resolve_host(),
    _create_connection(), _create_direct_connection(), _wrap_create_connection(),
    _get_ssl_context() and connect(): each new connection is made by those then.
    """

    allowed_protocol_schema_set = BaseConnector.allowed_protocol_schema_set | {"tcp"}

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
        socket_factory: SocketFactoryType | None = None,
        ssl_shutdown_timeout: Any = _UNSET,
        allow_private: bool = True,
    ) -> None:
        if socket_factory is not None and not callable(socket_factory):
            raise TypeError(f"socket_factory must be a function, not {socket_factory!r}")
        if socket_factory is not None and not allow_private:
            raise ValueError("allow_private=False and socket_factory do not go together")
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
        self._ssl_shutdown_timeout = 0 if ssl_shutdown_timeout is _UNSET else ssl_shutdown_timeout
        self._local_addr = local_addr
        self._happy_eyeballs_delay = happy_eyeballs_delay
        self._interleave = interleave
        self._socket_factory = socket_factory
        self._take_resolver(resolver, use_dns_cache, ttl_dns_cache, dns_cache_max_size)

    @classmethod
    def over(cls, pool: Pool, loop: AbstractEventLoop | None) -> TCPConnector:
        """The face of a |pool| that a session made with the defaults."""
        connector = cls(loop=loop)
        connector._pool = pool
        return connector

    def clear_dns_cache(self, host: str | None = None, port: int | None = None) -> None:
        """Forgets the addresses of |host| and |port|, or all; those that a
        resolver of its own found. ValueError if only one is given."""
        if (host is None) is not (port is None):
            raise ValueError("either both host and port or none of them are allowed")
        if host is None or port is None:
            self._cached_hosts.clear()
        else:
            self._cached_hosts.remove((host, port))

    def close(self, *, abort_ssl: bool = False) -> Closing:
        """As BaseConnector.close(); a resolver that it made itself is closed, and
        lookups that run for nobody are cancelled."""
        if self.closed:
            return super().close(abort_ssl=abort_ssl)
        self._cached_hosts.clear()
        super().close(abort_ssl=abort_ssl)
        return Closing(self._end_lookups())

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
            loop=loop,
            unix_path=self._path,
        )

    allowed_protocol_schema_set = BaseConnector.allowed_protocol_schema_set | {"unix"}

    async def _create_connection(
        self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout
    ) -> ResponseHandler:
        """A connection that asyncio opens. UnixClientConnectorError."""
        loop = self._loop
        try:
            opened = loop.create_unix_connection(self._factory, self._path)
            _, protocol = await within(timeout.sock_connect, opened)
        except OSError as error:
            if error.errno is None and isinstance(error, TimeoutError):
                raise
            raise UnixClientConnectorError(self._path, req.connection_key, error) from error
        found: ResponseHandler = protocol
        return found

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


def _running_loop() -> AbstractEventLoop | None:
    from asyncio import get_running_loop

    try:
        return get_running_loop()
    except RuntimeError:
        return None


def is_hooked() -> bool:
    """True if somebody has put methods of his own into TCPConnector, as tests do."""
    return any(OWN.differs(TCPConnector, name) for name in HOOKS)


OWN.learn(BaseConnector, TCPDialing, TCPConnector, UnixConnector)
