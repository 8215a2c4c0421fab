"""No response is handed to a request that was sent after it.

A server, or somebody between, sends a second response on a kept connection
before the second request. Whatever way it comes, plain or inside TLS, the second
request gets its own response, over a connection of its own.
"""

from __future__ import annotations

import asyncio
import threading
import time

import aiofast
import pytest
from servers import (
    Scripted,
    answer,
    chunked,
    cut,
    fin,
    forever,
    half_close,
    request,
    response,
    rst,
    send,
    signal,
    until,
)

POISON = response(b"poison", "X-Poison: 1")
CHUNKED = response(b"", "Transfer-Encoding: chunked", length=False)


@pytest.fixture(params=["plain", "tls"])
def place(request, authority):
    """Where the poison comes: the server's and the client's TLS settings."""
    if request.param == "plain":
        return {"tls": None}, {}
    return {"tls": authority.server()}, {"ssl": authority.client()}


async def second_is_clean(server, options, method="GET"):
    found = await aiofast.fetch(f"{server.url}/second", method=method, **options)
    assert found.body == b"own"
    assert found.reused is False
    assert "X-Poison" not in found.headers
    assert [each.target for each in server.requests] == ["/first", "/second"]
    assert server.connections == 2


OWN = [forever(answer(b"own"))]


@pytest.mark.parametrize("surplus", [POISON, b"H", b"\r\n", b"\0"])
async def test_bytes_behind_the_response_in_the_same_segment(place, surplus):
    server_options, options = place
    server = Scripted([request, send(response(b"first") + surplus)], OWN, **server_options)
    assert (await aiofast.fetch(f"{server.url}/first", **options)).body == b"first"
    await second_is_clean(server, options)


@pytest.mark.parametrize("first", [response(b"first"), CHUNKED + chunked(b"first")])
async def test_the_last_byte_and_a_second_response_in_one_later_segment(place, first):
    server_options, options = place
    go = threading.Event()
    script = [request, send(first[:-1]), until(go), send(first[-1:] + POISON)]
    server = Scripted(script, OWN, **server_options)
    task = asyncio.create_task(aiofast.fetch(f"{server.url}/first", **options))
    await asyncio.sleep(0.05)
    go.set()
    assert (await task).body == b"first"
    await second_is_clean(server, options)


@pytest.mark.parametrize("surplus", [POISON, b"H", b"\r\n"])
async def test_bytes_while_idle(place, surplus):
    server_options, options = place
    go, gone = threading.Event(), threading.Event()
    script = [request, send(response(b"first")), until(go), send(surplus), signal(gone)]
    server = Scripted(script, OWN, **server_options)
    assert (await aiofast.fetch(f"{server.url}/first", **options)).body == b"first"
    go.set()
    await server.reached(gone.is_set)
    await server.reached(lambda: server.open == 0)  # a byte while idle closes it
    await second_is_clean(server, options)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_bytes_unread_in_the_socket_at_check_out(place, method):
    """The loop is blocked from before the bytes come until the check-out."""
    server_options, options = place
    go, gone = threading.Event(), threading.Event()
    script = [request, send(response(b"first")), until(go), send(POISON), signal(gone)]
    server = Scripted(script, OWN, **server_options)
    assert (await aiofast.fetch(f"{server.url}/first", **options)).body == b"first"
    go.set()
    assert gone.wait(5)
    time.sleep(0.05)
    await second_is_clean(server, options, method)


@pytest.mark.parametrize("end", [fin, cut, rst, half_close])
async def test_an_end_of_file_unread_at_check_out(place, end):
    """Not even a POST is sent on a connection that is known to be dead."""
    server_options, options = place
    go = threading.Event()
    server = Scripted([request, send(response(b"first")), until(go), end], OWN, **server_options)
    assert (await aiofast.fetch(f"{server.url}/first", **options)).body == b"first"
    go.set()
    time.sleep(0.1)
    await second_is_clean(server, options, "POST")


async def test_a_second_response_right_behind_one_without_a_body(place):
    server_options, options = place
    first = response(b"", status="204 No Content", length=False)
    server = Scripted([request, send(first + POISON)], OWN, **server_options)
    assert (await aiofast.fetch(f"{server.url}/first", **options)).status == 204
    await second_is_clean(server, options)


async def test_the_body_that_a_head_response_must_not_have(place):
    server_options, options = place
    server = Scripted([request, send(response(b"poison"))], OWN, **server_options)
    assert (await aiofast.head(f"{server.url}/first", **options)).body == b""
    await second_is_clean(server, options)


async def test_the_rest_of_a_body_that_was_not_read(place):
    """A session's response is left in mid-body; what follows it is no answer."""
    server_options, options = place
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfir"
    go = threading.Event()
    script = [request, send(head), until(go), send(b"st" + POISON)]
    server = Scripted(script, OWN, **server_options)
    async with aiofast.ClientSession() as session:
        async with session.get(f"{server.url}/first", **options) as found:
            assert found.status == 200
        go.set()
        await asyncio.sleep(0.05)
        async with session.get(f"{server.url}/second", **options) as found:
            assert await found.read() == b"own"
    assert server.connections == 2


async def test_a_waiter_is_not_given_a_poisoned_connection(place):
    """The connection goes from hand to hand without ever being idle."""
    server_options, options = place
    server = Scripted([request, send(response(b"first") + POISON)], OWN, **server_options)
    connector = aiofast.TCPConnector(limit=1)
    async with aiofast.ClientSession(connector=connector) as session:

        async def get(path):
            async with session.get(server.url + path, **options) as found:
                return await found.read()

        assert await asyncio.gather(get("/first"), get("/second")) == [b"first", b"own"]
    assert [each.connection for each in server.requests] == [0, 1]


async def test_a_redirect_is_not_followed_on_a_poisoned_connection(place):
    server_options, options = place
    moved = response(b"", "Location: /second", status="302 Found") + POISON
    server = Scripted([request, send(moved)], OWN, **server_options)
    assert (await aiofast.fetch(f"{server.url}/first", **options)).body == b"own"
    assert [each.connection for each in server.requests] == [0, 1]


async def test_a_silent_connection_is_kept(place):
    """The other side of the coin: without poison there is one connection."""
    server_options, options = place
    server = Scripted([forever(answer(b"own"))], **server_options)
    await aiofast.fetch(f"{server.url}/first", **options)
    await asyncio.sleep(0.05)
    found = await aiofast.fetch(f"{server.url}/second", **options)
    assert (found.body, found.reused, server.connections) == (b"own", True, 1)
