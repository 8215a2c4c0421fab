"""TCPConnector's own steps from a host to a connection, by aiohttp's names for them.

Subclasses replace some and call others; the engine goes its own way where all are as
they stand here (dialing.py).
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from ssl import CertificateError, SSLError
from typing import TYPE_CHECKING, Any

from .dialing import within
from .errors import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
)
from .resolver import AddressCache

if TYPE_CHECKING:
    from ssl import SSLContext

    from .abc import AbstractResolver, ResolveResult
    from .client_proto import ResponseHandler
    from .clientrequest import ClientRequest
    from .fingerprint import Fingerprint
    from .timeouts import ClientTimeout
    from .tracing import Trace
    from .typedefs import AddrInfoType

_NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class TCPDialing:
    """Names, sockets and TLS of a connector, outside of the engine."""

    _cached_hosts: AddressCache
    _factory: Any
    _family: int
    _happy_eyeballs_delay: float | None
    _interleave: int | None
    _local_addr: tuple[str, int] | None
    _loop: Any
    _resolver: AbstractResolver | None
    _socket_factory: Any
    _ssl: Any
    _use_dns_cache: bool

    # --- names ---

    def _take_resolver(
        self, resolver: AbstractResolver | None, cached: bool, ttl: float | None, size: int
    ) -> None:
        self._use_dns_cache = bool(cached)
        self._cached_hosts = AddressCache(ttl, size)
        self._resolver = resolver
        self._resolver_given = resolver is not None
        self._lookups: dict[tuple[str, int], asyncio.Task[list[ResolveResult]]] = {}

    def _end_lookups(self) -> asyncio.Task[None] | None:
        """Cancels lookups; the task that closes a resolver of our own, if any."""
        for task in list(self._lookups.values()):
            task.cancel()
        if self._resolver is None or self._resolver_given:
            return None
        with suppress(RuntimeError):  # no loop runs, and nothing waits in it
            return asyncio.get_running_loop().create_task(self._close_resolver())
        return None

    async def _close_resolver(self) -> None:
        if self._resolver is not None:
            with suppress(Exception):  # which nobody could do anything about
                await self._resolver.close()

    async def _resolve_host(
        self, host: str, port: int, traces: list[Trace] | None = None
    ) -> list[ResolveResult]:
        """The addresses of |host|, from the cache if they are there; who asks for the
        same at once waits for one lookup. OSError."""
        from .cookiescope import is_address
        from .tracing import tell

        literal = host.strip("[]")
        if is_address(literal):
            family = socket.AF_INET6 if ":" in literal else socket.AF_INET
            return [
                {
                    "hostname": host,
                    "host": host,
                    "port": port,
                    "family": int(self._family or family),
                    "proto": 0,
                    "flags": 0,
                }
            ]
        traces = traces or []
        key = (host, port)
        if not self._use_dns_cache:
            return await self._look_up(host, port, traces)
        if key in self._cached_hosts and not self._cached_hosts.expired(key):
            found = self._cached_hosts.next_addrs(key)
            await tell(traces, "on_dns_cache_hit", host)
            return found
        task = self._lookups.get(key)
        if task is not None:
            await tell(traces, "on_dns_cache_hit", host)
            return list(await asyncio.shield(task))
        task = asyncio.get_running_loop().create_task(self._kept(key, traces))
        self._lookups[key] = task
        task.add_done_callback(lambda done: self._looked_up(key, done))
        # Who is cancelled leaves the lookup to the others.
        return list(await asyncio.shield(task))

    def _looked_up(self, key: tuple[str, int], task: asyncio.Task[Any]) -> None:
        self._lookups.pop(key, None)
        if not task.cancelled():
            task.exception()  # which was told to who waits, if anybody does

    async def _kept(self, key: tuple[str, int], traces: list[Trace]) -> list[ResolveResult]:
        from .tracing import tell

        await tell(traces, "on_dns_cache_miss", key[0])
        self._cached_hosts.add(key, await self._look_up(*key, traces))
        return self._cached_hosts.next_addrs(key)

    async def _look_up(self, host: str, port: int, traces: list[Trace]) -> list[ResolveResult]:
        from .tracing import tell

        if self._resolver is None:
            from .resolver import DefaultResolver

            self._resolver = DefaultResolver()
        await tell(traces, "on_dns_resolvehost_start", host)
        found = await self._resolver.resolve(host, port, family=self._family)  # type: ignore[arg-type]
        await tell(traces, "on_dns_resolvehost_end", host)
        return found

    async def _hosts_of(
        self, req: ClientRequest, host: str, traces: list[Trace]
    ) -> list[ResolveResult]:
        """_resolve_host(). ClientConnectorDNSError."""
        try:
            found = await self._resolve_host(host, req.port or 0, traces=traces)
        except OSError as error:
            if error.errno is None and isinstance(error, TimeoutError):
                raise
            raise ClientConnectorDNSError(req.connection_key, error) from error
        if not found:
            raise self._no_address(req, host)
        return found

    def _no_address(self, req: ClientRequest, host: str) -> ClientConnectorDNSError:
        error = OSError(None, f"the resolver found no address of {host}")
        return ClientConnectorDNSError(req.connection_key, error)

    def _of_family(self, hosts: list[ResolveResult]) -> list[ResolveResult]:
        family = self._family
        if not family:
            return hosts
        return [one for one in hosts if (":" in one["host"]) == (family == socket.AF_INET6)]

    def _convert_hosts_to_addr_infos(self, hosts: list[ResolveResult]) -> list[AddrInfoType]:
        """What getaddrinfo() would say of |hosts|."""
        infos: list[AddrInfoType] = []
        for one in self._of_family(hosts):
            host, port = one["host"], one["port"]
            if ":" in host:
                name, _, scope = host.partition("%")
                number = _scope(scope) if scope else 0
                address: tuple[Any, ...] = (name, port, 0, number)
                kind = socket.AF_INET6
            else:
                address, kind = (host, port), socket.AF_INET
            infos.append((kind, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address))
        return infos

    # --- sockets ---

    @property
    def _local_addr_infos(self) -> list[AddrInfoType] | None:
        if self._local_addr is None:
            return None
        family = socket.AF_INET6 if ":" in self._local_addr[0] else socket.AF_INET
        rest = (0, 0) if family == socket.AF_INET6 else ()
        address = (*self._local_addr, *rest)
        return [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address)]

    async def _connect_socket(
        self,
        infos: list[AddrInfoType],
        req: ClientRequest,
        timeout: ClientTimeout,
        client_error: type[Exception] = ClientConnectorError,
    ) -> socket.socket:
        """A socket that is connected to one of |infos|. |client_error|."""
        from .racing import connect

        opened = connect(
            infos,
            self._local_addr_infos,
            self._happy_eyeballs_delay,
            self._interleave,
            False,
            self._socket_factory,
        )
        try:
            sock: socket.socket = await within(timeout.sock_connect, opened)
            return sock
        except OSError as error:
            if error.errno is None and isinstance(error, TimeoutError):
                raise
            raise client_error(req.connection_key, error) from error

    async def _wrap_create_connection(
        self,
        *args: Any,
        addr_infos: list[AddrInfoType],
        req: ClientRequest,
        timeout: ClientTimeout,
        client_error: type[Exception] = ClientConnectorError,
        **kwargs: Any,
    ) -> tuple[asyncio.Transport, ResponseHandler]:
        """A connection that asyncio opens: loop.create_connection(*args, **kwargs) over
        a socket of one of |addr_infos|. |client_error|, ClientConnectorSSLError,
        ClientConnectorCertificateError."""
        sock = await self._connect_socket(addr_infos, req, timeout, client_error)
        try:
            opened = self._loop.create_connection(*args, **kwargs, sock=sock)
            transport, protocol = await within(timeout.sock_connect, opened)
            return transport, protocol
        except CertificateError as error:
            raise ClientConnectorCertificateError(req.connection_key, error) from error
        except SSLError as error:
            raise ClientConnectorSSLError(req.connection_key, error) from error
        except OSError as error:
            if error.errno is None and isinstance(error, TimeoutError):
                raise
            raise client_error(req.connection_key, error) from error

    async def _create_direct_connection(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,
        *,
        client_error: type[Exception] = ClientConnectorError,
    ) -> tuple[asyncio.Transport, ResponseHandler]:
        """A connection for |req|, by the other methods here. ClientConnectorError and
        its subclasses, ServerFingerprintMismatch."""
        context = self._get_ssl_context(req)
        fingerprint = self._get_fingerprint(req)
        host = req.url.raw_host or ""
        if host.endswith(".."):
            host = host.rstrip(".") + "."
        infos = self._convert_hosts_to_addr_infos(await self._hosts_of(req, host, traces))
        if not infos:
            raise self._no_address(req, host)
        transport, protocol = await self._wrap_create_connection(
            self._factory,
            timeout=timeout,
            ssl=context,
            addr_infos=infos,
            server_hostname=(req.server_hostname or host).rstrip(".") if context else None,
            req=req,
            client_error=client_error,
        )
        if req.is_ssl() and fingerprint is not None:
            try:
                fingerprint.check(transport)
            except BaseException:
                transport.abort()
                raise
        return transport, protocol

    async def _create_connection(
        self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout
    ) -> ResponseHandler:
        """The protocol of a new connection for |req|."""
        _, protocol = await self._create_direct_connection(req, traces, timeout)
        return protocol

    # --- TLS ---

    def _get_ssl_context(self, req: ClientRequest) -> SSLContext | None:
        """The context for |req|, by its `ssl` or the connector's; None for http."""
        from ssl import SSLContext

        from .tls import default_context, unverified_context

        if not req.is_ssl():
            return None
        for given in (req.ssl, self._ssl):
            if isinstance(given, SSLContext):
                return given
            if given is not True:  # False, or a fingerprint that is looked at later
                return unverified_context()
        return default_context()

    def _get_fingerprint(self, req: ClientRequest) -> Fingerprint | None:
        """The fingerprint that is wanted, by |req| or the connector."""
        from .fingerprint import Fingerprint

        for given in (req.ssl, self._ssl):
            if isinstance(given, Fingerprint):
                return given
        return None


def _scope(text: str) -> int:
    """The number of an IPv6 zone."""
    return int(text) if text.isdecimal() else socket.if_nametoindex(text)
