"""Bodies that are sent in pieces: from iterables, readers and payloads.

The engine asks for a body when a connection is there (and 100 (Continue) has
come, where that is waited for). A task of the request's own context then gives
it piece by piece, and waits while the socket is full; it is cancelled as soon
as nobody takes any more, because the response came first or the request is over.
"""

from __future__ import annotations

from asyncio import CancelledError, get_running_loop
from contextlib import suppress
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from .errors import ClientConnectionError, ClientError, ClientOSError
from .outgoing import is_named

if TYPE_CHECKING:
    from asyncio import Task
    from collections.abc import AsyncIterable, Callable, Iterable
    from contextvars import Context

    from ._core import Upload
    from .outgoing import Pairs

    Progress = Callable[[int, int | None], object]

STEP = 64 * 1024  # bytes of a piece where the size is ours to choose


class _Full(Exception):
    """All that may be sent was sent."""


class Source:
    """A body in pieces. `length` is None where it is not known: chunked."""

    __slots__ = (
        *("expect", "length", "progress", "replayable", "started"),
        *("task", "tracker", "trailers", "wrapping"),
    )
    length: int | None
    replayable: bool  # may be sent again, for a redirect or another try
    holds: Any = None  # what is closed with it; None: nothing

    def __init__(self, length: int | None = None, replayable: bool = False) -> None:
        self.length = length
        self.replayable = replayable
        self.expect = 0.0
        self.progress: Progress | None = None
        self.trailers: Any = None
        self.wrapping = False
        self.tracker: Any = None
        self.started = False
        self.task: Task[None] | None = None

    def start(self, upload: Upload, context: Context) -> Task[None]:
        """Called by the engine each time it wants the body from its beginning."""
        self.started = True
        if self.tracker is not None:
            self.tracker.begin(upload)
        self.task = get_running_loop().create_task(self._send(upload), context=context)
        return self.task

    async def close(self) -> None:
        """Closes what it holds; harmless when closed. What fails is logged."""
        holds, self.holds = self.holds, None
        if holds is None:
            return
        try:
            closed = holds.close()
            if isawaitable(closed):
                await closed
        except Exception as error:
            from logging import getLogger

            getLogger("aiofast").error("The body of a request cannot be closed: %s", error)

    async def release(self) -> None:
        """Closes it now, or once it is sent: a response may come before."""
        if self.holds is None:
            return
        if self.task is None or self.task.done():
            await self.close()
        else:
            self.task.add_done_callback(self._close_soon)

    def _close_soon(self, task: Task[None]) -> None:
        self.task = task.get_loop().create_task(self.close())

    async def write_to(self, out: Out) -> None:
        """Writes all of the body."""
        raise NotImplementedError

    @property
    def used_up(self) -> bool:
        """True if the body cannot be sent (again)."""
        return self.started and not self.replayable

    async def _send(self, upload: Upload) -> None:
        room = self.length if self.wrapping else None
        out = Out(upload, self.progress, self.length, room)
        try:
            with suppress(_Full):
                await self.write_to(out)
            trailers = self.trailers
            await upload.end(trailers() if callable(trailers) else trailers)
            self._tell(upload, None)
        except CancelledError as error:
            self._tell(upload, error)
            if out.is_current():
                upload.fail(
                    ClientConnectionError(
                        "The task that sends the body of the request is cancelled"
                    )
                )
            raise
        except Exception as error:
            explained = self._explain(error)
            self._tell(upload, explained)
            if out.is_current():
                upload.fail(explained)
        except BaseException as error:
            if out.is_current():
                upload.fail(error)
            raise

    def _tell(self, upload: Upload, error: BaseException | None) -> None:
        if self.tracker is not None:
            self.tracker.end(upload, error)

    def _explain(self, error: Exception) -> Exception:
        """What the caller sees: the error of the source, or aiohttp's own."""
        if not self.wrapping or isinstance(error, ClientError):
            return error
        wrapped: Exception
        if isinstance(error, OSError):
            if error.errno is None and isinstance(error, TimeoutError):
                return error
            wrapped = ClientOSError(error.errno, f"Can not write the body of the request: {error}")
        else:
            wrapped = ClientConnectionError(f"Failed to send the body of the request: {error!r}")
        wrapped.__cause__ = error
        return wrapped


