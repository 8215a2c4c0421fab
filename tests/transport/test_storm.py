"""Many connections that end in every way at once; the tests' own checks see what is left."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import struct
from typing import Any

import aiofast
import pytest
from aiofast import _core
from protocols import Recorder, serving, until

pytestmark = pytest.mark.usefixtures("tls_engine")

RESET = struct.pack("ii", 1, 0)


async def moody(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that does what the first byte asks for."""
    mood = await reader.read(1)
    sock = writer.get_extra_info("socket")
    if mood == b"r":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        writer.transport.abort()
    elif mood == b"h" and writer.can_write_eof():
        writer.write_eof()
        await reader.read()
    elif mood == b"s":
        for _ in range(5):
            await asyncio.sleep(0.002)
            await reader.read(1000)
    elif mood == b"d":
        writer.write(bytes(3_000_000))
        await writer.drain()
    else:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


class Client(Recorder):
    keep = False

    def eof_received(self) -> bool | None:
        super().eof_received()
        return self.keep


async def one(where: Any, dice: random.Random, context: Any) -> None:
    client = Client()
    client.keep = context is None and dice.random() < 0.3
    names = {"ssl": context, "server_hostname": "localhost"} if context else {}
    transport, _ = await aiofast.create_connection(lambda: client, *where, **names)
    try:
        transport.write(dice.choice([b"r", b"h", b"s", b"d", b"e"]))
        for _ in range(dice.randrange(6)):
            what = dice.randrange(6)
            if what == 0:
                transport.write(bytes(dice.randrange(1_000_000)))
            elif what == 1:
                transport.pause_reading()
            elif what == 2:
                transport.resume_reading()
            elif what == 3 and transport.can_write_eof() and dice.random() < 0.3:
                transport.write_eof()
                break
            else:
                await asyncio.sleep(dice.random() * 0.01)
        if dice.random() < 0.4:
            await asyncio.wait_for(asyncio.shield(client.lost), dice.random() * 0.02)
    except TimeoutError:
        pass
    finally:
        transport.close() if dice.random() < 0.5 else transport.abort()
        end = asyncio.get_running_loop().time() + 5
        while not client.lost.done() and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.005)
            if dice.random() < 0.05:
                transport.abort()
        assert client.lost.done()
    kinds = [call if isinstance(call, str) else call[0] for call in client.heard]
    assert kinds[0] == "made" and kinds[-1] == "lost" and kinds.count("lost") == 1
    assert kinds.count("eof") <= 1


@pytest.mark.seconds(60)
@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
async def test_storm(tls: bool, authority: Any, client_context: Any) -> None:
    dice = random.Random(7)
    context = client_context if tls else None
    async with serving(moody, tls=authority.server() if tls else None) as where:
        for _ in range(4):
            tasks = [
                asyncio.create_task(one(where, random.Random(dice.random()), context))
                for _ in range(25)
            ]
            await asyncio.sleep(0.005)
            for task in dice.sample(tasks, 8):
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            wrong = [
                error
                for error in results
                if error is not None and not isinstance(error, (asyncio.CancelledError, OSError))
            ]
            assert wrong == []
        await until(lambda: _core.stats()["handles"] <= 2)


async def test_an_interrupt_in_a_protocol() -> None:
    """It ends the program, not the connection."""

    class Interrupted(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            loop.call_soon(seen.append, len(data))

    loop = asyncio.get_running_loop()
    seen: list[int] = []
    async with serving(moody) as where:
        transport, protocol = await aiofast.create_connection(Interrupted, *where)
        transport.write(b"e" + os.urandom(100))
        await until(lambda: sum(seen) >= 100)
        transport.close()
        await protocol.lost


def test_keyboard_interrupt() -> None:
    class Interrupted(Recorder):
        def data_received(self, data: bytes) -> None:
            raise KeyboardInterrupt

    async def main() -> None:
        transport, _ = await aiofast.create_connection(Interrupted, sock=other)
        sock.sendall(b"hello")
        try:
            await asyncio.sleep(5)
        finally:
            seen.append(transport.is_closing())
            transport.abort()
            await asyncio.sleep(0)

    seen: list[bool] = []
    sock, other = socket.socketpair()
    with sock:
        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            seen.append(True)
    assert seen == [False, True]


async def test_the_callers_socket_is_closed_by_the_caller() -> None:
    """Its number goes to another file while our transport still has it."""
    async with serving(moody) as where:
        sock = socket.create_connection(where)
        transport, protocol = await aiofast.create_connection(Recorder, sock=sock)
        number = sock.fileno()
        sock.close()
        with open(os.devnull, "rb") as other:
            assert other.fileno() != number
            transport.write(b"e1234")
            await until(lambda: protocol.data == b"1234")
            transport.close()
            await protocol.lost
            await asyncio.sleep(0)
            assert other.read() == b""
        with pytest.raises(OSError):
            os.fstat(number)
