"""Large bodies: their memory is used again, and few reads bring them."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiofast
import pytest
from measures import Peak
from servers import Scripted, answer, fin, forever, pause, request, response, send

MIB = 1 << 20


def body_of(size: int, seed: int) -> bytes:
    """No two of them are alike at any place."""
    return bytes((at * 7 + seed) % 251 for at in range(251)) * (size // 251 + 1)


@asynccontextmanager
async def reading(how: str) -> AsyncIterator[Callable[[str], Awaitable[bytes]]]:
    """A function that gives the body at a URL."""
    async with aiofast.ClientSession() as session:

        async def by_session(url: str) -> bytes:
            async with session.get(url) as response:
                return await response.read()

        async def by_fetch(url: str) -> bytes:
            return (await aiofast.fetch(url)).body

        yield by_fetch if how == "fetch" else by_session


HOW = pytest.mark.parametrize("how", ["fetch", "session"])


@HOW
async def test_a_body_that_was_dropped_is_not_seen_in_the_next(how):
    sizes = [2 * MIB, 2 * MIB, 2 * MIB - 5, 2 * MIB, 3 * MIB, MIB, 2 * MIB + 1, 2 * MIB]
    bodies = [body_of(size, seed)[:size] for seed, size in enumerate(sizes)]
    server = Scripted([answer(body) for body in bodies])
    seen = set()
    async with reading(how) as read:
        for body in bodies:
            found = await read(f"{server.url}/")
            assert found == body
            # Whoever asks for the hash of a new object gets that of its content.
            assert hash(found) == hash(bytes(bytearray(body)))
            seen.add(hash(found))
            del found
    assert len(seen) == len(bodies)


async def test_a_body_that_somebody_has_stays_as_it_is():
    bodies = [body_of(2 * MIB, seed)[: 2 * MIB] for seed in range(6)]
    server = Scripted([answer(body) for body in bodies])
    first = (await aiofast.fetch(f"{server.url}/")).body
    second = memoryview((await aiofast.fetch(f"{server.url}/")).body)[5:]
    third = await aiofast.fetch(f"{server.url}/")
    for body in bodies[3:]:
        assert (await aiofast.fetch(f"{server.url}/")).body == body
    assert first == bodies[0]
    assert second == bodies[1][5:]
    assert third.body == bodies[2]


async def test_many_at_once_are_each_their_own():
    bodies = [body_of(size, size)[:size] for size in range(MIB, 3 * MIB, 300_001)]
    servers = [Scripted([forever(answer(body))]) for body in bodies]

    async def one(at: int) -> None:
        for _ in range(4):
            found = await aiofast.fetch(f"{servers[at].url}/")
            assert found.body == bodies[at]
            await asyncio.sleep(0)

    await asyncio.gather(*(one(at) for at in range(len(bodies))))


@pytest.mark.resident
async def test_the_memory_is_given_back():
    # From 32 MiB on the allocator gives back to the system what is freed.
    body = bytes(40 * MIB)
    server = Scripted([forever(answer(body))])
    for _ in range(2):
        await aiofast.fetch(f"{server.url}/")
    gc.collect()
    before = Peak.read("VmRSS")
    for _ in range(40):
        await asyncio.sleep(0.1)
        if before - Peak.read("VmRSS") >= 36 * MIB:
            return
    raise AssertionError("a body that was dropped is still in memory")


@HOW
async def test_a_body_that_slows_down_is_not_waited_for_in_vain(how):
    """The first MiB comes fast, the last bytes one by one."""
    body = body_of(MIB + 10, 1)[: MIB + 10]
    steps = [request, send(response(b"", f"Content-Length: {len(body)}", length=False))]
    steps += [send(body[:MIB]), pause(0.05)]
    for at in range(MIB, len(body)):
        steps += [send(body[at : at + 1]), pause(0.02)]
    server = Scripted(steps)
    async with reading(how) as read:
        assert await asyncio.wait_for(read(f"{server.url}/"), 20) == body


async def test_what_came_before_the_end_is_in_the_error():
    body = body_of(MIB + 1000, 1)[: MIB + 1000]
    head = response(b"", "Content-Length: 9000000", length=False)
    server = Scripted([request, send(head + body[:MIB]), pause(0.02), send(body[MIB:]), fin])
    with pytest.raises(aiofast.ClientPayloadError) as info:
        await aiofast.fetch(f"{server.url}/")
    assert info.value.partial == body
