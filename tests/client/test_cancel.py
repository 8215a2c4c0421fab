"""Cancellation: at every await point it ends the work at once and leaves the pool
whole. limit=1 shows it: a slot that leaks is a request that never runs."""

from __future__ import annotations

import asyncio
import random

import aiofast
import pytest
from servers import (
    Scripted,
    answer,
    forever,
    full_backlog,
    pause,
    request,
    response,
    send,
    silence,
)

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
BIG = b"x" * (64 << 20)


def session(limit=1):
    return aiofast.ClientSession(connector=aiofast.TCPConnector(limit=limit))


async def read(client, url, **options):
    async with client.request(options.pop("method", "GET"), url, **options) as found:
        return await found.read()


async def works(client):
    """The pool still serves, and over one connection."""
    good = Scripted([forever(answer(b"good"))])
    async with asyncio.timeout(10):
        for _ in range(2):
            assert await read(client, f"{good.url}/") == b"good"
    assert good.connections == 1


async def cancelled(task):
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert task.cancelled()


async def settle():
    """Long enough for whatever was started to be under way."""
    await asyncio.sleep(0.05)


@pytest.mark.parametrize("secure", [False, True])
async def test_cancelled_while_queued(authority, secure):
    tls = {"tls": authority.server()} if secure else {}
    options = {"ssl": authority.client()} if secure else {}
    server = Scripted([request, silence], [forever(answer())], **tls)
    async with session() as client:
        holder = asyncio.create_task(read(client, f"{server.url}/holder", **options))
        await server.reached(lambda: server.requests)
        queued = asyncio.create_task(read(client, f"{server.url}/queued", **options))
        behind = asyncio.create_task(read(client, f"{server.url}/behind", **options))
        await settle()
        await cancelled(queued)
        await cancelled(holder)
        assert await asyncio.wait_for(behind, 5) == b"ok"
        await works(client)
    assert [each.target for each in server.requests] == ["/holder", "/behind"]


async def test_cancelled_while_connecting():
    server = full_backlog()
    async with session() as client:
        for _ in range(3):
            task = asyncio.create_task(read(client, f"{server.url}/"))
            await settle()
            await cancelled(task)
        await works(client)


async def test_cancelled_in_the_handshake():
    server = Scripted([silence])
    async with session() as client:
        task = asyncio.create_task(read(client, f"https://127.0.0.1:{server.port}/"))
        await server.reached(lambda: server.connections == 1)
        await settle()
        await cancelled(task)
        await works(client)


async def test_cancelled_while_sending():
    server = Scripted([silence])
    async with session() as client:
        task = asyncio.create_task(read(client, f"{server.url}/", method="POST", data=BIG))
        await server.reached(lambda: server.connections == 1)
        await settle()
        await cancelled(task)
        await works(client)


async def test_cancelled_while_sending_inside_tls(authority):
    server = Scripted([silence], tls=authority.server())
    context = authority.client()
    async with session() as client:
        task = asyncio.create_task(
            read(client, f"{server.url}/", method="POST", data=BIG, ssl=context)
        )
        await server.reached(lambda: server.resumed)
        await settle()
        await cancelled(task)
        await works(client)


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nX-Half: "])
async def test_cancelled_while_waiting_closes_the_connection_at_once(sent):
    from servers import eof

    server = Scripted([request, send(sent), eof])
    async with session() as client:
        task = asyncio.create_task(read(client, f"{server.url}/"))
        await server.reached(lambda: server.requests)
        await settle()
        await cancelled(task)
        await server.reached(lambda: server.open == 0)
        await works(client)


async def test_cancelled_while_receiving():
    from servers import eof

    server = Scripted([request, send(HEAD + b"part"), eof])
    async with session() as client:
        task = asyncio.create_task(read(client, f"{server.url}/"))
        await server.reached(lambda: server.requests)
        await settle()
        await cancelled(task)
        await server.reached(lambda: server.open == 0)
        await works(client)


async def test_cancelled_while_receiving_a_whole_response():
    server = Scripted([request, send(HEAD + b"part"), silence])
    task = asyncio.create_task(aiofast.fetch(f"{server.url}/"))
    await server.reached(lambda: server.requests)
    await settle()
    await cancelled(task)


async def test_cancelled_in_the_second_hop_of_a_redirect():
    target = Scripted([request, silence])
    moved = response(b"", f"Location: {target.url}/", status="302 Found")
    server = Scripted([request, send(moved)])
    async with session() as client:
        task = asyncio.create_task(read(client, f"{server.url}/"))
        await target.reached(lambda: target.requests)
        await cancelled(task)
        await works(client)


async def test_cancelled_before_its_first_step():
    server = Scripted([forever(answer())])
    async with session() as client:
        task = asyncio.create_task(read(client, f"{server.url}/"))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert server.connections == 0
        await works(client)


