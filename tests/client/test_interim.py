"""What comes around a response: informational ones before it, trailers behind."""

from __future__ import annotations

import asyncio
import threading

import aiofast
import pytest
from servers import Scripted, answer, chunked, fin, forever, request, response, send, until

HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nLink: </b.js>\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def plain(found):
    return [(status, list(headers.items())) for status, headers in found]


LINKS = [("Link", "</a.css>; rel=preload"), ("Link", "</b.js>")]


async def test_informational_responses_are_kept():
    server = Scripted([forever(request, send(PROCESSING + HINTS + CONTINUE + response(b"ok")))])
    expected = [(102, []), (103, LINKS), (100, [])]
    found = await aiofast.fetch(f"{server.url}/")
    assert (found.status, found.body) == (200, b"ok")
    assert plain(found.informational) == expected
    assert "link" not in found.headers
    async with aiofast.stream("GET", f"{server.url}/") as stream:
        assert plain(stream.informational) == expected
    async with aiofast.ClientSession() as session, session.get(f"{server.url}/") as answered:
        assert plain(answered.informational) == expected
        assert await answered.read() == b"ok"
    plain_server = Scripted([answer(b"ok")])
    assert (await aiofast.fetch(f"{plain_server.url}/")).informational == ()


@pytest.mark.parametrize("face", ["fetch", "stream", "session"])
async def test_hints_are_told_before_the_response(face):
    go = threading.Event()
    server = Scripted([request, send(HINTS), until(go), send(HINTS + response(b"ok"))])
    told = []

    def hint(status, headers):
        told.append((status, headers.getall("Link")))
        go.set()

    async def get():
        url = f"{server.url}/"
        if face == "fetch":
            return await aiofast.fetch(url, on_informational=hint, timeout=5)
        if face == "stream":
            async with aiofast.stream("GET", url, on_informational=hint, timeout=5) as found:
                await found.read()
                return found
        async with aiofast.ClientSession(timeout=5) as session:
            async with session.get(url, on_informational=hint) as found:
                await found.read()
                return found

    found = await get()
    assert told == [(103, [value for _, value in LINKS])] * 2
    assert len(found.informational) == 2


async def test_hints_of_a_redirect_are_its_own():
    moved = response(b"", "Location: /b", status="302 Found")
    server = Scripted([request, send(HINTS + moved), request, send(PROCESSING + response(b"ok"))])
    told = []
    found = await aiofast.fetch(f"{server.url}/a", on_informational=lambda s, h: told.append(s))
    assert told == [103, 102]
    assert found.body == b"ok"
    assert plain(found.informational) == [(102, [])]
    assert plain(found.history[0].informational) == [(103, LINKS)]


async def test_hints_of_a_request_that_fails():
    server = Scripted([request, send(HINTS), fin])
    told = []
    with pytest.raises(aiofast.ClientError):
        await aiofast.fetch(f"{server.url}/", on_informational=lambda s, h: told.append(s))
    assert told == [103]


async def test_a_function_that_fails_or_cancels():
    server = Scripted([forever(request, send(HINTS), send(response(b"ok")))])
    reports = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reports.append(context))
    found = await aiofast.fetch(f"{server.url}/", on_informational=lambda s, h: 1 // 0)
    assert found.body == b"ok"
    assert isinstance(reports[0]["exception"], ZeroDivisionError)
    fetch = aiofast.fetch(f"{server.url}/", on_informational=lambda s, h: fetch.cancel())
    with pytest.raises(asyncio.CancelledError):
        await fetch
    with pytest.raises(TypeError, match="callable"):
        aiofast.fetch(f"{server.url}/", on_informational=5)


async def test_trailers():
    head = response(b"", "Transfer-Encoding: chunked", "Trailer: sum", length=False)
    body = chunked(b"abc", b"def", trailers=["Sum: 7", "X: a", "X: b"])
    server = Scripted([forever(request, send(head + body))])
    found = await aiofast.fetch(f"{server.url}/")
    assert list(found.trailers.items()) == [("Sum", "7"), ("X", "a"), ("X", "b")]
    async with aiofast.stream("GET", f"{server.url}/") as stream:
        assert await stream.read() == b"abcdef"
        assert stream.trailers["sum"] == "7"
    async with aiofast.ClientSession() as session, session.get(f"{server.url}/") as answered:
        await answered.read()
        assert answered.trailers["sum"] == "7"
    assert not (await aiofast.fetch(f"{Scripted([answer()]).url}/")).trailers
