"""Bodies that are sent in pieces: iterables, files, and what goes wrong."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import gzip
import io
import os
import tempfile
import threading
import weakref

import aiofast
import pytest
from servers import (
    Scripted,
    answer,
    eof,
    pause,
    read_line,
    request,
    response,
    rst,
    send,
    signal,
    silence,
    take,
    until,
)

PIECES = [b"one", b"", b"two " * 1000, bytearray(b"three"), memoryview(b"four")]
WHOLE = b"".join(PIECES)


def sync_pieces():
    yield from PIECES


async def async_pieces():
    for piece in PIECES:
        await asyncio.sleep(0)
        yield piece


class Iterable:
    def __iter__(self):
        return iter(PIECES)


class AsyncIterable:
    def __aiter__(self):
        return async_pieces()


class Reader:
    """Has read() and nothing else."""

    def __init__(self, data):
        self.data = io.BytesIO(data) if isinstance(data, bytes) else io.StringIO(data)

    def read(self, size=-1):
        return self.data.read(size)


class AsyncReader(Reader):
    async def read(self, size=-1):
        await asyncio.sleep(0)
        return self.data.read(size)


def head(peer):
    """Reads a head and nothing of the body."""
    while read_line(peer) != b"\r\n":
        pass


class Ended:
    """A generator's view of its own end."""

    def __init__(self):
        self.how = None
        self.event = asyncio.Event()

    async def pieces(self, piece=b"x" * 65536, wait=False):
        try:
            while True:
                yield piece
                if wait:
                    await asyncio.sleep(3600)
        except BaseException as exc:
            self.how = type(exc)
            raise
        finally:
            await asyncio.sleep(0)
            self.event.set()


async def session_post(url, **kwargs):
    async with aiofast.ClientSession() as session, session.post(url, **kwargs) as found:
        return found.status, await found.read()


async def native_post(url, **kwargs):
    found = await aiofast.post(url, **kwargs)
    return found.status, found.body


both = pytest.mark.parametrize("post", [native_post, session_post])


# --- what arrives ---------------------------------------------------------------


@both
@pytest.mark.parametrize("make", [sync_pieces, async_pieces, Iterable, AsyncIterable])
async def test_pieces_go_out_chunked(post, make):
    server = Scripted([answer()])
    assert await post(f"{server.url}/", data=make()) == (200, b"ok")
    (found,) = server.requests
    assert found.body == WHOLE
    assert found.all("Transfer-Encoding") == ["chunked"]
    assert found.all("Content-Length") == []
    assert found.all("Content-Type") == ["application/octet-stream"]
    assert found.raw.endswith(b"4\r\nfour\r\n0\r\n\r\n")  # each piece is a chunk


@both
@pytest.mark.parametrize("make", [sync_pieces, async_pieces])
async def test_pieces_of_a_given_length_are_not_chunked(post, make):
    server = Scripted([answer()])
    length = {"Content-Length": str(len(WHOLE))}
    assert await post(f"{server.url}/", data=make(), headers=length) == (200, b"ok")
    (found,) = server.requests
    assert found.body == WHOLE
    assert found.all("Content-Length") == [str(len(WHOLE))]
    assert found.all("Transfer-Encoding") == []


@pytest.mark.parametrize("count", [0, 1, 2])
async def test_no_pieces_are_an_empty_body(count):
    server = Scripted([answer()])
    await aiofast.post(f"{server.url}/", data=iter([b""] * count))
    assert server.requests[0].raw.endswith(b"\r\n\r\n0\r\n\r\n")


async def test_the_connection_is_used_again(web):
    for at in range(3):
        found = await aiofast.put(f"{web.url}/echo", data=async_pieces())
        assert found.json()["body"].encode("latin-1") == WHOLE
        assert found.reused is (at > 0)
    length = {"Content-Length": str(len(WHOLE))}
    found = await aiofast.put(f"{web.url}/echo", data=async_pieces(), headers=length)
    assert found.reused is True