async def test_cancelled_after_it_is_done_keeps_the_response():
    server = Scripted([forever(answer(b"here"))])
    pending = aiofast.fetch(f"{server.url}/")
    assert (await pending).body == b"here"
    assert pending.cancel() is False
    assert pending.result().body == b"here"


async def test_cancel_of_the_fetch_itself():
    server = Scripted([request, silence])
    pending = aiofast.fetch(f"{server.url}/")
    task = asyncio.create_task(pending)
    await server.reached(lambda: server.requests)
    assert pending.cancel() is True
    with pytest.raises(asyncio.CancelledError):
        await task
    assert pending.cancelled()
    with pytest.raises(asyncio.CancelledError):
        pending.result()


async def test_the_message_of_a_cancellation_comes_through():
    server = Scripted([request, silence])
    task = asyncio.create_task(aiofast.fetch(f"{server.url}/"))
    await server.reached(lambda: server.requests)
    task.cancel("enough")
    with pytest.raises(asyncio.CancelledError, match="enough"):
        await task


async def test_a_shielded_fetch_goes_on():
    server = Scripted([request, pause(0.1), send(response(b"late"))])
    inner = asyncio.create_task(aiofast.fetch(f"{server.url}/"))
    outer = asyncio.create_task(asyncio.wait_for(asyncio.shield(inner), 5))
    await server.reached(lambda: server.requests)
    outer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await outer
    assert (await inner).body == b"late"


async def test_a_failing_sibling_cancels_the_others_of_its_group():
    slow = Scripted([request, silence])

    async def fail():
        await slow.reached(lambda: len(slow.requests) == 3)
        raise RuntimeError("sibling")

    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(aiofast.fetch(f"{slow.url}/"))
            group.create_task(fail())
    assert [str(each) for each in caught.value.exceptions] == ["sibling"]


async def test_wait_for_the_first_and_cancel_the_rest():
    quick, slow = Scripted([answer(b"quick")]), Scripted([request, silence])
    tasks = [asyncio.create_task(aiofast.fetch(f"{each.url}/")) for each in (slow, quick)]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert [task.result().body for task in done] == [b"quick"]
    for task in pending:
        await cancelled(task)


@pytest.mark.seconds(90)
@pytest.mark.parametrize("form", ["plain", "tls", "redirect", "post"])
async def test_cancelled_at_every_turn_of_the_loop(authority, form):
    """And, every other time, after ever longer times, until it is done before."""
    tls = {"tls": authority.server()} if form == "tls" else {}
    options = {"ssl": authority.client()} if form == "tls" else {}
    if form == "post":
        options.update(method="POST", data=b"x" * 300_000)

    def script(peer):
        while True:
            request(peer)
            if form == "redirect" and peer.last.target == "/":
                peer.write(response(b"", "Location: /next", status="302 Found"))
            else:
                peer.write(response(b"whole"))

    server = Scripted([script], **tls)
    completed = 0
    async with session() as client:
        for turns in range(400):
            task = asyncio.create_task(read(client, f"{server.url}/", **options))
            if turns % 2:
                for _ in range(turns):
                    await asyncio.sleep(0)
            else:
                await asyncio.sleep(turns * 0.0001)
            if task.done():
                assert task.result() == b"whole"
                completed += 1
                if completed == 3:
                    break
            else:
                await cancelled(task)
        await works(client)
    assert completed, "never came to the end: the test says nothing about it"
    await server.reached(lambda: server.open == 0)


@pytest.mark.seconds(90)
async def test_a_storm_of_cancellations(web):
    """160 tasks over 5 connections, cancelled at random; then all is well."""
    dice = random.Random(5)
    async with session(limit=5) as client:
        for _ in range(8):
            tasks = [
                asyncio.create_task(read(client, f"{web.url}/delay/{dice.randrange(40)}"))
                for _ in range(20)
            ]
            for task in tasks:
                asyncio.get_running_loop().call_later(dice.random() * 0.14, task.cancel)
            for each in await asyncio.gather(*tasks, return_exceptions=True):
                assert isinstance(each, (bytes, asyncio.CancelledError)), repr(each)
        async with asyncio.timeout(10):
            found = await asyncio.gather(*(read(client, f"{web.url}/json") for _ in range(10)))
    assert len(found) == 10


async def test_cancelled_waiters_are_no_burden():
    """A thousand in the queue, all cancelled: the queue is empty."""
    server = Scripted([request, silence], [forever(answer())])
    async with session() as client:
        holder = asyncio.create_task(read(client, f"{server.url}/"))
        await server.reached(lambda: server.requests)
        tasks = [asyncio.create_task(read(client, f"{server.url}/")) for _ in range(1000)]
        await settle()
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(each, asyncio.CancelledError) for each in results)
        await cancelled(holder)
        await works(client)
    assert len(server.requests) == 1
