"""Small bodies that decode to large ones: refused at a limit, else in constant
memory, and never at the cost of the loop."""

from __future__ import annotations

import asyncio
import ctypes
import functools
import gzip
from typing import Any

import aiofast
import pytest
from measures import Peak, stalls
from origins import CODERS, _library, zstd
from servers import Scripted, answer, chunked, fin, forever, request, response, send

pytestmark = pytest.mark.resident
MIB = 1 << 20
GIB = 1 << 30


def brotli_zeros(size: int) -> bytes | None:
    """|size| zeros, a multiple of 1 MiB, in brotli: piece by piece."""
    lib = _library("brotlienc")
    if lib is None:
        return None
    lib.BrotliEncoderCreateInstance.restype = ctypes.c_void_p
    state = ctypes.c_void_p(lib.BrotliEncoderCreateInstance(None, None, None))
    lib.BrotliEncoderSetParameter(state, 1, 1)  # quality
    piece = ctypes.create_string_buffer(MIB)
    out = ctypes.create_string_buffer(MIB)
    data = b""
    for part in range(size // MIB + 1):
        last = part == size // MIB
        given = ctypes.c_size_t(0 if last else MIB)
        at = ctypes.c_void_p(ctypes.addressof(piece))
        while True:
            room = ctypes.c_size_t(MIB)
            to = ctypes.c_void_p(ctypes.addressof(out))
            assert lib.BrotliEncoderCompressStream(
                state,
                2 if last else 0,
                ctypes.byref(given),
                ctypes.byref(at),
                ctypes.byref(room),
                ctypes.byref(to),
                None,
            )
            data += out.raw[: MIB - room.value]
            if not given.value and not lib.BrotliEncoderHasMoreOutput(state):
                break
    lib.BrotliEncoderDestroyInstance(state)
    return data


@functools.cache
def zeros(coding: str, size: int) -> bytes:
    """|size| zeros in |coding|; members and frames follow each other."""
    if coding == "gzip":
        return gzip.compress(bytes(MIB), 9) * (size // MIB)
    data = brotli_zeros(size) if coding == "br" else zstd(bytes(MIB))
    if data is None:
        pytest.skip(f"no encoder for {coding} here")
    return data if coding == "br" else data * (size // MIB)


CODINGS = ("gzip", "br", "zstd")


def bomb(coding: str, size: int) -> Scripted:
    return Scripted([forever(answer(zeros(coding, size), f"Content-Encoding: {coding}"))])


@pytest.mark.parametrize("limit", [{"max_body": 4 * MIB}, {"max_ratio": 10}], ids=str)
@pytest.mark.parametrize("coding", CODINGS)
async def test_a_bomb_is_refused_at_the_limit(coding: str, limit: Any) -> None:
    server = bomb(coding, GIB if coding == "gzip" else 256 * MIB)
    with Peak() as peak, pytest.raises(aiofast.ClientPayloadError, match=next(iter(limit))) as e:
        await aiofast.fetch(f"{server.url}/", **limit)
    partial = e.value.partial
    assert partial is not None
    assert MIB - 65536 <= len(partial) <= 4 * MIB
    assert not partial.strip(b"\0")
    assert peak.grown < 12 * MIB
    assert e.value.limit == next(iter(limit))


@pytest.mark.parametrize("coding", CODINGS)
async def test_a_session_refuses_it_too(coding: str) -> None:
    server = bomb(coding, 64 * MIB)
    async with aiofast.ClientSession() as session:
        async with session.get(f"{server.url}/", max_body=MIB) as found:
            with pytest.raises(aiofast.ClientPayloadError):
                await found.read()
        async with session.get(f"{server.url}/", max_ratio=20) as found:
            with pytest.raises(aiofast.ClientPayloadError, match="20 times"):
                while await found.content.readany():
                    pass


@pytest.mark.parametrize("ratio", [0, -1, "many"])
async def test_a_ratio_that_is_none(ratio: Any) -> None:
    with pytest.raises((ValueError, OverflowError, TypeError)):
        await aiofast.fetch("http://127.0.0.1:1/", max_ratio=ratio)


async def test_a_small_body_may_have_any_ratio() -> None:
    server = bomb("gzip", MIB)
    assert len((await aiofast.fetch(f"{server.url}/", max_ratio=1)).body) == MIB


async def streamed(coding: str, size: int) -> None:
    server = bomb(coding, size)
    total = 0
    async with aiofast.ClientSession() as session:
        with Peak() as peak:
            async with stalls() as worst, session.get(f"{server.url}/") as found:
                async for piece in found.content.iter_any():
                    total += len(piece)
            assert found.complete
    assert total == size
    assert peak.grown < 8 * MIB
    assert worst.worst < 0.05


@pytest.mark.parametrize("coding", CODINGS)
async def test_a_bomb_is_streamed_in_constant_memory(coding: str) -> None:
    await streamed(coding, 128 * MIB)


@pytest.mark.slow
@pytest.mark.seconds(120)
@pytest.mark.parametrize("coding", CODINGS)
async def test_a_gibibyte_is_streamed_in_constant_memory(coding: str) -> None:
    await streamed(coding, GIB)


@pytest.mark.parametrize("coding", CODINGS)
async def test_a_large_body_does_not_stall_the_loop(coding: str) -> None:
    server = bomb(coding, 128 * MIB)
    async with stalls() as worst:
        found = await aiofast.fetch(f"{server.url}/")
    assert len(found.body) == 128 * MIB
    # Growing the body to its size is one call of realloc(), now and then.
    assert worst.worst < 0.1


async def test_many_bombs_share_the_loop() -> None:
    """Each gets its turn, none more than that, and a small request comes
    through."""
    server = bomb("gzip", 32 * MIB)
    small = Scripted([forever(answer(b"small"))])

    async def read(session: aiofast.ClientSession) -> int:
        total = 0
        async with session.get(f"{server.url}/") as found:
            async for piece in found.content.iter_any():
                total += len(piece)
        return total

    async with aiofast.ClientSession() as session:
        async with stalls() as worst:
            tasks = [asyncio.create_task(read(session)) for _ in range(16)]
            while not all(task.done() for task in tasks):
                assert (await aiofast.fetch(f"{small.url}/")).body == b"small"
        assert {task.result() for task in tasks} == {32 * MIB}
    assert worst.worst < 0.05


@pytest.mark.parametrize("coding", CODINGS)
async def test_a_reader_that_sleeps_holds_little(coding: str) -> None:
    server = bomb(coding, 64 * MIB)
    async with aiofast.ClientSession() as session, session.get(f"{server.url}/") as found:
        with Peak() as peak:
            total = len(await found.content.readany())
            await asyncio.sleep(0.1)
            piece = await found.content.readany()
            total += len(piece)
            assert len(piece) <= 512 * 1024
        total += len(await found.content.read())
    assert total == 64 * MIB
    assert peak.grown < 4 * MIB


async def test_the_connection_serves_others_meanwhile() -> None:
    """The message is whole long before its body is."""
    server = bomb("gzip", 16 * MIB)
    async with aiofast.ClientSession() as session:
        async with session.get(f"{server.url}/") as found:
            total = len(await found.content.readany())
            async with session.get(f"{server.url}/") as other:
                assert other.reused
                assert len(await other.read()) == 16 * MIB
            total += len(await found.content.read())
    assert total == 16 * MIB
    assert server.connections == 1


END = {
    "release": lambda found: found.release(),
    "close": lambda found: found.close(),
    "drop": lambda found: None,
}


@pytest.mark.parametrize("how", END)
@pytest.mark.parametrize("size", [16 * MIB, 512 * MIB])
async def test_a_body_may_be_given_up(how: str, size: int) -> None:
    """In the middle of it, whether the message is whole or not."""
    server = bomb("gzip", size)
    async with aiofast.ClientSession() as session:
        for _ in range(3):
            found = await session.get(f"{server.url}/")
            assert await found.content.readany()
            END[how](found)
            del found
        async with session.get(f"{server.url}/") as found:
            await found.content.readany()
    assert aiofast._core.stats()["fetches"] == 0


@pytest.mark.parametrize("size", [16 * MIB, 512 * MIB])
async def test_the_session_may_be_closed_meanwhile(size: int) -> None:
    server = bomb("gzip", size)
    async with aiofast.ClientSession() as session:
        paused = await session.get(f"{server.url}/")
        await paused.content.readany()
        reading = await session.get(f"{server.url}/")
        read = asyncio.ensure_future(reading.read())
        await asyncio.sleep(0.01)
    for what in (paused.read(), read):
        with pytest.raises(aiofast.ClientError):
            await what


async def test_a_read_may_be_cancelled_meanwhile() -> None:
    server = bomb("gzip", 512 * MIB)
    async with aiofast.ClientSession() as session:
        found = await session.get(f"{server.url}/")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await found.read()
        fetch = asyncio.ensure_future(aiofast.fetch(f"{server.url}/"))
        await asyncio.sleep(0.05)
        fetch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetch


async def test_a_total_timeout_ends_it() -> None:
    server = bomb("gzip", GIB)
    with pytest.raises(aiofast.ServerTimeoutError):
        await aiofast.fetch(f"{server.url}/", timeout=0.1)


async def read_slowly(server: Scripted) -> tuple[bytes, Any]:
    """The whole body, with pauses that let it pile up; and the response."""
    parts = []
    async with aiofast.ClientSession() as session, session.get(f"{server.url}/") as found:
        while piece := await found.content.readany():
            parts.append(piece)
            await asyncio.sleep(0.001)
        return b"".join(parts), found


async def test_trailers_come_with_the_end_of_the_body() -> None:
    body = zeros("gzip", 8 * MIB)
    head = response(
        b"", "Content-Encoding: gzip", "Transfer-Encoding: chunked", "Trailer: sum", length=False
    )
    chunks = [body[at : at + 1000] for at in range(0, len(body), 1000)]
    server = Scripted([request, send(head + chunked(*chunks, trailers=["sum: 7"])), fin])
    data, found = await read_slowly(server)
    assert len(data) == 8 * MIB
    assert found.trailers["sum"] == "7"


@pytest.mark.parametrize("cut", [8, 1, 1000])
@pytest.mark.parametrize("framing", ["length", "close"])
async def test_what_is_missing_at_the_end_is_missed(cut: int, framing: str) -> None:
    body = zeros("gzip", 8 * MIB)[:-cut]
    data = response(body, "Content-Encoding: gzip", length=framing == "length")
    server = Scripted([request, send(data), fin])
    with pytest.raises(aiofast.ClientPayloadError):
        await read_slowly(server)


async def test_a_fault_behind_a_pause_is_found() -> None:
    body = zeros("gzip", 8 * MIB) + b"junk"
    server = Scripted([request, send(response(body, "Content-Encoding: gzip"))])
    with pytest.raises(aiofast.ClientPayloadError, match="gzip"):
        await read_slowly(server)


@pytest.mark.parametrize("coding", CODERS)
async def test_a_body_without_a_limit_on_its_coding(coding: str) -> None:
    """auto_decompress=False gives the bytes as they came, known coding or not."""
    body = CODERS[coding](b"text" * 100)
    if body is None:
        pytest.skip(f"no encoder for {coding} here")
    server = Scripted([forever(answer(body, f"Content-Encoding: {coding}"))])
    assert (await aiofast.fetch(f"{server.url}/", auto_decompress=False)).body == body


async def test_an_unknown_coding_may_be_read_as_it_came() -> None:
    server = Scripted([forever(answer(b"secret", "Content-Encoding: rot13"))])
    with pytest.raises(aiofast.ClientPayloadError, match="rot13"):
        await aiofast.fetch(f"{server.url}/")
    assert (await aiofast.fetch(f"{server.url}/", auto_decompress=False)).body == b"secret"
