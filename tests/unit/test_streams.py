"""The body as a stream, over a response that gives prepared pieces."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque

import pytest
from aiofast.streams import LineTooLong, StreamReader


class Pieces:
    """A response's body in the given pieces, each after a turn of the loop."""

    high_water = 256 * 1024
    coded = 0
    failure = None
    reading = all_read = False

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = deque(pieces)
        self.received = 0
        self.ended = False

    async def read_some(self) -> bytes:
        await asyncio.sleep(0)
        return self.take_some()

    def take_some(self) -> bytes:
        data = self.pieces.popleft() if self.pieces else b""
        self.received += len(data)
        self.ended = not data
        return data

    async def read_into(self, view: memoryview) -> int:
        await asyncio.sleep(0)
        data = self.take_some()
        view[: len(data)] = data[: len(view)]
        self.pieces.extendleft([data[len(view) :]] if len(data) > len(view) else [])
        self.received -= max(0, len(data) - len(view))
        return min(len(data), len(view))

    async def read_all(self) -> bytes:
        self.all_read = True
        return b"".join([piece async for piece in StreamReader(self).iter_any()])  # type: ignore[arg-type]

    def chunk_end(self, at: int) -> int:
        return -1


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
    stream = reader(b"x" * 5, b"x" * 5 + b"\ny")
    with pytest.raises(LineTooLong, match="8 bytes"):
        await stream.readline(max_line_length=8)
    assert await stream.read() == b"x" * 10 + b"\ny"


async def test_lines_have_any_length_unless_told_otherwise():
    lines = [line async for line in reader(b"x" * 2**21, b"x\n", b"y")]
    assert list(map(len, lines)) == [2**21 + 2, 1]


@pytest.mark.seconds(300)
async def test_a_long_line_in_many_pieces_costs_linear_time():
    stream = reader(*[b"x"] * 200_000, b"\n")
    assert len(await stream.readline()) == 200_001
    stream = reader(*[b"x"] * 200_000, b"\r\n\r\n")
    assert len(await stream.readuntil(b"\r\n\r\n")) == 200_004
    assert len(await reader(*[b"x"] * 200_000).readexactly(199_999)) == 199_999


async def test_a_cancelled_read_loses_nothing():
    stream = reader(b"ab", b"cd", b"e\nf")
    for read in (stream.readline, lambda: stream.readexactly(5), stream.read):
        task = asyncio.ensure_future(read())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            assert await task
            break
    assert b"abcde\nf".endswith(await stream.read())


async def test_readinto():
    stream = reader(b"abc", b"def", b"g")
    room = bytearray(2)
    assert (await stream.readinto(room), room) == (2, b"ab")
    room = bytearray(5)
    assert (await stream.readinto(room), room) == (1, b"c\0\0\0\0")
    assert await stream.readinto(memoryview(room)[1:]) == 3
    assert room == b"cdef\0"
    assert await stream.readinto(bytearray()) == 0
    assert [await stream.readinto(room) for _ in range(2)] == [1, 0]


async def test_what_is_read_may_be_put_back():
    stream = reader(b"abc", b"def")
    assert await stream.read(2) == b"ab"
    with pytest.deprecated_call():
        stream.unread_data(b"xy")
    assert await stream.readexactly(4) == b"xycd"
    assert stream.read_nowait(1) == b"e"
    assert stream.read_nowait() == b"f"
    assert stream.read_nowait() == b""


async def test_limits():
    stream = reader(b"a")
    assert stream.get_read_buffer_limits() == (2**18, 2**19)
    stream.set_read_chunk_size(2**20)
    stream.set_read_chunk_size(5)
    assert stream.get_read_buffer_limits() == (2**20, 2**21)
    assert repr(stream) == "<StreamReader 0 of 0 bytes read>"


async def test_pieces():
    assert [piece async for piece in reader(b"abc", b"d").iter_any()] == [b"abc", b"d"]
    assert [piece async for piece in reader(b"abc", b"d").iter_chunked(2)] == [b"ab", b"c", b"d"]
    with pytest.raises(ValueError, match="one byte"):
        async for _ in reader(b"a").iter_chunked(0):
            pass
