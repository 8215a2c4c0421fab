"""Transports with TLS: handshake, both ends of close_notify, TLS over TLS, cancelling."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import ssl
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiofast
import pytest
from protocols import Recorder, echo, reports, serving, until

pytestmark = pytest.mark.usefixtures("tls_engine")


@contextlib.contextmanager
def scripted(script: Callable[[socket.socket], None]) -> Any:
    """A server in a thread that serves one connection by |script|."""

    def serve() -> None:
        sock, _ = listener.accept()
        sock.settimeout(10)
        with sock, contextlib.suppress(OSError):
            script(sock)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            thread.join(15)


class Pair:
    """TLS of the standard library over a socket, driven by hand."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self.sock = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.ssl = context.wrap_bio(self.incoming, self.outgoing, server_side=True)

    def do(self, method: Callable[..., Any], *args: Any) -> Any:
        while True:
            try:
                result = method(*args)
            except ssl.SSLWantReadError:
                self.flush()
                data = self.sock.recv(65536)
                if not data:
                    raise ConnectionResetError from None
                self.incoming.write(data)
            else:
                self.flush()
                return result

    def flush(self) -> None:
        if self.outgoing.pending:
            self.sock.sendall(self.outgoing.read())


async def test_echo(authority: Any, client_context: Any) -> None:
    async with serving(echo, tls=authority.server()) as where:
        transport, protocol = await aiofast.create_connection(
            Recorder, *where, ssl=client_context, server_hostname="localhost"
        )
        assert isinstance(transport, asyncio.Transport)
        assert protocol.transport is transport
        for size in (1, 1000, 100_000, 5_000_000):
            protocol.data.clear()
            data = os.urandom(size)
            transport.write(data)
            await until(lambda size=size: len(protocol.data) == size)
            assert protocol.data == data
        protocol.data.clear()
        transport.writelines([b"a", bytearray(b"b"), memoryview(b"c")])
        with pytest.raises(TypeError, match="a bytes-like object is required"):
            transport.writelines([b"d", 5])  # type: ignore[list-item]
        transport.write(b"e")
        await until(lambda: protocol.data == b"abcde")
        assert not transport.can_write_eof()
        with pytest.raises(NotImplementedError):
            transport.write_eof()
        with pytest.raises(TypeError, match="expecting a bytes-like instance, got str"):
            transport.write("text")
        transport.close()
        assert transport.is_closing()
        assert await protocol.lost is None


async def test_what_is_known(authority: Any, client_context: Any) -> None:
    async with serving(echo, tls=authority.server()) as where:
        transport, protocol = await aiofast.create_connection(
            Recorder, *where, ssl=client_context, server_hostname="localhost"
        )
        known = transport.get_extra_info
        assert known("sslcontext") is client_context
        assert known("ssl_object").version().startswith("TLSv1.")
        assert known("peercert") == known("ssl_object").getpeercert()
        assert known("cipher") == known("ssl_object").cipher()
        assert known("compression") is None
        assert known("peername") == where
        assert known("socket").getpeername() == where
        transport.close()
        await protocol.lost
        assert known("peername") == where


async def test_a_certificate_that_is_not_trusted(authority: Any) -> None:
    found = reports(asyncio.get_running_loop())
    async with serving(echo, tls=authority.server()) as where:
        made: list[Recorder] = []

        def factory() -> Recorder:
            made.append(Recorder())
            return made[-1]

        with pytest.raises(ssl.SSLCertVerificationError):
            await aiofast.create_connection(factory, *where, ssl=True, server_hostname="localhost")
        assert made[0].heard == [] and not made[0].lost.done()
        await asyncio.sleep(0.05)
    servers_own = ("SSL handshake failed", "Error on transport creation for incoming")
    assert [one for one in found if not one["message"].startswith(servers_own)] == []


@pytest.mark.parametrize("name", ["ssl_handshake_timeout", "ssl_shutdown_timeout"])
async def test_times_that_are_refused(name: str, client_context: Any) -> None:
    async with serving(echo) as where:
        with pytest.raises(ValueError, match=f"{name} should be a positive number, got 0"):
            await aiofast.create_connection(
                Recorder,
                *where,
                ssl=client_context,
                **{name: 0},  # type: ignore[arg-type]
            )