class Out:
    """Where a source writes to: one attempt to send it. With |room| what goes
    beyond so many bytes is dropped."""

    __slots__ = ("_attempt", "_progress", "_room", "_total", "_upload")

    def __init__(
        self,
        upload: Upload,
        progress: Progress | None,
        total: int | None,
        room: int | None = None,
    ) -> None:
        self._room = room
        self._upload = upload
        self._attempt = upload.attempt
        self._progress = progress
        self._total = total

    def is_current(self) -> bool:
        """False once the request goes out anew, with a task of its own."""
        return self._upload.attempt == self._attempt

    def _check(self) -> Upload:
        if not self.is_current():
            raise ClientConnectionError("The request is being sent again")
        return self._upload

    async def write(self, piece: Any) -> None:
        """Sends bytes-like |piece|; waits until the socket has taken it."""
        if self._room is not None:
            piece = self._cut(memoryview(piece).cast("B"))
        await self._check().write(piece)
        if self._progress is not None:
            self._progress(self._upload.sent, self._total)

    def _cut(self, piece: memoryview) -> memoryview:
        if self._room == 0 and piece.nbytes:
            raise _Full
        piece = piece[: self._room]
        self._room = (self._room or 0) - piece.nbytes
        return piece

    async def write_eof(self, chunk: Any = b"") -> None:
        """aiohttp's payloads may call it; the end is the source's."""
        if chunk:
            await self.write(chunk)

    async def drain(self) -> None:
        """write() has waited already."""

    async def write_file(self, fd: int, offset: int, length: int) -> None:
        """Sends |length| bytes at |offset| of a regular file."""
        if self._room is not None:
            length = min(length, self._room)
            self._room -= length
        step = 4 * 1024 * 1024 if self._progress is not None else length
        while length > 0:
            part = min(step, length)
            await self._check().send_file(fd, offset, part)
            offset += part
            length -= part
            if self._progress is not None:
                self._progress(self._upload.sent, self._total)


class IterableSource(Source):
    """The pieces of a synchronous iterable, taken as the socket takes them."""

    __slots__ = ("_pieces",)

    def __init__(self, pieces: Iterable[Any]) -> None:
        super().__init__(replayable=iter(pieces) is not pieces)
        self._pieces = pieces

    async def write_to(self, out: Out) -> None:
        pieces = iter(self._pieces)
        try:
            for piece in pieces:
                await out.write(piece)
        finally:
            close = getattr(pieces, "close", None)
            if close is not None and not self.replayable:
                close()


class AsyncIterableSource(Source):
    """The same of an asynchronous one; a generator is closed at the end."""

    __slots__ = ("_pieces",)

    def __init__(self, pieces: AsyncIterable[Any]) -> None:
        super().__init__(replayable=not hasattr(pieces, "__anext__"))
        self._pieces = pieces

    async def write_to(self, out: Out) -> None:
        pieces = aiter(self._pieces)
        try:
            async for piece in pieces:
                await out.write(piece)
        finally:
            aclose = getattr(pieces, "aclose", None)
            if aclose is not None:
                await aclose()


class PayloadSource(Source):
    """A payload, which may be aiohttp's or anybody's."""

    __slots__ = ("_payload", "_size", "holds")

    def __init__(self, payload: Any) -> None:
        self._size: int | None = payload.size
        self.holds = payload if hasattr(payload, "close") else None
        super().__init__(self._size, bool(getattr(payload, "_replayable", True)))
        self._payload = payload

    @property
    def headers(self) -> list[tuple[str, str]]:
        """What the payload says of itself beside its Content-Type and length."""
        known = ("content-type", "content-length", "transfer-encoding")
        return [
            (name, value)
            for name, value in (self._payload.headers or {}).items()
            if name.lower() not in known
        ]

    @property
    def used_up(self) -> bool:
        """Of others' payloads it is known only afterwards."""
        return self.started and (not self.replayable or bool(self._payload.consumed))

    async def write_to(self, out: Out) -> None:
        bounded = getattr(self._payload, "write_with_length", None)
        if bounded is not None and self.length is not None and self.length != self._size:
            await bounded(out, self.length)
        else:
            await self._payload.write(out)