async def test_pieces_over_tls(web_tls, client_context):
    big = os.urandom(300_000)
    for _ in range(2):
        found = await aiofast.post(
            f"{web_tls.url}/echo", data=iter([big, b"x", big]), ssl=client_context
        )
        assert found.json()["body"].encode("latin-1") == big + b"x" + big


async def test_a_file_over_tls(web_tls, client_context, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(700_000))
    with path.open("rb") as file:
        found = await aiofast.post(f"{web_tls.url}/echo", data=file, ssl=client_context)
    assert found.json()["body"].encode("latin-1") == path.read_bytes()


@pytest.mark.parametrize("size", [0, 1, 65536, 262144, 262145, 3_000_000])
@both
async def test_a_file_is_sent_from_where_it_stands(post, size, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"skipped" + os.urandom(size))
    for buffering in (-1, 0):
        with path.open("rb", buffering) as file:
            assert file.read(7) == b"skipped"
            server = Scripted([answer()])
            await post(f"{server.url}/", data=file)
            assert server.requests[0].body == path.read_bytes()[7:]
            assert server.requests[0].all("Content-Length") == [str(size)]
            assert not file.closed


async def test_a_file_may_be_closed_once_it_is_under_way(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(20_000_000))
    go = threading.Event()
    server = Scripted([until(go), answer()])
    with path.open("rb") as file:
        fetch = asyncio.ensure_future(aiofast.post(f"{server.url}/", data=file))
        await server.reached(lambda: server.connections == 1)
        await asyncio.sleep(0.1)
    with path.open("rb"):  # takes the descriptor's number
        go.set()
        await fetch
    assert server.requests[0].body == path.read_bytes()


@pytest.mark.parametrize(
    ("make", "want"),
    [
        (lambda: io.BytesIO(b"bytes"), b"bytes"),
        (lambda: io.StringIO("t\u00e9xt"), "t\u00e9xt".encode()),
        (lambda: Reader(b"r" * 200_000), b"r" * 200_000),
        (lambda: Reader("\u00e9" * 100_000), "\u00e9".encode() * 100_000),
        (lambda: AsyncReader(b"a" * 200_000), b"a" * 200_000),
        (lambda: gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(b"g" * 9))), b"g" * 9),
    ],
)
async def test_readers_of_any_kind(make, want):
    server = Scripted([answer()])
    await aiofast.post(f"{server.url}/", data=make())
    assert server.requests[0].body == want


async def test_a_compressed_file_is_sent_as_it_reads(tmp_path):
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(b"plain" * 1000))
    server = Scripted([answer()])
    with gzip.open(path) as file:
        await aiofast.post(f"{server.url}/", data=file)
    assert server.requests[0].body == b"plain" * 1000


async def test_temporary_files():
    server = Scripted([answer(), answer(), answer()])
    for make in (
        tempfile.TemporaryFile,
        tempfile.NamedTemporaryFile,
        tempfile.SpooledTemporaryFile,
    ):
        with make() as file:
            file.write(b"0123456789")
            file.seek(2)
            await aiofast.post(f"{server.url}/", data=file)
    assert [found.body for found in server.requests] == [b"23456789"] * 3


async def test_a_text_file_is_sent_as_utf_8(tmp_path):
    path = tmp_path / "file"
    path.write_text("\u00e4\u00f6\u00fc\n" * 50_000, encoding="latin-1")
    server = Scripted([answer()])
    with path.open(encoding="latin-1") as file:
        await aiofast.post(f"{server.url}/", data=file)
    assert server.requests[0].body == "\u00e4\u00f6\u00fc\n".encode() * 50_000


async def test_a_pipe_is_sent_as_it_comes():
    server = Scripted([answer()])
    out, into = os.pipe()
    with os.fdopen(out, "rb") as file:
        fetch = asyncio.ensure_future(aiofast.post(f"{server.url}/", data=file))
        for at in range(5):
            await asyncio.sleep(0.01)
            os.write(into, b"%d" % at)
        os.close(into)
        await fetch
    assert server.requests[0].body == b"01234"


