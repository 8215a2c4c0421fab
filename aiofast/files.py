"""Files as bodies of requests.

A regular file is read by the engine, in libuv's threads; what is in memory goes
as it is. Other readers (pipes, decompressors, wrappers) are read in the task
that sends them.
"""

from __future__ import annotations

import io
import os
import stat
from asyncio import get_running_loop
from inspect import isawaitable
from mimetypes import guess_type
from typing import TYPE_CHECKING, Any

from .sending import STEP, Source

if TYPE_CHECKING:
    from .sending import Out

_RAW = (io.FileIO,)
_BUFFERED = (io.BufferedReader, io.BufferedRandom)


def file_body(file: Any) -> Any:
    """What sends |file| from where it stands: bytes, or a Source. Nothing is
    read yet unless it is in memory. ValueError for a closed file."""
    if isinstance(file, io.BytesIO):
        # Without a copy from its start on; a view of it would keep it from closing.
        return file.getvalue()[file.tell() :]
    if isinstance(file, io.StringIO):
        return file.read().encode("utf-8")
    source = _source_of(file)
    source.holds = file if isinstance(file, io.IOBase) else None
    return source


def _source_of(file: Any) -> FileSource | PipeSource | ReaderSource:
    plain = plain_file(file)
    if plain is None:
        return ReaderSource(file)
    fd = plain.fileno()
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        if isinstance(plain, io.BufferedRandom):
            plain.flush()
        start = plain.tell()
        return FileSource(plain, start, max(0, os.fstat(fd).st_size - start))
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode):
        return PipeSource(plain)
    return ReaderSource(file)


def file_type(file: Any) -> str:
    """The Content-Type that the name of |file| suggests."""
    from .payload_io import guess_filename

    name = guess_filename(file)
    found = guess_type(name)[0] if name else None
    if found is None:
        text = isinstance(file, io.TextIOBase)
        return "text/plain; charset=utf-8" if text else "application/octet-stream"
    return found


def plain_file(file: Any) -> Any:
    """The binary file of the system that |file| is, or None."""
    file = getattr(file, "file", file)  # what tempfile wraps
    if isinstance(file, _RAW):
        return file
    if isinstance(file, _BUFFERED) and isinstance(file.raw, _RAW):
        return file
    return None


class FileSource(Source):
    """Part of a regular file, from its place at the call to its end then."""

    __slots__ = ("_file", "_size", "_start", "holds")

    def __init__(self, file: Any, start: int, size: int) -> None:
        super().__init__(size, True)
        self._file = file
        self._start = start
        self._size = size

    async def write_to(self, out: Out) -> None:
        length = self._size if self.length is None else self.length
        await out.write_file(self._file.fileno(), self._start, length)


class PipeSource(Source):
    """What comes out of a pipe, as it comes."""

    __slots__ = ("_file", "holds")

    def __init__(self, file: Any) -> None:
        super().__init__()
        self._file = file

    async def write_to(self, out: Out) -> None:
        fd = self._file.fileno()
        read = getattr(self._file, "read1", self._file.read)
        while True:
            await _readable(fd)
            piece = read(STEP)
            if not piece:
                return
            await out.write(piece)


async def _readable(fd: int) -> None:
    loop = get_running_loop()
    ready = loop.create_future()

    def on_ready() -> None:
        if not ready.done():
            ready.set_result(None)

    try:
        loop.add_reader(fd, on_ready)
    except OSError:
        return  # epoll takes no such descriptor: it is always readable
    try:
        await ready
    finally:
        loop.remove_reader(fd)


class ReaderSource(Source):
    """Whatever has read(n), which gives bytes or str, or an awaitable of them.
    read() runs in the loop's thread, a piece at a time."""

    __slots__ = ("_file", "_start", "holds")

    def __init__(self, file: Any) -> None:
        start = None
        try:
            if file.seekable():
                start = file.tell()
        except (AttributeError, OSError, ValueError):
            pass  # then it can be sent once
        start = start if isinstance(start, int) else None
        super().__init__(replayable=start is not None)
        self._file = file
        self._start = start

    async def write_to(self, out: Out) -> None:
        if self._start is not None:
            self._file.seek(self._start)
        while True:
            piece = self._file.read(STEP)
            if isawaitable(piece):
                piece = await piece
            if not piece:
                return
            await out.write(piece.encode("utf-8") if isinstance(piece, str) else piece)
