"""Forms and other bodies of several parts: sent, received, sent on."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import os

import aiofast
import pytest
from aiofast import payload
from aiofast.multipart import (
    MultipartReader,
    MultipartWriter,
    content_disposition_filename,
    parse_content_disposition,
)
from servers import Scripted, answer, request, response, send, silence


def boundary_of(found):
    kind, _, boundary = found.header("Content-Type").partition("; boundary=")
    return kind, boundary.strip('"').encode()


def parts_of(found):
    """The parts of a request as (head, content), by another reader than ours."""
    _, boundary = boundary_of(found)
    first, *parts, last = found.body.split(b"--" + boundary)
    assert (first, last) == (b"", b"--\r\n")
    out = []
    for part in parts:
        assert part[:2] == part[-2:] == b"\r\n"
        head, _, content = part[2:-2].partition(b"\r\n\r\n")
        out.append((head.decode(), content))
    return out


# --- forms ----------------------------------------------------------------------


async def test_a_form_with_a_file(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(os.urandom(700_000))
    server = Scripted([answer(), answer()])
    with path.open("rb") as file:
        await aiofast.post(f"{server.url}/", data={"title": "x", "file": file})
        async with aiofast.ClientSession() as session:
            await session.post(f"{server.url}/", data={"title": "x", "file": file})
    for found in server.requests:
        assert boundary_of(found)[0] == "multipart/form-data"
        assert found.all("Content-Length") == [str(len(found.body))]
        (title, text), (head, content) = parts_of(found)
        assert 'Content-Disposition: form-data; name="title"' in title
        assert text == b"x"
        assert 'name="file"; filename="picture.png"' in head
        assert "Content-Type: image/png" in head
        assert content == path.read_bytes()


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("plain", "plain"),
        ('quo"te', "quo%22te"),
        ("back\\slash", "back\\slash"),
        ("per%cent", "per%cent"),
        ("gr\u00fc\u00df \u65e5\u672c", "gr\u00fc\u00df \u65e5\u672c"),
        ("semi;colon", "semi;colon"),
    ],
)
async def test_names_are_encoded_as_browsers_do(name, wire):
    server = Scripted([answer()])
    form = aiofast.FormData()
    form.add_field(name, "v")
    form.add_field("file", io.BytesIO(b"x"), filename=name)
    await aiofast.post(f"{server.url}/", data=form)
    (head, _), (file, _) = parts_of(server.requests[0])
    assert f'form-data; name="{wire}"' in head
    assert f'name="file"; filename="{wire}"' in file


@pytest.mark.parametrize("bad", ["a\r\nb", "a\nb", "a\0b"])
def test_names_cannot_break_the_head(bad):
    form = aiofast.FormData()
    for arguments in (
        {"name": bad},
        {"name": "a", "filename": bad},
        {"name": "a", "content_type": bad},
    ):
        with pytest.raises(ValueError):
            form.add_field(value="v", **arguments)


async def test_a_form_without_files_is_urlencoded():
    server = Scripted([answer()])
    form = aiofast.FormData({"a": "1 2"})
    form.add_field("b", "\u00e9")
    assert not form.is_multipart
    await aiofast.post(f"{server.url}/", data=form)
    assert server.requests[0].body == b"a=1+2&b=%C3%A9"
    assert server.requests[0].header("Content-Type") == "application/x-www-form-urlencoded"


async def test_a_file_that_names_itself():
    server = Scripted([answer()])
    with io.BytesIO(b"x") as file:
        fetch = aiofast.post(f"{server.url}/", data=[file, ("a", "b")])
        await fetch
    assert [content for _, content in parts_of(server.requests[0])] == [b"x", b"b"]


async def test_files_of_a_form_are_streamed(tmp_path):
    """A form of 200 MB whose server does not read takes no memory."""
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    server = Scripted([silence])
    before = aiofast._core.stats()["allocations"]
    with path.open("rb") as file:
        fetch = asyncio.ensure_future(aiofast.post(f"{server.url}/", data={"f": file}))
        await server.reached(lambda: server.connections == 1)
        await asyncio.sleep(0.1)
        assert aiofast._core.stats()["allocations"] - before < 100
        fetch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetch


async def test_a_form_of_files_follows_a_redirect(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"content" * 10_000)
    server = Scripted([answer(b"", "Location: /next", status="307 There"), answer()])
    with path.open("rb") as file:
        await aiofast.post(f"{server.url}/", data={"f": file, "g": "x"})
    assert [parts_of(found)[0][1] for found in server.requests] == [path.read_bytes()] * 2


async def test_a_part_that_streams_cannot():
    async def pieces():
        yield b"1"
        yield b"2"

    server = Scripted([answer(b"", "Location: /next", status="307 There"), answer()])
    writer = MultipartWriter()
    writer.append(pieces())
    with pytest.raises(aiofast.ClientPayloadError, match="cannot be replayed"):
        await aiofast.post(f"{server.url}/", data=writer)
    assert server.requests[0].all("Transfer-Encoding") == ["chunked"]
    assert parts_of(server.requests[0])[0][1] == b"12"


async def test_aiohttps_server_reads_our_forms(web):
    form = aiofast.FormData(quote_fields=False)
    form.add_field("a", "1", content_type="text/plain")
    found = await aiofast.post(f"{web.url}/echo", data=form)
    assert 'name="a"' in found.json()["body"]


# --- parts of any kind ----------------------------------------------------------


async def test_parts_are_nested_coded_and_counted():
    server = Scripted([answer()])
    with MultipartWriter("mixed", boundary="outer") as writer:
        writer.append("text")
        writer.append_json({"a": 1})
        writer.append_form({"b": "2"})
        writer.append(b"zip" * 100, {"Content-Encoding": "gzip"})
        writer.append(b"\xff" * 10, {"Content-Transfer-Encoding": "base64"})
        inner = MultipartWriter("related", boundary="in ner")
        inner.append(b"deep")
        writer.append(inner)
    await aiofast.post(f"{server.url}/", data=writer)
    (found,) = server.requests
    assert found.header("Content-Type") == "multipart/mixed; boundary=outer"
    parts = parts_of(found)
    assert [content for _, content in parts[:3]] == [b"text", b'{"a": 1}', b"b=2"]
    assert gzip.decompress(parts[3][1]) == b"zip" * 100
    assert parts[4][1] == b"/////////////w=="
    assert 'multipart/related; boundary="in ner"' in parts[5][0]
    assert b"\r\n\r\ndeep\r\n--in ner--\r\n" in parts[5][1]


async def test_size_is_what_is_written():
    writer = MultipartWriter()
    for part in ("text", b"bytes", io.BytesIO(b"io"), io.StringIO("s")):
        writer.append(part)
    assert writer.size == len(await writer.as_bytes())


# --- payloads -------------------------------------------------------------------


async def test_payloads_say_how_they_are_sent():
    server = Scripted([answer(), answer(), answer()])
    for made in (
        aiofast.JsonPayload({"a": 1}),
        aiofast.BytesPayload(b"x", content_type="image/x"),
        aiofast.StringPayload("\u00e9", headers={"X-More": "1"}),
    ):
        await aiofast.post(f"{server.url}/", data=made)
    kinds = [found.header("Content-Type") for found in server.requests]
    assert kinds == ["application/json", "image/x", "text/plain; charset=utf-8"]
    assert server.requests[2].header("X-More") == "1"
    assert [found.body for found in server.requests] == [b'{"a": 1}', b"x", "\u00e9".encode()]


async def test_a_registered_payload_comes_first(monkeypatch):
    monkeypatch.setattr(payload, "PAYLOAD_REGISTRY", payload.PayloadRegistry())
    monkeypatch.setattr(payload, "data_registered", lambda: None)  # it is for good

    class Point(dict):
        pass

    @aiofast.payload_type(Point)
    class PointPayload(aiofast.Payload):
        def __init__(self, value):
            super().__init__(value, content_type="x/point")

        def decode(self, encoding="utf-8", errors="strict"):
            return json.dumps(self._value)

        async def write(self, writer):
            await writer.write(b"point ")
            await writer.write(self.decode().encode())
            await writer.write_eof()

    server = Scripted([answer()])
    await aiofast.post(f"{server.url}/", data=Point(x=1))
    (found,) = server.requests
    assert found.body == b'point {"x": 1}'
    assert found.header("Content-Type") == "x/point"


async def test_a_payload_of_a_shorter_length_is_cut():
    server = Scripted([answer()])

    async def pieces():
        yield b"123456"

    await aiofast.post(
        f"{server.url}/",
        data=aiofast.AsyncIterablePayload(pieces()),
        headers={"Content-Length": "4"},
    )
    assert server.requests[0].body == b"1234"


# --- received -------------------------------------------------------------------

MIXED = (
    b"preamble\r\n--b\r\nContent-Type: text/plain\r\n\r\nfirst\r\n"
    b'--b\r\nContent-Disposition: form-data; name="n"; filename="f\xc3\xbc"\r\n\r\n'
    b"\r\n--not\r\n" + b"x" * 100_000 + b"\r\n--b\r\nContent-Type: multipart/mixed; boundary=in\r\n"
    b"\r\n--in\r\n\r\ndeep\r\n--in--\r\n\r\n--b\r\n\r\n\r\n--b--\r\nepilogue"
)


async def read_all(reader):
    out = []
    async for part in reader:
        if isinstance(part, MultipartReader):
            out.append(await read_all(part))
        else:
            out.append(bytes(await part.read()))
    return out


@pytest.mark.parametrize("size", [1, 3, 7, 65536, 10**6])
async def test_a_response_of_several_parts(size):
    """Cut anywhere, and whatever is read of it."""
    body = MIXED if size > 100 else MIXED.replace(b"x" * 100_000, b"x" * 100)
    sent = response(body, 'Content-Type: multipart/mixed; boundary="b"')
    cuts = [sent[at : at + size] for at in range(0, len(sent), size)]
    server = Scripted([request, send(*cuts)])
    async with aiofast.ClientSession() as session, session.get(f"{server.url}/") as found:
        reader = MultipartReader.from_response(found)
        first = await reader.next()
        assert first.headers["content-type"] == "text/plain"
        assert await first.text() == "first"
        second = await reader.next()
        assert (second.name, second.filename) == ("n", "f\u00fc")
        data = b""
        while chunk := await second.read_chunk(1000):
            data += chunk
        assert data == b"\r\n--not\r\n" + b"x" * (100_000 if size > 100 else 100)
        assert await read_all(await reader.next()) == [b"deep"]
        assert bytes(await (await reader.next()).read()) == b""
        assert await reader.next() is None
        assert reader.at_eof() or found.closed


@pytest.mark.parametrize("end", range(1, 60, 3))
async def test_a_body_that_is_cut_is_an_error(end):
    body = b"--b\r\nA: b\r\n\r\nfirst part\r\n--b\r\n\r\nsecond part\r\n--b--\r\n"
    stop = len(body) - 2 - end
    if stop <= 0:
        return
    sent = response(body[:stop], "Content-Type: multipart/mixed; boundary=b")
    server = Scripted([request, send(sent)])
    async with aiofast.ClientSession() as session, session.get(f"{server.url}/") as found:
        with pytest.raises((ValueError, aiofast.ClientError)):
            await read_all(MultipartReader.from_response(found))


@pytest.mark.parametrize(
    "kind", ["text/plain", "multipart/mixed", "multipart/mixed; boundary=" + "x" * 71, ""]
)
def test_what_is_not_multipart(kind):
    with pytest.raises(ValueError):
        MultipartReader({"Content-Type": kind}, None)


async def test_a_head_without_end_is_an_error():
    body = b"--b\r\n" + b"A: b\r\n" * 1000 + b"\r\nx\r\n--b--\r\n"
    server = Scripted([request, send(response(body, "Content-Type: multipart/mixed; boundary=b"))])
    async with aiofast.ClientSession() as session, session.get(f"{server.url}/") as found:
        with pytest.raises(ValueError, match="too many"):
            await MultipartReader.from_response(found).next()


async def test_a_part_is_sent_on():
    source = Scripted(
        [answer(b"--b\r\n\r\npassed on\r\n--b--\r\n", "Content-Type: multipart/x; boundary=b")]
    )
    target = Scripted([answer()])
    async with aiofast.ClientSession() as session, session.get(f"{source.url}/") as found:
        part = await MultipartReader.from_response(found).next()
        writer = MultipartWriter()
        writer.append(part)
        async with session.post(f"{target.url}/", data=writer):
            pass
    assert parts_of(target.requests[0])[0][1] == b"passed on"


@pytest.mark.parametrize(
    ("header", "kind", "params", "filename"),
    [
        ('form-data; name="a"; filename="b;c\\"d"', "form-data", 2, 'b;c"d'),
        ("attachment; filename*=UTF-8''%e2%82%ac.txt; filename=x", "attachment", 2, "\u20ac.txt"),
        ('attachment; filename*0="a"; filename*1="b"', "attachment", 2, "ab"),
        ("inline", "inline", 0, None),
        ("", None, 0, None),
    ],
)
def test_content_disposition(header, kind, params, filename):
    found, parameters = parse_content_disposition(header)
    assert (found, len(parameters)) == (kind, params)
    assert content_disposition_filename(parameters) == filename
