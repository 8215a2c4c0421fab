"""Responses and streams that a program makes and feeds itself."""

from __future__ import annotations

import asyncio

import aiofast
import pytest
from aiofast import streams
from aiofast.client_proto import ResponseHandler
from aiofast.helpers import TimerNoop
from multidict import CIMultiDict, CIMultiDictProxy
from servers import Scripted, answer, pause, request, response, send
from yarl import URL


class Protocol(ResponseHandler):
    """Counts what a stream asks it for."""

    paused = resumed = 0
    connected = True

    def pause_reading(self) -> None:
        self.paused += 1

    def resume_reading(self, *args, **kwargs) -> None:
        self.resumed += 1


def stream(limit: int = 16) -> aiofast.StreamReader:
    return aiofast.StreamReader(Protocol(), limit, loop=asyncio.get_running_loop())


def made(body: bytes = b"", kind=aiofast.ClientResponse, **headers: str) -> aiofast.ClientResponse:
    url = URL("http://h/a#b")
    info = aiofast.RequestInfo(url, "GET", CIMultiDictProxy(CIMultiDict()), url)
    one = kind(
        "GET",
        url,
        writer=None,
        continue100=None,
        timer=TimerNoop(),
        request_info=info,
        traces=[],
        loop=asyncio.get_running_loop(),
        session=None,
    )
    one.status, one.reason = 200, "OK"
    one._headers = CIMultiDictProxy(
        CIMultiDict({k.replace("_", "-"): v for k, v in headers.items()})
    )
    one.content = stream()
    one.content.feed_data(body)
    one.content.feed_eof()
    return one


# --- streams ---


async def test_what_was_fed_is_read():
    one = stream()
    one.feed_data(b"one\ntw")
    assert not one.is_eof()
    assert await one.readline() == b"one\n"
    reading = asyncio.ensure_future(one.readline())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError):
        one.read_nowait()
    with pytest.raises(RuntimeError):
        await one.read()
    one.feed_data(b"o\nrest")
    assert await reading == b"two\n"
    assert one.read_nowait(2) == b"re"
    ended = []
    one.on_eof(lambda: ended.append(1))
    one.feed_eof()
    one.on_eof(lambda: ended.append(2))
    assert ended == [1, 2]
    await one.wait_eof()
    assert not one.at_eof()
    assert [piece async for piece in one.iter_any()] == [b"st"]
    assert one.at_eof()
    assert one.total_bytes == one.total_raw_bytes == 12
    with pytest.raises(AssertionError):
        one.feed_data(b"more")


async def test_chunks_that_were_fed():
    one = stream()
    for part in (b"a", b"bc", b""):
        one.begin_http_chunk_receiving()
        one.feed_data(part)
        one.end_http_chunk_receiving()
    one.feed_eof()
    assert [chunk async for chunk in one.iter_chunks()] == [(b"a", True), (b"bc", True)]


async def test_the_protocol_is_held_up():
    one = stream(4)
    protocol = one._fed()._protocol
    assert one.get_read_buffer_limits() == (4, 8)
    one.feed_data(b"12345678")
    assert protocol.paused == 0
    one.feed_data(b"9")
    assert protocol.paused == 1
    assert await one.readexactly(9) == b"123456789"
    waiting = asyncio.ensure_future(one.readany())
    await asyncio.sleep(0)
    assert protocol.resumed == 1
    one.feed_data(b"x")
    assert await waiting == b"x"


async def test_a_stream_that_fails():
    one = stream()
    one.feed_data(b"lost")
    waiting = asyncio.ensure_future(one.wait_eof())
    await asyncio.sleep(0)
    one.set_exception(ValueError("broken"))
    assert isinstance(one.exception(), ValueError)
    for read in (one.read(), one.readline(), one.readany(), one.readexactly(1), waiting):
        with pytest.raises(ValueError, match="broken"):
            await read
    with pytest.raises(ValueError, match="broken"):
        one.read_nowait()


async def test_the_engine_feeds_its_streams():
    server = Scripted([request, send(response(b"x" * 10)[:-5]), pause(5)])
    async with aiofast.ClientSession() as session:
        async with session.get(server.url) as answered:
            with pytest.raises(RuntimeError):
                answered.content.feed_data(b"x")
            with pytest.raises(RuntimeError):
                answered.content.feed_eof()
            answered.content.set_exception(ValueError("mine"))
            with pytest.raises(ValueError, match="mine"):
                await answered.read()
            assert answered.closed


