"""The body of a response as a stream, in aiohttp's words."""

from __future__ import annotations

from asyncio import IncompleteReadError
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ._core import ResponseBase

_MAX_LINE = 2**19


class StreamReader:
    """Reads a body piece by piece; the server is held back meanwhile.

    Every reading method raises ClientPayloadError if the body is cut short or
    broken, and a ServerTimeoutError if it takes too long. Iterating gives lines.
    """

    __slots__ = ("_buffer", "_ended", "_response", "_start", "total_bytes")

    def __init__(self, response: ResponseBase) -> None:
        self._response = response
        self._buffer = bytearray()  # bytes before _start have been read
        self._start = 0
        self._ended = False
        self.total_bytes = 0  # that came so far, decoded

    def at_eof(self) -> bool:
        """True once everything has been read."""
        return self._ended and self._start == len(self._buffer)

    def is_eof(self) -> bool:
        """True once everything has come."""
        return self._ended

    async def _more(self) -> bool:
        """Waits for bytes; False at the end."""
        if self._ended:
            return False
        data = await self._response.read_some()
        if not data:
            self._ended = True
            return False
        if self._start:
            del self._buffer[: self._start]
            self._start = 0
        self._buffer += data
        self.total_bytes += len(data)
        return True

    def _take(self, count: int) -> bytes:
        end = min(self._start + count, len(self._buffer))
        data = bytes(memoryview(self._buffer)[self._start : end])
        self._start = end
        return data

    def _held(self) -> int:
        return len(self._buffer) - self._start

    async def read(self, n: int = -1) -> bytes:
        """Up to |n| bytes, at least one unless the body is at its end; all the
        rest if |n| is negative."""
        if n == 0:
            return b""
        if n < 0:
            parts = [self._take(self._held())]
            while await self._more():
                parts.append(self._take(self._held()))
            return b"".join(parts)
        if not self._held():
            await self._more()
        return self._take(n)

    async def readany(self) -> bytes:
        """What is there, or comes next; b"" at the end."""
        if not self._held():
            await self._more()
        return self._take(self._held())

    async def readexactly(self, n: int) -> bytes:
        """|n| bytes. asyncio.IncompleteReadError if the body is shorter."""
        while self._held() < n:
            if not await self._more():
                raise IncompleteReadError(self._take(self._held()), n)
        return self._take(n)

    async def readline(self, *, max_line_length: int | None = None) -> bytes:
        """One line with its end, or the rest if the last line has none; b"" at
        the end. ValueError for a line of more than |max_line_length| bytes
        (None: 512 KiB)."""
        return await self.readuntil(b"\n", max_size=max_line_length)

    async def readuntil(self, separator: bytes = b"\n", *, max_size: int | None = None) -> bytes:
        """As readline(), for another |separator|."""
        if not separator:
            raise ValueError("the separator must not be empty")
        limit = _MAX_LINE if max_size is None else max_size
        searched = 0
        while True:
            found = self._buffer.find(separator, self._start + searched)
            size = self._held() if found < 0 else found + len(separator) - self._start
            if size > limit:
                raise ValueError(f"no separator within {limit} bytes")
            if found >= 0:
                return self._take(size)
            searched = max(0, size - len(separator) + 1)
            if not await self._more():
                return self._take(self._held())

    async def iter_any(self) -> AsyncIterator[bytes]:
        """The pieces as they come."""
        while data := await self.readany():
            yield data

    async def iter_chunked(self, n: int) -> AsyncIterator[bytes]:
        """Pieces of at most |n| bytes."""
        if n <= 0:
            raise ValueError("a piece must have at least one byte")
        while data := await self.read(n):
            yield data

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._lines()

    async def _lines(self) -> AsyncIterator[bytes]:
        while True:
            # Lines that are here already need no coroutine each.
            found = self._buffer.find(b"\n", self._start)
            if 0 <= found < self._start + _MAX_LINE:
                yield self._take(found + 1 - self._start)
            elif line := await self.readline():
                yield line
            else:
                return
