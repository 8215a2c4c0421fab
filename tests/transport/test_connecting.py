"""Connecting: arguments, addresses, sockets of the caller's, cancelling."""

from __future__ import annotations

import asyncio
import inspect
import socket
import ssl
import warnings
from pathlib import Path
from typing import Any

import aiofast
import pytest
from protocols import Recorder, echo, serving


@pytest.mark.parametrize("name", ["create_connection", "create_unix_connection", "start_tls"])
def test_signatures(name: str) -> None:
    """As those of the loop of the running Python, and of the newest."""
    loop = asyncio.new_event_loop()
    theirs = inspect.signature(getattr(loop, name)).parameters
    loop.close()
    ours = inspect.signature(getattr(aiofast, name)).parameters
    assert [p.name for p in theirs.values() if p.name not in ours] == []
    for parameter in theirs.values():
        mine = ours[parameter.name]
        assert (mine.default, mine.kind) == (parameter.default, parameter.kind), parameter


async def both(arguments: dict[str, Any], name: str = "create_connection") -> tuple[Any, Any]:
    """What asyncio raises, and what we raise."""
    raised: list[Any] = []
    for function in (getattr(asyncio.get_running_loop(), name), getattr(aiofast, name)):
        try:
            await function(asyncio.Protocol, **arguments)
        except Exception as error:
            raised.append((type(error), str(error)))
        else:
            raised.append(None)
    return raised[0], raised[1]


CONTEXT = ssl.create_default_context()


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"host": "localhost", "port": 1, "server_hostname": "x"},
        {"port": 1, "ssl": CONTEXT},
        {"host": "localhost", "port": 1, "ssl_handshake_timeout": 1},
        {"host": "localhost", "port": 1, "ssl_shutdown_timeout": 1},
        {"host": "no such name.invalid", "port": 1},
        {"host": "127.0.0.1", "port": "no-such-service"},
        {"host": "127.0.0.1", "port": 1},
        {"host": "127.0.0.1", "port": 1, "happy_eyeballs_delay": 0.1},
        {"host": "127.0.0.1", "port": 1, "local_addr": ("192.0.2.1", 0)},
        {"host": "::1", "port": 1, "family": socket.AF_INET},
    ],
)
async def test_what_is_refused(arguments: dict[str, Any]) -> None:
    theirs, ours = await both(arguments)
    if "uvloop" in type(asyncio.get_running_loop()).__module__:
        assert ours is not None
    else:
        assert theirs == ours != None  # noqa: E711


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"path": "/nowhere/socket"},
        {"path": "/nowhere/socket", "ssl": CONTEXT},
        {"path": "/nowhere/socket", "server_hostname": "x"},
        {"path": "/nowhere/socket", "ssl_handshake_timeout": 1},
        {"path": "/nowhere/socket", "ssl_shutdown_timeout": 1},
    ],
)
async def test_what_is_refused_of_unix_sockets(arguments: dict[str, Any]) -> None:
    theirs, ours = await both(arguments, "create_unix_connection")
    assert theirs is not None and ours is not None
    assert theirs[0] is ours[0]
    if "uvloop" not in type(asyncio.get_running_loop()).__module__:
        assert theirs[1] == ours[1]


async def test_sockets_of_the_wrong_kind() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        with pytest.raises(ValueError, match="A Stream Socket was expected"):
            await aiofast.create_connection(asyncio.Protocol, sock=sock)
        with pytest.raises(ValueError, match="A UNIX Domain Stream Socket was expected"):
            await aiofast.create_unix_connection(asyncio.Protocol, sock=sock)
        with pytest.raises(ValueError, match="can not be specified at the same time"):
            await aiofast.create_connection(asyncio.Protocol, "localhost", 1, sock=sock)
        with pytest.raises(ValueError, match="can not be specified at the same time"):
            await aiofast.create_unix_connection(asyncio.Protocol, "/x", sock=sock)


async def test_a_socket_of_the_callers() -> None:
    async with serving(echo) as where:
        sock = socket.create_connection(where)
        transport, protocol = await aiofast.create_connection(Recorder, sock=sock)
        assert sock.gettimeout() == 0
        transport.write(b"x")
        while not protocol.data:
            await asyncio.sleep(0.001)
        transport.close()
        assert await protocol.lost is None
        await asyncio.sleep(0)
        assert sock.fileno() == -1


