"""The keep-alive pool: reuse, limits, waiters, idle time, retries."""

from __future__ import annotations

import asyncio
import os
import time

import aiofast
import pytest
from servers import (
    Scripted,
    answer,
    eof,
    fin,
    forever,
    half_close,
    pause,
    request,
    response,
    rst,
    send,
    silence,
)


def session(**options):
    return aiofast.ClientSession(connector=aiofast.TCPConnector(**options))


async def get(client, url, **options):
    """The status and the body; the connection is back in the pool afterwards."""
    async with client.get(url, **options) as found:
        return found.status, await found.read()


# --- reuse ----------------------------------------------------------------------


async def test_requests_one_after_the_other_share_a_connection():
    server = Scripted([forever(answer())])
    reused = [(await aiofast.fetch(f"{server.url}/{n}")).reused for n in range(10)]
    assert reused == [False] + [True] * 9
    assert server.connections == 1
    assert [each.target for each in server.requests] == [f"/{n}" for n in range(10)]


async def test_origins_do_not_share_connections():
    first, second = Scripted([forever(answer(b"1"))]), Scripted([forever(answer(b"2"))])
    for _ in range(2):
        assert (await aiofast.fetch(f"{first.url}/")).body == b"1"
        assert (await aiofast.fetch(f"{second.url}/")).body == b"2"
    assert (first.connections, second.connections) == (1, 1)


async def test_sessions_do_not_share_connections():
    server = Scripted([forever(answer())])
    for _ in range(2):
        async with aiofast.ClientSession() as client:
            await get(client, f"{server.url}/")
            await get(client, f"{server.url}/")
    assert server.connections == 2


@pytest.mark.parametrize(
    ("version", "connection", "connections"),
    [
        ("HTTP/1.1", "close", 2),
        ("HTTP/1.1", "Close, foo", 2),
        ("HTTP/1.1", "keep-alive", 1),
        ("HTTP/1.0", "keep-alive", 1),
        ("HTTP/1.0", "x", 2),
    ],
)
async def test_the_server_says_whether_a_connection_is_kept(version, connection, connections):
    data = response(b"ok", f"Connection: {connection}", version=version)
    server = Scripted([forever(request, send(data))])
    for _ in range(2):
        assert (await aiofast.fetch(f"{server.url}/")).body == b"ok"
    assert server.connections == connections


async def test_the_client_may_ask_to_close():
    server = Scripted([forever(answer())])
    for _ in range(2):
        await aiofast.fetch(f"{server.url}/", headers={"Connection": "close"})
    assert server.connections == 2


async def test_force_close_keeps_nothing():
    server = Scripted([forever(answer())])
    async with session(force_close=True) as client:
        for _ in range(3):
            assert await get(client, f"{server.url}/") == (200, b"ok")
    assert server.connections == 3


async def test_an_early_answer_to_an_unfinished_upload_is_returned_and_not_pooled():
    def early(peer):
        peer.read(1000)
        peer.write(response(b"too much", status="413 Content Too Large"))

    server = Scripted([early], [forever(answer())])
    found = await aiofast.post(f"{server.url}/", data=b"x" * (32 << 20), timeout=10)
    assert (found.status, found.body) == (413, b"too much")
    assert (await aiofast.fetch(f"{server.url}/")).body == b"ok"
    assert server.connections == 2


# --- limits ---------------------------------------------------------------------


@pytest.mark.seconds(60)
async def test_the_limit_is_never_exceeded_at_the_server(web):
    async with session(limit=50) as client:
        jobs = [get(client, f"{web.url}/delay/1") for _ in range(1000)]
        results = await asyncio.gather(*jobs)
    assert [status for status, _ in results] == [200] * 1000
    assert web.count == 1000
    assert web.most <= 50
    assert len(web.transports) <= 50


async def test_the_limit_per_host_is_per_origin():
    servers = [Scripted([forever(request, pause(0.005), send(response()))]) for _ in range(2)]
    async with session(limit=100, limit_per_host=3) as client:
        jobs = [get(client, f"{server.url}/") for server in servers for _ in range(30)]
        await asyncio.gather(*jobs)
    assert [server.most for server in servers] == [3, 3]


async def test_the_total_limit_spans_origins_and_idle_ones_make_room():
    """limit=1 is one connection in all: an idle one to another origin goes."""
    first, second = Scripted([forever(answer(b"1"))]), Scripted([forever(answer(b"2"))])
    async with session(limit=1) as client:
        for _ in range(3):
            assert await get(client, f"{first.url}/") == (200, b"1")
            assert await get(client, f"{second.url}/") == (200, b"2")
        await first.reached(lambda: first.open == 0)
        assert second.open == 1


async def test_the_default_limit_is_100(web):
    async with aiofast.ClientSession() as client:
        await asyncio.gather(*(get(client, f"{web.url}/delay/20") for _ in range(300)))
    assert web.most <= 100
    assert web.most > 50


