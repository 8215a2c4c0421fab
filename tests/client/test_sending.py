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
import zlib

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


async def test_nothing_more_after_the_announced_length_is_nothing():
    server = Scripted([answer()])
    await aiofast.post(
        f"{server.url}/", data=iter([b"abc", b"", b""]), headers={"Content-Length": "3"}
    )
    assert server.requests[0].body == b"abc"


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
            assert file.closed is (post is session_post)


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
    no = response(b"no", status="413 Too Large")
    server = Scripted([head, take(1000), send(no), pause(0.1), silence])
    assert await post(f"{server.url}/", data=ended.pieces(wait=wait)) == (413, b"no")
    await asyncio.wait_for(ended.event.wait(), 5)
    assert ended.how in (asyncio.CancelledError, GeneratorExit)
    await server.reached(lambda: server.connections == 1)
    assert aiofast._core.stats()["bodies"] == 0


async def test_after_an_early_response_the_connection_is_not_used_again():
    server = Scripted([head, take(1000), send(response(b"no")), silence], [answer(b"second")])
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


@pytest.mark.parametrize(
    "make",
    [
        lambda: b"x" * 1000,
        lambda: io.BytesIO(b"x" * 1000),
        lambda: iter([b"x" * 100] * 10),
        lambda: iter(lambda: b"x" * 100, None),
        lambda: aiofast.BytesPayload(b"x" * 1000),
    ],
)
async def test_a_session_cuts_what_is_longer(make):
    """As in aiohttp: Content-Length is the most that is sent."""
    server = Scripted([answer()])
    await session_post(f"{server.url}/", data=make(), headers={"Content-Length": "555"})
    assert server.requests[0].body == b"x" * 555


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


# --- Expect: 100-continue -------------------------------------------------------

GO = b"HTTP/1.1 100 Continue\r\n\r\n"


def body_after(seconds, *interim):
    """Reads a head, sees that nothing follows it for a while, then says |interim|
    and reads the body."""

    def step(peer):
        while b"\r\n\r\n" not in peer.buffer:
            peer.more()
        pause(seconds)(peer)
        assert peer.buffer.endswith(b"\r\n\r\n"), peer.buffer
        peer.sock.setblocking(False)
        try:
            early = peer.sock.recv(1)
        except BlockingIOError:
            early = b""
        peer.sock.setblocking(True)
        assert early == b""
        for each in interim:
            peer.write(each)
        request(peer)

    return step


@both
@pytest.mark.parametrize("data", [b"whole", sync_pieces])
async def test_the_body_waits_for_100_continue(post, data):
    server = Scripted([body_after(0.1, GO), send(response())])
    status, _ = await post(
        f"{server.url}/", data=data() if callable(data) else data, expect100=True
    )
    (found,) = server.requests
    assert status == 200
    assert found.all("Expect") == ["100-continue"]
    assert found.body == (WHOLE if callable(data) else data)


async def test_other_interim_responses_are_no_continue():
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    server = Scripted([body_after(0, hint), send(response())])
    with pytest.raises(aiofast.ServerTimeoutError):
        await aiofast.post(f"{server.url}/", data=b"x", expect100=True, timeout=0.2)


async def test_expect_of_the_callers_own_waits_too():
    server = Scripted([body_after(0.1, GO), send(response())])
    await aiofast.post(f"{server.url}/", data=b"x", headers={"expect": "100-continue"})
    assert server.requests[0].body == b"x"


async def test_a_server_that_never_says_continue_gets_the_body_all_the_same():
    server = Scripted([body_after(0.1), send(response())])
    found = await aiofast.post(f"{server.url}/", data=b"x", expect100=0.3)
    assert found.status == 200
    assert found.timings["total"] > 0.25


@both
async def test_a_final_status_is_obeyed(post):
    taken = []

    def pieces():
        taken.append(1)
        yield b"x"

    no = response(b"no", status="401 No")
    server = Scripted([head, send(no), eof], [answer(b"next")])
    assert await post(f"{server.url}/", data=pieces(), expect100=True) == (401, b"no")
    assert taken == []
    found = await aiofast.get(f"{server.url}/")
    assert (found.body, found.reused) == (b"next", False)


@both
async def test_417_sends_the_request_once_more_without_the_expectation(post):
    no = response(b"", status="417 Expectation Failed")
    server = Scripted([head, send(no), eof], [answer(b"done")])
    assert await post(f"{server.url}/", data=sync_pieces(), expect100=True) == (200, b"done")
    (found,) = server.requests
    assert found.all("Expect") == []
    assert found.body == WHOLE


async def test_417_without_an_expectation_is_an_answer():
    server = Scripted([answer(status="417 Expectation Failed")])
    assert (await aiofast.post(f"{server.url}/", data=sync_pieces())).status == 417


