"""Python that runs in the middle of the engine and turns on it: functions of the
program that the engine calls, and TLS, which is Python code itself."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import ssl
import subprocess
import sys
import tempfile

import aiofast
import pytest
from aiofast import _core
from servers import Scripted, answer, eof, fin, forever, pause, request, response, send


async def works():
    server = Scripted([forever(answer(b"good"))])
    async with asyncio.timeout(10):
        for _ in range(2):
            assert (await aiofast.fetch(f"{server.url}/")).body == b"good"


class Fields:
    """Headers that do something when they are read."""

    def __init__(self, act):
        self.act = act

    def items(self):
        self.act()
        return [("X-A", "b")]


# --- functions that the engine calls --------------------------------------------


async def test_headers_that_cancel():
    server = Scripted([forever(answer())])
    pool = _core.Pool()
    fetch = None
    fields = Fields(lambda: fetch.cancel())
    fetch = _core.fetch(_core.Options(), pool, "GET", f"{server.url}/", None, fields, None, 0, None)
    with pytest.raises(asyncio.CancelledError):
        await fetch
    await asyncio.sleep(0.05)
    assert server.requests == []
    pool.close()
    await works()


@pytest.mark.parametrize("cancel", [False, True])
async def test_headers_that_close_the_engine(cancel):
    server = Scripted([forever(answer())])

    def act():
        _core.close_loop()
        if cancel:
            fetch.cancel()

    fetch = _core.fetch(
        _core.Options(), None, "GET", f"{server.url}/", None, Fields(act), None, 0, None
    )
    with pytest.raises(asyncio.CancelledError if cancel else aiofast.ClientConnectionError):
        await fetch
    assert server.requests == []
    await works()


async def test_headers_that_close_the_pool():
    server = Scripted([forever(answer())])
    pool = _core.Pool()
    fetch = _core.fetch(
        _core.Options(), pool, "GET", f"{server.url}/", None, Fields(pool.close), None, 0, None
    )
    with pytest.raises(aiofast.ClientConnectionError):
        await fetch
    assert server.requests == []


async def test_a_context_function_that_cancels(authority):
    server = Scripted([forever(answer())], tls=authority.server())
    fetch = None

    def context():
        fetch.cancel()
        return authority.client()

    options = _core.Options(tls_context=context)
    fetch = _core.fetch(options, None, "GET", f"{server.url}/", None, None, None, 0, None)
    with pytest.raises(asyncio.CancelledError):
        await fetch
    await works()


@pytest.mark.parametrize("act", ["close_loop", "cancel", "start"])
async def test_a_trace_function_that(act):
    moved = response(b"", "Location: /next", status="302 Found")
    server = Scripted([request, send(moved), forever(answer(b"next"))])
    begun, others = [], []

    def trace(phase, seconds):
        if act == "close_loop":
            _core.close_loop()
        elif act == "cancel":
            task.cancel()
        else:
            other = aiofast.fetch(f"{server.url}/")
            other.add_done_callback(others.append)
            begun.append(other)

    task = asyncio.create_task(aiofast.fetch(f"{server.url}/", trace=trace))
    if act == "start":
        assert (await task).body == b"next"
        while len(others) < len(begun) or not begun:
            await asyncio.sleep(0.01)
    else:
        with pytest.raises((asyncio.CancelledError, aiofast.ClientError)):
            await asyncio.wait_for(task, 5)
    await works()


def test_a_trace_function_that_ends_the_program():
    server = Scripted([forever(answer())])

    async def main(kind):
        def trace(phase, seconds):
            raise kind

        await aiofast.fetch(f"{server.url}/", trace=trace)

    for kind in (KeyboardInterrupt, SystemExit):
        with pytest.raises(kind):
            asyncio.run(main(kind))


async def test_a_callback_that_removes_itself_while_it_is_compared():
    server = Scripted([forever(answer())])
    fetch = aiofast.fetch(f"{server.url}/")

    class Callback:
        def __call__(self, done):
            raise AssertionError("it was removed")

        def __eq__(self, other):
            assert fetch.remove_done_callback(self) == 1  # told by identity
            gc.collect()
            return NotImplemented

        __hash__ = None

    fetch.add_done_callback(Callback())
    assert fetch.remove_done_callback(object()) == 0
    assert (await fetch).status == 200


class Source:
    """A body whose piece is |piece|, given by a task of its own."""

    length, replayable, expect = None, False, 0.0

    def __init__(self, piece):
        self.piece, self.outcome = piece, []

    def start(self, upload, context):
        self.upload = upload
        return asyncio.get_running_loop().create_task(self.run(upload))

    async def run(self, upload):
        try:
            await upload.write(self.piece)
            await upload.end(None)
        except Exception as error:
            self.outcome.append(error)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="buffers in Python are from 3.12 on")
@pytest.mark.parametrize("act", ["writes", "closes"])
async def test_a_piece_that_turns_on_the_engine(act):
    """Its bytes are asked for by a call of Python."""

    class Piece:
        def __buffer__(self, flags):
            if act == "writes":
                source.upload.write(bytearray(5_000_000))
            else:
                _core.close_loop()
                gc.collect()
            return memoryview(b"piece")

    source = Source(Piece())
    server = Scripted([eof])
    fetch = _core.fetch(
        _core.Options(total=0.5), None, "POST", f"{server.url}/", None, None, source, 0, None
    )
    with pytest.raises(aiofast.ClientError):
        await fetch
    await asyncio.sleep(0)
    assert [type(each) for each in source.outcome] == [
        RuntimeError if act == "writes" else aiofast.ClientConnectionResetError
    ]
    await works()


async def test_policy_that_closes_the_engine():
    moved = response(b"", "Location: /next", status="302 Found")
    server = Scripted([request, send(moved), forever(answer(b"next"))])

    def policy(fetch, found):
        _core.close_loop()
        return "GET", f"{server.url}/next", None, None

    options = _core.Options(policy=policy)
    fetch = _core.fetch(options, None, "GET", f"{server.url}/", None, None, None, 3, None)
    with pytest.raises(aiofast.ClientConnectionError):
        await asyncio.wait_for(fetch, 5)
    await works()


# --- the body of a request that a response has overtaken ------------------------


async def test_a_response_before_the_request_is_sent_keeps_its_body():
    """Nobody else holds it."""
    size = 16 << 20
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    received = []

    def early(peer):
        while b"\r\n\r\n" not in peer.buffer:
            peer.more()
        parts = [peer.buffer.split(b"\r\n\r\n", 1)[1]]
        peer.write(head)
        pause(0.2)(peer)
        while sum(map(len, parts)) < size:
            peer.buffer = b""
            peer.more()
            parts.append(peer.buffer)
        received.append(b"".join(parts))
        peer.write(b"ok")

    server = Scripted([early])
    async with aiofast.ClientSession() as session:
        found = await session.post(f"{server.url}/", data=b"".join([b"\x5a" * (size // 2)] * 2))
        gc.collect()
        other = [b"\xff" * (size + index) for index in range(2)]
        await server.reached(lambda: received)
        assert received[0].count(b"\x5a") == size
        assert len(await found.read()) == 2
        del other


async def test_the_body_of_a_request_is_given_back_with_the_exchange():
    server = Scripted([forever(answer())])
    body = bytearray(b"x" * 1000)
    async with aiofast.ClientSession() as session:
        async with session.post(f"{server.url}/", data=body) as found:
            await found.read()
            body.extend(b"more")  # BufferError while somebody still has it
        async with session.post(f"{server.url}/", data=body):
            pass
        body.extend(b"more")


# --- inside TLS -----------------------------------------------------------------

OPERATIONS = ["do_handshake", "read", "write", "unwrap"]


def turned(authority, operation, act):
    """A context whose connections call |act| in the middle of |operation|, after
    it is done; and how often that was."""
    calls = []

    def method(self, *args):
        try:
            return getattr(ssl.SSLObject, operation)(self, *args)
        finally:
            calls.append(operation)
            act()

    context = authority.client()
    context.sslobject_class = type("Turned", (ssl.SSLObject,), {operation: method})
    return context, calls


def tls_server(authority, *scripts):
    return Scripted(*(scripts or ([forever(answer(b"x" * 50_000))],)), tls=authority.server())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("act", ["cancel", "pool", "loop", "start", "drop", "collect"])
async def test_python_inside_tls_that_turns_on_the_engine(authority, operation, act, stream):
    server = tls_server(authority)
    plain = Scripted([forever(answer())])
    session = aiofast.ClientSession()
    tasks, held, started = [], {}, []

    def turn():
        if act == "cancel":
            for task in tasks:
                task.cancel()
        elif act == "pool":
            session._pool.close()
        elif act == "loop":
            _core.close_loop()
        elif act == "start" and len(started) < 50:
            started.append(aiofast.fetch(f"{plain.url}/"))
            started[-1].add_done_callback(lambda _: None)
        elif act == "drop":
            held.clear()
        elif act == "collect":
            gc.collect()

    context, calls = turned(authority, operation, turn)
    for _ in range(2):
        found = await session.get(f"{server.url}/", ssl=authority.client())
        held[len(held)] = found  # unread
        cycle = [found]
        cycle.append(cycle)

    async def body():
        if not stream:
            return await aiofast.fetch(f"{server.url}/", ssl=context)
        async with session.get(f"{server.url}/", ssl=context) as found:
            return await found.read()

    for _ in range(3):
        tasks[:] = [asyncio.create_task(body()) for _ in range(4)]
        for each in await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10):
            if isinstance(each, BaseException):
                assert isinstance(
                    each, (aiofast.ClientError, asyncio.CancelledError, RuntimeError)
                ), repr(each)
                assert act in ("cancel", "pool", "loop"), repr(each)
    tasks.clear()
    held.clear()
    await session.close()
    _core.close_loop()
    assert calls
    if act != "loop":
        for each in started:
            if not each.done():
                each.cancel()
    await asyncio.sleep(0)
    act = ""  # turn() rests
    await works()


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_inside_tls_ends_the_program(authority, operation, kind):
    """And is not taken for a failure of the connection."""
    server = tls_server(authority)

    def turn():
        raise kind

    async def main():
        while True:
            with contextlib.suppress(aiofast.ClientError):
                await aiofast.fetch(f"{server.url}/", ssl=context, headers={"Connection": "close"})

    context, calls = turned(authority, operation, turn)
    with pytest.raises(kind):
        asyncio.run(asyncio.wait_for(main(), 5))
    assert calls


@pytest.mark.parametrize("operation", ["do_handshake", "read", "write"])
async def test_what_else_tls_raises_is_the_cause(authority, operation):
    server = tls_server(authority)

    def turn():
        raise ZeroDivisionError("mine")

    context, _ = turned(authority, operation, turn)
    with pytest.raises(aiofast.ClientError) as caught:
        await aiofast.fetch(f"{server.url}/", ssl=context)
    assert isinstance(caught.value.__cause__, ZeroDivisionError), caught.value
    await works()


@pytest.mark.parametrize("operation", ["read", "write"])
async def test_an_ssl_object_that_lies_about_numbers(authority, operation):
    server = tls_server(authority)

    def method(self, *args):
        getattr(ssl.SSLObject, operation)(self, *args)
        return 1 << 40

    context = authority.client()
    context.sslobject_class = type("Liar", (ssl.SSLObject,), {operation: method})
    with pytest.raises(aiofast.ClientError) as caught:
        await aiofast.fetch(f"{server.url}/", ssl=context)
    assert isinstance(caught.value.__cause__, ValueError)


async def test_memory_of_the_engine_does_not_live_on_in_python(authority):
    """Neither with an SSLObject that keeps it nor in the frames of a traceback."""
    server = tls_server(authority)
    kept = []

    class Keeper(ssl.SSLObject):
        def read(self, size=1024, buffer=None):
            kept.append(buffer)
            return super().read(size, buffer)

        def write(self, data):
            kept.append(data)
            return super().write(data)

    context = authority.client()
    context.sslobject_class = Keeper
    assert (await aiofast.fetch(f"{server.url}/", ssl=context)).status == 200
    assert len(kept) >= 2
    for each in kept:
        with pytest.raises(ValueError, match="released"):
            each.tobytes()


async def test_a_server_name_that_ssl_refuses(authority):
    server = tls_server(authority)
    with pytest.raises(aiofast.ClientError) as caught:
        await aiofast.fetch(f"{server.url}/", ssl=authority.client(), server_hostname=".dot")
    assert isinstance(caught.value.__cause__, ValueError)
    await works()


async def test_the_cause_belongs_to_the_fetch_that_failed(authority):
    """What another fetch dies of at the same time is its own affair."""
    server = tls_server(authority)
    dead = aiofast.TCPConnector(limit=1)

    def turn():
        raise ZeroDivisionError

    context, _ = turned(authority, "do_handshake", turn)
    async with aiofast.ClientSession(connector=dead) as session:
        one = asyncio.ensure_future(session.get(f"{server.url}/", ssl=context))
        two = asyncio.ensure_future(session.get("http://127.0.0.1:1/"))
        found = await asyncio.gather(one, two, return_exceptions=True)
    assert isinstance(found[0].__cause__, ZeroDivisionError)
    assert not isinstance(found[1].__cause__, ZeroDivisionError)


def test_a_signal_in_the_middle_of_a_busy_engine(authority):
    """asyncio.run() cancels its task right in the signal handler."""
    server = tls_server(authority)
    program = """
