"""Connections for any asyncio protocol, on aiofast's engine.

The functions are those of the running event loop, with its signatures, its
argument checks and its exceptions; what they return is an `asyncio.Transport`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl as ssl_module
from asyncio.trsock import TransportSocket
from collections.abc import Callable
from typing import Any, TypeVar

from . import _core, racing

__all__ = (
    "create_connection",
    "create_unix_connection",
    "open_connection",
    "open_unix_connection",
    "start_tls",
)

_P = TypeVar("_P", bound=asyncio.BaseProtocol)
_SSL = bool | ssl_module.SSLContext | None
_HANDSHAKE_TIMEOUT = 60.0
_SHUTDOWN_TIMEOUT = 30.0
_LIMIT = 64 * 1024
_KEEPER = "aiofast.keeper"


async def create_connection(
    protocol_factory: Callable[[], _P],
    host: str | None = None,
    port: int | str | None = None,
    *,
    ssl: _SSL = None,
    family: int = 0,
    proto: int = 0,
    flags: int = 0,
    sock: socket.socket | None = None,
    local_addr: tuple[str, int] | None = None,
    server_hostname: str | None = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
    happy_eyeballs_delay: float | None = None,
    interleave: int | None = None,
    all_errors: bool = False,
) -> tuple[asyncio.Transport, _P]:
    """Connects |protocol_factory|'s protocol to |host| and |port|, or over the
    connected |sock|: loop.create_connection() on aiofast's engine.

    |ssl| is an ssl.SSLContext, or True for the default one. Times are in seconds:
    |happy_eyeballs_delay| between the starts of two addresses (RFC 8305; None: one
    after the other), |ssl_handshake_timeout| (60), |ssl_shutdown_timeout| (30).
    Raises ValueError for arguments that do not go together, OSError (socket.gaierror,
    ConnectionRefusedError...) where no address connects, or with |all_errors| an
    ExceptionGroup of all of them, ssl.SSLError where the handshake fails."""
    server_hostname = _check_tls(
        ssl, host, server_hostname, ssl_handshake_timeout, ssl_shutdown_timeout
    )
    if sock is not None:
        _refuse_tls_socket(sock)
    if happy_eyeballs_delay is not None and interleave is None:
        interleave = 1
    if host is not None or port is not None:
        if sock is not None:
            raise ValueError("host/port and sock can not be specified at the same time")
        found = await racing.find(host, port, family, proto, flags, local_addr)
        sock = await racing.connect(*found, happy_eyeballs_delay, interleave, all_errors)
    elif sock is None:
        raise ValueError("host and port was not specified and no sock specified")
    elif sock.type != socket.SOCK_STREAM:
        raise ValueError(f"A Stream Socket was expected, got {sock!r}")
    return await _attach(
        sock, protocol_factory, ssl, server_hostname, ssl_handshake_timeout, ssl_shutdown_timeout
    )


async def create_unix_connection(
    protocol_factory: Callable[[], _P],
    path: str | bytes | os.PathLike[str] | None = None,
    *,
    ssl: _SSL = None,
    sock: socket.socket | None = None,
    server_hostname: str | None = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
) -> tuple[asyncio.Transport, _P]:
    """Connects to the Unix socket |path|, or over the connected |sock|:
    loop.create_unix_connection() on aiofast's engine. Arguments and errors as for
    create_connection()."""
    _check_unix_tls(ssl, server_hostname, ssl_handshake_timeout, ssl_shutdown_timeout)
    if path is not None:
        if sock is not None:
            raise ValueError("path and sock can not be specified at the same time")
        sock = await racing.connect_unix(os.fspath(path))
    elif sock is None:
        raise ValueError("no path and sock were specified")
    elif sock.family != socket.AF_UNIX or sock.type != socket.SOCK_STREAM:
        raise ValueError(f"A UNIX Domain Stream Socket was expected, got {sock!r}")
    return await _attach(
        sock, protocol_factory, ssl, server_hostname, ssl_handshake_timeout, ssl_shutdown_timeout
    )


async def start_tls(
    transport: asyncio.BaseTransport,
    protocol: asyncio.BaseProtocol,
    sslcontext: ssl_module.SSLContext,
    *,
    server_side: bool = False,
    server_hostname: str | None = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
) -> asyncio.Transport | None:
    """TLS over |transport| from now on, for |protocol|: loop.start_tls(). Gives the
    transport to use instead. |transport| may have TLS already (TLS in TLS), and may be
    another's than ours: then the loop does it."""
    if not isinstance(sslcontext, ssl_module.SSLContext):
        raise TypeError(
            f"sslcontext is expected to be an instance of ssl.SSLContext, got {sslcontext!r}"
        )
    if not getattr(transport, "_start_tls_compatible", False):
        raise TypeError(f"transport {transport!r} is not supported by start_tls()")
    if not isinstance(transport, _core.Transport):
        return await asyncio.get_running_loop().start_tls(
            transport,  # type: ignore[arg-type]
            protocol,
            sslcontext,
            server_side=server_side,
            server_hostname=server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )
    times = _times(ssl_handshake_timeout, ssl_shutdown_timeout)
    transport.pause_reading()
    try:
        if transport.get_write_buffer_size():
            try:
                await transport._make_empty_waiter()
            finally:
                transport._reset_empty_waiter()
        return await _handshake(
            transport, protocol, sslcontext, server_side, server_hostname, times, True
        )
    except BaseException:
        transport.close()
        raise


