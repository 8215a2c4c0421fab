"""What can be seen of a connection while a response has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._core import ResponseBase


class Transport:
    """The read-only face of a connection's transport: connections belong to the
    engine, which alone reads and writes."""

    __slots__ = ("_response",)

    def __init__(self, response: ResponseBase) -> None:
        self._response = response

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """`peername`: (host, port), for IPv6 with flow and scope; the path of a
        Unix socket. |default| for all else."""
        if name != "peername":
            return default
        return _peername(self._response.peer) or default

    def is_closing(self) -> bool:
        """True once the exchange is over."""
        return self._response.complete

    def close(self) -> None:
        """Closes the connection, unless the body is whole."""
        self._response.close()

    abort = close


class Protocol:
    """The read-only face of a connection's protocol."""

    __slots__ = ("_response",)

    upgraded = False

    def __init__(self, response: ResponseBase) -> None:
        self._response = response

    @property
    def transport(self) -> Transport | None:
        """None once the exchange is over."""
        return None if self._response.complete else Transport(self._response)

    @property
    def connected(self) -> bool:
        """True while the exchange lasts."""
        return not self._response.complete

    def is_connected(self) -> bool:
        """The same."""
        return self.connected


class Connection:
    """A connection as long as a response has it. `closed`, `transport`;
    release() and close() are those of the response."""

    __slots__ = ("_response", "protocol")

    def __init__(self, response: ResponseBase) -> None:
        self._response = response
        self.protocol = Protocol(response)

    @property
    def closed(self) -> bool:
        """True once the response is done with it."""
        return self._response.complete

    @property
    def transport(self) -> Transport | None:
        """None once the response is done with it."""
        return None if self._response.complete else Transport(self._response)

    def release(self) -> None:
        """Gives the connection back to the pool."""
        self._response.release()

    def close(self) -> None:
        """Closes the connection, unless the body is whole."""
        self._response.close()


def _peername(peer: str) -> Any:
    host, colon, port = peer.rpartition(":")
    if not colon or not port.isdecimal():
        return peer
    if host.startswith("["):
        return host[1:-1], int(port), 0, 0
    return host, int(port)


class Permit:
    """What connect() gives to a subclass that waits for it: the leave to go on. The
    engine then takes a connection that is kept, or has one made."""

    transport = protocol = None
    closed = False

    def __init__(self, connector: Any) -> None:
        self._connector = connector

    def add_callback(self, callback: Any) -> None:
        """Not called: the connection is the response's."""

    def release(self) -> None:
        """There is nothing to give back."""

    close = release


class OpenConnection:
    """A connection that the program asked a connector for, and closes itself."""

    def __init__(self, key: Any, protocol: Any) -> None:
        self._key = key
        self._protocol = protocol
        self._callbacks: list[Any] = []

    def __repr__(self) -> str:
        return f"Connection<{self._key}>"

    @property
    def protocol(self) -> Any:
        """The asyncio protocol; None once closed."""
        return self._protocol

    @property
    def transport(self) -> Any:
        """The asyncio transport; None once closed."""
        return None if self._protocol is None else self._protocol.transport

    @property
    def closed(self) -> bool:
        """True once closed, by whom ever."""
        transport = self.transport
        return transport is None or transport.is_closing()

    def add_callback(self, callback: Any) -> None:
        """|callback| is called when it is closed."""
        if callback is not None:
            self._callbacks.append(callback)

    def close(self) -> None:
        """Closes it."""
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()
        transport, self._protocol = self.transport, None
        if transport is None:
            return
        if transport.get_extra_info("sslcontext") is None:
            transport.close()
        else:
            transport.abort()  # rather than wait for the peer's word

    release = close