async def test_the_empty_stream_and_the_queues():
    empty = aiofast.EMPTY_PAYLOAD
    assert isinstance(empty, streams.StreamReader)
    assert empty.at_eof() and await empty.read() == await empty.readline() == b""
    with pytest.raises(asyncio.IncompleteReadError):
        await empty.readexactly(1)
    queue: aiofast.DataQueue[int] = aiofast.DataQueue(asyncio.get_running_loop())
    reading = asyncio.ensure_future(queue.read())
    await asyncio.sleep(0)
    queue.feed_data(1)
    assert await reading == 1
    queue.feed_data(2)
    queue.feed_eof()
    assert [item async for item in queue] == [2]
    with pytest.raises(aiofast.EofStream):
        await queue.read()
    protocol = Protocol()
    protocol._reading_paused = False
    held = aiofast.FlowControlDataQueue(protocol, 1, loop=asyncio.get_running_loop())
    held.feed_data("x", 3)
    assert protocol.paused == 1
    assert await held.read() == "x"


# --- responses ---


async def test_a_response_by_hand():
    one = made(
        b'{"a": 1}',
        Content_Type="application/json; charset=latin-1",
        Link="</next>; rel=next",
        Content_Disposition='attachment; filename="f"',
    )
    assert isinstance(one, aiofast.ClientResponse)
    assert await one.json() == {"a": 1}
    assert await one.text() == '{"a": 1}'
    assert one._body == await one.read() == b'{"a": 1}'
    assert (one.ok, one.content_type, one.charset) == (True, "application/json", "latin-1")
    assert one.get_encoding() == "iso8859-1"
    assert one.links["next"]["url"] == URL("http://h/next")
    assert one.content_disposition.filename == "f"
    assert (str(one.url), str(one.real_url), one.host) == ("http://h/a", "http://h/a#b", "h")
    assert repr(one).startswith("<ClientResponse(http://h/a) [200 OK]>")
    one.cookies.load("a=b; path=/")
    assert one.cookies["a"].value == "b"
    assert one.history == () and one.request_info.method == "GET"
    one.release()
    assert one.closed
    with pytest.raises(aiofast.ClientConnectionError):
        await one.read()


async def test_a_status_by_hand():
    one = made(b"gone")
    one.status, one.reason = 410, "Gone"
    async with one:
        with pytest.raises(aiofast.ClientResponseError) as raised:
            one.raise_for_status()
        assert await one.text() == "gone"
    assert (raised.value.status, raised.value.message) == (410, "Gone")
    assert raised.value.request_info is one.request_info


async def test_a_class_of_ones_own():
    class Mine(aiofast.ClientResponse):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.made = True

        async def twice(self) -> str:
            return 2 * await self.text()

    one = made(b"ab", Mine)
    assert one.made and await one.twice() == "abab"
    server = Scripted([answer(b"cd")])
    async with aiofast.ClientSession(response_class=Mine) as session:
        async with session.get(server.url) as answered:
            assert isinstance(answered, Mine) and type(answered).__name__ == "Mine"
            assert answered.status == 200 and await answered.twice() == "cdcd"
    with pytest.raises(TypeError):
        aiofast.ClientSession(response_class=dict)


async def test_methods_are_replaced_in_one_place(monkeypatch):
    async def other(self, **kwargs):
        return "other"

    monkeypatch.setattr(aiofast.ClientResponse, "json", other)
    server = Scripted([answer(b"{}")])
    async with aiofast.ClientSession() as session:
        async with session.get(server.url) as answered:
            assert isinstance(answered, aiofast.ClientResponse)
            assert await answered.json() == "other"
            assert await answered.text() == "{}"


async def test_another_stream_takes_the_body_s_place():
    server = Scripted([answer(b"body")])
    async with aiofast.ClientSession() as session:
        async with session.get(server.url) as answered:
            assert await answered.read() == b"body"
            answered.content = stream()
            answered.content.feed_data(answered._body)
            answered.content.feed_eof()
            assert await answered.content.read() == b"body"


@pytest.mark.parametrize("location", ["http:/there", "http:there"])
async def test_a_location_without_an_authority(location):
    away = answer(b"", f"Location: {location}", status="301 Moved")
    server = Scripted([away, answer(b"there")])
    async with aiofast.ClientSession() as session:
        async with session.get(server.url + "/here") as answered:
            assert answered.url.path == "/there" and await answered.text() == "there"