# --- pace -----------------------------------------------------------------------


async def test_a_slow_peer_sets_the_pace():
    go = threading.Event()
    server = Scripted([head, until(go), eof])
    given = 0

    def pieces():
        nonlocal given
        while True:
            given += 65536
            yield b"x" * 65536

    fetch = asyncio.ensure_future(aiofast.post(f"{server.url}/", data=pieces()))
    await server.reached(lambda: given > 0)
    await asyncio.sleep(0.2)
    before = given
    await asyncio.sleep(0.2)
    assert given == before < 20_000_000
    go.set()
    await server.reached(lambda: given > 2 * before)
    fetch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetch


async def test_an_endless_source_leaves_the_loop_to_others():
    server = Scripted([eof])
    fetch = asyncio.ensure_future(
        aiofast.post(f"{server.url}/", data=iter(lambda: b"x" * 1000, None))
    )
    await server.reached(lambda: server.connections == 1)
    slowest, last = 0.0, asyncio.get_running_loop().time()
    for _ in range(200):
        await asyncio.sleep(0)
        now = asyncio.get_running_loop().time()
        slowest, last = max(slowest, now - last), now
    fetch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetch
    assert slowest < 0.5


async def test_nothing_is_taken_before_there_is_a_connection():
    taken = []

    def pieces():
        taken.append(1)
        yield b"x"

    from servers import free_port

    with pytest.raises(aiofast.ClientConnectorError):
        await aiofast.post(f"http://127.0.0.1:{free_port()}/", data=pieces())
    assert taken == []


async def test_the_body_runs_in_the_context_of_the_request():
    server = Scripted([answer()])
    var = contextvars.ContextVar("var")
    var.set("mine")

    async def pieces():
        yield var.get().encode()
        await asyncio.sleep(0.01)
        yield var.get().encode()

    fetch = aiofast.post(f"{server.url}/", data=pieces())
    await fetch
    assert server.requests[0].body == b"minemine"


# --- early responses ------------------------------------------------------------


@both
@pytest.mark.parametrize("wait", [False, True])
async def test_an_early_response_is_returned(post, wait):
    ended = Ended()
    server = Scripted([head, send(response(b"no", status="413 Too Large")), pause(0.1), silence])
    assert await post(f"{server.url}/", data=ended.pieces(wait=wait)) == (413, b"no")
    await asyncio.wait_for(ended.event.wait(), 5)
    assert ended.how in (asyncio.CancelledError, GeneratorExit)
    await server.reached(lambda: server.connections == 1)
    assert aiofast._core.stats()["bodies"] == 0


async def test_after_an_early_response_the_connection_is_not_used_again():
    server = Scripted([head, send(response(b"no")), silence], [answer(b"second")])
    ended = Ended()
    assert (await aiofast.post(f"{server.url}/", data=ended.pieces())).body == b"no"
    await asyncio.wait_for(ended.event.wait(), 5)
    found = await aiofast.get(f"{server.url}/")
    assert (found.body, found.reused) == (b"second", False)


@pytest.mark.parametrize("end", [rst, None])
@both
async def test_a_response_before_the_reset_is_returned(post, end):
    """The server answers and closes while we send: no "broken pipe"."""
    script = [take(100_000), send(response(b"no", "Connection: close", status="403 No"))]
    server = Scripted([*script, pause(0.05), *([end] if end else [])])
    ended = Ended()
    assert await post(f"{server.url}/", data=ended.pieces()) == (403, b"no")
    await asyncio.wait_for(ended.event.wait(), 5)


async def test_reading_goes_on_while_the_body_is_sent():
    """A server that echoes each line as it comes: both directions at once."""
    begin = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n"

    def echo(peer):
        head(peer)
        peer.write(begin)
        for _ in range(3):
            size = int(read_line(peer), 16)
            peer.write(peer.read(size + 2)[:size])

    server = Scripted([echo, eof])
    heard = asyncio.Queue()

    async def pieces():
        for word in (b"one ", b"two ", b"six "):
            yield word
            assert await heard.get() == word

    async with (
        aiofast.ClientSession() as session,
        session.post(f"{server.url}/", data=pieces()) as found,
    ):
        for word in (b"one ", b"two ", b"six "):
            assert await found.content.readexactly(4) == word
            heard.put_nowait(word)


