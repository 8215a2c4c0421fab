"""Bodies line by line: of text, and of JSON."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from .streams import LineTooLong

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from .streams import StreamReader


class Lines:
    """The lines of a body: what |split| makes of its pieces, without the ends.
    Linear in the bytes, whatever the pieces are."""

    __slots__ = ("_decode", "_limit", "_newline", "_reader", "_ready", "_size", "_tail")

    def __init__(
        self,
        reader: StreamReader,
        newline: Any,
        limit: int | None,
        decode: Callable[[bytes, bool], Any] | None = None,
    ) -> None:
        self._reader = reader
        self._newline = newline  # of the type that the lines will have
        self._limit = limit
        self._decode = decode
        self._ready: deque[Any] = deque()
        self._tail: list[Any] | None = []  # of a line that has not ended; None at the end
        self._size = 0  # of these

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        while not self._ready:
            if self._tail is None:
                raise StopAsyncIteration
            data = await self._reader.readany()
            self._feed(data if self._decode is None else self._decode(data, not data), not data)
        line = self._ready.popleft()
        if self._limit is not None and len(line) > self._limit:
            self._ready.clear()
            self._tail = None
            raise LineTooLong(f"a line of more than {self._limit}")
        return line

    def _feed(self, data: Any, last: bool) -> None:
        assert self._tail is not None
        newline = self._newline
        first, *rest = data.split(newline)
        if first:
            self._tail.append(first)
            self._size += len(first)
        if rest or last or (self._limit is not None and self._size > self._limit + 1):
            line = newline[:0].join(self._tail)
            if rest or line:
                self._ready.append(self._stripped(line))
            self._tail, self._size = [], 0
        if rest:
            tail = rest.pop()
            self._ready.extend(map(self._stripped, rest))
            if last and tail:
                self._ready.append(self._stripped(tail))
            elif tail:
                self._tail, self._size = [tail], len(tail)
        if last:
            self._tail = None

    @staticmethod
    def _stripped(line: Any) -> Any:
        """Without a CR at its end."""
        return line[:-1] if line[-1:] in ("\r", b"\r") else line


class JSONLines:
    """The values of a body of JSON lines; empty lines are none."""

    __slots__ = ("_lines", "_loads", "_number")

    def __init__(self, lines: Lines, loads: Callable[[bytes], Any]) -> None:
        self._lines = lines
        self._loads = loads
        self._number = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        while True:
            line = await self._lines.__anext__()
            self._number += 1
            if self._number == 1 and line.startswith(b"\xef\xbb\xbf"):
                line = line[3:]
            if line.strip():
                break
        try:
            return self._loads(line)
        except ValueError as exc:
            exc.add_note(f"in line {self._number} of the body")
            raise
