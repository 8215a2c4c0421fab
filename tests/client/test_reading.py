"""Into the caller's own memory, and how much may wait for a slow reader."""

from __future__ import annotations

import asyncio
import gzip
import random
import time

import aiofast
import pytest
from servers import (
    Scripted,
    answer,
    chunked,
    cut,
    fin,
    flood,
    forever,
    pause,
    request,
    response,
    rst,
    send,
    silence,
)

BODY = random.Random(6).randbytes(1_500_000)
CHUNKED = "Transfer-Encoding: chunked"
KIB = 1024


def framed(framing: str) -> bytes:
    if framing == "length":
        return response(BODY)
    if framing == "close":
        return response(b"", "Connection: close", length=False) + BODY
    if framing == "gzip":
        return response(gzip.compress(BODY), "Content-Encoding: gzip")
    sizes = {"small chunks": [1, 7, 1000] * 30, "large chunks": [300_000, 20_000, 700_000]}
    chunks, at = [], 0
    for size in sizes[framing]:
        chunks.append(BODY[at : at + size])
        at += size
    chunks.append(BODY[at:])
    return response(b"", CHUNKED, length=False) + chunked(*chunks, trailers=["X-End: yes"])


FRAMINGS = ["length", "close", "gzip", "small chunks", "large chunks"]


@pytest.mark.parametrize("size", [1000, 70_000, 2_000_000])
@pytest.mark.parametrize("framing", FRAMINGS)
async def test_into_a_buffer(framing, size):
    step = send(framed(framing))
    server = Scripted([request, step, fin] if framing == "close" else [forever(request, step)])
    got = bytearray()
    room = bytearray(b"\xaa" * (size + 10))
    async with aiofast.stream("GET", f"{server.url}/") as found:
        with memoryview(room) as view:
            while count := await found.readinto(view[5 : size + 5]):
                assert 0 < count <= size
                got += view[5 : 5 + count]
        assert await found.readinto(room) == 0
        assert found.at_eof()
        assert found.total_bytes == len(BODY)
        if "chunks" in framing:
            assert found.trailers["X-End"] == "yes"
    assert got == BODY
    assert room[:5] == b"\xaa" * 5
    assert room[-5:] == b"\xaa" * 5
    room.append(0)  # nobody holds it any more
    if framing != "close":
        async with aiofast.stream("GET", f"{server.url}/") as found:
            assert found.reused
            assert await found.read() == BODY


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_into_a_buffer_among_other_reads(framing):
    server = Scripted([request, send(framed(framing)), fin])
    dice = random.Random(framing)
    got = bytearray()
    async with aiofast.ClientSession() as session, session.get(f"{server.url}/") as found:
        content = found.content
        while not content.at_eof():
            size = dice.choice([1, 100, 40_000, 400_000])
            how = dice.randrange(5)
            if how == 0:
                room = bytearray(size)
                got += room[: await content.readinto(room)]
            elif how == 1:
                got += await content.read(size)
            elif how == 2:
                got += await content.readany()
            elif how == 3:
                got += (await content.readchunk())[0]
            else:
                got += content.read_nowait(size)
                await asyncio.sleep(0)
    assert got == BODY