# --- failures -------------------------------------------------------------------


class Mine(Exception):
    pass


async def failing(error=Mine, wait=0.0):
    yield b"x" * 1000
    await asyncio.sleep(wait)
    raise error("mine")


def failing_at_once():
    raise Mine("mine")
    yield b""


@pytest.mark.parametrize("make", [failing, failing_at_once, lambda: failing(wait=0.05)])
async def test_the_sources_own_error_reaches_the_caller(make):
    server = Scripted([request, send(response())], [answer(b"next")])
    with pytest.raises(Mine, match="mine"):
        await aiofast.post(f"{server.url}/", data=make())
    assert server.requests == []
    found = await aiofast.get(f"{server.url}/")
    assert (found.body, found.reused) == (b"next", False)


async def test_in_a_session_it_is_the_cause_of_a_client_error():
    server = Scripted([request])
    with pytest.raises(aiofast.ClientConnectionError, match="mine") as caught:
        await session_post(f"{server.url}/", data=failing())
    assert isinstance(caught.value.__cause__, Mine)
    with pytest.raises(aiofast.ClientOSError):
        await session_post(f"{server.url}/", data=failing(lambda text: OSError(5, text)))


async def test_an_error_while_the_response_streams_reaches_its_reader():
    server = Scripted([head, send(response(b"", length=False) + b"some"), silence])
    go = asyncio.Event()

    async def pieces():
        yield b"x"
        await go.wait()
        raise Mine("mine")

    async with aiofast.ClientSession() as session:
        found = await session.post(f"{server.url}/", data=pieces())
        assert await found.content.readexactly(4) == b"some"
        go.set()
        with pytest.raises(aiofast.ClientError, match="mine"):
            await found.content.read()
        found.close()


@pytest.mark.parametrize("size", [0, 999, 1001, 5000])
async def test_another_length_than_announced_is_an_error(size):
    server = Scripted([take(10), eof], [answer(b"next")])
    with pytest.raises(ValueError, match="announced 1000 bytes"):
        await aiofast.post(
            f"{server.url}/", data=iter([b"x" * size]), headers={"Content-Length": "1000"}
        )
    assert server.requests == []
    assert (await aiofast.get(f"{server.url}/")).reused is False


async def test_a_file_that_shrinks_is_an_error(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1_000_000)
    server = Scripted([eof])
    with path.open("rb") as file:
        fetch = aiofast.post(f"{server.url}/", data=file)
        os.truncate(path, 500_000)
        with pytest.raises(EOFError, match="shorter"):
            await fetch


@pytest.mark.parametrize("piece", ["text", 5, None, ["x"]])
async def test_what_is_no_bytes_is_a_type_error(piece):
    server = Scripted([eof])
    with pytest.raises(TypeError, match="bytes-like"):
        await aiofast.post(f"{server.url}/", data=iter([b"x", piece]))


@pytest.mark.parametrize("data", [5, object(), 1.5])
async def test_what_is_no_body_is_a_type_error_at_once(data):
    with pytest.raises(TypeError, match="data must be"):
        aiofast.post("http://127.0.0.1:1/", data=data)


async def test_a_peer_that_leaves_ends_the_source():
    ended = Ended()
    server = Scripted([take(1000), rst])
    with pytest.raises(aiofast.ClientError):
        await aiofast.post(f"{server.url}/", data=ended.pieces())
    await asyncio.wait_for(ended.event.wait(), 5)


async def test_a_source_that_is_cancelled_fails_the_request():
    server = Scripted([eof])

    async def pieces():
        yield b"x"
        raise asyncio.CancelledError

    with pytest.raises(aiofast.ClientConnectionError, match="cancelled"):
        await aiofast.post(f"{server.url}/", data=pieces())


