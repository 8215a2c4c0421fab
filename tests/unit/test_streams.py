"""The body as a stream, over a response that gives prepared pieces."""

from __future__ import annotations

import asyncio

import pytest
from aiofast.streams import StreamReader


class Pieces:
    """A response's body in the given pieces, each after a turn of the loop."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)

    async def read_some(self) -> bytes:
        await asyncio.sleep(0)
        return self.pieces.pop(0) if self.pieces else b""


def reader(*pieces: bytes) -> StreamReader:
    return StreamReader(Pieces(*pieces))  # type: ignore[arg-type]


async def test_read():
    stream = reader(b"abc", b"def", b"g")
    assert await stream.read(0) == b""
    assert await stream.read(2) == b"ab"
    assert await stream.read(2) == b"c"
    assert not stream.at_eof()
    assert await stream.read() == b"defg"
    assert await stream.read() == await stream.read(5) == b""
    assert stream.at_eof()
    assert stream.total_bytes == 7


async def test_readany():
    stream = reader(b"abc", b"def")
    assert [await stream.readany() for _ in range(3)] == [b"abc", b"def", b""]


async def test_readexactly():
    stream = reader(b"abc", b"def", b"g")
    assert await stream.readexactly(4) == b"abcd"
    with pytest.raises(asyncio.IncompleteReadError) as caught:
        await stream.readexactly(4)
    assert caught.value.partial == b"efg"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
async def test_lines(size):
    data = b"one\ntwo\n\nlast"
    cut = [data[n : n + size] for n in range(0, len(data), size)]
    assert [line async for line in reader(*cut)] == [b"one\n", b"two\n", b"\n", b"last"]
    stream = reader(*cut)
    assert await stream.readline() == b"one\n"
    assert [line async for line in stream] == [b"two\n", b"\n", b"last"]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
async def test_separators_of_more_than_a_byte(size):
    data = b"a\rb\r\n\r\nc"
    stream = reader(*[data[n : n + size] for n in range(0, len(data), size)])
    assert await stream.readuntil(b"\r\n\r\n") == b"a\rb\r\n\r\n"
    assert await stream.readuntil(b"\r\n\r\n") == b"c"
    with pytest.raises(ValueError, match="empty"):
        await stream.readuntil(b"")


async def test_lines_are_bounded():
    with pytest.raises(ValueError, match="8 bytes"):
        await reader(b"x" * 5, b"x" * 5).readline(max_line_length=8)
    assert await reader(b"x" * 7 + b"\n").readline(max_line_length=8) == b"x" * 7 + b"\n"
    with pytest.raises(ValueError, match="524288 bytes"):
        async for _ in reader(b"x" * 2**19, b"x\n"):
            pass


async def test_pieces():
    assert [piece async for piece in reader(b"abc", b"d").iter_any()] == [b"abc", b"d"]
    assert [piece async for piece in reader(b"abc", b"d").iter_chunked(2)] == [b"ab", b"c", b"d"]
    with pytest.raises(ValueError, match="one byte"):
        async for _ in reader(b"a").iter_chunked(0):
            pass
