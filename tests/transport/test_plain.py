"""Transports without TLS: what a protocol hears, in which order, and what is left."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import errno
import gc
import os
import socket
import struct
import warnings
from pathlib import Path
from typing import Any

import aiofast
import pytest
from protocols import Recorder, echo, reports, serving, until


async def test_echo_and_the_order_of_calls() -> None:
    async with serving(echo) as where:
        transport, protocol = await aiofast.create_connection(Recorder, *where)
        assert isinstance(transport, asyncio.Transport)
        assert protocol.transport is transport and protocol.heard == ["made"]
        assert transport.get_protocol() is protocol
        assert transport.can_write_eof() and transport.is_reading()
        transport.write(b"hello")
        await until(lambda: protocol.data == b"hello")
        transport.write_eof()
        assert await protocol.lost is None
        assert protocol.heard == ["made", "data", "eof", ("lost", type(None))]
        assert transport.is_closing() and not transport.is_reading()
        assert transport.get_protocol() is None


async def test_what_is_known() -> None:
    async with serving(echo) as where:
        transport, _ = await aiofast.create_connection(Recorder, *where)
        sock = transport.get_extra_info("socket")
        assert type(sock).__name__ == "TransportSocket"
        assert sock.getpeername() == where == transport.get_extra_info("peername")
        assert transport.get_extra_info("sockname") == sock.getsockname()
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert transport.get_extra_info("sslcontext") is None
        assert transport.get_extra_info("no such", 5) == 5
        transport.close()
        await asyncio.sleep(0)
        assert transport.get_extra_info("peername") == where
        await until(lambda: sock.fileno() == -1)
        assert transport.get_write_buffer_size() == 0


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_bytes_arrive_as_they_were_when_written(kind: Any) -> None:
    async with serving(echo) as where:
        transport, protocol = await aiofast.create_connection(Recorder, *where)
        sent = bytearray()
        for size in (1, 1000, 70_000, 900_000, 3, 300_000):
            memory = bytearray(os.urandom(size))
            sent += memory
            if kind is bytes:
                transport.write(bytes(memory))
            elif kind is bytearray:
                transport.write(memory)
                memory[:] = bytes(size)
                memory.clear()
            else:
                transport.write(memoryview(memory))
                memory[:] = bytes(size)
        await until(lambda: len(protocol.data) == len(sent))
        assert protocol.data == sent
        transport.close()
        await protocol.lost


async def test_writelines() -> None:
    async with serving(echo) as where:
        transport, protocol = await aiofast.create_connection(Recorder, *where)
        lines = [bytes([i % 256]) * (i * 7 % 5000) for i in range(1000)]
        transport.writelines(lines)
        transport.writelines([])
        transport.writelines(memoryview(line) for line in lines)
        want = b"".join(lines) * 2
        await until(lambda: len(protocol.data) == len(want))
        assert protocol.data == want
        protocol.data.clear()
        with pytest.raises(TypeError, match="a bytes-like object is required"):
            transport.writelines([b"d", 5])  # type: ignore[list-item]
        transport.write(b"e")
        await until(lambda: protocol.data == b"de")
        transport.close()
        await protocol.lost


async def test_what_may_not_be_written() -> None:
    async with serving(echo) as where:
        transport, protocol = await aiofast.create_connection(Recorder, *where)
        for wrong in ("text", 5, None, [1]):
            with pytest.raises(TypeError, match="data argument must be a bytes-like object"):
                transport.write(wrong)  # type: ignore[arg-type]
        transport.write(b"")
        transport.write_eof()
        transport.write_eof()
        with pytest.raises(RuntimeError, match=r"Cannot call write\(\) after write_eof\(\)"):
            transport.write(b"x")
        with pytest.raises(RuntimeError, match=r"Cannot call writelines\(\) after write_eof"):
            transport.writelines([b"x"])
        await protocol.lost
        assert protocol.data == b""


async def test_water_marks() -> None:
    gate = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        await reader.readexactly(20_000_000)

    async with serving(slow) as where:
        transport, protocol = await aiofast.create_connection(Recorder, *where)
        assert transport.get_write_buffer_limits() == (16384, 65536)
        for wrong in ({"high": 1, "low": 2}, {"low": -1}, {"high": -1}):
            with pytest.raises(ValueError, match="must be >= low"):
                transport.set_write_buffer_limits(**wrong)
        transport.set_write_buffer_limits(low=10)
        assert transport.get_write_buffer_limits() == (10, 40)
        transport.set_write_buffer_limits(high=100_000)
        assert transport.get_write_buffer_limits() == (25_000, 100_000)
        chunk = bytes(100_000)
        for _ in range(200):
            transport.write(chunk)
        assert protocol.heard == ["made", "pause"]
        size = transport.get_write_buffer_size()
        assert 100_000 < size < 20_000_000
        await asyncio.sleep(0.02)
        assert protocol.heard == ["made", "pause"]
        gate.set()
        await until(lambda: protocol.heard[-1] == "resume")
        assert transport.get_write_buffer_size() <= 25_000
        await protocol.lost
        assert protocol.heard.count("pause") == protocol.heard.count("resume") == 1


async def test_close_sends_what_is_queued_and_abort_does_not() -> None:
    got: list[int] = []

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        with contextlib.suppress(ConnectionError):
            got.append(len(await reader.read()))

    async with serving(count) as where:
        transport, protocol = await aiofast.create_connection(Recorder, *where)
        transport.write(bytes(30_000_000))
        transport.close()
        transport.close()
        assert transport.is_closing() and not protocol.lost.done()
        assert await protocol.lost is None
    assert got == [30_000_000]
    async with serving(count) as where:
        transport, protocol = await aiofast.create_connection(Recorder, *where)
        transport.write(bytes(30_000_000))
        transport.abort()
        assert await protocol.lost is None
        assert transport.get_write_buffer_size() == 0
    assert sum(got) < 60_000_000


@pytest.mark.resident
async def test_a_gibibyte_is_not_copied() -> None:
    """A view of memory that was never touched: a copy would touch it."""
    import mmap

    async def nobody(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    async with serving(nobody) as where:
        transport, protocol = await aiofast.create_connection(Recorder, *where)
        with mmap.mmap(-1, 1 << 30) as memory:
            before = resident()
            with memoryview(memory) as view:
                transport.write(view)
                assert transport.get_write_buffer_size() > 1 << 29
                assert resident() - before < 64 << 20
                transport.abort()
                await protocol.lost
                del transport
                gc.collect()


async def test_pause_and_resume_reading() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.02)
        writer.write(b"one")
        await writer.drain()
        await reader.read()

    async with serving(talk) as where:
        transport, protocol = await aiofast.create_connection(Recorder, *where)
        transport.pause_reading()
        transport.pause_reading()
        assert not transport.is_reading()
        await asyncio.sleep(0.05)
        assert protocol.data == b""
        transport.resume_reading()
        transport.resume_reading()
        await until(lambda: protocol.data == b"one")
        transport.close()
        transport.resume_reading()
        assert not transport.is_reading()
        await protocol.lost


async def test_keep_open_after_eof() -> None:
    async def shut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write_eof()
        assert await reader.read() == b"more"

    class Keeper(Recorder):
        def eof_received(self) -> bool:
            super().eof_received()
            return True

    async with serving(shut) as where:
        transport, protocol = await aiofast.create_connection(Keeper, *where)
        await until(lambda: "eof" in protocol.heard)
        assert not transport.is_closing()
        transport.write(b"more")
        transport.close()
        assert await protocol.lost is None
        assert protocol.heard == ["made", "eof", ("lost", type(None))]


async def test_a_reset_is_told() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with serving(reset) as where:
        transport, protocol = await aiofast.create_connection(Recorder, *where)
        transport.write(b"x")
        error = await protocol.lost
        assert isinstance(error, ConnectionResetError)
        assert error.errno == errno.ECONNRESET
        for _ in range(8):
            transport.write(b"dropped")
        transport.close()
        transport.abort()
        assert protocol.heard[-1] == ("lost", ConnectionResetError)


class Buffered(asyncio.BufferedProtocol):
    def __init__(self, size: int = 100) -> None:
        self.memory = bytearray(size)
        self.got = bytearray()
        self.asked = 0
        self.transport: Any = None
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> Any:
        self.asked += 1
        assert sizehint == -1
        return memoryview(self.memory)

    def buffer_updated(self, nbytes: int) -> None:
        self.got += self.memory[:nbytes]

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost.set_result(exc)


async def test_buffered_protocol() -> None:
    async with serving(echo) as where:
        transport, protocol = await aiofast.create_connection(Buffered, *where)
        data = os.urandom(5000)
        transport.write(data)
        await until(lambda: len(protocol.got) == len(data))
        assert protocol.got == data and protocol.asked >= 50
        protocol.memory.extend(b"x")  # nobody holds it
        other = Recorder()
        other.heard.append("made")
        transport.set_protocol(other)
        transport.write(b"copied")
        await until(lambda: other.data == b"copied")
        transport.set_protocol(protocol)
        transport.close()
        await protocol.lost


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("data_received", "Fatal error: protocol.data_received() call failed."),
        ("eof_received", "Fatal error: protocol.eof_received() call failed."),
        ("get_buffer", "Fatal error: protocol.get_buffer() call failed."),
        ("buffer_updated", "Fatal error: protocol.buffer_updated() call failed."),
    ],
)
async def test_what_a_protocol_raises(name: str, message: str) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"data")
        if name == "eof_received":
            writer.write_eof()
        await reader.read()

    def fail(*args: Any) -> None:
        raise ZeroDivisionError(name)

    found = reports(asyncio.get_running_loop())
    factory: Any = Buffered if "buffer" in name else Recorder

    def make() -> Any:
        protocol = factory()
        setattr(protocol, name, fail)
        return protocol

    async with serving(talk) as where:
        transport, protocol = await aiofast.create_connection(make, *where)
        error = await protocol.lost
        assert isinstance(error, ZeroDivisionError)
        assert [one["message"] for one in found] == [message]
        assert found[0]["transport"] is transport
        assert found[0]["protocol"] is protocol
        assert found[0]["exception"] is error


async def test_an_empty_buffer_is_refused() -> None:
    found = reports(asyncio.get_running_loop())
    async with serving(echo) as where:
        transport, protocol = await aiofast.create_connection(lambda: Buffered(0), *where)
        transport.write(b"x")
        assert isinstance(await protocol.lost, RuntimeError)
        assert "get_buffer() returned an empty buffer" in str(found[0]["exception"])


async def test_flow_control_may_fail() -> None:
    found = reports(asyncio.get_running_loop())

    class Broken(Recorder):
        def pause_writing(self) -> None:
            raise ZeroDivisionError

        def resume_writing(self) -> None:
            raise ZeroDivisionError

    async with serving(echo) as where:
        transport, protocol = await aiofast.create_connection(Broken, *where)
        transport.write(bytes(20_000_000))
        await until(lambda: len(protocol.data) == 20_000_000)
        assert [one["message"] for one in found] == [
            "protocol.pause_writing() failed",
            "protocol.resume_writing() failed",
        ]
        transport.close()
        await protocol.lost


async def test_context() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    seen: list[str] = []

    class Looking(Recorder):
        def data_received(self, data: bytes) -> None:
            seen.append(variable.get())
            variable.set("protocol")

        def eof_received(self) -> None:
            seen.append(variable.get())

        def connection_lost(self, exc: BaseException | None) -> None:
            seen.append(variable.get())
            super().connection_lost(exc)

    async with serving(echo) as where:
        variable.set("mine")
        transport, protocol = await aiofast.create_connection(Looking, *where)
        variable.set("later")
        transport.write(b"x")
        await until(lambda: seen)
        transport.write_eof()
        await protocol.lost
        assert seen == ["mine", "protocol", "protocol"]
        assert variable.get() == "later"


async def test_one_left_open_is_told_of() -> None:
    async with serving(echo) as where:
        transport, protocol = await aiofast.create_connection(Recorder, *where)
        transport.pause_reading()
        fd = transport.get_extra_info("socket").fileno()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            protocol.transport = None
            del transport, protocol
            gc.collect()
        assert [w.category for w in caught] == [ResourceWarning]
        assert f"unclosed transport <aiofast.Transport fd={fd}" in str(caught[0].message)
        with pytest.raises(OSError):
            os.fstat(fd)


async def test_buffered_by_its_methods_alone() -> None:
    """As uvloop has it; asyncio asks for the class."""

    class Duck(asyncio.BaseProtocol):
        def __init__(self) -> None:
            self.memory = bytearray(10)
            self.got = bytearray()
            self.lost = asyncio.get_running_loop().create_future()

        def get_buffer(self, sizehint: int) -> bytearray:
            return self.memory

        def buffer_updated(self, nbytes: int) -> None:
            self.got += self.memory[:nbytes]

        def eof_received(self) -> None: ...

        def connection_lost(self, exc: BaseException | None) -> None:
            self.lost.set_result(exc)

    async with serving(echo) as where:
        transport, protocol = await aiofast.create_connection(Duck, *where)
        transport.write(b"more than ten bytes")
        await until(lambda: protocol.got == b"more than ten bytes")
        transport.close()
        await protocol.lost


def test_a_loop_that_ends_first() -> None:
    async def main() -> Any:
        transport, _ = await aiofast.create_connection(Recorder, *listener.getsockname())
        transport.write(b"x")
        return transport

    with socket.create_server(("127.0.0.1", 0)) as listener:
        loop = asyncio.new_event_loop()
        transport = loop.run_until_complete(main())
        loop.close()
        sock = transport.get_extra_info("socket")
        assert sock.fileno() == -1
        transport.write(b"x")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del transport
            gc.collect()
        assert [w.category for w in caught] == [ResourceWarning]


async def test_weak_references_and_attributes() -> None:
    import weakref

    async with serving(echo) as where:
        transport, protocol = await aiofast.create_connection(Recorder, *where)
        transport.mine = 5  # type: ignore[attr-defined]
        reference = weakref.ref(transport)
        assert reference() is transport and transport.mine == 5  # type: ignore[attr-defined]
        assert "fd=" in repr(transport) and "read=polling" in repr(transport)
        transport.close()
        assert "closing" in repr(transport)
        await protocol.lost
        await asyncio.sleep(0)
        assert "closed" in repr(transport)


async def test_sendfile(tmp_path: Path) -> None:
    """By the loop's own function, with the system call."""
    loop = asyncio.get_running_loop()
    if type(loop).__module__.startswith("uvloop"):
        pytest.skip("uvloop has no sendfile")
    data = os.urandom(3_000_000)
    (tmp_path / "file").write_bytes(data)
    async with serving(echo) as where:
        transport, protocol = await aiofast.create_connection(Recorder, *where)
        transport.write(b"before")
        with open(tmp_path / "file", "rb") as file:
            assert await loop.sendfile(transport, file, 10, fallback=False) == len(data) - 10
        transport.write(b"after")
        want = b"before" + data[10:] + b"after"
        await until(lambda: len(protocol.data) == len(want))
        assert protocol.data == want
        transport.close()
        await protocol.lost