async def test_a_slow_handshake(client_context: Any) -> None:
    with scripted(lambda sock: sock.recv(100_000) and sock.recv(1) and None) as where:
        with pytest.raises(ConnectionAbortedError, match="longer than 0.1 seconds: aborting"):
            await aiofast.create_connection(
                Recorder, *where, ssl=client_context, ssl_handshake_timeout=0.1
            )


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_what_is_no_tls(answer: bytes, client_context: Any) -> None:
    def script(sock: socket.socket) -> None:
        sock.recv(100_000)
        sock.sendall(answer)

    with scripted(script) as where:
        with pytest.raises((ConnectionResetError, ssl.SSLError)) as caught:
            await aiofast.create_connection(Recorder, *where, ssl=client_context)
        assert isinstance(caught.value, ssl.SSLError) == bool(answer)


async def test_their_close_notify_is_answered(authority: Any, client_context: Any) -> None:
    seen: list[bytes] = []

    def script(sock: socket.socket) -> None:
        pair = Pair(sock, authority.server())
        pair.do(pair.ssl.do_handshake)
        pair.do(pair.ssl.write, b"hello")
        pair.do(pair.ssl.unwrap)
        seen.append(sock.recv(10))

    with scripted(script) as where:
        transport, protocol = await aiofast.create_connection(
            Recorder, *where, ssl=client_context, server_hostname="localhost"
        )
        assert await protocol.lost is None
        assert protocol.heard == ["made", "data", "eof", ("lost", type(None))]
        assert transport.is_closing()
    assert seen == [b""]


async def test_an_end_without_close_notify(authority: Any, client_context: Any) -> None:
    def script(sock: socket.socket) -> None:
        pair = Pair(sock, authority.server())
        pair.do(pair.ssl.do_handshake)
        pair.do(pair.ssl.write, b"hello")

    with scripted(script) as where:
        _, protocol = await aiofast.create_connection(
            Recorder, *where, ssl=client_context, server_hostname="localhost"
        )
        assert await protocol.lost is None
        assert protocol.heard == ["made", "data", "eof", ("lost", type(None))]


async def test_rubbish_after_the_handshake(authority: Any, client_context: Any) -> None:
    def script(sock: socket.socket) -> None:
        pair = Pair(sock, authority.server())
        pair.do(pair.ssl.do_handshake)
        sock.sendall(b"this is no record at all")
        sock.recv(100)

    with scripted(script) as where:
        _, protocol = await aiofast.create_connection(
            Recorder, *where, ssl=client_context, server_hostname="localhost"
        )
        assert isinstance(await protocol.lost, ssl.SSLError)


async def test_close_waits_for_their_close_notify(authority: Any, client_context: Any) -> None:
    """All that was written arrives before ours; what they still say is dropped."""
    got = bytearray()
    may_end = threading.Event()

    def script(sock: socket.socket) -> None:
        pair = Pair(sock, authority.server())
        pair.do(pair.ssl.do_handshake)
        with contextlib.suppress(ssl.SSLZeroReturnError):
            while data := pair.do(pair.ssl.read, 65536):
                got.extend(data)
        may_end.wait(10)
        pair.do(pair.ssl.write, b"late")
        pair.do(pair.ssl.unwrap)

    with scripted(script) as where:
        transport, protocol = await aiofast.create_connection(
            Recorder, *where, ssl=client_context, server_hostname="localhost"
        )
        transport.write(bytes(4_000_000))
        transport.close()
        transport.write(b"dropped")
        await until(lambda: len(got) == 4_000_000)
        assert not protocol.lost.done()
        may_end.set()
        assert await protocol.lost is None
        assert protocol.data == b""


async def test_a_shutdown_that_is_not_answered(authority: Any, client_context: Any) -> None:
    release = threading.Event()

    def script(sock: socket.socket) -> None:
        pair = Pair(sock, authority.server())
        pair.do(pair.ssl.do_handshake)
        release.wait(10)

    with scripted(script) as where:
        transport, protocol = await aiofast.create_connection(
            Recorder,
            *where,
            ssl=client_context,
            server_hostname="localhost",
            ssl_shutdown_timeout=0.1,
        )
        transport.close()
        error = await protocol.lost
        release.set()
        assert isinstance(error, TimeoutError) and str(error) == "SSL shutdown timed out"


