"""close() ends every request in every state, within 100 ms, each with its error;
and a body that it cuts is never taken for whole.

Beforehand: what is closed, the state, the error's class and its phase.
"""

from __future__ import annotations

import asyncio
import time

import aiofast
import pytest
from servers import (
    HOST,
    Scripted,
    answer,
    chunked,
    eof,
    forever,
    full_backlog,
    request,
    response,
    send,
    silence,
    take,
)

QUICK = 0.1
BIG = b"u" * (16 << 20)
LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 500
CHUNKS = response(b"", "Transfer-Encoding: chunked", length=False) + b"5\r\nabcde\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc"


async def get(session, url, **options):
    async with session.get(url, **options) as found:
        return await found.read()


async def post(session, url, **options):
    async with session.post(url, data=BIG, **options) as found:
        return await found.read()


def connecting(authority):
    server = full_backlog()
    return server, lambda s: get(s, f"{server.url}/"), lambda: True


def handshaking(authority):
    server = Scripted([silence])
    return (
        server,
        lambda s: get(s, f"https://{HOST}:{server.port}/"),
        lambda: server.connections == 1,
    )


def scripted(*script, method=get, secure=False):
    def start(authority):
        server = Scripted([*script], tls=authority.server() if secure else None)
        options = {"ssl": authority.client()} if secure else {}
        return (
            server,
            lambda s: method(s, f"{server.url}/", **options),
            lambda: bool(server.requests) or (method is post and server.connections == 1),
        )

    return start


STATES = {
    "connecting": (connecting, "connect"),
    "handshaking": (handshaking, "tls"),
    "sending": (scripted(silence, method=post), "send"),
    "sending, in TLS": (scripted(take(10), silence, method=post, secure=True), "send"),
    "waiting": (scripted(request, eof), "wait"),
    "waiting, in TLS": (scripted(request, eof, secure=True), "wait"),
    "in the head": (scripted(request, send(b"HTTP/1.1 200 OK\r\nA: "), eof), "wait"),
    "behind a 1xx": (scripted(request, send(b"HTTP/1.1 102 X\r\n\r\n"), eof), "wait"),
    "in a body of known length": (scripted(request, send(LENGTH), eof), "receive"),
    "in a chunked body": (scripted(request, send(CHUNKS), eof), "receive"),
    "in a body until close": (scripted(request, send(UNTIL_CLOSE), eof), "receive"),
    "in a body, in TLS": (scripted(request, send(LENGTH), eof, secure=True), "receive"),
}

CLOSERS = ["session", "connector", "engine"]


@pytest.mark.parametrize("closer", CLOSERS)
@pytest.mark.parametrize("state", STATES)
async def test_close_ends_a_request(state, closer, authority):
    start, phase = STATES[state]
    server, ask, is_there = start(authority)
    connector = aiofast.TCPConnector()
    session = aiofast.ClientSession(connector=connector)
    task = asyncio.create_task(ask(session))
    if isinstance(server, Scripted) and state != "connecting":
        await server.reached(is_there)
    await asyncio.sleep(0.05)
    assert not task.done(), task
    begin = time.monotonic()
    if closer == "session":
        await session.close()
    elif closer == "connector":
        await connector.close()
    else:
        aiofast._core.close_loop()
    done, _ = await asyncio.wait([task], timeout=5)
    elapsed = time.monotonic() - begin
    assert done, "it goes on"
    error = task.exception()
    assert isinstance(error, (aiofast.ClientConnectionError, aiofast.ClientPayloadError)), error
    assert "clos" in str(error).lower()
    assert error.phase == phase
    assert elapsed < QUICK
    await session.close()
    await connector.close()


