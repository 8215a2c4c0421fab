"""Files as bodies of requests: large ones, and such as change meanwhile."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import os
import threading

import aiofast
import pytest
from measures import Peak, stalls
from servers import Gone, Scripted, answer, fin, forever, response, rst, send, silence, take, until

MIB = 1 << 20


def head_only(peer):
    """Reads a head, and leaves the body in the socket."""
    while b"\r\n\r\n" not in peer.buffer:
        peer.more()
    _, _, peer.buffer = peer.buffer.partition(b"\r\n\r\n")


def swallow(count=1 << 60, digest=None):
    """Takes |count| bytes, or all that come, and keeps none of them."""

    def step(peer):
        left = count
        room = memoryview(bytearray(MIB))
        while left > 0:
            part, peer.buffer = peer.buffer[:left], peer.buffer[left:]
            if part:
                got, view = len(part), memoryview(part)
            else:
                try:
                    got = peer.sock.recv_into(room[: min(left, MIB)])
                except ConnectionResetError as reset:
                    raise Gone("reset") from reset
                view = room[:got]
            if not got:
                raise Gone("end of file")
            if digest is not None:
                digest.update(view)
            left -= got

    return step


@pytest.fixture(params=["plain", "tls", "chunked"])
def way(request, authority):
    """The kernel sends it; it is read; it is read and framed."""
    if request.param == "tls":
        return {"tls": authority.server()}, {"ssl": authority.client()}
    return {"tls": None}, {"chunked": True} if request.param == "chunked" else {}


@pytest.mark.parametrize("size", [65_536, 65_537, 3 * MIB + 1])
async def test_it_comes_as_it_is(size, way, tmp_path):
    server_options, options = way
    path = tmp_path / "file"
    path.write_bytes(os.urandom(size))
    server = Scripted([answer(), answer()], **server_options)
    for _ in range(2):  # and its connection is used again
        with path.open("rb") as file:
            await aiofast.post(f"{server.url}/", data=file, **options)
    assert [found.body == path.read_bytes() for found in server.requests] == [True, True]
    assert server.connections == 1


async def test_what_a_file_grows_by_is_not_sent(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * MIB)
    server = Scripted([answer(), answer()])
    with path.open("rb") as file:
        fetch = aiofast.post(f"{server.url}/", data=file)
        with path.open("ab") as more:
            more.write(b"y" * MIB)
        await fetch
    await aiofast.fetch(f"{server.url}/next")
    assert server.requests[0].body == b"x" * MIB
    assert (server.requests[1].target, server.connections) == ("/next", 1)


async def test_a_file_that_shrinks_under_way(way, tmp_path):
    """More than two sockets hold has to be sent when it does."""
    server_options, options = way
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(256 * MIB)
    go = threading.Event()
    server = Scripted([until(go), swallow()], [answer(b"next")], **server_options)
    with path.open("rb") as file:
        fetch = asyncio.ensure_future(aiofast.post(f"{server.url}/", data=file, **options))
        await server.reached(lambda: server.connections == 1)
        await asyncio.sleep(0.2)
        os.truncate(path, 1000)
        go.set()
        with pytest.raises(EOFError, match="shorter than it was"):
            await fetch
    options.pop("chunked", None)
    found = await aiofast.fetch(f"{server.url}/next", **options)
    assert (found.body, found.reused) == (b"next", False)


async def test_an_early_answer_to_a_file(way, tmp_path):
    server_options, options = way
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(256 * MIB)
    early = response(b"no", status="413 Content Too Large")
    server = Scripted([take(MIB), send(early), silence], [take(MIB), rst], **server_options)
    with path.open("rb") as file:
        found = await aiofast.post(f"{server.url}/", data=file, **options)
        assert (found.status, found.body) == (413, b"no")
        with pytest.raises(aiofast.ClientConnectionError):
            await aiofast.post(f"{server.url}/", data=file, **options)
    await server.reached(lambda: aiofast._core.stats()["lookups"] == 0)


async def test_progress_of_a_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * (9 * MIB))
    server = Scripted([answer()])
    seen = []
    with path.open("rb") as file:
        await aiofast.post(
            f"{server.url}/", data=file, progress=lambda done, total: seen.append((done, total))
        )
    assert seen[-1] == (9 * MIB, 9 * MIB)
    assert seen == sorted(seen) and len(seen) > 2


@pytest.mark.slow
@pytest.mark.seconds(120)
@pytest.mark.parametrize("way", ["plain", "tls"], indirect=True)
async def test_a_gibibyte_in_little_memory(way, tmp_path):
    server_options, options = way
    path = tmp_path / "file"
    want, found = hashlib.blake2b(), hashlib.blake2b()
    with path.open("wb") as file:
        for n in range(1024):
            piece = n.to_bytes(2, "big") * (MIB // 2)
            want.update(piece)
            file.write(piece)
    digest = found if not server_options["tls"] else None  # two such passes would take long
    server = Scripted(
        [answer(), head_only, swallow(1 << 30, digest), send(response(b"ok"))], **server_options
    )
    await aiofast.post(f"{server.url}/warm", data=b"x", **options)
    with path.open("rb") as file, Peak() as peak:
        async with stalls() as worst:
            answered = await aiofast.post(f"{server.url}/", data=file, timeout=100, **options)
    assert (answered.status, answered.reused) == (200, True)
    assert digest is None or found.digest() == want.digest()
    assert peak.grown < 20 << 20
    assert worst.worst < 0.05


# --- who closes it --------------------------------------------------------------


def plainly(session):
    return {}


def by_middleware(session):
    async def middleware(request, handler):
        return await handler(request)

    return {"middlewares": [middleware]}


ways = pytest.mark.parametrize("more", [plainly, by_middleware])


class Noted(aiofast.BytesPayload):
    closed = 0

    async def close(self):
        self.closed += 1
        await super().close()


@ways
@pytest.mark.parametrize("compress", [None, "gzip"])
async def test_a_session_closes_it(more, compress, tmp_path):
    """As aiohttp's does."""
    async with aiofast.ClientSession() as session:
        path = tmp_path / "file"
        path.write_bytes(b"x" * 100)
        server = Scripted([forever(answer())])
        for make in (
            lambda: (file := path.open("rb"), file),
            lambda: (file := path.open(), file),
            lambda: (file := path.open("rb"), {"file": file}),
            lambda: (file := path.open("rb"), aiofast.FormData({"file": file, "a": "b"})),
            lambda: (file := path.open("rb"), aiofast.BufferedReaderPayload(file)),
        ):
            file, data = make()
            async with session.post(server.url, data=data, compress=compress, **more(session)):
                assert file.closed
        file = io.BytesIO(b"x")
        await session.post(server.url, data=file, **more(session))
        assert not file.closed  # it holds nothing of the system
        with path.open("rb") as file:
            await aiofast.post(server.url, data=file)
            await aiofast.post(server.url, data={"file": file})
            assert not file.closed  # without a session it is the caller's


