"""Bodies that a program feeds itself, and aiohttp's queues: what libraries that
replay responses, or test others, are built from."""

from __future__ import annotations

from asyncio import IncompleteReadError, get_running_loop
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .helpers import TimerNoop
from .streams import Pieces, StreamReader

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Awaitable, Callable

    from ._core import ResponseBase

__all__ = (
    "EMPTY_PAYLOAD",
    "AsyncStreamIterator",
    "AsyncStreamReaderMixin",
    "ChunkTupleAsyncStreamIterator",
    "DataQueue",
    "EmptyStreamReader",
    "EofStream",
    "FlowControlDataQueue",
)

_T = TypeVar("_T")


class FedBody:
    """Stands in a StreamReader for the engine's response: what its owner fed."""

    def __init__(
        self, reader: StreamReader, protocol: Any, limit: int | None, timer: Any, loop: Any
    ) -> None:
        self._reader = reader
        self._protocol = protocol
        self._timer = TimerNoop() if timer is None else timer
        self._loop = loop
        self._held: deque[bytes] = deque()
        self._splits: deque[int] | None = None  # where chunks end
        self._waiter: Future[None] | None = None
        self._enders: list[Callable[[FedBody], object]] = []
        self._paused = False
        self.high_water = 2**16 if limit is None else limit
        self.received = 0
        self.coded = 0
        self.ended = False
        self.all_read = False
        self.complete = False
        self.failure: BaseException | None = None

    @classmethod
    def instead_of(cls, reader: StreamReader, response: ResponseBase | FedBody) -> FedBody:
        """For |reader|, of whose |response| nothing more is wanted."""
        body = cls(reader, None, response.high_water, None, None)
        body.received, body.coded, body.ended = response.received, response.coded, response.ended
        return body

    # --- feeding ---

    def feed(self, data: bytes) -> None:
        """More of the body."""
        assert not self.ended, "feed_data after feed_eof"
        if not data:
            return
        self._held.append(data)
        self.received += len(data)
        self._wake()
        if not self._paused and self.received - self._reader._cursor > 2 * self.high_water:
            self._paused = True
            self._protocol.pause_reading()

    def end(self) -> None:
        """Its end."""
        self.ended = self.complete = True
        self._wake()
        if self._protocol is not None:
            self._protocol.resume_reading(resume_parser=False)
        self._tell()

    def fail(self, exc: BaseException) -> None:
        """It cannot be read any more."""
        self.failure, self.complete = exc, True
        self._held.clear()
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(exc)
        self._tell()

    def begin_chunk(self) -> None:
        """A chunk begins. RuntimeError if the first is not the beginning."""
        if self._splits is None:
            if self.received:
                raise RuntimeError(
                    "Called begin_http_chunk_receiving when some data was already fed"
                )
            self._splits = deque()

    def end_chunk(self) -> None:
        """It ends. RuntimeError if none has begun."""
        if self._splits is None:
            raise RuntimeError(
                "Called end_chunk_receiving without calling begin_chunk_receiving first"
            )
        if self.received > (self._splits[-1] if self._splits else 0):
            self._splits.append(self.received)

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _tell(self) -> None:
        enders, self._enders = self._enders, []
        for each in enders:
            each(self)

    # --- as of the engine's response ---

    @property
    def reading(self) -> bool:
        """Somebody waits for bytes."""
        return self._waiter is not None and not self._waiter.done()

    def take_some(self) -> bytes:
        """What is there."""
        if self.failure is not None:
            raise self.failure
        data = b"".join(self._held) if len(self._held) > 1 else self._held[0] if self._held else b""
        self._held.clear()
        return data

    async def read_some(self) -> bytes:
        """What is there, else what comes next."""
        while True:
            if self.failure is not None:
                raise self.failure
            if self._held:
                return self.take_some()
            if self.ended:
                return b""
            await self._wait()

    async def read_into(self, view: memoryview) -> int:
        """Fills |view| with what is there, else with what comes next."""
        data = await self.read_some()
        count = min(len(data), len(view))
        view[:count] = data[:count]
        if count < len(data):
            self._held.appendleft(data[count:])
        return count

    async def read_all(self) -> bytes:
        """Everything."""
        parts = []
        while part := await self.read_some():
            parts.append(part)
        return b"".join(parts)

    async def _wait(self) -> None:
        if self.reading:
            raise RuntimeError(
                "read() called while another coroutine is already waiting for incoming data"
            )
        if self._paused:
            self._paused = False
            self._protocol.resume_reading()
        if not getattr(self._protocol, "connected", True):
            raise RuntimeError("Connection closed.")
        self._waiter = (self._loop or get_running_loop()).create_future()
        try:
            with self._timer:
                await self._waiter
        finally:
            self._waiter = None

    def chunk_end(self, at: int) -> int:
        """Where the first chunk ends at or behind |at|; -1 if that is not known."""
        splits = self._splits
        while splits and splits[0] < at:
            splits.popleft()
        return splits[0] if splits else -1

    def wait_end(self) -> FedBody:
        """For add_done_callback()."""
        return self

    def add_done_callback(self, function: Callable[[FedBody], object]) -> None:
        """Calls |function| at the end, be it good or not."""
        if self.ended or self.failure is not None:
            function(self)
        else:
            self._enders.append(function)


