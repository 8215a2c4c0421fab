"""Bodies read as they come: stream(), and the content of a session's response."""

from __future__ import annotations

import asyncio
import gc
import gzip
import threading

import aiofast
import pytest
from measures import Peak
from servers import (
    Scripted,
    answer,
    chunked,
    cut,
    fin,
    flood,
    forever,
    pause,
    request,
    response,
    send,
    silence,
    until,
)

HEAD = response(b"", "Transfer-Encoding: chunked", length=False)
EVENTS = "Content-Type: text/event-stream"


def endless(data: bytes, *fields: str) -> Scripted:
    """A body without an end, as fast as it is taken."""
    head = response(b"", *fields, "Connection: close", length=False)
    return Scripted([request, send(head), flood(data, 1 << 40)])


async def test_a_stream_is_there_with_its_head():
    go = threading.Event()
    server = Scripted(
        [request, send(HEAD + b"3\r\nabc\r\n"), until(go), send(b"1\r\nd\r\n0\r\n\r\n")]
    )
    async with aiofast.stream("GET", f"{server.url}/?a=1", params={"b": "2"}) as found:
        assert isinstance(found, aiofast.StreamResponse)
        assert (found.status, found.ok, found.reason) == (200, True, "OK")
        assert str(found.url).endswith("/?a=1&b=2")
        assert await found.read(2) == b"ab"
        assert not found.at_eof()
        go.set()
        assert await found.read() == b"cd"
        assert found.at_eof()
        assert found.total_bytes == 4
        assert await found.read() == b""
    assert repr(found).startswith("<StreamResponse 200 OK GET")


async def test_all_the_ways_to_read():
    body = b"one\ntwo\r\nthree--four"
    server = Scripted([forever(answer(body, "Content-Type: text/plain; charset=utf-8"))])
    url = f"{server.url}/"
    async with aiofast.stream("GET", url) as found:
        assert await found.readline() == b"one\n"
        assert await found.readuntil(b"--") == b"two\r\nthree--"
        assert await found.readexactly(2) == b"fo"
        room = bytearray(5)
        assert await found.readinto(room) == 2
        assert room == b"ur\0\0\0"
        assert await found.readany() == b""
    async with aiofast.stream("GET", url) as found:
        assert [line async for line in found] == [b"one\n", b"two\r\n", b"three--four"]
    async with aiofast.stream("GET", url) as found:
        assert [line async for line in found.lines()] == ["one", "two", "three--four"]
    async with aiofast.stream("GET", url) as found:
        assert [piece async for piece in found.iter_chunked(7)] == [
            b"one\ntwo", b"\r\nthree", b"--four",
        ]  # fmt: skip
    async with aiofast.stream("GET", url) as found:
        assert b"".join([piece async for piece in found.iter_any()]) == body
    async with aiofast.stream("GET", url) as found:
        assert await found.text() == body.decode()
    assert server.connections == 1


async def test_a_session_reads_items_too():
    server = Scripted([forever(answer(b'{"a": 1}\n[2]\n'))])
    async with aiofast.ClientSession() as session:
        async with session.get(f"{server.url}/") as found:
            assert [value async for value in found.ndjson()] == [{"a": 1}, [2]]
        async with session.get(f"{server.url}/") as found:
            assert [line async for line in found.lines()] == ['{"a": 1}', "[2]"]
        async with session.get(f"{server.url}/") as found:
            assert [line async for line in found.content] == [b'{"a": 1}\n', b"[2]\n"]


async def test_json_and_errors_of_status():
    server = Scripted([forever(answer(b'{"a": 1}', status="404 Not Found"))])
    async with aiofast.stream("GET", f"{server.url}/") as found:
        with pytest.raises(aiofast.ClientResponseError):
            found.raise_for_status()
        assert await found.json() == {"a": 1}
    with pytest.raises(aiofast.ClientResponseError):
        async with aiofast.stream("GET", f"{server.url}/", raise_for_status=True):
            pass


