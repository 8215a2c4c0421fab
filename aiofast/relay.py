"""From a transport that somebody else opened to a socket that the engine can have.

A plain one of asyncio's or uvloop's gives its socket away. One that speaks TLS, or of
whose kind nothing is known, stays as it is: what goes over it is passed on through a
pair of sockets, at the cost of a copy.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any, cast

__all__ = ("socket_of",)

_KNOWN = ("asyncio.selector_events", "uvloop.loop")  # their close() leaves a dup() alone


async def socket_of(transport: Any, relayed: Any) -> tuple[socket.socket, bool]:
    """A connected, non-blocking socket for what |transport| is connected to, and True
    if TLS is spoken behind it. The transport is used up. What passes on is added to
    |relayed|, to be ended by abort(). OSError."""
    transport.pause_reading()
    veiled = transport.get_extra_info("sslcontext") is not None
    found = transport.get_extra_info("socket")
    if not veiled and found is not None and type(transport).__module__ in _KNOWN:
        sock = socket.socket(fileno=os.dup(found.fileno()))
        sock.setblocking(False)
        transport.close()
        return sock, False
    ours, theirs = socket.socketpair()
    try:
        ours.setblocking(False)
        theirs.setblocking(False)
        loop = asyncio.get_running_loop()
        outer = _Half(transport)
        _, inner = await loop.create_unix_connection(lambda: _Half(None), sock=theirs)
        outer.other, inner.other = inner, outer
        transport.set_protocol(outer)
        transport.resume_reading()
        relayed.add(outer)
    except BaseException:
        ours.close()
        theirs.close()
        transport.abort()
        raise
    return ours, veiled


class _Half(asyncio.Protocol):
    """One side of a relay: what comes goes to the other, at its pace."""

    other: _Half

    def __init__(self, transport: Any) -> None:
        self.transport = transport

    def abort(self) -> None:
        """Ends both sides at once."""
        self.transport.abort()
        self.other.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if not self.other.transport.is_closing():
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        return False  # which closes this side, and then the other

    def connection_lost(self, exc: BaseException | None) -> None:
        self.other.transport.close()

    def pause_writing(self) -> None:
        if not self.other.transport.is_closing():
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if not self.other.transport.is_closing():
            self.other.transport.resume_reading()