AsyncStreamIterator = Pieces


class ChunkTupleAsyncStreamIterator(Pieces):
    """What a stream's readchunk() gives."""

    __slots__ = ()

    def __init__(self, stream: StreamReader) -> None:
        super().__init__(stream.readchunk, (b"", False))


class AsyncStreamReaderMixin:
    """Iteration for what has the reading methods of a stream."""

    __slots__ = ()

    read: Callable[[int], Awaitable[bytes]]
    readany: Callable[[], Awaitable[bytes]]
    readline: Callable[[], Awaitable[bytes]]

    def __aiter__(self) -> Pieces:
        return Pieces(self.readline)

    def iter_chunked(self, n: int) -> Pieces:
        """Pieces of at most |n| bytes."""
        return Pieces(lambda: self.read(n))

    def iter_any(self) -> Pieces:
        """The pieces as they come."""
        return Pieces(self.readany)

    def iter_chunks(self) -> ChunkTupleAsyncStreamIterator:
        """What readchunk() gives."""
        return ChunkTupleAsyncStreamIterator(self)  # type: ignore[arg-type]


class EmptyStreamReader(StreamReader):
    """A stream that is at its end from the start."""

    __slots__ = ("_said",)

    def __init__(self) -> None:
        super().__init__(None, 0)
        self._said = False
        self._fed().end()

    def feed_eof(self) -> None:
        """It was there already."""

    def feed_data(self, data: bytes, size: int = 0) -> bool:
        """Nothing is kept."""
        return False

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        """Nothing can fail."""

    def set_read_chunk_size(self, n: int) -> None:
        """There is nothing to hold."""

    async def readchunk(self) -> tuple[bytes, bool]:
        """(b"", False), and (b"", True) from then on."""
        said, self._said = self._said, True
        return b"", said

    async def readexactly(self, n: int) -> bytes:
        """asyncio.IncompleteReadError."""
        raise IncompleteReadError(b"", n)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


EMPTY_PAYLOAD = EmptyStreamReader()


class EofStream(Exception):
    """A queue is at its end."""


class _Items(Pieces):
    """What a queue gives."""

    __slots__ = ()

    async def __anext__(self) -> Any:
        try:
            return await self._read()
        except EofStream:
            raise StopAsyncIteration from None


class DataQueue(Generic[_T]):
    """Items from one who feeds them to one who reads."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._eof = False
        self._exception: BaseException | None = None
        self._waiter: Future[None] | None = None
        self._buffer: deque[tuple[_T, int]] = deque()

    def __len__(self) -> int:
        return len(self._buffer)

    def is_eof(self) -> bool:
        """True once no more will be fed."""
        return self._eof

    def at_eof(self) -> bool:
        """True once everything has been read."""
        return self._eof and not self._buffer

    def exception(self) -> BaseException | None:
        """Why the queue has failed."""
        return self._exception

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        """Reading fails with |exc| once what was fed is read."""
        if exc_cause is not None and exc_cause is not exc:
            exc.__cause__ = exc_cause
        self._eof, self._exception = True, exc
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(exc)

    def feed_data(self, data: _T, size: int = 0) -> None:
        """One item more, which counts as |size| bytes."""
        self._buffer.append((data, size))
        self._wake()

    def feed_eof(self) -> None:
        """No item more."""
        self._eof = True
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def read(self) -> _T:
        """The next item. EofStream at the end."""
        if not self._buffer and not self._eof:
            assert self._waiter is None, "another coroutine is reading"
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._buffer:
            data, size = self._buffer.popleft()
            self._taken(size)
            return data
        raise EofStream if self._exception is None else self._exception

    def _taken(self, size: int) -> None:
        """An item of |size| bytes was read."""

    def __aiter__(self) -> _Items:
        return _Items(self.read)


class FlowControlDataQueue(DataQueue[_T]):
    """The same; |protocol| is told to pause_reading() from 2 * |limit| bytes on."""

    def __init__(self, protocol: Any, limit: int, *, loop: Any) -> None:
        super().__init__(loop)
        self._size = 0
        self._protocol = protocol
        self._limit = limit * 2

    def feed_data(self, data: _T, size: int = 0) -> None:
        """One item more, which counts as |size| bytes."""
        super().feed_data(data, size)
        self._size += size
        if self._size > self._limit and not self._protocol._reading_paused:
            self._protocol.pause_reading()

    def _taken(self, size: int) -> None:
        self._size -= size
        if self._size < self._limit and self._protocol._reading_paused:
            self._protocol.resume_reading()