@pytest.mark.parametrize("end", [fin, cut, rst])
@pytest.mark.parametrize("framing", ["length", "large chunks", "gzip"])
async def test_into_a_buffer_of_a_body_that_is_cut(framing, end):
    data = framed(framing)
    server = Scripted([request, send(data[: len(data) // 2]), pause(0.05), end])
    room = bytearray(100_000)
    got = bytearray()
    async with aiofast.stream("GET", f"{server.url}/") as found:
        with pytest.raises(aiofast.ClientPayloadError):
            while True:
                count = await found.readinto(room)
                assert count > 0
                got += room[:count]
        with pytest.raises(aiofast.ClientPayloadError):
            await found.readinto(room)
    assert BODY.startswith(got)
    if end is not rst:
        assert len(got) > 100_000


async def test_a_cancelled_read_into_a_buffer_loses_nothing():
    """Both wake up in one turn of the loop, and whoever is first cancels the other,
    whose bytes are in its buffer already."""
    data = response(b"", "Content-Length: 1500000", length=False) + BODY[:1000]
    servers = [
        Scripted([request, send(data), pause(0.1), send(BODY[1000:50_000]), silence])
        for _ in range(2)
    ]
    cancelled = 0
    for first in range(2):
        streams = [await aiofast.stream("GET", f"{server.url}/") for server in servers]
        got = [bytearray(await each.readexactly(1000)) for each in streams]
        rooms = [bytearray(30_000), bytearray(30_000)]
        tasks: list[asyncio.Task[None]] = []

        async def one(me, streams=streams, rooms=rooms, tasks=tasks, got=got):
            count = await streams[me].readinto(rooms[me])
            got[me] += rooms[me][:count]
            tasks[1 - me].cancel()

        order = (first, 1 - first)
        tasks += [None, None]
        for me in order:
            tasks[me] = asyncio.ensure_future(one(me))
        await asyncio.sleep(0)
        time.sleep(0.3)  # until the bytes of both are there
        await asyncio.wait(tasks)
        cancelled += sum(task.cancelled() for task in tasks)
        for me in range(2):
            rooms[me].append(0)
            got[me] += await streams[me].readexactly(50_000 - len(got[me]))
            assert got[me] == BODY[:50_000]
            streams[me].close()
        servers = [
            Scripted([request, send(data), pause(0.1), send(BODY[1000:50_000]), silence])
            for _ in range(2)
        ]
    assert cancelled == 2


async def test_one_reader_into_a_buffer_at_a_time():
    server = Scripted([request, send(response(b"", "Content-Length: 5", length=False)), silence])
    async with aiofast.stream("GET", f"{server.url}/") as found:
        task = asyncio.ensure_future(found.readinto(bytearray(5)))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another coroutine"):
            await found.readinto(bytearray(5))
        with pytest.raises(RuntimeError, match="another coroutine"):
            await found.readany()
        task.cancel()
        await asyncio.wait([task])
        for wrong in (b"not writable", "text", None):
            with pytest.raises((TypeError, BufferError)):
                await found.readinto(wrong)
        assert await found.readinto(bytearray()) == 0


async def test_a_closed_response_has_nothing_for_a_buffer():
    server = Scripted([request, send(response(b"", "Content-Length: 5", length=False)), silence])
    async with aiofast.stream("GET", f"{server.url}/") as found:
        task = asyncio.ensure_future(found.readinto(bytearray(5)))
        await asyncio.sleep(0)
        found.close()
        with pytest.raises(aiofast.ClientConnectionError):
            await task
        with pytest.raises(aiofast.ClientConnectionError):
            await found.readinto(bytearray(5))


# --- read_bufsize ---------------------------------------------------------------


async def held(found) -> int:
    """Bytes that came of an endless body once no more come."""
    before = -1
    while before != found.content.total_bytes:
        before = found.content.total_bytes
        await asyncio.sleep(0.3)
    return before


@pytest.mark.parametrize("where", ["session", "request"])
@pytest.mark.parametrize("size", [1, 16 * KIB, 1024 * KIB])
async def test_a_slow_reader_holds_as_much_as_is_said(where, size):
    head = response(b"", "Connection: close", length=False)
    server = Scripted([request, send(head), flood(b"0123456789abcdef" * 512, 1 << 40)])
    mine = {"read_bufsize": size}
    settings, changes = (mine, {}) if where == "session" else ({}, mine)
    async with (
        aiofast.ClientSession(**settings) as session,
        session.get(f"{server.url}/", **changes) as found,
    ):
        assert found.content.get_read_buffer_limits() == (size, 2 * size)
        assert await found.content.readexactly(1) == b"0"
        count = await held(found)
        # One read may come on top, which is no more than that either.
        assert count <= 2 * max(size, 4 * KIB) + 1
        assert count >= size
        assert len(await found.content.readexactly(3_000_000)) == 3_000_000
        # iter_chunked() wants pieces of its own size.
        found.content.set_read_chunk_size(2 * 1024 * KIB)
        assert found.content.get_read_buffer_limits()[0] == 2 * 1024 * KIB
        assert len(await found.content.readexactly(3_000_000)) == 3_000_000
        found.close()


async def test_the_usual_size_and_wrong_ones():
    server = Scripted([forever(answer(b"ok"))])
    async with aiofast.ClientSession(read_bufsize=KIB) as session:
        async with session.get(f"{server.url}/", read_bufsize=None) as found:
            assert found.content.get_read_buffer_limits() == (KIB, 2 * KIB)
        for wrong, error in ((0, ValueError), (-1, ValueError), ("many", TypeError)):
            with pytest.raises(error):
                await session.get(f"{server.url}/", read_bufsize=wrong)
            with pytest.raises(error):
                aiofast.ClientSession(read_bufsize=wrong)
    async with aiofast.ClientSession() as session, session.get(f"{server.url}/") as found:
        assert found.content.get_read_buffer_limits() == (256 * KIB, 512 * KIB)


@pytest.mark.parametrize("coding", ["gzip"])
async def test_small_reads_of_a_coded_body(coding):
    """Reads are small, what they decode to is large."""
    body = bytes(5_000_000)
    server = Scripted([answer(gzip.compress(body), f"Content-Encoding: {coding}")])
    async with (
        aiofast.ClientSession(read_bufsize=4 * KIB) as session,
        session.get(f"{server.url}/") as found,
    ):
        assert await found.content.readexactly(10) == bytes(10)
        assert await held(found) <= 200 * KIB
        assert await found.content.read() == body[10:]
