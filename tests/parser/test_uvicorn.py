"""uvicorn, whose protocol is written for httptools, on aiofast.parser."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import aiofast
import pytest
from aiofast import parser

uvicorn = pytest.importorskip("uvicorn")
httptools_impl = pytest.importorskip("uvicorn.protocols.http.httptools_impl")

Message = dict[str, Any]


async def echo(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Answers with what it was asked."""
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    seen = [scope["method"].encode(), scope["raw_path"], scope["query_string"]]
    seen += [scope["http_version"].encode(), *(b"%b=%b" % pair for pair in scope["headers"]), body]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"\n".join(seen)})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """uvicorn in a thread, with the one name of the one module swapped."""
    made = []

    class Counted(parser.HttpRequestParser):
        def __init__(self, protocol: object) -> None:
            super().__init__(protocol)
            made.append(type(protocol).__name__)

    names = {name: getattr(parser, name) for name in parser.__all__}
    swapped = SimpleNamespace(**names | {"HttpRequestParser": Counted})
    monkeypatch.setattr(httptools_impl, "httptools", swapped)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        echo, http="httptools", ws="none", lifespan="off", log_level="critical", loop="asyncio"
    )
    server = uvicorn.Server(config)
    with contextlib.closing(listener):
        thread = threading.Thread(
            target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True
        )
        thread.start()
        # What its loop opens is there before the test's descriptors are counted.
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(10)
    assert not thread.is_alive()
    assert set(made) == {"HttpToolsProtocol"}


def talk(port: int, *pieces: bytes) -> bytes:
    """What comes back until uvicorn closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            sock.sendall(piece)
        back = b""
        while data := sock.recv(65536):
            back += data
    return back


LAST = b"GET /last?x=1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


async def test_aiofast_talks_to_itself(port: int) -> None:
    url = f"http://127.0.0.1:{port}/a%20b?c=d"
    found = await aiofast.fetch(url, headers={"X-A": "1"})
    assert found.status == 200
    lines = found.body.split(b"\n")
    assert lines[:4] == [b"GET", b"/a%20b", b"c=d", b"1.1"]
    assert b"x-a=1" in lines
    found = await aiofast.fetch(url, method="POST", data=b"z" * 300_000)
    assert found.body.endswith(b"\n" + b"z" * 300_000)


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_pieces(port: int, step: int) -> None:
    data = b"POST /up HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    data += b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n" + LAST
    back = talk(port, *(data[i : i + step] for i in range(0, len(data), step)))
    assert back.count(b"HTTP/1.1 200 OK") == 2
    assert b"\nhello world" in back
    assert b"GET\n/last\nx=1" in back


def test_pipelined(port: int) -> None:
    request = b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n"
    back = talk(port, b"".join(request % i for i in range(20)) + LAST)
    assert [back.index(b"GET\n/%d\n" % i) for i in range(20)] == sorted(
        back.index(b"GET\n/%d\n" % i) for i in range(20)
    )


@pytest.mark.parametrize(
    "data",
    [
        b"SPAM / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nA : b\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
    ],
)
def test_invalid(port: int, data: bytes) -> None:
    assert talk(port, data).startswith(b"HTTP/1.1 400 Bad Request")


def test_an_upgrade_that_is_not_wanted(port: int) -> None:
    head = (
        b"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\r\n"
    )
    assert talk(port, head).startswith(b"HTTP/1.1 200 OK")