async def test_framing_of_the_callers_own_is_checked():
    server = Scripted([answer()])
    for headers in (
        {"Content-Length": "x"},
        {"Content-Length": "-1"},
        {"Transfer-Encoding": "gzip"},
        {"Content-Length": "5", "Transfer-Encoding": "chunked"},
    ):
        with pytest.raises(ValueError):
            await aiofast.post(f"{server.url}/", data=sync_pieces(), headers=headers)
    assert server.requests == []


@both
async def test_transfer_encoding_of_the_callers_own_means_chunked(post):
    server = Scripted([answer()])
    await post(f"{server.url}/", data=b"whole", headers={"Transfer-Encoding": "chunked"})
    assert server.requests[0].all("Transfer-Encoding") == ["chunked"]
    assert server.requests[0].raw.endswith(b"5\r\nwhole\r\n0\r\n\r\n")


# --- cancellation ---------------------------------------------------------------


@pytest.mark.parametrize("wait", [False, True])
async def test_cancelling_the_request_ends_the_source(wait):
    ended = Ended()
    server = Scripted([take(10), silence])
    fetch = asyncio.ensure_future(aiofast.post(f"{server.url}/", data=ended.pieces(wait=wait)))
    await server.reached(lambda: server.connections == 1)
    await asyncio.sleep(0.05)
    fetch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetch
    await asyncio.wait_for(ended.event.wait(), 5)
    assert ended.how in (asyncio.CancelledError, GeneratorExit)


async def test_a_timeout_ends_the_source():
    ended = Ended()
    server = Scripted([silence])
    with pytest.raises(aiofast.ServerTimeoutError):
        await aiofast.post(f"{server.url}/", data=ended.pieces(), timeout=0.1)
    await asyncio.wait_for(ended.event.wait(), 5)


async def test_closing_the_session_ends_the_source():
    ended = Ended()
    server = Scripted([silence])
    session = aiofast.ClientSession()
    fetch = asyncio.ensure_future(session.post(f"{server.url}/", data=ended.pieces()))
    await server.reached(lambda: server.connections == 1)
    await asyncio.sleep(0.05)
    await session.close()
    with pytest.raises(aiofast.ClientConnectionError):
        await fetch
    await asyncio.wait_for(ended.event.wait(), 5)


async def test_a_cancelled_file_leaves_nothing(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 30_000_000)
    server = Scripted([head, silence])
    for wait in (0, 0, 0.001, 0.05):
        with path.open("rb") as file:
            fetch = asyncio.ensure_future(aiofast.post(f"{server.url}/", data=file))
            await asyncio.sleep(wait)
            fetch.cancel()
            with pytest.raises(asyncio.CancelledError):
                await fetch
    await server.reached(lambda: aiofast._core.stats()["lookups"] == 0)


async def test_a_loop_that_ends_in_the_middle_leaves_nothing():
    server = Scripted([silence])
    seen = []

    class Kept:
        pass

    def work():
        kept = Kept()
        seen.append(weakref.ref(kept))

        async def pieces():
            while True:
                yield b"x" * 65536
                assert kept

        async def main():
            task = asyncio.ensure_future(aiofast.post(f"{server.url}/", data=pieces()))
            await asyncio.sleep(0.1)
            assert not task.done()

        asyncio.run(main())

    thread = threading.Thread(target=work)
    thread.start()
    await asyncio.to_thread(thread.join)
    gc.collect()
    assert seen[0]() is None


async def test_signals_reach_a_server_that_waits_for_the_first_piece():
    """The head goes out before the source has anything."""
    there = threading.Event()
    server = Scripted([head, signal(there), eof])

    async def pieces():
        while not there.is_set():
            await asyncio.sleep(0.005)
        yield b"x"
        raise Mine("mine")

    with pytest.raises(Mine):
        await asyncio.wait_for(aiofast.post(f"{server.url}/", data=pieces()), 5)