async def test_aiohttps_server_says_continue(web):
    found = await aiofast.post(f"{web.url}/echo", data=async_pieces(), expect100=True)
    assert found.json()["body"].encode("latin-1") == WHOLE
    assert found.reused is False
    assert (await aiofast.get(f"{web.url}/json")).reused is True


async def test_expecting_is_cancelled_like_all_else():
    server = Scripted([head, silence])
    fetch = asyncio.ensure_future(aiofast.post(f"{server.url}/", data=b"x", expect100=60))
    await server.reached(lambda: server.connections == 1)
    await asyncio.sleep(0.02)
    fetch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetch


# --- trailers, progress, compress -----------------------------------------------


@both
@pytest.mark.parametrize("data", [b"whole", sync_pieces])
async def test_trailers_follow_the_last_chunk(post, data):
    server = Scripted([answer()])
    made = data() if callable(data) else data
    await post(f"{server.url}/", data=made, trailers={"X-Sum": "12", "X-Other": "b"})
    (found,) = server.requests
    assert found.raw.endswith(b"\r\n0\r\nX-Sum: 12\r\nX-Other: b\r\n\r\n")
    assert found.all("Trailer") == ["X-Sum, X-Other"]
    assert found.body == (WHOLE if callable(data) else data)


async def test_trailers_may_be_known_only_at_the_end():
    server = Scripted([answer()])
    total = 0

    def pieces():
        nonlocal total
        for piece in PIECES:
            total += len(piece)
            yield piece

    await aiofast.post(
        f"{server.url}/",
        data=pieces(),
        trailers=lambda: [("X-Total", str(total))],
        headers={"Trailer": "X-Total"},
    )
    assert server.requests[0].raw.endswith(b"0\r\nX-Total: %d\r\n\r\n" % len(WHOLE))


@pytest.mark.parametrize(
    "trailers", [{"Content-Length": "1"}, {"X": "a\r\nb"}, {"a b": "c"}, {"Host": "x"}]
)
async def test_trailers_that_may_not_be_sent(trailers):
    server = Scripted([eof])
    with pytest.raises(ValueError):
        await aiofast.post(f"{server.url}/", data=b"x", trailers=trailers)


async def test_trailers_do_not_go_with_a_length():
    with pytest.raises(ValueError, match="trailers"):
        aiofast.post(
            "http://127.0.0.1:1/", data=b"x", trailers={"A": "b"}, headers={"Content-Length": "1"}
        )