async def test_limit_zero_is_no_limit(web):
    async with session(limit=0) as client:
        await asyncio.gather(*(get(client, f"{web.url}/delay/200") for _ in range(150)))
    assert web.most > 100


async def test_waiters_are_served_in_the_order_they_came():
    server = Scripted([forever(answer())])
    async with session(limit=1) as client:
        await asyncio.gather(*(get(client, f"{server.url}/{n}") for n in range(50)))
    assert [each.target for each in server.requests] == [f"/{n}" for n in range(50)]
    assert server.connections == 1


async def test_a_cancelled_waiter_leaves_the_order_of_the_others():
    server = Scripted([forever(request, pause(0.01), send(response()))])
    async with session(limit=1) as client:
        tasks = [asyncio.create_task(get(client, f"{server.url}/{n}")) for n in range(10)]
        await server.reached(lambda: server.requests)
        for n in (3, 4, 9):
            tasks[n].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    lost = [n for n, each in enumerate(results) if isinstance(each, asyncio.CancelledError)]
    assert lost == [3, 4, 9]
    assert [each.target for each in server.requests] == [f"/{n}" for n in (0, 1, 2, 5, 6, 7, 8)]


async def test_waiting_counts_as_queued():
    server = Scripted([forever(request, pause(0.1), send(response()))])
    async with session(limit=1) as client:
        first, second = await asyncio.gather(client.get(f"{server.url}/"), other(client, server))
        async with first, second:
            assert first.timings["queued"] < 0.05
            assert second.timings["queued"] >= 0.08


async def other(client, server):
    await asyncio.sleep(0)
    return await client.get(f"{server.url}/second")


def memory() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.seconds(120)
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads /proc/self/statm")
async def test_ten_thousand_queued_behind_a_limit_complete_with_flat_memory(nginx):
    async with session(limit=100) as client:

        async def round_of(count):
            jobs = [asyncio.ensure_future(get(client, f"{nginx.url}/json")) for _ in range(count)]
            await asyncio.sleep(0)
            for each in await asyncio.gather(*jobs):
                assert each == (200, nginx.JSON.encode())

        await round_of(10_000)
        peaks = []
        for _ in range(3):
            await round_of(10_000)
            peaks.append(memory())
    assert peaks[-1] - peaks[0] < 4 << 20, f"grows from round to round: {peaks}"


@pytest.mark.slow
@pytest.mark.seconds(120)
async def test_a_hundred_calls_at_once_take_little_more_time_than_one(web):
    start = time.monotonic()
    found = await asyncio.gather(*(aiofast.fetch(f"{web.url}/delay/50") for _ in range(100)))
    spent = time.monotonic() - start
    assert [each.status for each in found] == [200] * 100
    assert spent < 100 * 0.05 / 10, "one after the other it takes five seconds"


# --- idle time ------------------------------------------------------------------


async def test_an_idle_connection_is_closed_after_the_keepalive_timeout():
    server = Scripted([forever(answer())])
    async with session(keepalive_timeout=0.2) as client:
        await get(client, f"{server.url}/")
        await get(client, f"{server.url}/")
        assert server.connections == 1
        assert server.open == 1
        await server.reached(lambda: server.open == 0)
        await get(client, f"{server.url}/")
        assert server.connections == 2


@pytest.mark.parametrize("value", ["timeout=1", "max=5, timeout=1", 'timeout="1"', "TIMEOUT=1"])
async def test_the_servers_keep_alive_timeout_is_obeyed(value):
    data = response(b"ok", f"Keep-Alive: {value}", "Connection: keep-alive")
    server = Scripted([forever(request, send(data))])
    await aiofast.fetch(f"{server.url}/")
    await asyncio.sleep(1.05)
    assert (await aiofast.fetch(f"{server.url}/")).reused is False
    assert server.connections == 2


async def test_a_generous_keep_alive_timeout_allows_reuse_but_does_not_extend_ours():
    data = response(b"ok", "Keep-Alive: timeout=60", "Connection: keep-alive")
    server = Scripted([forever(request, send(data))])
    async with session(keepalive_timeout=0.2) as client:
        await get(client, f"{server.url}/")
        await get(client, f"{server.url}/")
        assert server.connections == 1
        await server.reached(lambda: server.open == 0)


@pytest.mark.parametrize("value", ["timeout=", "timeout=x", "timeout=99999999999999999999", ","])
async def test_a_senseless_keep_alive_field_does_no_harm(value):
    server = Scripted([forever(request, send(response(b"ok", f"Keep-Alive: {value}")))])
    for _ in range(2):
        assert (await aiofast.fetch(f"{server.url}/")).body == b"ok"


async def test_an_end_of_file_while_idle_closes_our_end_too():
    server = Scripted([answer(), half_close], [forever(answer())])
    async with session() as client:
        await get(client, f"{server.url}/")
        await server.reached(lambda: server.open == 0)
        assert await get(client, f"{server.url}/") == (200, b"ok")
    assert server.connections == 2