async def open_connection(
    host: str | None = None, port: int | str | None = None, *, limit: int = _LIMIT, **kwds: Any
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A reader and a writer connected to |host| and |port|: asyncio.open_connection().
    |limit| is in bytes; the other arguments and the errors are those of
    create_connection()."""
    reader, protocol = _stream(limit)
    transport, _ = await create_connection(lambda: protocol, host, port, **kwds)
    loop = asyncio.get_running_loop()
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def open_unix_connection(
    path: str | bytes | os.PathLike[str] | None = None, *, limit: int = _LIMIT, **kwds: Any
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The same over the Unix socket |path|: asyncio.open_unix_connection()."""
    reader, protocol = _stream(limit)
    transport, _ = await create_unix_connection(lambda: protocol, path, **kwds)
    loop = asyncio.get_running_loop()
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def _stream(limit: int) -> tuple[asyncio.StreamReader, asyncio.StreamReaderProtocol]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=limit, loop=loop)
    return reader, asyncio.StreamReaderProtocol(reader, loop=loop)


# --- arguments ------------------------------------------------------------------


def _check_tls(
    ssl: _SSL,
    host: str | None,
    server_hostname: str | None,
    handshake: float | None,
    shutdown: float | None,
) -> str | None:
    """The name that the certificate must have."""
    if server_hostname is not None and not ssl:
        raise ValueError("server_hostname is only meaningful with ssl")
    if server_hostname is None and ssl:
        # An address is a name too; a certificate may be for one.
        if not host:
            raise ValueError("You must set server_hostname when using ssl without a host")
        server_hostname = host
    _check_times(ssl, handshake, shutdown)
    return server_hostname


def _check_unix_tls(
    ssl: _SSL, server_hostname: str | None, handshake: float | None, shutdown: float | None
) -> None:
    assert server_hostname is None or isinstance(server_hostname, str)
    if ssl and server_hostname is None:
        raise ValueError("you have to pass server_hostname when using ssl")
    if not ssl and server_hostname is not None:
        raise ValueError("server_hostname is only meaningful with ssl")
    _check_times(ssl, handshake, shutdown)


def _check_times(ssl: _SSL, handshake: float | None, shutdown: float | None) -> None:
    if handshake is not None and not ssl:
        raise ValueError("ssl_handshake_timeout is only meaningful with ssl")
    if shutdown is not None and not ssl:
        raise ValueError("ssl_shutdown_timeout is only meaningful with ssl")


