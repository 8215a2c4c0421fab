"""compress=: content codings of a request's body (RFC 9110 8.4.1)."""

from __future__ import annotations

from asyncio import sleep
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from . import _core
from .sending import STEP, Out, Source

if TYPE_CHECKING:
    from collections.abc import Callable

_TURN = 2 * STEP  # bytes that are compressed without a look at the loop


class Compressor(Protocol):
    """What turns bytes into fewer, piece by piece."""

    def compress(self, data: Any, /) -> bytes: ...
    def flush(self) -> bytes: ...


def _zlib(wbits: int) -> Compressor:
    from zlib import compressobj

    return compressobj(wbits=wbits)


class _Brotli:
    def __init__(self) -> None:
        try:
            brotli = import_module("brotli")
        except ImportError:
            brotli = import_module("brotlicffi")
        self._made = brotli.Compressor()

    def compress(self, data: Any) -> bytes:
        made: bytes = self._made.process(bytes(data))
        return made

    def flush(self) -> bytes:
        made: bytes = self._made.finish()
        return made


def _zstd() -> Compressor:
    for module in ("compression.zstd", "backports.zstd"):
        try:
            made: Compressor = import_module(module).ZstdCompressor()
        except ImportError:
            continue
        return made
    old: Callable[[], Compressor] = import_module("zstandard").ZstdCompressor().compressobj
    return old()


_MAKERS: dict[str, Callable[[], Compressor]] = {
    "deflate": lambda: _zlib(15),
    "gzip": lambda: _zlib(31),
    "br": _Brotli,
    "zstd": _zstd,
}


def coding_of(compress: bool | str) -> str:
    """The coding that compress= asks for; True is deflate, as in aiohttp.
    ValueError for one that is unknown, or whose library is missing."""
    coding = "deflate" if compress is True else str(compress).lower()
    if coding not in _MAKERS:
        raise ValueError(f"compress={compress!r}: one of {', '.join(_MAKERS)}, or True")
    try:
        _MAKERS[coding]()
    except ImportError as error:
        raise ValueError(f"compress={compress!r}: its library is missing: {error}") from None
    return coding


def compressed(body: Any, coding: str) -> Any:
    """|body|, bytes-like or a Source, in |coding|."""
    if isinstance(body, Source):
        return CompressedSource(body, coding)
    data = memoryview(body).cast("B")
    if data.nbytes > STEP:
        from .sending import BytesSource

        return CompressedSource(BytesSource(data), coding)
    made = _MAKERS[coding]()
    return made.compress(data) + made.flush()


class CompressedSource(Source):
    """Another source, compressed as it is sent."""

    __slots__ = ("_coding", "_plain", "holds")

    def __init__(self, plain: Source, coding: str) -> None:
        super().__init__(None, plain.replayable)
        self.holds = plain.holds
        self._plain = plain
        self._coding = coding

    async def write_to(self, out: Out) -> None:
        made = _MAKERS[self._coding]()
        inner = _CompressingOut(out, made)
        await self._plain.write_to(inner)
        await out.write(made.flush())


class _CompressingOut(Out):
    __slots__ = ("_made", "_out", "_turn")

    def __init__(self, out: Out, made: Compressor) -> None:
        self._out = out
        self._made = made
        self._turn = 0

    async def write(self, piece: Any) -> None:
        data = memoryview(piece).cast("B")
        for at in range(0, data.nbytes, STEP):
            part = data[at : at + STEP]
            made = self._made.compress(part)
            if made:
                await self._out.write(made)
            self._turn += part.nbytes
            if self._turn >= _TURN:
                self._turn = 0
                await sleep(0)

    async def write_file(self, fd: int, offset: int, length: int) -> None:
        while length > 0:
            data = await _core.read_file(fd, offset, min(length, STEP))
            if not data:
                raise EOFError("the file is shorter than it was when the request began")
            await self.write(data)
            offset += len(data)
            length -= len(data)
