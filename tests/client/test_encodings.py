"""Content codings: gzip, deflate, br and zstd, undone by default."""

from __future__ import annotations

import gzip
import zlib

import aiofast
import pytest
from origins import CODERS, deflate_raw
from servers import Scripted, answer, chunked, drip, forever, request, response, send

TEXT = b"The quick brown fox jumps over the lazy dog. " * 50


def coded(coding, data=TEXT):
    found = CODERS[coding](data)
    if found is None:
        pytest.skip(f"no encoder for {coding} here")
    return found


def name_of(value):
    """The same from run to run, which gzip's bytes with their time are not."""
    return value if isinstance(value, str) else f"{len(value)} bytes"


async def fetched(body, coding, **options):
    server = Scripted([answer(body, f"Content-Encoding: {coding}")])
    return await aiofast.fetch(f"{server.url}/", **options)


@pytest.mark.parametrize("coding", CODERS)
async def test_each_coding_of_a_real_server(web, coding):
    found = await aiofast.fetch(f"{web.url}/{coding}")
    if found.status == 501:
        pytest.skip(f"no encoder for {coding} here")
    assert found.json() == {"coding": coding, "text": "x" * 1000}
    assert found.headers["Content-Encoding"] == coding


@pytest.mark.parametrize("framing", ["length", "chunked", "close", "byte by byte"])
@pytest.mark.parametrize("coding", CODERS)
async def test_each_coding_in_each_framing(coding, framing):
    from servers import fin

    body, field = coded(coding), f"Content-Encoding: {coding}"
    if framing == "chunked":
        chunks = [body[n : n + 7] for n in range(0, len(body), 7)]
        data = response(b"", field, "Transfer-Encoding: chunked", length=False) + chunked(*chunks)
    elif framing == "close":
        data = response(body, field, "Connection: close", length=False)
    else:
        data = response(body, field)
    step = drip(data) if framing == "byte by byte" else send(data)
    server = Scripted([request, step, fin])
    assert (await aiofast.fetch(f"{server.url}/")).body == TEXT


@pytest.mark.parametrize(
    ("coding", "body"),
    ids=name_of,
    argvalues=[
        ("GZIP", gzip.compress(TEXT)),
        ("x-gzip", gzip.compress(TEXT)),
        ("deflate", deflate_raw(TEXT)),
        ("identity", TEXT),
        ("", TEXT),
        (", ,", TEXT),
        ("gzip", gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:])),
        ("gzip, gzip", gzip.compress(gzip.compress(TEXT))),
        ("deflate, gzip", gzip.compress(zlib.compress(TEXT))),
        ("gzip , identity", gzip.compress(TEXT)),
    ],
)
async def test_names_and_stacks_of_codings(coding, body):
    assert (await fetched(body, coding)).body == TEXT


async def test_codings_in_two_fields_are_one_list():
    body = gzip.compress(zlib.compress(TEXT))
    server = Scripted([answer(body, "Content-Encoding: deflate", "Content-Encoding: gzip")])
    assert (await aiofast.fetch(f"{server.url}/")).body == TEXT


@pytest.mark.parametrize(
    ("coding", "body"),
    ids=name_of,
    argvalues=[
        ("gzip", b"this is not gzip"),
        ("deflate", b"\xff\xff\xff\xff"),
        ("br", b"\xff" * 20),
        ("zstd", b"this is not zstd"),
        ("gzip", gzip.compress(TEXT)[:-8] + b"\0" * 8),
        ("gzip", gzip.compress(TEXT) + b"junk behind it"),
        ("unknown-coding", TEXT),
        ("compress", TEXT),
    ],
)
async def test_what_cannot_be_decoded_is_a_payload_error(coding, body):
    with pytest.raises(aiofast.ClientPayloadError):
        await fetched(body, coding)


@pytest.mark.parametrize("coding", CODERS)
async def test_an_empty_coded_body_is_empty(coding):
    assert (await fetched(coded(coding, b""), coding)).body == b""
    assert (await fetched(b"", coding)).body == b""


async def test_a_head_response_with_a_coding_has_no_body():
    data = response(b"", "Content-Encoding: gzip", "Content-Length: 100", length=False)
    server = Scripted([forever(request, send(data))])
    for reused in (False, True):
        found = await aiofast.head(f"{server.url}/")
        assert (found.body, found.reused) == (b"", reused)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
async def test_a_status_without_body_may_name_a_coding(status):
    data = response(b"", "Content-Encoding: gzip", status=status, length=False)
    server = Scripted([request, send(data)])
    assert (await aiofast.fetch(f"{server.url}/")).body == b""


async def test_a_session_may_leave_bodies_as_they_come():
    body = gzip.compress(TEXT)
    server = Scripted([forever(answer(body, "Content-Encoding: gzip"))])
    async with aiofast.ClientSession(auto_decompress=False) as session:
        async with session.get(f"{server.url}/") as found:
            assert await found.read() == body


async def test_a_redirect_with_a_broken_coding_is_followed():
    """Nothing is inflated only to be thrown away."""
    moved = response(b"broken", "Content-Encoding: gzip", "Location: /b", status="302 Found")
    server = Scripted([request, send(moved), forever(answer(b"there"))])
    assert (await aiofast.fetch(f"{server.url}/a")).body == b"there"


async def test_a_connection_is_kept_after_a_coded_body():
    server = Scripted([forever(answer(gzip.compress(TEXT), "Content-Encoding: gzip"))])
    for reused in (False, True, True):
        assert (await aiofast.fetch(f"{server.url}/")).reused is reused


async def test_a_large_body_is_decoded_whole():
    import os

    data = os.urandom(1 << 20) + bytes(8 << 20)
    found = await fetched(gzip.compress(data, 1), "gzip")
    assert found.body == data


async def test_many_empty_members_end():
    """Quadratic work on members that hold nothing is not done."""
    body = gzip.compress(b"") * 100_000
    with pytest.raises(aiofast.ClientPayloadError):
        await fetched(body, "gzip", timeout=20)
