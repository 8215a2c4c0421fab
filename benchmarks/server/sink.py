"""A server that reads uploads and keeps nothing, as a program of its own.

nginx would write them to disk or answer before they are read. The body is
known to consist of one byte over and over (peers.Target.pieces), which no line
of chunked framing ends in. It prints its port and serves until ended.
"""

import asyncio
import contextlib
import re

from scenarios import UPLOADED

_HEAD_CEILING = 65536
_LAST_CHUNK = b"0\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_ANSWER = b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)\r\n", re.IGNORECASE)


class Sink(asyncio.BufferedProtocol):
    """One connection, one request after the other, read into one buffer."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._buffer = bytearray(1 << 20)
        self._head: bytes | None = b""  # None inside a body
        self._wanted: int | None = 0  # bytes of body to come, None for chunked
        self._seen = 0
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        data = memoryview(self._buffer)[:nbytes]
        if self._head is not None:
            self._head += bytes(data)
            head, end, rest = self._head.partition(b"\r\n\r\n")
            if end:
                self._begin(head + b"\r\n", rest)
            elif len(self._head) > _HEAD_CEILING:
                self.transport.abort()
        else:
            self._body(nbytes, bytes(data[-len(_LAST_CHUNK) :]))

    def _begin(self, head: bytes, rest: bytes) -> None:
        """The head is whole; what came with it is body."""
        length = _LENGTH.search(head)
        self._head, self._wanted = None, int(length[1]) if length else None
        self._seen, self._tail = 0, b""
        if b"100-continue" in head.lower():
            self.transport.write(_CONTINUE)
        self._body(len(rest), rest[-len(_LAST_CHUNK) :])

    def _body(self, count: int, tail: bytes) -> None:
        """Counts, and answers at the end: 400 for a body of another size."""
        self._seen += count
        self._tail = (self._tail + tail)[-len(_LAST_CHUNK) :]
        if self._wanted is None:
            done, whole = self._tail == _LAST_CHUNK, self._seen > UPLOADED
        else:
            done, whole = self._seen >= self._wanted, self._seen == UPLOADED
        if done:
            self._head = b""
            self.transport.write(_ANSWER % (b"200 OK" if whole else b"400 Bad Request"))


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Sink, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve())
