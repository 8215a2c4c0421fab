"""Limits of time: each ends the work in its own phase and says so.

Durations never decide a test but for lower bounds and for upper bounds that are
many times what is expected.
"""

from __future__ import annotations

import asyncio
import re
import time

import aiofast
import pytest
from servers import (
    Scripted,
    answer,
    drip,
    forever,
    full_backlog,
    pause,
    request,
    response,
    send,
    silence,
)

LIMIT = 0.2
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
BIG = b"x" * (64 << 20)


async def fails_in(phase, awaitable, *, kind=TimeoutError, limit=LIMIT, words=()):
    """The exception of |awaitable|, which names phase, limit and time."""
    start = time.monotonic()
    with pytest.raises(kind) as caught:
        await awaitable
    spent = time.monotonic() - start
    text = str(caught.value)
    assert limit * 0.95 <= spent < limit + 5
    assert f"phase: {phase}" in text
    assert f"{limit:g} s" in text
    elapsed = float(re.search(r"after ([0-9.]+) s", text).group(1))
    assert limit * 0.95 <= elapsed <= spent + 0.05
    for word in words:
        assert word in text
    return caught.value


# --- the total limit in every phase ----------------------------------------------


async def total_in(phase, url, port, **options):
    error = await fails_in(
        phase,
        aiofast.fetch(url, timeout=LIMIT, **options),
        words=("total", f"127.0.0.1:{port}"),
    )
    assert isinstance(error, asyncio.TimeoutError)
    assert isinstance(error, aiofast.ServerTimeoutError)
    assert isinstance(error, aiofast.ClientError)


async def test_total_while_connecting():
    server = full_backlog()
    await total_in("connect", f"{server.url}/", server.port)


async def test_total_in_the_handshake():
    aiofast.tls.default_context()  # Reading the CAs may take as long as the limit.
    server = Scripted([silence])
    await total_in("tls", f"https://127.0.0.1:{server.port}/", server.port)


async def test_total_while_sending():
    server = Scripted([silence])
    await total_in("send", f"{server.url}/", server.port, method="POST", data=BIG)


async def test_total_while_waiting():
    server = Scripted([request, silence])
    await total_in("wait", f"{server.url}/", server.port)
    await server.reached(lambda: server.open == 1)


async def test_total_in_mid_head():
    server = Scripted([request, send(b"HTTP/1.1 200 OK\r\nX-A"), silence])
    await total_in("wait", f"{server.url}/", server.port)


async def test_total_while_receiving():
    server = Scripted([request, send(HEAD + b"part"), silence])
    await total_in("receive", f"{server.url}/", server.port)


async def test_total_in_the_queue():
    server = Scripted([request, silence])
    async with aiofast.ClientSession(connector=aiofast.TCPConnector(limit=1)) as session:
        holder = asyncio.create_task(session.get(f"{server.url}/"))
        await server.reached(lambda: server.requests)
        await fails_in("queued", session.get(f"{server.url}/", timeout=LIMIT), words=("total",))
        holder.cancel()
        with pytest.raises(asyncio.CancelledError):
            await holder


async def test_total_is_not_prolonged_by_progress():
    server = Scripted([request, send(HEAD), drip(b"x" * 100, 0.05)])
    await total_in("receive", f"{server.url}/", server.port)


async def test_total_of_a_session_is_the_default_of_its_requests():
    server = Scripted([request, silence])
    timeout = aiofast.ClientTimeout(total=LIMIT)
    async with aiofast.ClientSession(timeout=timeout) as session:
        await fails_in("wait", session.get(f"{server.url}/"), words=("total",))
        other = aiofast.ClientTimeout(total=2 * LIMIT)
        await fails_in("wait", session.get(f"{server.url}/", timeout=other), limit=2 * LIMIT)


async def test_total_ends_a_streamed_body_as_well():
    server = Scripted([request, send(HEAD + b"part"), silence])
    async with aiofast.ClientSession() as session:
        found = await session.get(f"{server.url}/", timeout=LIMIT)
        assert found.status == 200
        with pytest.raises(TimeoutError):
            await found.read()


# --- the other limits -----------------------------------------------------------


async def test_connect_covers_queue_and_connection():
    mute = full_backlog()
    timeout = aiofast.ClientTimeout(connect=LIMIT)
    error = await fails_in("connect", aiofast.fetch(f"{mute.url}/", timeout=timeout))
    assert isinstance(error, aiofast.ConnectionTimeoutError)
    assert "total" not in str(error)


async def test_connect_in_the_queue():
    server = Scripted([request, silence])
    async with aiofast.ClientSession(connector=aiofast.TCPConnector(limit=1)) as session:
        holder = asyncio.create_task(session.get(f"{server.url}/"))
        await server.reached(lambda: server.requests)
        timeout = aiofast.ClientTimeout(connect=LIMIT)
        await fails_in(
            "queued",
            session.get(f"{server.url}/", timeout=timeout),
            kind=aiofast.ConnectionTimeoutError,
        )
        holder.cancel()
        with pytest.raises(asyncio.CancelledError):
            await holder


async def test_connect_does_not_limit_what_follows():
    server = Scripted([request, pause(3 * LIMIT), send(response())])
    found = await aiofast.fetch(f"{server.url}/", timeout=aiofast.ClientTimeout(connect=LIMIT))
    assert found.status == 200


async def test_sock_connect_is_for_the_connection_alone():
    mute = full_backlog()
    timeout = aiofast.ClientTimeout(sock_connect=LIMIT)
    await fails_in(
        "connect",
        aiofast.fetch(f"{mute.url}/", timeout=timeout),
        kind=aiofast.ConnectionTimeoutError,
    )