async def test_a_post_and_a_redirect():
    moved = answer(b"", "Location: /b", status="303 See Other")
    server = Scripted([moved, forever(answer(b"there"))])
    async with aiofast.stream("POST", f"{server.url}/a", data=b"x" * 1000) as found:
        assert await found.read() == b"there"
        assert len(found.history) == 1
    assert [r.method for r in server.requests] == ["POST", "GET"]


async def test_a_stream_has_no_limit_in_all():
    from aiofast.streaming import STREAM_TIMEOUT

    assert STREAM_TIMEOUT.total is None
    server = Scripted([request, send(HEAD + b"1\r\na\r\n"), silence])
    async with aiofast.stream("GET", f"{server.url}/", timeout=0.2) as found:
        assert await found.readany() == b"a"
        with pytest.raises(aiofast.ServerTimeoutError):
            await found.readany()


async def test_chunks_as_the_server_cut_them():
    parts = [b"first", b"s", b"x" * 100_000, b"last"]
    server = Scripted([forever(request, send(HEAD + chunked(*parts)))])
    async with aiofast.ClientSession() as session:
        async with session.get(f"{server.url}/") as found:
            chunks, whole = [], b""
            async for data, ends in found.content.iter_chunks():
                whole += data
                if ends:
                    chunks.append(whole)
                    whole = b""
            assert chunks == parts
            assert await found.content.readchunk() == (b"", False)
        async with session.get(f"{server.url}/") as found:
            assert await found.content.readexactly(3) == b"fir"
            assert await found.content.readchunk() == (b"st", True)
            assert await found.content.readexactly(1) == b"s"
            assert await found.content.readchunk() == (b"", True)
            assert len(await found.content.read()) == 100_004


async def test_many_tiny_chunks():
    """More of them in one read than are remembered apart."""
    count = 100_000
    server = Scripted([request, send(HEAD + b"1\r\nx\r\n" * count + b"0\r\n\r\n")])
    async with aiofast.stream("GET", f"{server.url}/") as found:
        total = ends = 0
        await asyncio.sleep(0.05)
        async for data, end in found.iter_chunks():
            total += len(data)
            ends += end
        assert total == count
        assert ends > count // 2


async def test_chunks_of_a_body_that_has_none():
    server = Scripted([forever(answer(b"abc"))])
    async with aiofast.stream("GET", f"{server.url}/") as found:
        assert [x async for x in found.iter_chunks()] == [(b"abc", False)]


async def test_chunks_of_a_coded_body():
    body = gzip.compress(b"abc" * 1000)
    head = response(b"", "Transfer-Encoding: chunked", "Content-Encoding: gzip", length=False)
    server = Scripted([request, send(head + chunked(body[:10], body[10:20], body[20:]))])
    async with aiofast.stream("GET", f"{server.url}/") as found:
        parts = [x async for x in found.iter_chunks()]
        assert b"".join(data for data, _ in parts) == b"abc" * 1000
        assert found.content.total_compressed_bytes == found.content.total_raw_bytes == len(body)


async def test_the_end_is_told():
    go = threading.Event()
    server = Scripted([forever(request, send(HEAD + b"1\r\na\r\n"), until(go), send(b"0\r\n\r\n"))])
    told = []
    async with aiofast.stream("GET", f"{server.url}/") as found:
        content = found.content
        content.on_eof(lambda: told.append(1))
        content.on_eof(lambda: told.append(2))
        assert not content.is_eof()
        waiter = asyncio.ensure_future(content.wait_eof())
        other = asyncio.ensure_future(content.wait_eof())
        await asyncio.sleep(0.05)
        other.cancel()
        assert told == [] and not waiter.done()
        go.set()
        await waiter
        assert content.is_eof() and not content.at_eof()
        assert content.exception() is None
        await asyncio.sleep(0)
        assert told == [1, 2]
        content.on_eof(lambda: told.append(3))
        assert told == [1, 2, 3]
        assert await content.read() == b"a"
        assert content.at_eof()
        await content.wait_eof()


