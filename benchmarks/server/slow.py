"""A server that takes 50 ms for every answer, as a program of its own.

It stands in where nginx has no module that waits (see nginx.py), and shares in
the result more than nginx does. It speaks just enough HTTP for clients that
send well-formed GETs. It prints its port and serves until ended.
"""

import asyncio
import contextlib

from scenarios import DELAY, SMALL

_HEAD_CEILING = 65536
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(SMALL),
    SMALL,
)


class Slow(asyncio.Protocol):
    """One connection: each head that is complete is answered DELAY later."""

    transport: asyncio.Transport
    unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        *heads, self.unread = (self.unread + data).split(b"\r\n\r\n")
        if len(self.unread) > _HEAD_CEILING:
            self.transport.abort()
            return
        loop = asyncio.get_running_loop()
        for _ in heads:
            loop.call_later(DELAY, self._answer)

    def _answer(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(_ANSWER)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Slow, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve())