async def test_a_pair_of_sockets() -> None:
    left, right = socket.socketpair()
    right.setblocking(False)
    transport, protocol = await aiofast.create_unix_connection(Recorder, sock=left)
    right.send(b"hello")
    while not protocol.data:
        await asyncio.sleep(0.001)
    assert protocol.data == b"hello"
    right.close()
    assert await protocol.lost is None
    assert transport.is_closing()


async def test_unix_socket(tmp_path: Path) -> None:
    async with serving(echo, tmp_path / "socket") as where:
        reader, writer = await aiofast.open_unix_connection(where)
        assert writer.get_extra_info("peername") == where
        writer.write(b"a line\n")
        assert await reader.readline() == b"a line\n"
        writer.close()
        await writer.wait_closed()


async def test_streams() -> None:
    async with serving(echo) as where:
        reader, writer = await aiofast.open_connection(*where, limit=1000)
        assert isinstance(writer, asyncio.StreamWriter)
        writer.writelines([b"a", b"b" * 5000, b"\n"])
        await writer.drain()
        with pytest.raises(ValueError, match="chunk"):
            await reader.readline()
        writer.write(b"next\n")
        assert await reader.readuntil(b"next\n")
        assert writer.can_write_eof()
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_local_address() -> None:
    async with serving(echo) as where:
        transport, protocol = await aiofast.create_connection(
            Recorder, *where, local_addr=("127.0.0.2", 0)
        )
        assert transport.get_extra_info("sockname")[0] == "127.0.0.2"
        transport.close()
        await protocol.lost


async def answer(infos: list[Any], *args: Any, **kwargs: Any) -> list[Any]:
    return infos


def row(host: str, port: int) -> Any:
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))


async def test_every_error(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    if "uvloop" in type(loop).__module__:
        pytest.skip("its getaddrinfo cannot be replaced")
    rows = [row("127.0.0.1", 1), row("127.0.0.2", 1)]
    monkeypatch.setattr(loop, "getaddrinfo", lambda *a, **k: answer(rows))
    for delay in (None, 0.01):
        with pytest.raises(OSError, match=r"Multiple exceptions: .*127\.0\.0\.1.*127\.0\.0\.2"):
            await aiofast.create_connection(Recorder, "two.test", 1, happy_eyeballs_delay=delay)
        with pytest.raises(ExceptionGroup, match="create_connection failed") as caught:
            await aiofast.create_connection(
                Recorder, "two.test", 1, happy_eyeballs_delay=delay, all_errors=True
            )
        assert [type(error) for error in caught.value.exceptions] == [ConnectionRefusedError] * 2
    monkeypatch.setattr(loop, "getaddrinfo", lambda *a, **k: answer([]))
    with pytest.raises(OSError, match="empty list"):
        await aiofast.create_connection(Recorder, "none.test", 1)


async def test_the_race_is_won_by_who_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first address never answers."""
    loop = asyncio.get_running_loop()
    if "uvloop" in type(loop).__module__:
        pytest.skip("its functions cannot be replaced")
    connect = loop.sock_connect

    async def sock_connect(sock: socket.socket, address: Any) -> None:
        if address[0] == "127.0.0.9":
            await loop.create_future()
        await connect(sock, address)

    async with serving(echo) as where:
        rows = [row("127.0.0.9", 1), row(*where)]
        monkeypatch.setattr(loop, "getaddrinfo", lambda *a, **k: answer(rows))
        monkeypatch.setattr(loop, "sock_connect", sock_connect)
        begin = loop.time()
        transport, protocol = await aiofast.create_connection(
            Recorder, "two.test", 1, happy_eyeballs_delay=0.05
        )
        assert 0.04 < loop.time() - begin < 2
        transport.close()
        await protocol.lost


async def test_cancelled_at_any_moment() -> None:
    """After each number of turns of the loop; the tests' own checks see what is left."""
    async with serving(echo) as where:
        for turns in range(12):
            task = asyncio.create_task(
                aiofast.create_connection(Recorder, *where, happy_eyeballs_delay=0.1)
            )
            for _ in range(turns):
                await asyncio.sleep(0)
            if task.cancel():
                with pytest.raises(asyncio.CancelledError):
                    await task
            else:
                transport, protocol = await task
                transport.close()
                await protocol.lost
        await asyncio.sleep(0.01)


async def test_a_factory_that_fails() -> None:
    def factory() -> asyncio.Protocol:
        raise ZeroDivisionError

    async with serving(echo) as where:
        with warnings.catch_warnings(), pytest.raises(ZeroDivisionError):
            warnings.simplefilter("error")
            await aiofast.create_connection(factory, *where)