@pytest.mark.parametrize("closer", CLOSERS)
async def test_close_ends_those_who_wait_for_a_connection(closer):
    server = Scripted([request, eof])
    connector = aiofast.TCPConnector(limit=1)
    session = aiofast.ClientSession(connector=connector)
    tasks = [asyncio.create_task(get(session, f"{server.url}/{n}")) for n in range(500)]
    await server.reached(lambda: server.requests)
    await asyncio.sleep(0.05)
    begin = time.monotonic()
    if closer == "session":
        await session.close()
    elif closer == "connector":
        await connector.close()
    else:
        aiofast._core.close_loop()
    found = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
    assert time.monotonic() - begin < QUICK * 5  # 500 of them
    assert {isinstance(each, aiofast.ClientConnectionError) for each in found} == {True}
    assert {each.phase for each in found} == {"wait", "queued"}
    assert len(server.requests) == 1
    await session.close()
    await connector.close()


@pytest.mark.parametrize(
    "state", [name for name, (_, phase) in STATES.items() if phase == "receive"]
)
@pytest.mark.parametrize("closer", ["session", "response"])
async def test_a_cut_body_is_never_whole(state, closer, authority):
    """Read as a whole, in pieces and by lines, by somebody who waits meanwhile."""
    start, _ = STATES[state]
    server, _, _ = start(authority)

    async def by_pieces(found):
        return [part async for part in found.content.iter_any()]

    async def by_lines(found):
        return [line async for line in found.content]

    async def at_once(found):
        return await found.read()

    for reader in (at_once, by_pieces, by_lines):
        session = aiofast.ClientSession()
        found = await session.get(f"{server.url}/", ssl=authority.client())
        task = asyncio.create_task(reader(found))
        await asyncio.sleep(0.03)
        begin = time.monotonic()
        if closer == "session":
            await session.close()
        else:
            found.close()
        done, _ = await asyncio.wait([task], timeout=5)
        assert done, f"{reader.__name__} goes on"
        assert time.monotonic() - begin < QUICK
        assert isinstance(task.exception(), aiofast.ClientError), task
        await session.close()


async def test_what_was_whole_before_stays_so():
    server = Scripted([forever(answer(b"whole"))])
    session = aiofast.ClientSession()
    found = await session.get(f"{server.url}/")
    assert await found.read() == b"whole"
    await session.close()
    assert await found.read() == b"whole"


async def test_close_from_inside_what_is_closed():
    """By a task that reads, by a callback, and twice at once."""
    server = Scripted([request, send(LENGTH), eof])
    session = aiofast.ClientSession()

    async def reader():
        async with session.get(f"{server.url}/") as found:
            await found.content.read(10)
            await asyncio.gather(session.close(), session.close())
            await found.read()

    with pytest.raises(aiofast.ClientError):
        await asyncio.wait_for(reader(), 5)


async def test_many_states_at_once(authority):
    session = aiofast.ClientSession(connector=aiofast.TCPConnector(limit=0))
    tasks = []
    for start, _ in STATES.values():
        _, ask, _ = start(authority)
        tasks += [asyncio.create_task(ask(session)) for _ in range(3)]
    await asyncio.sleep(0.4)
    begin = time.monotonic()
    await session.close()
    found = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
    assert time.monotonic() - begin < QUICK * 2
    assert {isinstance(each, aiofast.ClientError) for each in found} == {True}


async def test_a_chunked_body_closed_at_each_of_its_bytes():
    """Wherever it stands, our own close is an error of the reader."""
    data = response(b"", "Transfer-Encoding: chunked", length=False) + chunked(b"abc", b"defg")
    first = data.index(b"\r\n\r\n") + 4
    server = Scripted()
    server.scripts = [[request, send(data[:count]), eof] for count in range(first, len(data))]
    for _ in range(first, len(data)):
        session = aiofast.ClientSession()
        found = await session.get(f"{server.url}/")
        task = asyncio.create_task(found.read())
        await asyncio.sleep(0.005)
        await session.close()
        with pytest.raises(aiofast.ClientError):
            await asyncio.wait_for(task, 5)
