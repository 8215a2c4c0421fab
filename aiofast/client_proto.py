"""aiohttp.client_proto: the protocol of a connection that the program makes itself.

The engine reads and parses; this one only holds a transport until the engine takes
the connection over from it.
"""

from __future__ import annotations

from asyncio import Protocol, Transport, get_running_loop
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, BaseTransport, Future

__all__ = ("ResponseHandler",)


class ResponseHandler(Protocol):
    """What a connector's `_create_connection()` and its kin give: `transport`, and
    `closed`, a future that ends with the connection."""

    def __init__(self, loop: AbstractEventLoop | None = None) -> None:
        self._loop = loop
        self._closed: Future[None] | None = None
        self._lost = False
        self._paused = False
        self.transport: Transport | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        """Takes the transport."""
        self.transport = cast(Transport, transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Lets go of it."""
        self.transport = None
        self._lost = True
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Before a request nothing may come: closes."""
        self.close()

    def pause_writing(self) -> None:
        """Notes that the transport is full."""
        self._paused = True

    def resume_writing(self) -> None:
        """Notes that it is not any more."""
        self._paused = False

    @property
    def closed(self) -> Future[None] | None:
        """Done once the connection is lost; None if it never was there."""
        if self._closed is None and self.transport is not None:
            loop = self._loop or get_running_loop()
            self._closed = loop.create_future()
        return self._closed

    @property
    def connected(self) -> bool:
        """True while there is a connection."""
        return self.is_connected()

    def is_connected(self) -> bool:
        """True while there is a connection."""
        return self.transport is not None and not self.transport.is_closing()

    def pause_reading(self) -> None:
        """Stops reading."""
        if self.transport is not None:
            self.transport.pause_reading()

    def resume_reading(self, *args: Any, **kwargs: Any) -> None:
        """Reads again."""
        if self.transport is not None:
            self.transport.resume_reading()

    def close(self) -> None:
        """Closes the transport."""
        transport, self.transport = self.transport, None
        if transport is not None:
            transport.close()

    def abort(self) -> None:
        """Closes it at once."""
        transport, self.transport = self.transport, None
        if transport is not None:
            transport.abort()