async def test_sock_connect_does_not_count_the_queue():
    server = Scripted([forever(request, pause(3 * LIMIT), send(response()))])
    connector = aiofast.TCPConnector(limit=1)
    timeout = aiofast.ClientTimeout(sock_connect=LIMIT)
    async with aiofast.ClientSession(connector=connector, timeout=timeout) as session:

        async def get():
            async with session.get(f"{server.url}/") as found:
                return await found.read()

        assert await asyncio.gather(get(), get()) == [b"ok", b"ok"]


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nX"])
async def test_sock_read_until_the_head_comes(sent):
    server = Scripted([request, send(sent), silence])
    timeout = aiofast.ClientTimeout(sock_read=LIMIT)
    await fails_in(
        "wait",
        aiofast.fetch(f"{server.url}/", timeout=timeout),
        kind=aiofast.SocketTimeoutError,
        words=("sock_read",),
    )


async def test_sock_read_between_two_reads():
    server = Scripted([request, send(HEAD + b"part"), silence])
    timeout = aiofast.ClientTimeout(sock_read=LIMIT)
    await fails_in(
        "receive",
        aiofast.fetch(f"{server.url}/", timeout=timeout),
        kind=aiofast.SocketTimeoutError,
    )


async def test_sock_read_starts_anew_with_every_read():
    server = Scripted([request, send(HEAD), drip(b"x" * 100, 0.06, 10)])
    timeout = aiofast.ClientTimeout(sock_read=0.3)
    found = await aiofast.fetch(f"{server.url}/", timeout=timeout)
    assert found.body == b"x" * 100
    assert found.timings["receive"] > 0.3


async def test_sock_read_does_not_run_while_nobody_reads():
    """Between requests a kept connection has no read limit."""
    server = Scripted([forever(answer())])
    timeout = aiofast.ClientTimeout(sock_read=LIMIT)
    await aiofast.fetch(f"{server.url}/", timeout=timeout)
    await asyncio.sleep(2 * LIMIT)
    assert (await aiofast.fetch(f"{server.url}/", timeout=timeout)).reused is True


@pytest.mark.parametrize("timeout", [None, aiofast.ClientTimeout()])
async def test_no_limit_is_no_limit(web, timeout):
    assert (await aiofast.fetch(f"{web.url}/delay/300", timeout=timeout)).status == 200


@pytest.mark.parametrize("timeout", [-1, "10", object()])
async def test_a_senseless_limit_is_refused(web, timeout):
    with pytest.raises((TypeError, ValueError)):
        await aiofast.fetch(f"{web.url}/json", timeout=timeout)
    assert web.count == 0


def test_client_timeout_is_a_value():
    one = aiofast.ClientTimeout(total=5, sock_read=1)
    assert one == aiofast.ClientTimeout(total=5, sock_read=1)
    assert one != aiofast.ClientTimeout(total=5)
    assert hash(one) == hash(aiofast.ClientTimeout(total=5, sock_read=1))
    assert (one.total, one.connect, one.sock_read, one.sock_connect) == (5, None, 1, None)
    with pytest.raises(AttributeError):
        one.total = 6


# --- afterwards -----------------------------------------------------------------


@pytest.mark.parametrize("stage", ["connect", "tls", "send", "wait", "receive"])
async def test_the_pool_works_after_a_timeout(stage):
    """limit=1: what ran out of time holds no connection."""
    good = Scripted([forever(answer(b"good"))])
    scripts = {
        "tls": [silence],
        "send": [silence],
        "wait": [request, silence],
        "receive": [request, send(HEAD + b"part"), silence],
    }
    bad = full_backlog() if stage == "connect" else Scripted(scripts[stage])
    url = f"{'https' if stage == 'tls' else 'http'}://127.0.0.1:{bad.port}/"
    data = BIG if stage == "send" else None
    async with aiofast.ClientSession(connector=aiofast.TCPConnector(limit=1)) as session:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with session.post(url, data=data, timeout=0.1) as found:
                    await found.read()
        async with session.get(f"{good.url}/", timeout=5) as found:
            assert await found.read() == b"good"


async def test_many_limits_at_once_run_out_in_their_order():
    server = Scripted([request, silence])
    order = []

    async def one(limit):
        with pytest.raises(TimeoutError):
            await aiofast.fetch(f"{server.url}/", timeout=limit)
        order.append(limit)

    limits = [0.5, 0.1, 0.4, 0.2, 0.3]
    await asyncio.gather(*(one(limit) for limit in limits))
    assert order == sorted(limits)


async def test_asyncios_own_timeout_works_too():
    server = Scripted([request, silence])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(LIMIT):
            await aiofast.fetch(f"{server.url}/")
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(aiofast.fetch(f"{server.url}/"), LIMIT)
    await server.reached(lambda: server.connections == 2)


async def test_a_limit_that_did_not_run_out_leaves_nothing_behind():
    server = Scripted([forever(answer())])
    for _ in range(3):
        assert (await aiofast.fetch(f"{server.url}/", timeout=LIMIT)).status == 200
    await asyncio.sleep(1.5 * LIMIT)
    assert (await aiofast.fetch(f"{server.url}/", timeout=LIMIT)).reused is True


async def test_the_client_timeout_of_aiohttp_itself():
    """As in a program that is changed over import by import."""
    from aiohttp import ClientTimeout

    server = Scripted([forever(request, silence)])
    given = ClientTimeout(total=None, sock_read=0.1)
    with pytest.raises(aiofast.SocketTimeoutError, match=r"of 0\.1 s"):
        await aiofast.fetch(f"{server.url}/", timeout=given)
    async with aiofast.ClientSession(timeout=given) as session:
        assert session.timeout == aiofast.ClientTimeout(sock_read=0.1)
        with pytest.raises(aiofast.SocketTimeoutError, match=r"of 0\.1 s"):
            await session.get(f"{server.url}/")