async def test_a_failure_is_known():
    server = Scripted([request, send(HEAD + b"5\r\nab"), fin])
    told = []
    async with aiofast.stream("GET", f"{server.url}/") as found:
        found.content.on_eof(lambda: told.append(1))
        with pytest.raises(aiofast.ClientPayloadError):
            await found.content.wait_eof()
        assert found.content.exception() is None  # what came is read first
        assert found.content.read_nowait() == b"ab"
        assert isinstance(found.content.exception(), aiofast.ClientPayloadError)
        for read in (found.readany, found.readline, found.read, found.content.readchunk):
            with pytest.raises(aiofast.ClientPayloadError):
                await read()
        with pytest.raises(aiofast.ClientPayloadError):
            found.content.read_nowait()
    assert told == []


async def test_a_forgotten_stream_with_a_callback_ends():
    server = endless(b"x" * 1000)
    found = await aiofast.stream("GET", f"{server.url}/")
    found.content.on_eof(print)
    waiter = asyncio.ensure_future(found.content.wait_eof())
    await asyncio.sleep(0.01)
    waiter.cancel()
    # In debug mode the loop is told as well.
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    with pytest.warns(ResourceWarning, match="Unclosed response"):
        del found, waiter
        await asyncio.sleep(0)
        gc.collect()  # a response and its content refer to each other
    await server.reached(lambda: server.open == 0)


async def test_one_reader_at_a_time():
    server = Scripted([request, send(HEAD), silence])
    async with aiofast.stream("GET", f"{server.url}/") as found:
        read = asyncio.ensure_future(found.readany())
        await asyncio.sleep(0.01)
        with pytest.raises(RuntimeError, match="already reading"):
            await found.readline()
        with pytest.raises(RuntimeError, match="already reading"):
            found.content.read_nowait()
        read.cancel()


async def test_after_read_the_content_is_at_its_end():
    server = Scripted([forever(answer(b"abc"))])
    async with aiofast.ClientSession() as session:
        async with session.get(f"{server.url}/") as found:
            assert await found.read() == b"abc"
            assert found.content.at_eof()
            assert await found.content.read() == await found.content.readany() == b""
            assert await found.read() == b"abc"
        async with session.get(f"{server.url}/") as found:
            assert await found.content.read() == b"abc"
            assert await found.content.read() == await found.content.readany() == b""


async def test_a_stream_given_up_closes_or_keeps_its_connection():
    server = Scripted([forever(answer(b"x" * 1000))])
    for _ in range(3):
        async with aiofast.stream("GET", f"{server.url}/"):
            pass
    assert server.connections == 1
    large = endless(b"x" * 1000)
    async with aiofast.stream("GET", f"{large.url}/") as found:
        await found.read(10)
    await large.reached(lambda: large.open == 0)


@pytest.mark.resident
@pytest.mark.seconds(60)
async def test_many_slow_readers_hold_little():
    """64 of endless bodies: flat memory, and others are served meanwhile."""
    server = endless(b"0123456789abcdef" * 64)
    small = Scripted([forever(answer(b"small"))])
    async with aiofast.ClientSession(
        connector=aiofast.TCPConnector(limit=0), timeout=None
    ) as session:
        found = [await session.get(f"{server.url}/") for _ in range(64)]
        for each in found:
            await each.content.read(1000)
        await asyncio.sleep(0.5)
        held = sum(each.received for each in found)
        with Peak() as peak:
            for _ in range(20):
                await asyncio.sleep(0.02)
                assert (await aiofast.fetch(f"{small.url}/")).body == b"small"
        assert sum(each.received for each in found) == held
        assert held <= 64 * 3 * 256 * 1024
        assert peak.grown < 2**20
        for each in found:
            assert len(await each.content.readexactly(600_000)) == 600_000
            each.close()