@ways
@pytest.mark.parametrize(
    ("script", "error", "options"),
    [
        ([answer()], None, {}),
        ([answer(b"", "Location: /", status="307 Temporary Redirect"), answer()], None, {}),
        ([answer(b"", "Location: /", status="303 See Other"), answer()], None, {}),
        (
            [answer(b"", "Location: http://[", status="308 Permanent Redirect")],
            aiofast.InvalidUrlRedirectClientError,
            {},
        ),
        (
            [forever(answer(b"", "Location: /", status="307 Temporary Redirect"))],
            aiofast.TooManyRedirects,
            {"max_redirects": 2},
        ),
        ([fin], aiofast.ClientError, {}),
        ([silence], asyncio.TimeoutError, {"timeout": 0.1}),
        ([answer(status="404 Not Found")], aiofast.ClientResponseError, {"raise_for_status": True}),
    ],
)
async def test_a_payload_is_closed_whatever_comes(script, error, options, more):
    async with aiofast.ClientSession() as session:
        server = Scripted(script, script)
        payload = Noted(b"payload")
        post = session.post(f"{server.url}/", data=payload, **more(session), **options)
        if error is None:
            await post
        else:
            with pytest.raises(error):
                await post
        assert payload.closed == 1


@ways
async def test_a_payload_is_closed_when_it_is_cancelled(more, tmp_path):
    async with aiofast.ClientSession() as session:
        server = Scripted([swallow()], [swallow()])
        path = tmp_path / "file"
        with path.open("wb") as file:
            file.truncate(MIB)
        for data in (Noted(b"x" * 100), aiofast.BufferedReaderPayload(path.open("rb"))):
            post = asyncio.ensure_future(session.post(server.url, data=data, **more(session)))
            await asyncio.sleep(0.05)
            post.cancel()
            with pytest.raises(asyncio.CancelledError):
                await post
            assert data.closed if isinstance(data, Noted) else data._value.closed


@ways
async def test_it_is_not_closed_under_the_hands_of_who_reads_it(more, tmp_path):
    """The response comes before the body is sent, which goes on."""
    async with aiofast.ClientSession() as session:
        path = tmp_path / "file"
        path.write_bytes(gzip.compress(b"0123456789abcdef" * (4 * MIB)))
        go = threading.Event()
        early = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        server = Scripted([take(MIB), send(early), until(go), swallow()])
        with gzip.open(path) as file:
            async with session.post(server.url, data=file, **more(session)) as found:
                assert found.status == 200
                assert not file.closed
                go.set()
                await server.reached(lambda: file.tell() > 32 * MIB)
            await server.reached(lambda: file.closed)


async def test_a_middleware_that_sends_another_body_closes_the_first():
    async with aiofast.ClientSession() as session:
        first, second = Noted(b"first"), Noted(b"second")

        async def middleware(request, handler):
            await request.update_body(second)
            return await handler(request)

        server = Scripted([answer()])
        await session.post(server.url, data=first, middlewares=[middleware])
        assert (server.requests[0].body, first.closed, second.closed) == (b"second", 1, 1)


async def test_a_body_that_cannot_be_closed_is_no_error_of_the_request(caplog):
    async with aiofast.ClientSession() as session:

        class Bad(aiofast.BytesPayload):
            async def close(self):
                raise OSError("no such luck")

        server = Scripted([answer()])
        assert (await session.post(server.url, data=Bad(b"x"))).status == 200
        assert "cannot be closed: no such luck" in caplog.text