# --- retries --------------------------------------------------------------------


@pytest.mark.parametrize("end", [fin, rst])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_an_idempotent_request_is_retried_when_a_reused_connection_died(method, end):
    server = Scripted([answer(), request, end], [forever(answer(b""))])
    await aiofast.fetch(f"{server.url}/first")
    found = await aiofast.fetch(f"{server.url}/second", method=method)
    assert (found.status, found.reused) == (200, False)
    assert [each.target for each in server.requests] == ["/first", "/second", "/second"]
    assert server.connections == 2


@pytest.mark.parametrize("end", [fin, rst])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_request_that_is_not_idempotent_is_never_sent_twice(method, end):
    server = Scripted([answer(), request, end], [forever(answer())])
    await aiofast.fetch(f"{server.url}/first")
    with pytest.raises((aiofast.ServerDisconnectedError, aiofast.ClientOSError)):
        await aiofast.fetch(f"{server.url}/second", method=method, data=b"x")
    assert [each.method for each in server.requests] == ["GET", method]
    assert server.connections == 1


async def test_the_retry_happens_once():
    server = Scripted([answer(), request, fin], [request, fin])
    await aiofast.fetch(f"{server.url}/first")
    with pytest.raises(aiofast.ServerDisconnectedError):
        await aiofast.fetch(f"{server.url}/second")
    assert server.connections == 2


async def test_the_retry_takes_a_new_connection_though_others_are_idle():
    """All kept connections may be dead for the same reason."""
    gate = [request, pause(0.05), send(response())]
    server = Scripted([*gate, request, fin], [*gate, request, fin], [forever(answer(b"new"))])
    await aiofast.fetch_all([f"{server.url}/a", f"{server.url}/b"])
    assert server.connections == 2
    assert (await aiofast.fetch(f"{server.url}/c")).body == b"new"
    assert server.connections == 3


async def test_a_fresh_connection_that_dies_is_not_retried():
    server = Scripted([request, fin], [forever(answer())])
    with pytest.raises(aiofast.ServerDisconnectedError):
        await aiofast.fetch(f"{server.url}/")
    assert server.connections == 1


async def test_nothing_is_retried_once_a_byte_of_the_response_came():
    server = Scripted([answer(), request, send(b"H"), fin], [forever(answer())])
    await aiofast.fetch(f"{server.url}/first")
    with pytest.raises(aiofast.ClientError):
        await aiofast.fetch(f"{server.url}/second")
    assert server.connections == 1


# --- close ----------------------------------------------------------------------


async def test_close_ends_every_request_in_every_state_at_once():
    mute = Scripted([silence])
    waiting = Scripted([request, eof])
    reading = Scripted([request, send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), eof])
    client = session(limit=4)
    tasks = [
        asyncio.create_task(get(client, f"https://127.0.0.1:{mute.port}/")),
        asyncio.create_task(get(client, f"{waiting.url}/")),
        asyncio.create_task(get(client, f"{reading.url}/")),
        asyncio.create_task(get(client, f"{waiting.url}/second")),
        asyncio.create_task(get(client, f"{waiting.url}/queued")),
    ]
    await waiting.reached(lambda: len(waiting.requests) == 2 and reading.requests)
    await mute.reached(lambda: mute.connections == 1)
    await asyncio.sleep(0.05)
    start = time.monotonic()
    await client.close()
    results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
    assert time.monotonic() - start < 1.0
    assert [isinstance(each, aiofast.ClientError) for each in results] == [True] * 5, results
    with pytest.raises(RuntimeError, match="[Cc]losed"):
        await client.get(f"{waiting.url}/")
    await waiting.reached(lambda: waiting.open == reading.open == 0)


async def test_a_connector_that_is_not_owned_outlives_its_session():
    server = Scripted([forever(answer())])
    connector = aiofast.TCPConnector()
    for _ in range(2):
        async with aiofast.ClientSession(connector=connector, connector_owner=False) as client:
            await get(client, f"{server.url}/")
    assert server.connections == 1
    assert not connector.closed
    await connector.close()
    assert connector.closed


async def test_a_released_response_gives_its_connection_back():
    server = Scripted([forever(answer(b"x" * 1000))])
    async with session(limit=1) as client:
        for _ in range(3):
            async with client.get(f"{server.url}/") as found:
                assert found.status == 200  # the body is not read
    assert server.connections == 1


async def test_a_response_left_in_mid_body_does_not_hold_its_slot():
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nfirst"
    server = Scripted([request, send(head), silence], [forever(answer())])
    async with session(limit=1) as client:
        async with client.get(f"{server.url}/") as found:
            assert found.status == 200
        assert await get(client, f"{server.url}/") == (200, b"ok")
    assert server.connections == 2
