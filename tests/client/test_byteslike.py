"""Bodies of the caller's memory, of any shape: sent as they lie there, not copied."""

from __future__ import annotations

import array
import asyncio
import gzip
import mmap
import threading

import aiofast
import pytest
from measures import Peak
from servers import Gone, Scripted, answer, forever, response, send, signal, until

MIB = 1 << 20


def head_only(peer):
    while b"\r\n\r\n" not in peer.buffer:
        peer.more()
    peer.buffer = peer.buffer.partition(b"\r\n\r\n")[2]


def swallow(count):
    """Takes |count| bytes and keeps none of them."""

    def step(peer):
        left, peer.buffer = count - len(peer.buffer), b""
        room = memoryview(bytearray(MIB))
        while left > 0:
            got = peer.sock.recv_into(room[: min(left, MIB)])
            if not got:
                raise Gone("end of file")
            left -= got

    return step


def mapped() -> mmap.mmap:
    room = mmap.mmap(-1, 6)
    room[:] = b"abcdef"
    return room


SHAPES = {
    "bytearray": (lambda: bytearray(b"abcdef"), b"abcdef"),
    "view": (lambda: memoryview(b"xxabcdefxx")[2:8], b"abcdef"),
    "every second": (lambda: memoryview(b"a-b-c-d-")[::2], b"abcd"),
    "backwards": (lambda: memoryview(b"fedcba")[::-1], b"abcdef"),
    "numbers": (lambda: array.array("H", [0x6161, 0x6262]), b"aabb"),
    "view of numbers": (
        lambda: memoryview(array.array("H", [0x6161, 0x6262, 0x6363]))[1:],
        b"bbcc",
    ),
    "two dimensions": (lambda: memoryview(b"abcdef").cast("B", (2, 3)), b"abcdef"),
    "mapped": (mapped, b"abcdef"),
    "nothing": (lambda: memoryview(b""), b""),
}


@pytest.mark.parametrize("how", ["fetch", "session", "pieces", "compressed"])
@pytest.mark.parametrize("shape", SHAPES)
async def test_shapes_of_memory(how, shape):
    make, want = SHAPES[shape]
    server = Scripted([answer()])
    url = f"{server.url}/"
    async with aiofast.ClientSession() as session:
        if how == "fetch":
            await aiofast.post(url, data=make())
        elif how == "session":
            await session.post(url, data=make())
        elif how == "pieces":
            if shape in ("every second", "backwards"):  # nobody copies pieces
                with pytest.raises((BufferError, aiofast.ClientError)):
                    await session.post(url, data=iter([make()]))
                return
            await session.post(url, data=iter([make(), make()]))
            want *= 2
        elif how == "compressed":
            await session.post(url, data=make(), compress="gzip")
    body = server.requests[0].body
    if how == "compressed":
        assert (gzip.decompress(body) if body else body) == want
    else:
        assert body == want


async def test_memory_that_is_being_sent_keeps_its_size():
    began, go = threading.Event(), threading.Event()
    steps = [head_only, signal(began), until(go), swallow(16 * MIB), send(response(b"ok"))]
    server = Scripted(steps)
    data = bytearray(b"x" * (16 * MIB))
    task = asyncio.ensure_future(aiofast.post(f"{server.url}/", data=data))
    while not began.is_set():
        await asyncio.sleep(0.001)
    data[-5:] = b"later"  # its content is the caller's affair
    with pytest.raises(BufferError):
        data.append(0)
    go.set()
    assert (await task).body == b"ok"
    data.append(0)


@pytest.mark.resident
@pytest.mark.parametrize("how", ["fetch", "session", "expect"])
async def test_a_huge_body_is_not_copied(how):
    size = 128 * MIB
    server = Scripted([answer(), forever(head_only, swallow(size), send(response(b"ok")))])
    data = bytes(size)
    async with aiofast.ClientSession() as session:
        post = aiofast.post if how == "fetch" else session.post
        await post(f"{server.url}/", data=b"warm")
        with Peak() as peak:
            await post(f"{server.url}/", data=data)
    assert peak.grown < 16 * MIB
