"""A streamed response cut short: what was read before is a beginning of the body,
and then comes an error, never an end; whoever reads, and however slowly.

The canonical responses are cut behind each of their bytes.
"""

from __future__ import annotations

import asyncio
import gzip

import aiofast
import pytest
from canonical import BODY, CHUNKED, head
from canonical import FORMS as CANONICAL
from canonical import WHOLE as CANONICAL_WHOLE
from origins import CODERS
from servers import Scripted, chunked, fin, request, response, rst, send


def coded():
    """Each coding there is an encoder for, in each framing."""
    for name, encode in CODERS.items():
        data = encode(BODY)
        if data is None:
            continue
        field = f"Content-Encoding: {name}"
        yield f"{name}, length", response(data, field)
        yield f"{name}, chunked", head(field, CHUNKED) + chunked(data[:9], data[9:])
        yield f"{name}, close", head(field, "Connection: close") + data


FORMS = CANONICAL | {name.replace(", ", "-"): data for name, data in coded()}
WHOLE = dict.fromkeys(FORMS, BODY) | CANONICAL_WHOLE

ENDS = {"fin": fin, "rst": rst}


def cutter(peer):
    """Answers /<form>/<bytes>/<end>."""
    request(peer)
    form, count, end = peer.last.target.strip("/").split("/")
    peer.write(FORMS[form][: int(count)])
    ENDS[end](peer)


async def pieces(found, got):
    async for piece in found.iter_any():
        got.append(piece)


async def lines(found, got):
    async for line in found:
        got.append(line)
        await asyncio.sleep(0)


async def exactly(found, got):
    try:
        while True:
            got.append(await found.readexactly(5))
    except asyncio.IncompleteReadError as exc:
        got.append(exc.partial)


async def chunks(found, got):
    async for piece, _ in found.iter_chunks():
        got.append(piece)


async def into(found, got):
    room = bytearray(7)
    while count := await found.readinto(room):
        got.append(bytes(room[:count]))


async def late(found, got):
    """All of it, after everything has come or been lost."""
    await asyncio.sleep(0.005)
    got.append(await found.read())


READERS = {each.__name__: each for each in (pieces, lines, exactly, chunks, into, late)}


async def read(url, how):
    """(what was read, the exception or None)."""
    got = []
    try:
        async with aiofast.stream("GET", url, timeout=20) as found:
            await READERS[how](found, got)
    except aiofast.ClientError as exc:
        return b"".join(got), exc
    return b"".join(got), None


@pytest.mark.seconds(120)
@pytest.mark.parametrize(
    ("form", "how"),
    [(form, how) for form in FORMS for how in READERS if form in CANONICAL or how == "pieces"],
)
async def test_cut_at_every_byte(form, how):
    server = Scripted([cutter])
    gate = asyncio.Semaphore(16)

    async def one(count):
        async with gate:
            return await read(f"{server.url}/{form}/{count}/fin", how)

    size = len(FORMS[form])
    results = await asyncio.gather(*(one(count) for count in range(size + 1)))
    whole, failure = results.pop()
    assert (whole, failure) == (WHOLE[form], None)
    for count, (data, failure) in enumerate(results):
        assert failure is not None, f"cut at {count} of {size}: taken for whole"
        assert WHOLE[form].startswith(data), count
        partial = getattr(failure, "partial", None) or b""
        assert WHOLE[form].startswith(data + partial), count


@pytest.mark.parametrize("form", FORMS)
async def test_reset_at_some_bytes(form):
    server = Scripted([cutter])
    for count in range(0, len(FORMS[form]), 9):
        data, failure = await read(f"{server.url}/{form}/{count}/rst", "pieces")
        assert failure is not None
        assert WHOLE[form].startswith(data)


@pytest.mark.parametrize("missing", range(1, 20))
async def test_a_coded_body_cut_while_it_waits_to_be_decoded(missing):
    """The end is missing of what came in one read and is decoded in many turns."""
    body = gzip.compress(bytes(4 << 20))[:-missing]
    field = "Content-Encoding: gzip"
    for length in (True, False):
        data = response(body, field, "Connection: close", length=length)
        server = Scripted([request, send(data), fin])
        total = 0
        with pytest.raises(aiofast.ClientPayloadError, match="gzip"):
            async with aiofast.stream("GET", f"{server.url}/") as found:
                async for piece in found.iter_any():
                    total += len(piece)
                    await asyncio.sleep(0)
        assert total <= 4 << 20
