"""Servers that never come to an end: redirects, cookies, messages, alerts.

Stated beforehand: the error of the ceiling, or the whole response, in bounded
memory and time. (Floods of head, 1xx, chunk and trailer bytes are in
tests/client/test_bounds.py, bombs in test_bombs.py.)
"""

from __future__ import annotations

import asyncio
import gc
import resource
import sys
import time

import aiofast
import pytest
from servers import (
    Scripted,
    answer,
    chunked,
    fin,
    forever,
    request,
    response,
    send,
)


def resident():
    """Bytes of memory that are resident now."""
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


async def test_redirects_without_end():
    """Each to another path, so that no loop can be seen in it."""

    def onwards(peer):
        while True:
            request(peer)
            count = int(peer.last.target[1:]) + 1
            peer.write(response(b"x" * 5000, f"Location: /{count}", status="302 Found"))

    server = Scripted([onwards])
    with pytest.raises(aiofast.TooManyRedirects, match="11 redirects"):
        await aiofast.fetch(f"{server.url}/0", timeout=20)
    assert len(server.requests) == 11
    assert server.connections == 1


async def test_redirects_to_ever_longer_urls():
    def onwards(peer):
        while True:
            request(peer)
            longer = peer.last.target + "a" * 3000
            peer.write(response(b"", f"Location: {longer}", status="302 Found"))

    server = Scripted([onwards])
    with pytest.raises(aiofast.ClientError) as caught:
        await aiofast.fetch(f"{server.url}/", timeout=20, max_redirects=1000)
    assert not isinstance(caught.value, TimeoutError)
    assert len(server.requests) < 60


async def test_redirects_with_endless_bodies_cost_a_bounded_number_of_bytes():
    """The body of a redirect is given up, not read to its end."""

    def onwards(peer):
        request(peer)
        peer.write(b"HTTP/1.1 302 Found\r\nLocation: /on\r\nContent-Length: 1000000000000\r\n\r\n")
        while True:
            peer.write(b"x" * 65536)

    server = Scripted([onwards], [onwards], [forever(answer(b"end"))])
    start = time.monotonic()
    assert (await aiofast.fetch(f"{server.url}/", timeout=20)).body == b"end"
    assert time.monotonic() - start < 8
    await server.reached(lambda: server.open == 1)


async def test_cookies_without_end_are_bounded_by_host_and_in_all():
    def cookies(peer):
        count = 0
        while True:
            request(peer)
            fields = [f"Set-Cookie: c{count + n}={'v' * 50}" for n in range(100)]
            count += 100
            peer.write(response(b"", *fields))

    server = Scripted([cookies])
    async with aiofast.ClientSession(cookie_jar=aiofast.CookieJar(unsafe=True)) as session:
        for _ in range(50):
            async with session.get(f"{server.url}/") as found:
                await found.read()
        assert len(session.cookie_jar) <= 1000
    longest = max(len(one.header("Cookie") or "") for one in server.requests)
    assert 0 < longest <= 65536


@pytest.mark.seconds(60)
async def test_a_million_tiny_chunks_are_linear():
    """Twice the chunks take about twice the time: bytes are looked at once."""

    def chunks(peer):
        while True:
            request(peer)
            count = int(peer.last.target[1:])
            data = response(b"", "Transfer-Encoding: chunked", length=False)
            peer.write(data + b"1\r\nx\r\n" * count + b"0\r\n\r\n")

    server = Scripted([chunks])
    times = []
    for count in (150_000, 600_000):
        best = 1e9
        for _ in range(3):
            start = time.process_time()
            assert len((await aiofast.fetch(f"{server.url}/{count}")).body) == count
            best = min(best, time.process_time() - start)
        times.append(best)
    assert times[1] < times[0] * 4 * 3 + 0.5, times


async def test_a_head_byte_by_byte_is_linear():
    """60 KiB of head in segments of one byte do not take the square of it."""
    fields = [f"X-{n}: {'v' * 500}" for n in range(110)]
    data = response(b"ok", *fields)

    def tiny(peer):
        request(peer)
        for at in range(len(data)):
            peer.write(data[at : at + 1])

    server = Scripted([tiny])
    start = time.monotonic()
    assert (await aiofast.fetch(f"{server.url}/", timeout=25)).body == b"ok"
    assert time.monotonic() - start < 15


@pytest.mark.resident
async def test_trailers_up_to_the_ceiling_are_not_kept_per_response():
    trailers = [f"X-{n}: {'v' * 100}" for n in range(100)]
    data = response(b"", "Transfer-Encoding: chunked", length=False)
    server = Scripted([forever(request, send(data + chunked(b"ok", trailers=trailers)))])
    for _ in range(200):
        await aiofast.fetch(f"{server.url}/")
    gc.collect()
    before = resident()
    for _ in range(1500):
        assert (await aiofast.fetch(f"{server.url}/")).body == b"ok"
    gc.collect()
    assert resident() - before < 6 << 20


# A process of its own: the server of these tests keeps its peers and their threads.
BAD_IN_A_ROW = """
import asyncio, gc, resource, ssl, sys
import aiofast
url, ca, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
context = ssl.create_default_context(cafile=ca) if ca else True

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()

async def main():
    failed = 0
    for index in range(rounds):
        try:
            await aiofast.fetch(url, ssl=context)
        except aiofast.ClientError:
            failed += 1
        if index in (rounds // 3, rounds - 1):
            gc.collect()
            print(resident())
    print(failed)

asyncio.run(main())
"""


@pytest.mark.resident
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_bad_responses_in_a_row_leave_no_memory(authority, tls):
    """A server that fails each time, in five ways."""
    ways = [
        send(b"nonsense\r\n\r\n"),
        send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"),
        send(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 300),
        send(response(b"junk", "Content-Encoding: gzip")),
        send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    ]
    rounds = 1500
    scripts = [[request, ways[index % len(ways)], fin] for index in range(rounds)]
    server = Scripted(*scripts, tls=authority.server() if tls else None)
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BAD_IN_A_ROW, f"{server.url}/",
        authority.ca_file if tls else "", str(rounds),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    printed, _ = await client.communicate()
    before, after, failed = map(int, printed.split())
    assert failed == rounds
    # A thousand responses: 512 bytes of each would be seen.
    assert after - before < 512 << 10


async def test_a_server_that_answers_each_request_with_a_reset():
    """A thousand times, 50 at once: each is an error of its own, nothing is left."""
    server = Scripted([request, rst_now])
    gate = asyncio.Semaphore(50)

    async def one():
        async with gate:
            try:
                return await aiofast.fetch(f"{server.url}/", timeout=20)
            except aiofast.ClientError as error:
                return error

    found = await asyncio.gather(*(one() for _ in range(1000)))
    kinds = {type(each) for each in found}
    assert kinds <= {aiofast.ClientOSError, aiofast.ServerDisconnectedError}, kinds


def rst_now(peer):
    from servers import rst

    rst(peer)
