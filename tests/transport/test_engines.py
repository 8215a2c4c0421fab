"""The two engines of TLS: which one serves, that both say the same, and what OpenSSL does
between the lines (key updates, renegotiation, tickets)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import aiofast
import pytest
from aiofast import _core
from protocols import Recorder, echo, serving, until

HOST = "127.0.0.1"
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")


async def connect(where: Any, context: Any, **options: Any) -> tuple[Any, Recorder]:
    options = {"server_hostname": "localhost", **options}
    return await aiofast.create_connection(Recorder, *where, ssl=context, **options)


async def end(transport: Any, protocol: Recorder) -> None:
    transport.close()
    assert await protocol.lost is None


# --- which one ------------------------------------------------------------------


def linked_with_openssl() -> bool:
    import _ssl

    return hasattr(_ssl, "__file__") and ssl.OPENSSL_VERSION.startswith("OpenSSL ")


@pytest.mark.skipif(not linked_with_openssl(), reason="another TLS library")
def test_the_direct_one_serves() -> None:
    assert _core.tls_engine() == "openssl"
    assert _core.tls_engine("ssl") == "ssl"
    assert _core.tls_engine() == "ssl"
    assert _core.tls_engine("openssl") == "openssl"


def test_the_environment_chooses() -> None:
    program = "from aiofast import _core; print(_core.tls_engine('openssl'))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env={**os.environ, "AIOFAST_TLS": "ssl"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "ssl"


class Counting(ssl.SSLObject):
    reads = writes = 0

    def read(self, *args: Any) -> Any:
        type(self).reads += 1
        return super().read(*args)

    def write(self, data: Any) -> int:
        type(self).writes += 1
        return super().write(data)


async def exchange(where: Any, context: Any) -> None:
    transport, protocol = await connect(where, context)
    transport.write(b"hello")
    await until(lambda: protocol.data == b"hello")
    await end(transport, protocol)


async def test_an_object_of_the_programs_own(authority: Any, client_context: Any) -> None:
    """Its methods are asked for every byte."""
    client_context.sslobject_class = Counting
    async with serving(echo, tls=authority.server()) as where:
        await exchange(where, client_context)
    assert Counting.reads > 0 and Counting.writes > 0


async def test_a_context_that_only_looks_like_one(authority: Any, client_context: Any) -> None:
    class Wrapped:
        def __init__(self, inner: Any) -> None:
            self.inner = inner
            self.asked: list[str] = []

        def __getattr__(self, name: str) -> Any:
            self.asked.append(name)
            return getattr(self.inner, name)

    class Context:
        def wrap_bio(self, *args: Any, **kwargs: Any) -> Any:
            made.append(Wrapped(client_context.wrap_bio(*args, **kwargs)))
            return made[-1]

    made: list[Wrapped] = []
    async with serving(echo, tls=authority.server()) as where:
        await exchange(where, Context())
    assert {"do_handshake", "read", "write"} <= set(made[0].asked)


async def test_a_message_callback_sees_all(authority: Any, client_context: Any) -> None:
    seen: list[str] = []
    client_context._msg_callback = lambda conn, direction, *rest: seen.append(direction)
    async with serving(echo, tls=authority.server()) as where:
        transport, protocol = await connect(where, client_context)
        before = len(seen)
        transport.write(b"hello")
        await until(lambda: protocol.data == b"hello")
        assert len(seen) > before
        await end(transport, protocol)


async def test_keys_are_logged(
    authority: Any, client_context: Any, tmp_path: Any, tls_engine: str
) -> None:
    client_context.keylog_filename = str(tmp_path / "keys")
    async with serving(echo, tls=authority.server()) as where:
        await exchange(where, client_context)
    client_context.keylog_filename = None
    assert "CLIENT_TRAFFIC_SECRET_0" in (tmp_path / "keys").read_text()


async def test_errors_that_others_left(
    authority: Any, client_context: Any, tls_engine: str
) -> None:
    """OpenSSL's errors are the thread's, and somebody may not have taken theirs."""
    import _ssl
    import ctypes

    library = ctypes.CDLL(_ssl.__file__)
    async with serving(echo, tls=authority.server()) as where:
        transport, protocol = await connect(where, client_context)
        if tls_engine == "openssl":  # ssl's own methods take them for theirs
            library.ERR_new()
            library.ERR_set_error(4, 100, None)
        transport.write(b"hello")
        await until(lambda: protocol.data == b"hello")
        await end(transport, protocol)


# --- the same from both ---------------------------------------------------------


class Relay:
    """Between a client and a server of asyncio's, in a thread: hands records on, and
    does |tamper| to the bytes from the server once |armed|."""

    def __init__(self, where: Any, tamper: Callable[[bytes], bytes | None]) -> None:
        self.where, self.tamper = where, tamper
        self.armed = threading.Event()
        self.listener = socket.create_server((HOST, 0))
        self.thread = threading.Thread(target=self.serve)

    def serve(self) -> None:
        client, _ = self.listener.accept()
        with client, socket.create_connection(self.where) as server:
            up = threading.Thread(target=self.copy, args=(client, server, False))
            up.start()
            self.copy(server, client, True)
            up.join()

    def copy(self, source: socket.socket, sink: socket.socket, down: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if down and self.armed.is_set():
                    changed = self.tamper(data)
                    if changed is None:
                        break
                    data = changed
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
        if not down:
            return
        with contextlib.suppress(OSError):
            source.shutdown(socket.SHUT_RDWR)

    async def __aenter__(self) -> Relay:
        self.thread.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.listener.close()
        await asyncio.to_thread(self.thread.join, 10)


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


TAMPERS: dict[str, Callable[[bytes], bytes | None]] = {
    "a bit": flipped,
    "rubbish": lambda data: b"this is no record at all",
    "a type": lambda data: b"\x16" + data[1:],
    "an alert": lambda data: b"\x15\x03\x03\x00\x02\x02\x50",
    "http": lambda data: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "too long": lambda data: data[:3] + b"\xff\xff" + data[5:] + bytes(70_000),
}


async def failure(authority: Any, version: Any, tamper: Any) -> BaseException | None:
    context = authority.client()
    context.maximum_version = version
    async with serving(echo, tls=authority.server()) as where:
        async with Relay(where, tamper) as relay:
            transport, protocol = await connect(relay.listener.getsockname(), context)
            transport.write(b"first")
            await until(lambda: protocol.data == b"first")
            relay.armed.set()
            transport.write(b"second")
            error = await protocol.lost
            assert protocol.data == b"first"
            return error


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("tamper", TAMPERS)
async def test_failures_are_the_same(tamper: str, version: Any, authority: Any) -> None:
    found = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    for name in ("openssl", "ssl"):
        _core.tls_engine(name)
        try:
            error = await failure(authority, version, TAMPERS[tamper])
        finally:
            _core.tls_engine("openssl")
        assert isinstance(error, ssl.SSLError), repr(error)
        text = str(error).partition(" (_ssl.c")[0]
        found.append((type(error), error.errno, text, error.library, error.reason))
    assert found[0] == found[1]


async def test_the_users_own_calls(authority: Any, client_context: Any, tls_engine: str) -> None:
    async with serving(echo, tls=authority.server()) as where:
        transport, protocol = await connect(where, client_context)
        known = transport.get_extra_info("ssl_object")
        transport.write(b"hello")
        await until(lambda: protocol.data == b"hello")
        assert known.version() == "TLSv1.3" and known.cipher()[1] == "TLSv1.3"
        assert known.pending() == 0 and known.selected_alpn_protocol() is None
        assert known.get_channel_binding("tls-unique") and known.session is not None
        assert known.getpeercert()["subjectAltName"] and known.server_hostname == "localhost"
        with pytest.raises(ssl.SSLWantReadError):
            known.read(100)
        # What one writes past the transport leaves with what comes next.
        assert known.write(b" there") == 6
        transport.write(b"!")
        await until(lambda: protocol.data == b"hello there!")
        await end(transport, protocol)
        del transport
        with pytest.raises((ssl.SSLWantReadError, ssl.SSLZeroReturnError)):
            known.read(100)
        assert known.version() == "TLSv1.3" and known.session is not None
        with pytest.raises(ssl.SSLError):
            for _ in range(100):
                known.write(bytes(65536))


# --- what only a full TLS server can do -----------------------------------------


class Server:
    """`openssl s_server`: what it hears is in |heard|; commands and lines go to it."""

    def __init__(self, authority: Any, version: str) -> None:
        with socket.create_server((HOST, 0)) as probe:
            self.where = probe.getsockname()
        self.process = subprocess.Popen(
            ["openssl", "s_server", "-accept", f"{HOST}:{self.where[1]}", "-cert",
             authority.chain_file, "-key", authority.key_file, version, "-nbio"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert self.process.stdout is not None and self.process.stdin is not None
        self.heard = bytearray()
        while b"ACCEPT" not in self.process.stdout.readline():
            pass
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self) -> None:
        assert self.process.stdout is not None
        while data := os.read(self.process.stdout.fileno(), 65536):
            self.heard += data

    def say(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    async def order(self, letter: bytes) -> None:
        """It is one only at the beginning of what is read at once."""
        await asyncio.sleep(0.03)
        self.say(letter + b"\n")
        await asyncio.sleep(0.03)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.reader.join()
        assert self.process.stdout is not None and self.process.stdin is not None
        self.process.stdout.close()
        with contextlib.suppress(OSError):
            self.process.stdin.close()


@contextlib.contextmanager
def s_server(authority: Any, version: str) -> Iterator[Server]:
    server = Server(authority, version)
    try:
        yield server
    finally:
        server.close()


@needs_openssl
@pytest.mark.parametrize(
    ("version", "letter"),
    [("-tls1_2", b"r"), ("-tls1_3", b"k"), ("-tls1_3", b"K")],
    ids=["renegotiation", "key update", "key update asked"],
)
async def test_new_keys(version: str, letter: bytes, authority: Any, tls_engine: str) -> None:
    """Data goes on in both directions, in the middle of it and behind it."""
    context = authority.client()
    with s_server(authority, version) as server:
        transport, protocol = await connect(server.where, context)
        for turn in range(4):
            transport.write(b"<%d>" % turn + b"a" * 200_000)
            await server.order(letter)
            transport.write(b"b" * 200_000 + b"</%d>" % turn)
            server.say(b"line\n")
            await until(lambda turn=turn: protocol.data.count(b"line\n") == turn + 1)
            await until(lambda turn=turn: b"</%d>" % turn in server.heard)
            transport.write(b"{%d}" % turn)
            await until(lambda turn=turn: b"{%d}" % turn in server.heard)
        assert server.heard.count(b"a" * 200_000) >= 1
        transport.abort()
        await protocol.lost


@needs_openssl
async def test_a_flood_of_key_updates(authority: Any, tls_engine: str) -> None:
    """Each wants an answer; the memory of those that cannot leave is bounded, and data
    passes in between."""
    with s_server(authority, "-tls1_3") as server:
        transport, protocol = await connect(server.where, authority.client())
        for turn in range(1, 6):
            for _ in range(15):
                await server.order(b"K")
            server.say(b"line\n")
            await until(lambda turn=turn: protocol.data.count(b"line\n") == turn)
            transport.write(b"[%d]" % turn)
            await until(lambda turn=turn: b"[%d]" % turn in server.heard)
        transport.abort()
        await protocol.lost


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_sessions(version: Any, authority: Any, tls_engine: str) -> None:
    """Tickets come behind the handshake; the object's session is one to resume."""
    context = authority.client()
    context.maximum_version = version
    async with serving(echo, tls=authority.server()) as where:
        transport, protocol = await connect(where, context)
        transport.write(b"hello")
        await until(lambda: protocol.data == b"hello")
        session = transport.get_extra_info("ssl_object").session
        await end(transport, protocol)

        def resume() -> bool:
            sock = socket.create_connection(where)
            with context.wrap_socket(sock, server_hostname="localhost", session=session) as tls:
                tls.sendall(b"again")
                assert tls.recv(5) == b"again"
                reused = bool(tls.session_reused)
                tls.unwrap().close()
                return reused

        assert await asyncio.to_thread(resume)
