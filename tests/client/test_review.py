"""What a review of the binding found: early responses, odd bytes, interrupts."""

from __future__ import annotations

import asyncio
import gc

import aiofast
import pytest
from conftest import let_stop, new_loop
from servers import Scripted, answer, pause, request, send


async def test_a_response_before_the_request_is_sent_keeps_its_body():
    """Nobody else holds it."""
    size = 16 << 20
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    received = []

    def early(peer):
        while b"\r\n\r\n" not in peer.buffer:
            peer.more()
        parts = [peer.buffer.split(b"\r\n\r\n", 1)[1]]
        peer.write(head)
        pause(0.2)(peer)
        while sum(map(len, parts)) < size:
            peer.buffer = b""
            peer.more()
            parts.append(peer.buffer)
        received.append(b"".join(parts))
        peer.write(b"ok")

    server = Scripted([early])
    async with aiofast.ClientSession() as session:
        found = await session.post(f"{server.url}/", data=b"".join([b"\x5a" * (size // 2)] * 2))
        gc.collect()
        other = [b"\xff" * (size + index) for index in range(2)]
        await server.reached(lambda: received)
        assert received[0].count(b"\x5a") == size
        assert len(await found.read()) == 2
        del other


async def test_bytes_of_a_location_that_are_no_text_are_quoted():
    moved = b"HTTP/1.1 302 Found\r\nLocation: /caf\xe9\r\nContent-Length: 0\r\n\r\n"
    server = Scripted([request, send(moved), answer()])
    found = await aiofast.fetch(f"{server.url}/")
    assert found.url.raw_path == "/caf%E9"


def test_a_callback_that_ends_the_program_leaves_the_others_to_the_loop():
    server = Scripted([answer()])
    loop = new_loop()
    called = []

    def interrupt(_):
        raise KeyboardInterrupt

    async def body():
        fetch = aiofast.fetch(f"{server.url}/")
        fetch.add_done_callback(interrupt)
        fetch.add_done_callback(called.append)
        return await fetch

    task = loop.create_task(body())
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    let_stop(loop)
    assert loop.run_until_complete(asyncio.wait_for(task, 5)).status == 200
    assert len(called) == 1
    loop.close()