@both
@pytest.mark.parametrize("kind", ["bytes", "pieces", "file"])
async def test_progress_tells_how_much_was_sent(post, kind, tmp_path):
    size = 10_000_000
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)
    server = Scripted([answer()])
    seen = []
    with path.open("rb") as file:
        data = {"bytes": b"x" * size, "pieces": iter([b"x" * (size // 100)] * 100), "file": file}
        await post(f"{server.url}/", data=data[kind], progress=lambda *args: seen.append(args))
    assert server.requests[0].body == b"x" * size
    sent = [done for done, _ in seen]
    assert sent == sorted(sent)
    assert sent[-1] == size
    assert len(sent) > 2
    assert {total for _, total in seen} == {None if kind == "pieces" else size}


async def test_a_progress_function_that_fails_fails_the_request():
    server = Scripted([eof])

    def progress(sent, total):
        raise Mine("mine")

    with pytest.raises(Mine):
        await aiofast.post(f"{server.url}/", data=b"x", progress=progress)


def decoded(body, coding):
    if coding == "deflate":
        return zlib.decompress(body)
    if coding == "gzip":
        return gzip.decompress(body)
    if coding == "br":
        return pytest.importorskip("brotli").decompress(body)
    return pytest.importorskip("backports.zstd").decompress(body)


@both
@pytest.mark.parametrize("coding", ["gzip", "deflate", True, "br", "zstd"])
@pytest.mark.parametrize("kind", ["small", "large", "pieces", "file"])
async def test_compress(post, coding, kind, tmp_path):
    name = "deflate" if coding is True else coding
    pytest.importorskip({"br": "brotli", "zstd": "backports.zstd"}.get(name, "zlib"))
    content = {"small": b"small" * 10, "pieces": WHOLE}.get(kind, os.urandom(1000) * 1000)
    path = tmp_path / "file"
    path.write_bytes(content)
    server = Scripted([answer()])
    with path.open("rb") as file:
        data = {"pieces": sync_pieces(), "file": file}.get(kind, content)
        await post(f"{server.url}/", data=data, compress=coding)
    (found,) = server.requests
    assert found.all("Content-Encoding") == [name]
    assert decoded(found.body, name) == content


async def test_compress_that_cannot_be():
    with pytest.raises(ValueError, match="compress"):
        aiofast.post("http://127.0.0.1:1/", data=b"x", compress="lzw")
    with pytest.raises(ValueError, match="Content-Encoding"):
        aiofast.post(
            "http://127.0.0.1:1/", data=b"x", compress=True, headers={"content-encoding": "gzip"}
        )


# --- replay ---------------------------------------------------------------------


def moved(status):
    return answer(b"", "Location: /next", status=f"{status} Moved")


@both
@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("kind", ["bytes", "iterable", "async iterable", "file", "reader"])
async def test_a_body_that_can_be_replayed_follows_a_redirect(post, status, kind, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(WHOLE)
    server = Scripted([moved(status), answer(b"done")])
    with path.open("rb") as file, io.BufferedReader(io.BytesIO(WHOLE)) as reader:
        data = {
            "bytes": WHOLE,
            "iterable": Iterable(),
            "async iterable": AsyncIterable(),
            "file": file,
            "reader": reader,
        }[kind]
        assert await post(f"{server.url}/", data=data) == (200, b"done")
    assert [found.body for found in server.requests] == [WHOLE, WHOLE]
    assert [found.method for found in server.requests] == ["POST", "POST"]


@both
@pytest.mark.parametrize("make", [sync_pieces, async_pieces])
async def test_one_that_cannot_says_so(post, make):
    server = Scripted([moved(307), answer()])
    with pytest.raises(aiofast.ClientPayloadError, match="consumed request body"):
        await post(f"{server.url}/", data=make())
    assert len(server.requests) == 1


async def test_one_that_was_not_asked_for_can():
    server = Scripted(
        [head, send(response(b"", "Location: /next", status="307 There")), eof],
        [body_after(0.05, GO), send(response(b"done"))],
    )
    found = await aiofast.post(f"{server.url}/", data=sync_pieces(), expect100=True)
    assert found.body == b"done"
    assert server.requests[0].body == WHOLE


@both
async def test_303_drops_the_body(post):
    server = Scripted([moved(303), answer(b"done")])
    assert await post(f"{server.url}/", data=sync_pieces()) == (200, b"done")
    assert server.requests[1].method == "GET"
    assert server.requests[1].body == b""
    assert server.requests[1].all("Transfer-Encoding") == []


async def test_a_lost_connection_replays_what_it_can():
    server = Scripted([answer(b"first"), head, rst], [answer(b"again")])
    await aiofast.get(f"{server.url}/")
    found = await aiofast.put(f"{server.url}/", data=AsyncIterable())
    assert found.body == b"again"
    assert server.requests[-1].body == WHOLE


async def test_a_lost_connection_says_what_it_cannot_replay():
    server = Scripted([answer(b"first"), head, rst], [answer(b"again")])
    await aiofast.get(f"{server.url}/")
    with pytest.raises(aiofast.ClientError, match="cannot be replayed"):
        await aiofast.put(f"{server.url}/", data=Ended().pieces(wait=True))
    await asyncio.sleep(0.01)


# --- UploadTracker --------------------------------------------------------------


async def test_a_tracker_follows_the_body():
    server = Scripted([moved(307), answer()])
    tracker = aiofast.UploadTracker()
    await session_post(f"{server.url}/", data=b"x" * 100_000, upload_tracker=tracker)
    assert (tracker.attempts, tracker.bytes_written) == (2, 100_000)
    assert tracker.upload_complete.result() is None


async def test_a_tracker_knows_what_failed_the_body():
    server = Scripted([request])
    tracker = aiofast.UploadTracker()
    with pytest.raises(aiofast.ClientConnectionError) as caught:
        await session_post(f"{server.url}/", data=failing(), upload_tracker=tracker)
    assert tracker.upload_complete.exception() is caught.value


async def test_a_tracker_knows_that_the_body_was_cut_short():
    server = Scripted([head, take(1000), send(response(b"no")), silence])
    tracker, ended = aiofast.UploadTracker(), Ended()
    await session_post(f"{server.url}/", data=ended.pieces(), upload_tracker=tracker)
    with pytest.raises(aiofast.UploadAbortedError):
        await asyncio.wait_for(tracker.upload_complete, 5)
    await asyncio.wait_for(ended.event.wait(), 5)


async def test_a_tracker_is_for_one_request():
    server = Scripted([answer(), answer()])
    tracker = aiofast.UploadTracker()
    await session_post(f"{server.url}/", upload_tracker=tracker)
    assert tracker.upload_complete.result() is None
    with pytest.raises(RuntimeError, match="bound"):
        await session_post(f"{server.url}/", upload_tracker=tracker)
    with pytest.raises(TypeError, match="upload_tracker"):
        aiofast.post(f"{server.url}/", data=b"x", upload_tracker=tracker)