def _times(handshake: float | None, shutdown: float | None) -> tuple[float, float]:
    if handshake is None:
        handshake = _HANDSHAKE_TIMEOUT
    elif handshake <= 0:
        raise ValueError(f"ssl_handshake_timeout should be a positive number, got {handshake}")
    if shutdown is None:
        shutdown = _SHUTDOWN_TIMEOUT
    elif shutdown <= 0:
        raise ValueError(f"ssl_shutdown_timeout should be a positive number, got {shutdown}")
    return handshake, shutdown


def _refuse_tls_socket(sock: socket.socket) -> None:
    if isinstance(sock, ssl_module.SSLSocket):
        raise TypeError("Socket cannot be of type SSLSocket")


def _context(ssl: Any, server_hostname: str | None) -> ssl_module.SSLContext:
    if not isinstance(ssl, bool):
        return ssl  # type: ignore[no-any-return]
    context = ssl_module.create_default_context()
    if not server_hostname:
        context.check_hostname = False
    return context


# --- transports -----------------------------------------------------------------


async def _attach(
    sock: socket.socket,
    protocol_factory: Callable[[], _P],
    ssl: Any,
    server_hostname: str | None,
    handshake: float | None,
    shutdown: float | None,
) -> tuple[Any, _P]:
    """A protocol of the factory's, connected over |sock|, which is ours from here."""
    loop = asyncio.get_running_loop()
    try:
        sock.setblocking(False)
        protocol = protocol_factory()
        if ssl:
            times = _times(handshake, shutdown)
            context = _context(ssl, server_hostname)
        transport = _new(sock, protocol, loop)
        # What the caller does to its socket must not close our descriptor: the number
        # may be another's by the time we come to close it.
        transport._extra[_KEEPER] = sock.makefile("rb", buffering=0)
    except BaseException:
        sock.close()
        raise
    if ssl:
        try:
            return await _handshake(
                transport, protocol, context, False, server_hostname, times, False
            ), protocol
        except BaseException:
            transport.abort()
            raise
    waiter = loop.create_future()
    # The order is the promise: made, then data, then whoever waits here.
    loop.call_soon(protocol.connection_made, transport)
    loop.call_soon(transport._read)
    loop.call_soon(_wake, waiter)
    try:
        await waiter
    except BaseException:
        transport.close()
        raise
    return transport, protocol


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.cancelled():
        waiter.set_result(None)


def _new(
    sock: socket.socket, protocol: asyncio.BaseProtocol, loop: asyncio.AbstractEventLoop
) -> _core.Transport:
    extra: dict[str, Any] = {"socket": TransportSocket(sock)}
    for name, ask in (("sockname", sock.getsockname), ("peername", sock.getpeername)):
        try:
            extra[name] = ask()
        except OSError:
            extra[name] = None
    transport = _core.transport_new(sock, protocol, extra)
    _make_known(loop, transport)
    return transport


def _make_known(loop: asyncio.AbstractEventLoop, transport: _core.Transport) -> None:
    """asyncio refuses readers of a program's own on a transport's descriptor."""
    known = getattr(loop, "_transports", None)
    if known is not None:
        known[transport._sock_fd] = transport


async def _handshake(
    below: _core.Transport,
    protocol: asyncio.BaseProtocol,
    context: ssl_module.SSLContext,
    server_side: bool,
    server_hostname: str | None,
    times: tuple[float, float],
    connected: bool,
) -> _core.Transport:
    loop = asyncio.get_running_loop()
    waiter = loop.create_future()
    transport = _core.transport_tls(
        below, protocol, context, server_side, server_hostname, *times, waiter, connected
    )
    _make_known(loop, transport)
    try:
        await waiter
    except BaseException:
        transport.close()
        raise
    return transport
