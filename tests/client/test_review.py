"""What a review of the binding found: early responses, odd bytes, interrupts."""

from __future__ import annotations

import asyncio
import gc
import time

import aiofast
import pytest
from conftest import let_stop, new_loop
from servers import Scripted, answer, cut, fin, forever, pause, request, send, silence


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


@pytest.mark.parametrize("part", [b"H", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 100 C"])
async def test_an_end_inside_the_head_is_a_lost_server(part):
    """Nothing has come that a caller could see: who tries again does so on this."""
    server = Scripted([request, send(part), fin])
    with pytest.raises(aiofast.ServerDisconnectedError) as caught:
        await aiofast.post(f"{server.url}/", data=b"x")
    assert caught.value.phase == "wait"


async def test_an_end_without_close_notify_before_the_head_is_a_lost_server(authority):
    server = Scripted([request, cut], tls=authority.server())
    with pytest.raises(aiofast.ServerDisconnectedError):
        await aiofast.post(f"{server.url}/", data=b"x", ssl=authority.client())


@pytest.mark.parametrize("chunk", [b"zz\r\n", b"3\r\nabcX", b"f" * 40 + b"\r\n"])
async def test_a_malformed_chunk_spoils_the_body_not_the_response(chunk):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"
    server = Scripted([request, send(head + chunk), silence])
    async with aiofast.ClientSession() as session:
        found = await session.get(f"{server.url}/")
        with pytest.raises(aiofast.ClientPayloadError):
            await found.read()
    server = Scripted([request, send(head + chunk), silence])
    with pytest.raises(aiofast.ClientPayloadError) as caught:
        await aiofast.fetch(f"{server.url}/")
    assert caught.value.partial.startswith(b"ok")


@pytest.mark.parametrize("limits", [{"limit": 1}, {"limit_per_host": 1}])
async def test_a_body_that_nobody_reads_does_not_keep_a_waiter(limits):
    stuck = send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab")
    server = Scripted([request, stuck, silence], [request, stuck, silence], [answer()])
    connector = aiofast.TCPConnector(**limits)
    async with aiofast.ClientSession(connector=connector) as session:
        began = time.monotonic()
        found = await session.get(f"{server.url}/")
        waiting = asyncio.ensure_future(session.get(f"{server.url}/"))
        await asyncio.sleep(0)
        found.release()
        found = await waiting
        found.release()
        async with session.get(f"{server.url}/") as found:
            assert await found.read() == b"ok"
        assert time.monotonic() - began < 2


async def test_a_cancelled_fetch_lets_go_of_its_body():
    server = Scripted([request, silence])
    body = bytearray(1000)
    task = asyncio.ensure_future(aiofast.post(f"{server.url}/", data=body))
    await asyncio.sleep(0.05)
    with pytest.raises(BufferError):
        body.extend(b"y")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    body.extend(b"y")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1\\@x.invalid/", "http://x.invalid\\a/", "http://a\\b@x.invalid/"]
)
async def test_a_backslash_before_the_path_is_refused(url):
    with pytest.raises(aiofast.InvalidURL):
        await aiofast.fetch(url)


async def test_a_connector_counts_and_binds_as_it_is_told():
    with pytest.raises(TypeError, match="local_addr"):
        aiofast.TCPConnector(local_addr="127.0.0.1")
    stuck = send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab")
    server = Scripted(*[[request, stuck, silence]] * 3)
    connector = aiofast.TCPConnector(limit=2**32 + 1, limit_per_host=2**32 + 1)
    async with aiofast.ClientSession(connector=connector) as session:
        found = [await session.get(f"{server.url}/") for _ in range(3)]
        assert server.connections == 3
        for each in found:
            each.close()


async def test_ceilings_belong_to_the_request():
    """Not to whoever came first in this loop, connector or connection."""
    many = b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20 + b"Content-Length: 2\r\n\r\nok"
    server = Scripted([forever(request, send(many))])
    url = f"{server.url}/"
    with pytest.raises(aiofast.ClientError, match="too many fields"):
        async with aiofast.request("GET", url, max_headers=5):
            pass
    assert (await aiofast.fetch(url)).status == 200
    async with aiofast.ClientSession() as session:
        for _ in range(2):
            assert (await session.get(url)).status == 200
            with pytest.raises(aiofast.ClientError, match="too many fields"):
                await session.get(url, max_headers=5)
            with pytest.raises(aiofast.ClientError, match="line is too long"):
                await session.get(url, max_line_size=3)
    connector = aiofast.TCPConnector()
    async with aiofast.ClientSession(
        connector=connector, connector_owner=False, max_headers=5
    ) as one:
        with pytest.raises(aiofast.ClientError, match="too many fields"):
            await one.get(url)
    async with aiofast.ClientSession(connector=connector) as other:
        assert (await other.get(url)).status == 200
