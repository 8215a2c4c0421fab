"""Servers that answer, leave or fall silent before they have the whole request.

Stated beforehand, for a body of 64 MiB that the socket cannot swallow: an early
response is returned and its connection is not used again; without a response
the end is a ClientOSError or ServerDisconnectedError; silence is a timeout.
"""

from __future__ import annotations

import asyncio
import time

import aiofast
import pytest
from servers import (
    Scripted,
    answer,
    cut,
    eof,
    fin,
    forever,
    half_close,
    response,
    rst,
    send,
    silence,
    take,
)

BODY = b"u" * (64 << 20)  # Linux lets the two sockets hold up to 36 MiB of it
EARLY = response(b"too early", status="413 Content Too Large")
EARLY_CLOSE = response(b"too early", "Connection: close", status="413 Content Too Large")
GONE = (aiofast.ClientOSError, aiofast.ServerDisconnectedError)


@pytest.fixture(params=["plain", "tls"])
def place(request, authority):
    if request.param == "plain":
        return {"tls": None}, {}
    return {"tls": authority.server()}, {"ssl": authority.client()}


async def upload(server, options, **more):
    start = time.monotonic()
    try:
        found = await aiofast.post(
            f"{server.url}/up", data=BODY, **{"timeout": 15, **options, **more}
        )
        outcome = found.status
    except aiofast.ClientError as error:
        outcome = error
    return outcome, time.monotonic() - start


async def follows(server, options):
    """A request after it gets its own answer, over a connection of its own."""
    found = await aiofast.fetch(f"{server.url}/next", **options)
    assert (found.body, found.reused) == (b"next", False)


NEXT = [forever(answer(b"next"))]


@pytest.mark.parametrize("taken", [1, 100, 4096, 1 << 20])
@pytest.mark.parametrize("reply", [EARLY, EARLY_CLOSE])
async def test_an_early_response_is_returned(taken, reply, place):
    server_options, options = place
    server = Scripted([take(taken), send(reply), eof], NEXT, **server_options)
    outcome, elapsed = await upload(server, options)
    assert (outcome, elapsed < 10) == (413, True)
    await follows(server, options)


@pytest.mark.parametrize("taken", [1, 4096, 1 << 20])
async def test_an_early_response_from_a_server_that_reads_no_more(taken, place):
    server_options, options = place
    server = Scripted([take(taken), send(EARLY), silence], NEXT, **server_options)
    outcome, elapsed = await upload(server, options)
    assert (outcome, elapsed < 10) == (413, True)
    await follows(server, options)


@pytest.mark.parametrize("end", [fin, half_close, cut])
async def test_an_early_response_from_a_server_that_leaves(end, place):
    """A close with bytes unread is a reset, which may overtake the response: so an
    error of the connection is as good an outcome, but nothing else."""
    server_options, options = place
    server = Scripted([take(4096), send(EARLY_CLOSE), end, eof], NEXT, **server_options)
    outcome, elapsed = await upload(server, options)
    assert outcome == 413 or isinstance(outcome, GONE), repr(outcome)
    assert elapsed < 10
    await follows(server, options)


@pytest.mark.parametrize("taken", [0, 1, 4096, 1 << 20])
@pytest.mark.parametrize("end", [fin, rst])
async def test_no_response_is_an_error_of_the_connection(taken, end, place):
    server_options, options = place
    script = [take(taken), end] if taken else [end]
    server = Scripted(script, NEXT, **server_options)
    outcome, elapsed = await upload(server, options)
    assert isinstance(outcome, GONE), repr(outcome)
    # A reset at once may be there before the connection is known to be.
    early = ("connect", "tls") if taken == 0 else ()
    assert outcome.phase in ("send", "wait", *early)
    assert elapsed < 10
    await follows(server, options)


@pytest.mark.parametrize("taken", [0, 4096])
async def test_a_server_that_stops_reading_is_a_timeout(taken, place):
    server_options, options = place
    script = [take(taken), silence] if taken else [silence]
    server = Scripted(script, NEXT, **server_options)
    outcome, elapsed = await upload(server, options, timeout=0.3)
    assert isinstance(outcome, aiofast.TotalTimeoutError)
    assert 0.25 < elapsed < 5
    await follows(server, options)


async def test_garbage_during_the_upload_is_no_response(place):
    server_options, options = place
    server = Scripted(
        [take(4096), send(b"\x15\x03\x01nonsense\r\n\r\n"), eof], NEXT, **server_options
    )
    outcome, elapsed = await upload(server, options)
    assert isinstance(outcome, aiofast.ClientResponseError)
    assert elapsed < 10
    await follows(server, options)


async def test_an_early_response_whose_body_ends_much_later(place):
    """The body of the response is read while that of the request is stuck."""
    server_options, options = place
    slow = response(b"x" * 200_000, "Connection: close", status="400 Bad Request")

    def script(peer):
        take(4096)(peer)
        for at in range(0, len(slow), 20_000):
            peer.write(slow[at : at + 20_000])
            peer.server.stop.wait(0.01)
        fin(peer)

    server = Scripted([script], NEXT, **server_options)
    outcome, _ = await upload(server, options)
    assert outcome == 400 or isinstance(outcome, (*GONE, aiofast.ClientPayloadError))
    await follows(server, options)


async def test_a_hundred_uploads_refused_at_once():
    server = Scripted([take(1000), send(EARLY_CLOSE), eof])
    body = b"u" * 200_000
    found = await asyncio.gather(
        *(aiofast.post(f"{server.url}/", data=body, timeout=20) for _ in range(100))
    )
    assert {each.status for each in found} == {413}


@pytest.mark.parametrize("end", ["answered", "early", "cut", "reset", "late", "cancelled"])
async def test_a_file_is_closed_however_the_upload_ends(end, place, tmp_path):
    """By the session, which does that for the files it is given."""
    server_options, options = place
    path = tmp_path / "file"
    with path.open("wb") as made:
        made.truncate(1000 if end == "answered" else 64 << 20)
    scripts = {
        "answered": [forever(answer())],
        "early": [take(100), send(EARLY), eof],
        "cut": [take(100), fin],
        "reset": [take(100), rst],
        "late": [take(100), silence],
        "cancelled": [take(100), silence],
    }
    server = Scripted(scripts[end], **server_options)
    file = path.open("rb")
    async with aiofast.ClientSession() as session:
        timeout = 0.5 if end == "late" else 20
        task = asyncio.create_task(
            session.post(f"{server.url}/", data=file, timeout=timeout, **options)
        )
        if end == "cancelled":
            await server.reached(lambda: server.connections == 1)
            await asyncio.sleep(0.1)
            task.cancel()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        if end in ("answered", "early"):
            assert outcome.status == (200 if end == "answered" else 413)
            await outcome.read()
            outcome.release()
        elif end == "cancelled":
            assert isinstance(outcome, asyncio.CancelledError)
        elif end == "late":
            assert isinstance(outcome, TimeoutError)
        else:
            assert isinstance(outcome, GONE)
        for _ in range(250):
            # And no thread reads it any more.
            if file.closed and aiofast._core.stats()["lookups"] == 0:
                break
            await asyncio.sleep(0.02)
        assert file.closed
