"""A peer that stops, slows down, splits or adds, at every byte of seven responses.

Stated beforehand: a stall is a timeout at its limit, whatever byte it comes at;
a dribble and a split are a success; whatever follows a response is not kept.
(Cut and reset at every byte are in test_truncation.py.)
"""

from __future__ import annotations

import asyncio
import time

import aiofast
import pytest
from canonical import FORMS, WHOLE
from servers import Scripted, answer, drip, eof, fin, forever, request, send, silence

LIMIT = 0.15


@pytest.fixture(params=["plain", "tls"])
def place(request, authority):
    if request.param == "plain":
        return {"tls": None}, {}
    return {"tls": authority.server()}, {"ssl": authority.client()}


def by_target(act):
    """A script that reads /<form>/<offset> and does |act| with it."""

    def script(peer):
        request(peer)
        form, offset = peer.last.target.strip("/").split("/")
        act(peer, FORMS[form], int(offset))
        eof(peer)

    return script


async def each_offset(server, form, offsets, **options):
    gate = asyncio.Semaphore(64)
    connector = aiofast.TCPConnector(force_close=True, limit=0)
    async with aiofast.ClientSession(connector=connector) as session:

        async def one(offset):
            async with gate:
                start = time.monotonic()
                try:
                    async with session.get(f"{server.url}/{form}/{offset}", **options) as found:
                        outcome = await found.read()
                except aiofast.ClientError as error:
                    outcome = error
                return outcome, time.monotonic() - start

        return await asyncio.gather(*(one(offset) for offset in offsets))


@pytest.mark.seconds(90)
@pytest.mark.parametrize("form", FORMS)
async def test_a_stall_at_every_byte_is_a_timeout_at_its_limit(form, place):
    server_options, options = place

    def stall(peer, data, offset):
        peer.write(data[:offset])
        silence(peer)

    server = Scripted([by_target(stall)], **server_options)
    step = 1 if not options else 5
    timeout = aiofast.ClientTimeout(sock_read=LIMIT, total=20)
    found = await each_offset(
        server, form, range(0, len(FORMS[form]), step), timeout=timeout, **options
    )
    assert {type(outcome) for outcome, _ in found} == {aiofast.SocketTimeoutError}
    # Connecting is not in the limit, and the machine may be busy.
    late = [elapsed for _, elapsed in found if not LIMIT * 0.9 <= elapsed < LIMIT + 4]
    assert late == []


@pytest.mark.parametrize("size", [1, 3, 16])
@pytest.mark.parametrize("form", FORMS)
async def test_a_dribble_is_a_whole_response(form, size, place):
    server_options, options = place
    end = [fin] if form == "gzip-close" else []
    server = Scripted([request, drip(FORMS[form], 0.0005, size), *end], **server_options)
    assert (await aiofast.fetch(f"{server.url}/", timeout=20, **options)).body == WHOLE[form]


@pytest.mark.seconds(90)
@pytest.mark.parametrize("form", FORMS)
async def test_a_split_at_every_byte_is_a_whole_response(form, place):
    server_options, options = place

    def split(peer, data, offset):
        peer.write(data[:offset])
        peer.server.stop.wait(0.01)
        peer.write(data[offset:])
        if form == "gzip-close":
            fin(peer)

    server = Scripted([by_target(split)], **server_options)
    step = 1 if not options else 5
    found = await each_offset(server, form, range(0, len(FORMS[form]), step), **options)
    assert {outcome for outcome, _ in found} == {WHOLE[form]}


@pytest.mark.parametrize("count", [1, 2, 100, 70_000])
@pytest.mark.parametrize("form", [form for form in FORMS if form != "gzip-close"])
async def test_leftover_bytes_end_the_connection(form, count, place):
    server_options, options = place
    server = Scripted(
        [request, send(FORMS[form] + b"\0" * count)],
        [forever(answer(b"next"))],
        **server_options,
    )
    assert (await aiofast.fetch(f"{server.url}/1", **options)).body == WHOLE[form]
    second = await aiofast.fetch(f"{server.url}/2", **options)
    assert (second.body, second.reused) == (b"next", False)
    await server.reached(lambda: server.open == 1)


@pytest.mark.parametrize("form", FORMS)
async def test_a_byte_that_flips_is_an_outcome_and_never_a_hang(form):
    """Every byte of the response with each of its bits turned over, one at a time:
    an answer or a ClientError, in time. (What it means is the parser's tests'.)"""

    def flip(peer, data, offset):
        byte, bit = divmod(offset, 8)
        changed = bytearray(data)
        changed[byte] ^= 1 << bit
        peer.write(bytes(changed))
        fin(peer)

    server = Scripted([by_target(flip)])
    found = await each_offset(server, form, range(0, len(FORMS[form]) * 8, 3), timeout=10)
    assert [each for each, _ in found if isinstance(each, TimeoutError)] == []
    assert max(elapsed for _, elapsed in found) < 8