async def test_abort_says_nothing(authority: Any, client_context: Any) -> None:
    raised: list[Exception] = []

    def script(sock: socket.socket) -> None:
        tls = authority.server().wrap_socket(sock, server_side=True, suppress_ragged_eofs=False)
        with tls:
            try:
                tls.recv(10)
            except Exception as error:
                raised.append(error)

    with scripted(script) as where:
        transport, protocol = await aiofast.create_connection(
            Recorder, *where, ssl=client_context, server_hostname="localhost"
        )
        transport.abort()
        assert await protocol.lost is None
    # With a ticket unread the kernel says it by a reset.
    assert [type(error) for error in raised] in ([ssl.SSLEOFError], [ConnectionResetError])


async def test_start_tls(authority: Any, client_context: Any) -> None:
    async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"GO\n")
        await writer.drain()
        await writer.start_tls(authority.server())
        await echo(reader, writer)

    async with serving(upgrade) as where:
        transport, protocol = await aiofast.create_connection(Recorder, *where)
        transport.write(b"STARTTLS\n")
        await until(lambda: protocol.data == b"GO\n")
        protocol.data.clear()
        upgraded = await aiofast.start_tls(
            transport, protocol, client_context, server_hostname="localhost"
        )
        assert upgraded is not None and upgraded is not transport
        assert protocol.heard == ["made", "data"]
        upgraded.write(b"secret")
        await until(lambda: protocol.data == b"secret")
        transport.close()  # a program may hold the old one
        assert await protocol.lost is None
        await asyncio.sleep(0)
        assert upgraded.is_closing() and transport.is_closing()


async def test_start_tls_by_the_loop(authority: Any, client_context: Any) -> None:
    """asyncio's own TLS over our transport, as it is without install()."""
    loop = asyncio.get_running_loop()
    if "uvloop" in type(loop).__module__:
        pytest.skip("it takes its own transports alone")

    async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await writer.start_tls(authority.server())
        await echo(reader, writer)

    async with serving(upgrade) as where:
        transport, protocol = await aiofast.create_connection(Recorder, *where)
        upgraded = await loop.start_tls(
            transport, protocol, client_context, server_hostname="localhost"
        )
        upgraded.write(b"x" * 1_000_000)
        await until(lambda: len(protocol.data) == 1_000_000)
        upgraded.close()
        assert await protocol.lost is None