# --- server-sent events -------------------------------------------------------


def event_head(status: str = "200 OK") -> bytes:
    return response(b"", EVENTS, "Connection: close", status=status, length=False)


async def test_events():
    server = Scripted([request, send(event_head(), b"data: 1\n\n", b"event: x\ndata: 2\n\n"), fin])
    async with aiofast.stream("GET", f"{server.url}/") as found:
        events = [event async for event in found.sse()]
    assert [(event.event, event.data) for event in events] == [("message", "1"), ("x", "2")]
    assert isinstance(events[0], aiofast.ServerSentEvent)


async def test_an_event_is_given_when_it_is_whole():
    server = Scripted([request, send(event_head() + b"data: 1\n\n"), silence])
    async with aiofast.ClientSession() as session, session.get(f"{server.url}/") as found:
        async for event in found.sse():
            assert event.data == "1"
            break


async def test_events_of_another_type_or_cut_short():
    server = Scripted([answer(b"data: 1\n\n", "Content-Type: text/plain")])
    async with aiofast.stream("GET", f"{server.url}/") as found:
        with pytest.raises(aiofast.ContentTypeError, match="text/plain"):
            found.sse()
        assert [event.data async for event in found.sse(content_type=None)] == ["1"]
    head = response(b"", EVENTS, "Content-Length: 100", length=False)
    server = Scripted([request, send(head + b"data: 1\n\ndata: 2"), cut])
    async with aiofast.stream("GET", f"{server.url}/") as found:
        events = found.sse()
        assert (await events.__anext__()).data == "1"
        with pytest.raises(aiofast.ClientPayloadError):
            await events.__anext__()


async def test_events_go_on_after_the_connection():
    server = Scripted(
        [request, send(event_head() + b"retry: 10\nid: 1\ndata: a\n\ndata: lost"), fin],
        [request, fin],
        [request, send(event_head() + b"id: \xc3\xa4\ndata: b\n\n"), cut],
        [request, send(event_head() + b"id\ndata: c\n\n"), fin],
        [request, send(response(b"", status="204 No Content", length=False))],
    )
    async with aiofast.ClientSession(headers={"X-Own": "yes"}) as session:
        async with session.get(f"{server.url}/e", headers={"Accept": "text/event-stream"}) as found:
            async with found.sse(reconnect=True) as events:
                data = [(event.data, event.id) async for event in events]
            assert events.last_event_id == ""
    assert data == [("a", "1"), ("b", "ä"), ("c", "")]
    ids = [r.header("Last-Event-ID") for r in server.requests]
    assert ids == [None, "1", "1", "ä".encode().decode("latin-1"), None]
    assert {r.header("X-Own") for r in server.requests} == {"yes"}
    assert {r.header("Accept") for r in server.requests} == {"text/event-stream"}


async def test_reconnecting_ends_with_an_error_that_stays():
    server = Scripted(
        [request, send(event_head() + b"data: a\n\n"), fin],
        [answer(b"no", status="403 Forbidden")],
    )
    async with aiofast.stream("GET", f"{server.url}/") as found:
        events = found.sse(reconnect=True, retry=0.01)
        assert (await events.__anext__()).data == "a"
        with pytest.raises(aiofast.ClientResponseError, match="403"):
            await events.__anext__()
        assert [event async for event in events] == []


async def test_reconnecting_may_be_cancelled():
    server = Scripted([request, send(event_head() + b"data: a\n\n"), fin], [request, pause(60)])
    async with aiofast.stream("GET", f"{server.url}/") as found:
        events = found.sse(reconnect=True, retry=0.01)
        await events.__anext__()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await events.__anext__()
    server = Scripted([answer(b"", EVENTS)])
    async with aiofast.stream("POST", f"{server.url}/", data=b"x") as found:
        with pytest.raises(ValueError, match="POST"):
            found.sse(reconnect=True)
