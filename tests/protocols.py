"""Protocols and servers that the transports' tests share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


class Recorder(asyncio.Protocol):
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.data = bytearray()
        self.transport: Any = None
        self.lost: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.heard.append("made")

    def data_received(self, data: bytes) -> None:
        assert type(data) is bytes
        self.data += data
        if self.heard[-1] != "data":
            self.heard.append("data")

    def eof_received(self) -> bool | None:
        self.heard.append("eof")
        return None

    def pause_writing(self) -> None:
        self.heard.append("pause")

    def resume_writing(self) -> None:
        self.heard.append("resume")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.heard.append(("lost", type(exc)))
        self.lost.set_result(exc)


@contextlib.asynccontextmanager
async def serving(accept: Accept, path: Path | None = None, tls: Any = None) -> AsyncIterator[Any]:
    """A server of asyncio's own; gives its (host, port) or its path."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.add(asyncio.current_task())
        try:
            await handle_one(reader, writer)
        finally:
            running.discard(asyncio.current_task())
            done.set()

    async def handle_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await accept(reader, writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    running: set[Any] = set()
    done = asyncio.Event()
    if path is not None:
        server: Any = await asyncio.start_unix_server(handle, path, ssl=tls)
        where: Any = str(path)
    else:
        server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
        where = server.sockets[0].getsockname()[:2]
    try:
        yield where
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await done.wait()
                while running:
                    await asyncio.sleep(0.005)
    finally:
        server.close()
        await server.wait_closed()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(256 * 1024):
        writer.write(data)
        await writer.drain()


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.001)


def reports(loop: asyncio.AbstractEventLoop) -> list[dict[str, Any]]:
    """What is reported from here on, instead of to the test's own handler."""
    found: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: found.append(context))
    return found
