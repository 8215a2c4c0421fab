"""The body of a response as a stream, in aiohttp's words."""

from __future__ import annotations

from asyncio import IncompleteReadError, get_running_loop
from collections import deque
from typing import TYPE_CHECKING, Any
from weakref import ref

from .http_exceptions import LineTooLong as _LineTooLong

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from typing import Self

    from ._core import ResponseBase
    from .feeding import FedBody

DEFAULT_LIMIT = 2**16  # aiohttp's name


class LineTooLong(_LineTooLong, ValueError):
    """No separator within the bytes that were allowed. Nothing is lost: what
    came can still be read."""

    def __init__(self, message: str) -> None:
        ValueError.__init__(self, message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class StreamReader:
    """Reads a body piece by piece; the server is held back meanwhile.

    Of what nobody has read yet the engine holds at most 256 KiB (`read_bufsize`
    of the session or request) and one read more; set_read_chunk_size() raises
    that. Every reading method raises
    ClientPayloadError if the body is cut short or broken, once what came before
    is read, and a ServerTimeoutError if it takes too long; RuntimeError if
    another coroutine is reading. Iterating gives lines, of any length. A read
    that is cancelled loses nothing, but for read() of all that is left.

    Libraries make streams of their own, StreamReader(protocol, limit, loop=loop),
    and feed them by feed_data() and feed_eof(): |protocol| is told to pause_reading()
    from 2 * |limit| unread bytes on.
    """

    __slots__ = ("__weakref__", "_at", "_callbacks", "_cursor", "_parts", "_response")

    def __init__(
        self, protocol: Any, limit: int | None = None, *, timer: Any = None, loop: Any = None
    ) -> None:
        response: ResponseBase | FedBody = protocol
        if limit is not None or not hasattr(protocol, "read_some"):
            from .feeding import FedBody

            response = FedBody(self, protocol, limit, timer, loop)
        self._response = response
        self._parts: deque[bytes] = deque()  # what came and is not read,
        self._at = 0  # from here on in the first of them
        self._cursor = 0  # bytes that have been read
        self._callbacks: list[Callable[[], object]] = []
        if response.all_read:
            self._cursor = response.received

    # --- what is known ---

    @property
    def total_bytes(self) -> int:
        """Bytes that came so far, decoded."""
        return self._response.received

    @property
    def total_compressed_bytes(self) -> int | None:
        """What these were decoded from; None without a content coding."""
        return self._response.coded or None

    @property
    def total_raw_bytes(self) -> int:
        """Bytes of the body that came so far, as they came."""
        return self._response.coded or self._response.received

    def is_eof(self) -> bool:
        """True once everything has come."""
        return self._response.ended

    def at_eof(self) -> bool:
        """True once everything has been read."""
        return self._response.ended and self._cursor >= self._response.received

    def exception(self) -> BaseException | None:
        """Why the next read will fail, if that is known."""
        unread = self._cursor < self._response.received
        return None if unread else self._response.failure

    def on_eof(self, callback: Callable[[], object]) -> None:
        """Calls |callback| once everything has come, at once if it has; never if
        the body fails. A body that nobody reads does not come whole unless it is
        small."""
        if self._response.ended:
            try:
                callback()
            except Exception as exc:
                _report(exc)
            return
        self._callbacks.append(callback)
        if len(self._callbacks) > 1:
            return
        # A callback does not keep the body of a response that was dropped.
        reference, callbacks = ref(self._response), self._callbacks

        def tell(_: object) -> None:
            response = reference()
            if response is None or not response.ended:
                return
            for each in callbacks:
                try:
                    each()
                except Exception as exc:
                    _report(exc)

        self._response.wait_end().add_done_callback(tell)

    async def wait_eof(self) -> None:
        """Returns once everything has come; raises as a read does."""
        done = get_running_loop().create_future()

        def end(_: object) -> None:
            if not done.done():
                done.set_result(None)

        self._response.wait_end().add_done_callback(end)
        await done
        failure = self._response.failure
        if failure is not None:
            raise failure

    def get_read_buffer_limits(self) -> tuple[int, int]:
        """Bytes from which on the server is held back, and what may be held with
        what was on its way."""
        return self._response.high_water, 2 * self._response.high_water

    def set_read_chunk_size(self, n: int) -> None:
        """Holds at least |n| bytes before the server is held back."""
        self._response.high_water = max(self._response.high_water, n)

    # --- feeding ---

    def feed_data(self, data: bytes, size: int = 0) -> bool:
        """More of the body of a stream made by hand. RuntimeError for that of a
        response: the engine feeds it."""
        self._fed().feed(data)
        return False

    def feed_eof(self) -> None:
        """The end of a stream made by hand."""
        self._fed().end()

    def begin_http_chunk_receiving(self) -> None:
        """A chunk of the chunked coding begins."""
        self._fed().begin_chunk()

    def end_http_chunk_receiving(self) -> None:
        """It ends."""
        self._fed().end_chunk()

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        """All reading fails with |exc| from here on; what was not read is lost. A
        response's connection is closed, unless its body is whole."""
        from .feeding import FedBody

        if exc_cause is not None and exc_cause is not exc:
            exc.__cause__ = exc_cause
        response = body = self._response
        if not isinstance(body, FedBody):
            self._response = body = FedBody.instead_of(self, response)
            if not response.all_read:
                response.close()  # type: ignore[union-attr]
        self._parts.clear()
        self._at = 0
        self._callbacks.clear()
        body.fail(exc)
        self._cursor = body.received

    def _fed(self) -> FedBody:
        from .feeding import FedBody

        if not isinstance(self._response, FedBody):
            raise RuntimeError("the engine feeds this stream")
        return self._response

    # --- pieces ---

    async def _more(self) -> bool:
        """Waits for bytes; False at the end."""
        if self._response.all_read and self._response.ended:
            return False
        data = await self._response.read_some()
        if data:
            self._parts.append(data)
        return bool(data)

    def _take(self, limit: int) -> bytes:
        """At most |limit| bytes of the first part, of which there is one."""
        part = self._parts[0]
        start = self._at
        if len(part) - start > limit:
            self._at = start + limit
            part = part[start : self._at]
        else:
            self._parts.popleft()
            self._at = 0
            if start:
                part = part[start:]
        self._cursor += len(part)
        return part

    def _take_held(self, limit: int) -> bytes:
        """At most |limit| bytes of what is held."""
        if not self._parts:
            return b""
        part = self._take(limit)
        if len(part) == limit or not self._parts:
            return part
        parts = [part]
        limit -= len(part)
        while limit and self._parts:
            parts.append(self._take(limit))
            limit -= len(parts[-1])
        return b"".join(parts)

    def _put_back(self, parts: list[bytes]) -> None:
        if self._at:
            self._parts[0] = self._parts[0][self._at :]
            self._at = 0
        self._parts.extendleft(reversed(parts))

    # --- reading ---

    async def read(self, n: int = -1) -> bytes:
        """Up to |n| bytes, at least one unless the body is at its end; all the
        rest if |n| is negative."""
        if n == 0:
            return b""
        if n > 0:
            if not self._parts:
                await self._more()
            return self._take_held(n)
        if not self._cursor and not self._parts:
            data = await self._response.read_all()
            self._cursor = len(data)
            return data
        try:
            while await self._more():
                pass
        except BaseException:
            self._collapse()
            raise
        return self._take_held(self._response.received)

    def _collapse(self) -> None:
        """One part of many, which cost more than they hold when small."""
        held = self._take_held(self._response.received)
        self._cursor -= len(held)
        if held:
            self._parts.append(held)

    async def readany(self) -> bytes:
        """What is there, or comes next; b"" at the end."""
        if self._parts:
            return self._take_held(self._response.received)
        if self._response.all_read and self._response.ended:
            return b""
        data = await self._response.read_some()
        self._cursor += len(data)
        return data

    async def readexactly(self, n: int) -> bytes:
        """|n| bytes. asyncio.IncompleteReadError if the body is shorter."""
        if n < 0:
            raise ValueError("readexactly size can not be less than zero")
        held = sum(map(len, self._parts)) - self._at
        while held < n:
            if not await self._more():
                partial = self._take_held(held) if held else b""
                raise IncompleteReadError(partial, n)
            held += len(self._parts[-1])
        return self._take_held(n) if n else b""

    async def readinto(self, buffer: bytearray | memoryview) -> int:
        """Fills |buffer| as far as bytes are there, or come next; their count, 0
        at the end. A body of known length, or in large chunks, and without a
        content coding comes right from the socket into a large |buffer|."""
        with memoryview(buffer) as view, view.cast("B") as room:
            if not room:
                return 0
            if not self._parts:
                data = self._response.take_some()
                if data:
                    self._parts.append(data)
                else:
                    count = await self._response.read_into(room)
                    self._cursor += count
                    return count
            count = 0
            while self._parts and count < len(room):
                part = self._take(len(room) - count)
                room[count : count + len(part)] = part
                count += len(part)
            return count

    async def readline(self, *, max_line_length: int | None = None) -> bytes:
        """One line with its end, or the rest if the last line has none; b"" at
        the end. LineTooLong, a ValueError, for a line of more than
        |max_line_length| bytes (None: of any length)."""
        return await self.readuntil(b"\n", max_size=max_line_length)

    async def readuntil(self, separator: bytes = b"\n", *, max_size: int | None = None) -> bytes:
        """As readline(), for another |separator|."""
        if not separator:
            raise ValueError("the separator must not be empty")
        overlap = len(separator) - 1
        parts = self._parts
        got: list[bytes] = []
        size = 0
        tail = b""
        try:
            while True:
                while parts:
                    part, start = parts[0], self._at
                    end = -1
                    if overlap and tail:
                        # It may have begun in what came before.
                        found = (tail + part[start : start + overlap]).find(separator)
                        if found >= 0:
                            end = start + found + len(separator) - len(tail)
                    if end < 0:
                        found = part.find(separator, start)
                        if found >= 0:
                            end = found + len(separator)
                    size += (end if end >= 0 else len(part)) - start
                    if max_size and size > max_size:
                        raise LineTooLong(f"no separator within {max_size} bytes")
                    if 0 <= end < len(part):
                        self._at = end
                    else:
                        parts.popleft()
                        self._at = 0
                    if start or 0 <= end < len(part):
                        part = part[start : end if end >= 0 else None]
                    if end >= 0:
                        self._cursor += size
                        return b"".join((*got, part)) if got else part
                    got.append(part)
                    if overlap:
                        tail = (tail + part)[-overlap:]
                if not await self._more():
                    self._cursor += size
                    return b"".join(got)
        except BaseException:
            self._put_back(got)
            raise

    async def readchunk(self) -> tuple[bytes, bool]:
        """Bytes, and whether a chunk of the chunked coding ends behind them;
        (b"", False) at the end."""
        while True:
            if not self._parts:
                data = self._response.take_some()
                if data:
                    self._parts.append(data)
            end = self._response.chunk_end(self._cursor)
            if self._parts:
                if end <= self._cursor:
                    if end == self._cursor and end:
                        self._response.chunk_end(end + 1)
                        return b"", True
                    return self._take(self._response.received), False
                data = self._take_held(end - self._cursor)
                whole = self._cursor == end
                if whole:
                    self._response.chunk_end(end + 1)
                return data, whole
            if not await self._more():
                return b"", False

    def read_nowait(self, n: int = -1) -> bytes:
        """What is there, at most |n| bytes of it; b"" for nothing. RuntimeError
        if a coroutine is waiting for bytes."""
        if self._response.reading:
            raise RuntimeError("a coroutine is already reading this body")
        if n == 0:
            return b""
        data = self._response.take_some()
        if data:
            self._parts.append(data)
        if not self._parts and (failure := self._response.failure) is not None:
            raise failure
        return self._take_held(self._response.received if n < 0 else n)

    def unread_data(self, data: bytes) -> None:
        """Puts |data| in front of what is read next. Deprecated."""
        import warnings

        warnings.warn("unread_data() is deprecated", DeprecationWarning, stacklevel=2)
        self._unread(data)

    def _unread(self, data: bytes) -> None:
        """The same for readers of our own, which know what they do."""
        if data:
            self._put_back([bytes(data)])
            self._cursor -= len(data)

    # --- iterating ---

    def iter_any(self) -> AsyncIterator[bytes]:
        """The pieces as they come."""
        return Pieces(self.readany)

    def iter_chunked(self, n: int) -> AsyncIterator[bytes]:
        """Pieces of at most |n| bytes."""
        if n <= 0:
            raise ValueError("a piece must have at least one byte")
        self.set_read_chunk_size(n)
        return Pieces(lambda: self.read(n))

    def iter_chunks(self) -> AsyncIterator[tuple[bytes, bool]]:
        """What readchunk() gives."""
        return Pieces(self.readchunk, (b"", False))

    def __aiter__(self) -> AsyncIterator[bytes]:
        return Pieces(self.readline)

    _eof = property(is_eof)
    _exception = property(exception)

    def __repr__(self) -> str:
        state = " eof" if self.is_eof() else ""
        return f"<{type(self).__name__} {self._cursor} of {self.total_bytes} bytes read{state}>"


class Pieces:
    """What a coroutine function gives, until it gives |end|. Leaving the loop
    early leaves nothing behind."""

    __slots__ = ("_end", "_read")

    def __init__(self, read: Callable[[], Awaitable[Any]], end: Any = b"") -> None:
        self._read = read
        self._end = end

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        data = await self._read()
        if data == self._end:
            raise StopAsyncIteration
        return data


def _report(exc: Exception) -> None:
    """Tells of an exception that nobody can be given."""
    from logging import getLogger

    context = {"message": "Exception in eof callback", "exception": exc}
    try:
        get_running_loop().call_exception_handler(context)
    except RuntimeError:
        getLogger("aiofast").error(context["message"], exc_info=exc)


def __getattr__(name: str) -> Any:
    """aiohttp's other names of this module, which few programs use."""
    from . import feeding

    if name in feeding.__all__:
        return getattr(feeding, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
