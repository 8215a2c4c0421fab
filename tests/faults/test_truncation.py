"""A response cut short is an error, never a short body.

Seven canonical responses are cut behind each of their bytes, by a FIN, by a reset,
and under TLS by a FIN without close_notify. Each time: a ClientError.
"""

from __future__ import annotations

import asyncio
import contextlib

import aiofast
import pytest
from canonical import BODY, CHUNKED, FORMS, WHOLE, head
from origins import CODERS
from servers import Scripted, chunked, cut, fin, request, response, rst, send

ENDS = {"fin": fin, "rst": rst, "cut": cut}


def cutter(peer):
    """Answers /<form>/<bytes>/<end>."""
    request(peer)
    form, count, end = peer.last.target.strip("/").split("/")
    peer.write(FORMS[form][: int(count)])
    ENDS[end](peer)


async def every_cut(server, form, end, offsets, **options):
    """What each cut led to: the exception, or the body it was mistaken for."""
    gate = asyncio.Semaphore(32)

    async def one(count):
        async with gate:
            url = f"{server.url}/{form}/{count}/{end}"
            try:
                return (await aiofast.fetch(url, timeout=20, **options)).body
            except aiofast.ClientError as exc:
                return exc

    results = await asyncio.gather(*(one(count) for count in offsets))
    return dict(zip(offsets, results, strict=True))


def mistaken(results):
    return {count: each for count, each in results.items() if not isinstance(each, Exception)}


@pytest.mark.seconds(90)
@pytest.mark.parametrize("end", ["fin", "rst"])
@pytest.mark.parametrize("form", FORMS)
async def test_cut_at_every_byte(form, end):
    server = Scripted([cutter])
    results = await every_cut(server, form, end, range(len(FORMS[form])))
    assert mistaken(results) == {}


@pytest.mark.slow
@pytest.mark.seconds(120)
@pytest.mark.parametrize("end", ["cut", "rst", "fin"])
@pytest.mark.parametrize("form", FORMS)
async def test_cut_at_every_byte_inside_tls(form, end, authority):
    """`fin` sends close_notify first: the cut is in HTTP, not in TLS."""
    server = Scripted([cutter], tls=authority.server())
    offsets = range(0, len(FORMS[form]), 1 if end == "cut" else 7)
    results = await every_cut(server, form, end, offsets, ssl=authority.client())
    assert mistaken(results) == {}


@pytest.mark.parametrize("form", FORMS)
async def test_the_same_responses_uncut_are_whole(form):
    """What is cut above is right: the test could tell."""
    server = Scripted([cutter])
    size = len(FORMS[form])
    results = await every_cut(server, form, "fin", [size])
    assert results == {size: WHOLE[form]}


async def test_a_body_until_close_needs_close_notify_under_tls(authority):
    """Without it nobody can know that it is whole (RFC 9112 9.8)."""
    data = head("Connection: close") + b"until close"
    server = Scripted(
        [request, send(data), cut], [request, send(data), fin], tls=authority.server()
    )
    with pytest.raises(aiofast.ClientError):
        await aiofast.fetch(f"{server.url}/", ssl=authority.client())
    found = await aiofast.fetch(f"{server.url}/", ssl=authority.client())
    assert found.body == b"until close"


async def test_a_body_until_close_that_is_reset_is_an_error():
    server = Scripted([request, send(head("Connection: close") + b"until"), rst])
    with pytest.raises(aiofast.ClientError):
        await aiofast.fetch(f"{server.url}/")


async def test_before_the_first_byte_it_is_a_disconnect():
    server = Scripted([request, fin])
    with pytest.raises(aiofast.ServerDisconnectedError):
        await aiofast.fetch(f"{server.url}/")


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("end", [fin, cut])
async def test_before_the_end_of_the_head_it_is_a_disconnect(secure, end, authority):
    server = Scripted(
        [request, send(b"HTTP/1.1 200 OK\r\nContent-"), end],
        tls=authority.server() if secure else None,
    )
    with pytest.raises(aiofast.ServerDisconnectedError):
        await aiofast.fetch(f"{server.url}/", ssl=authority.client())


async def test_inside_the_body_it_is_a_payload_error_that_keeps_what_came():
    server = Scripted([request, send(FORMS["length"][:-5]), fin])
    with pytest.raises(aiofast.ClientPayloadError) as caught:
        await aiofast.fetch(f"{server.url}/")
    assert caught.value.partial == WHOLE["length"][:-5]


@pytest.mark.parametrize("coding", CODERS)
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
async def test_a_coding_cut_inside_a_whole_message(coding, framing):
    """The framing is complete; only the coding says that something lacks."""
    whole = CODERS[coding](BODY)
    if whole is None:
        pytest.skip(f"no encoder for {coding} here")
    field = f"Content-Encoding: {coding}"

    def message(packed):
        if framing == "length":
            return response(packed, field)
        if framing == "chunked":
            return head(field, CHUNKED) + (chunked(packed) if packed else chunked())
        return head(field, "Connection: close") + packed

    def script(peer):
        request(peer)
        peer.write(message(whole[: int(peer.last.target[1:])]))
        fin(peer)

    server = Scripted([script])
    short = []
    for count in range(1, len(whole)):
        with contextlib.suppress(aiofast.ClientPayloadError):
            found = await aiofast.fetch(f"{server.url}/{count}")
            short.append((count, found.body))
    assert short == []
    assert (await aiofast.fetch(f"{server.url}/{len(whole)}")).body == BODY


@pytest.mark.parametrize("form", FORMS)
async def test_a_streamed_body_that_is_cut_raises_too(form):
    """The head was there and whole: the error comes from reading the body."""
    server = Scripted([cutter])
    async with aiofast.ClientSession() as session:
        count = len(FORMS[form]) - 1
        async with session.get(f"{server.url}/{form}/{count}/fin") as found:
            assert found.status == 200
            with pytest.raises(aiofast.ClientPayloadError):
                await found.read()


async def test_our_own_close_never_makes_a_body_whole():
    """A body until close is not completed by the session's end."""
    from servers import silence

    server = Scripted([request, send(head("Connection: close") + b"so far"), silence])
    session = aiofast.ClientSession()
    found = await session.get(f"{server.url}/")
    reading = asyncio.create_task(found.read())
    await asyncio.sleep(0.05)
    await session.close()
    with pytest.raises(aiofast.ClientError):
        await asyncio.wait_for(reading, 5)