async def test_tls_in_tls(authority: Any, client_context: Any) -> None:
    """Through a proxy that speaks TLS itself: ours over ours."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
            if sink.can_write_eof():
                sink.write_eof()

        there, back = await asyncio.open_connection(*where)
        task = asyncio.create_task(copy(there, writer))
        with contextlib.suppress(OSError):
            await copy(reader, back)
        back.close()
        with contextlib.suppress(OSError):
            await task

    async with serving(echo, tls=authority.server()) as where:
        async with serving(relay, tls=authority.server()) as proxy:
            transport, protocol = await aiofast.create_connection(
                Recorder, *proxy, ssl=client_context, server_hostname="localhost"
            )
            upgraded = await aiofast.start_tls(
                transport, protocol, client_context, server_hostname="localhost"
            )
            assert upgraded is not None
            data = os.urandom(3_000_000)
            upgraded.write(data)
            await until(lambda: len(protocol.data) == len(data))
            assert protocol.data == data
            upgraded.close()
            assert await protocol.lost is None


async def test_start_tls_is_refused(client_context: Any) -> None:
    async with serving(echo) as where:
        transport, protocol = await aiofast.create_connection(Recorder, *where)
        with pytest.raises(TypeError, match="expected to be an instance of ssl.SSLContext"):
            await aiofast.start_tls(transport, protocol, None)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="is not supported by start_tls"):
            await aiofast.start_tls(asyncio.Transport(), protocol, client_context)
        transport.close()
        await protocol.lost


async def test_pausing(authority: Any, client_context: Any) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(100):
            await asyncio.sleep(0)
            writer.write(bytes(10_000))
        await writer.drain()
        await reader.read()

    async with serving(talk, tls=authority.server()) as where:
        transport, protocol = await aiofast.create_connection(
            Recorder, *where, ssl=client_context, server_hostname="localhost"
        )
        while len(protocol.data) < 1_000_000:
            transport.pause_reading()
            assert not transport.is_reading()
            size = len(protocol.data)
            await asyncio.sleep(0.001)
            assert len(protocol.data) == size
            transport.resume_reading()
            assert len(protocol.data) == size, "nothing comes from inside the call"
            await asyncio.sleep(0.001)
        transport.close()
        assert await protocol.lost is None


async def test_buffered(authority: Any, client_context: Any) -> None:
    class Buffered(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.memory = bytearray(1000)
            self.got = bytearray()
            self.lost = asyncio.get_running_loop().create_future()

        def get_buffer(self, sizehint: int) -> bytearray:
            return self.memory

        def buffer_updated(self, nbytes: int) -> None:
            self.got += self.memory[:nbytes]

        def connection_lost(self, exc: BaseException | None) -> None:
            self.lost.set_result(exc)

    async with serving(echo, tls=authority.server()) as where:
        transport, protocol = await aiofast.create_connection(
            Buffered, *where, ssl=client_context, server_hostname="localhost"
        )
        data = os.urandom(300_000)
        transport.write(data)
        await until(lambda: len(protocol.got) == len(data))
        assert protocol.got == data
        protocol.memory.append(0)
        transport.close()
        assert await protocol.lost is None


async def test_water_marks(authority: Any, client_context: Any) -> None:
    gate = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await gate.wait()
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        await reader.readexactly(30_000_000)

    async with serving(slow, tls=authority.server()) as where:
        transport, protocol = await aiofast.create_connection(
            Recorder, *where, ssl=client_context, server_hostname="localhost"
        )
        assert transport.get_write_buffer_limits() == (128 * 1024, 512 * 1024)
        for _ in range(300):
            transport.write(bytes(100_000))
        assert protocol.heard == ["made", "pause"]
        gate.set()
        await until(lambda: protocol.heard[-1] == "resume")
        transport.close()
        assert await protocol.lost is None


async def test_cancelled_at_any_moment(authority: Any, client_context: Any) -> None:
    async with serving(echo, tls=authority.server()) as where:
        for turns in range(25):
            task = asyncio.create_task(
                aiofast.create_connection(
                    Recorder, *where, ssl=client_context, server_hostname="localhost"
                )
            )
            for _ in range(turns):
                await asyncio.sleep(0 if turns < 15 else 0.0005)
            if task.cancel():
                with pytest.raises(asyncio.CancelledError):
                    await task
            else:
                transport, protocol = await task
                transport.close()
                await protocol.lost
        await asyncio.sleep(0.05)


async def test_one_left_open_is_told_of(authority: Any, client_context: Any) -> None:
    async with serving(echo, tls=authority.server()) as where:
        transport, protocol = await aiofast.create_connection(
            Recorder, *where, ssl=client_context, server_hostname="localhost"
        )
        transport.pause_reading()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            protocol.transport = None
            del transport, protocol
            gc.collect()
        assert [w.category for w in caught] == [ResourceWarning]


async def test_sendfile_falls_back(authority: Any, client_context: Any, tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    if "uvloop" in type(loop).__module__:
        pytest.skip("uvloop has no sendfile")
    (tmp_path / "file").write_bytes(os.urandom(1_000_000))
    async with serving(echo, tls=authority.server()) as where:
        transport, protocol = await aiofast.create_connection(
            Recorder, *where, ssl=client_context, server_hostname="localhost"
        )
        with open(tmp_path / "file", "rb") as file:
            assert await loop.sendfile(transport, file) == 1_000_000
        await until(lambda: len(protocol.data) == 1_000_000)
        assert protocol.data == (tmp_path / "file").read_bytes()
        transport.close()
        await protocol.lost