import asyncio, os, random, signal, ssl, sys, threading, time, aiofast
url, certificate = sys.argv[1:]
context = ssl.create_default_context(cafile=certificate)
async def main():
    while True:
        await asyncio.gather(*(aiofast.fetch(url, ssl=context) for _ in range(5)))
for round in range(20):
    delay = 0.05 + random.random() * 0.01
    threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""
    with tempfile.NamedTemporaryFile("wb", suffix=".pem") as pem:
        authority.ca.cert_pem.write_to_path(pem.name)
        done = subprocess.run(
            [sys.executable, "-c", program, f"{server.url}/", pem.name],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stdout.split()) == (0, ["interrupted"] * 20), done.stderr


# --- hostile responses ----------------------------------------------------------


@pytest.mark.resident
@pytest.mark.parametrize("length", [10**18, 2**63 - 1, 2**64, 10**30])
@pytest.mark.parametrize("stream", [False, True])
async def test_an_enormous_length_costs_nothing(length, stream):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length
    server = Scripted([request, send(head + b"xyz"), fin])
    with pytest.raises(aiofast.ClientError):
        if stream:
            async with aiofast.ClientSession() as session:
                async with session.get(f"{server.url}/") as found:
                    await found.read()
        else:
            await aiofast.fetch(f"{server.url}/")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


async def test_bytes_beyond_ascii_in_a_head_are_text():
    head = b"HTTP/1.1 200 \xe9t\xc3\xa9\r\nX-A: \xff\xc3\xa9\r\nContent-Length: 0\r\n\r\n"
    server = Scripted([request, send(head)])
    found = await aiofast.fetch(f"{server.url}/")
    assert isinstance(found.reason, str)
    assert found.reason.encode("utf-8", "surrogateescape") == b"\xe9t\xc3\xa9"
    assert found.headers["X-A"].encode("utf-8", "surrogateescape") == b"\xff\xc3\xa9"
    assert isinstance(repr(found), str)
    await works()


@pytest.mark.parametrize(
    ("location", "target"),
    [
        (b"/caf\xc3\xa9?q=\xc3\xa9", "/caf%C3%A9?q=%C3%A9"),
        (b"/latin\xe9", "/latin%E9"),
        (b"/all\xff\xfe", "/all%FF%FE"),
    ],
)
async def test_a_location_beyond_ascii_is_followed_as_its_bytes(location, target):
    server = Scripted(
        [
            request,
            send(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n"),
            answer(b"there"),
        ]
    )
    assert (await aiofast.fetch(f"{server.url}/")).body == b"there"
    assert server.requests[-1].target == target