class BytesSource(Source):
    """Bytes that are there, in pieces all the same."""

    __slots__ = ("_data",)

    def __init__(self, data: Any) -> None:
        self._data = memoryview(data).cast("B")
        super().__init__(self._data.nbytes, True)

    async def write_to(self, out: Out) -> None:
        for at in range(0, self._data.nbytes, STEP):
            await out.write(self._data[at : at + STEP])


def settle(
    pairs: Pairs,
    body: Any,
    *,
    compress: bool | str | None = None,
    chunked: bool | None = None,
    expect100: float | bool = False,
    trailers: Any = None,
    progress: Progress | None = None,
    upload_tracker: Any = None,
    wrapping: bool = False,
) -> Any:
    """|body| and the header fields |pairs|, which are changed in place, made to
    agree: how the body is framed, what comes before and after it. ValueError for
    a Content-Length or Transfer-Encoding that cannot be meant."""
    chunked = _take_chunked(pairs, chunked)
    length = next((value for name, value in pairs if name.lower() == "content-length"), None)
    if length is not None and chunked:
        raise ValueError("Content-Length and chunked do not go together")
    if trailers is not None:
        if length is not None:
            raise ValueError("trailers need a chunked body, so there is no Content-Length")
        chunked = True
        _announce(pairs, trailers)
    if compress and body is not None:
        length = None  # the caller's is that of what is not sent
    wait = 5.0 if expect100 is True else float(expect100 or 0)
    if any(n.lower() == "expect" and v.lower() == "100-continue" for n, v in pairs):
        wait = wait or 5.0
    elif wait:
        pairs.append(("Expect", "100-continue"))
    if body is None:
        return None
    if isinstance(body, PayloadSource):
        pairs += [pair for pair in body.headers if not is_named(pairs, pair[0].lower())]
    if compress:
        body = _compress(pairs, body, compress)
    if not isinstance(body, Source):
        if wrapping and length is not None and _length(length) < len(memoryview(body).cast("B")):
            body = memoryview(body).cast("B")[: _length(length)]
        if not (chunked or wait or progress is not None or upload_tracker is not None):
            return body
        body = BytesSource(body)
    if chunked:
        body.length = None
    elif length is not None and (body.length is None or wrapping):
        body.length = min(_length(length), _NO_LENGTH if body.length is None else body.length)
    body.expect = wait
    body.trailers = trailers
    body.progress = progress
    body.tracker = upload_tracker
    body.wrapping = wrapping
    return body


def _compress(pairs: Pairs, body: Any, compress: bool | str) -> Any:
    from .compress import coding_of, compressed

    if any(name.lower() == "content-encoding" for name, _ in pairs):
        raise ValueError("compress can not be set if Content-Encoding header is set")
    if not isinstance(body, Source) and not len(body):
        return body
    coding = coding_of(compress)
    pairs[:] = [pair for pair in pairs if pair[0].lower() != "content-length"]
    pairs.append(("Content-Encoding", coding))
    return compressed(body, coding)


_NO_LENGTH = 1 << 63


def _length(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"Content-Length is not a length: {text!r}")
    return int(text)


def _take_chunked(pairs: Pairs, chunked: bool | None) -> bool:
    """Takes Transfer-Encoding: chunked out of |pairs|: framing is the engine's."""
    for at, (name, value) in enumerate(pairs):
        if name.lower() == "transfer-encoding":
            if value.strip().lower() != "chunked":
                raise ValueError(f"Transfer-Encoding {value!r}: only chunked can be sent")
            if chunked:
                raise ValueError(
                    'can not set "Transfer-Encoding: chunked" header if chunked is set'
                )
            del pairs[at]
            return True
    return bool(chunked)


def _announce(pairs: Pairs, trailers: Any) -> None:
    """Names the trailers in Trailer (RFC 9110 6.6.2) where they are known."""
    if callable(trailers) or any(name.lower() == "trailer" for name, _ in pairs):
        return
    items = trailers.items() if hasattr(trailers, "items") else trailers
    pairs.append(("Trailer", ", ".join(dict.fromkeys(name for name, _ in items))))
