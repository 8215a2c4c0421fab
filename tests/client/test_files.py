"""Files as bodies of requests: large ones, and such as change meanwhile."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading

import aiofast
import pytest
from measures import Peak, stalls
from servers import Gone, Scripted, answer, response, rst, send, silence, take, until

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
                got = peer.sock.recv_into(room[: min(left, MIB)])
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
