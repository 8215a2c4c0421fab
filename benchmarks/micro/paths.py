"""The hot paths as a program sees them, each run between two marks.

    python paths.py [NAME ...]

For a program that counts instructions (../instructions.py); core.c says what a
mark is. The server is in this process and on this thread: a plain socket that
the loop watches and that answers with one send, so that every run takes the
same turns. Its cost, and asyncio's, is in the whole process's count but not in
what is counted for the extension.

Output: one line of what runs, then "name requests" for each path.
"""

import asyncio
import contextlib
import gc
import os
import platform
import socket
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import aiofast
import aiofast._core
import yarl

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from server import certificate

_TURNS = 400
_WARM_UP = 40
_IN_FLIGHT = 50

_SMALL = b'{"id":1027,"name":"benchmark","ok":true,"text":"as small as an API reply is"}'
_FIELDS = (
    b"Server: nginx/1.22.1\r\nDate: Sat, 21 Nov 2026 08:00:00 GMT\r\n"
    b"Content-Type: application/json; charset=utf-8\r\nConnection: keep-alive\r\n"
    b"Cache-Control: private, max-age=60\r\nVary: Accept, Cookie\r\n"
    b'ETag: "f2b51c6b0a1d4b47c8cc4a4b8a3c3cb6"\r\nX-Request-Id: C0DE:1A2B:3C4D5E:6F7081\r\n'
)
_ANSWER = b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (_FIELDS, len(_SMALL), _SMALL)
_MOVED = b"HTTP/1.1 302 Found\r\n%bLocation: /items/1027\r\nContent-Length: 0\r\n\r\n" % _FIELDS
_PIECES = b"HTTP/1.1 200 OK\r\n%bTransfer-Encoding: chunked\r\n\r\n" % _FIELDS
_PIECE, _LAST = b"4\r\npart\r\n", b"0\r\n\r\n"

Turn = Callable[[], Awaitable[object]]


class Server:
    """Accepts, and answers whatever comes in one piece. One loop, no task."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._open: list[socket.socket] = []
        self._loop.add_reader(self._listener, self._accept)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/items/1027"
        self.answer = _ANSWER

    def _accept(self) -> None:
        peer, _ = self._listener.accept()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open.append(peer)
        self._loop.add_reader(peer, self._readable, peer)

    def _readable(self, peer: socket.socket) -> None:
        data = peer.recv(65536)
        if data:
            peer.send(self.answered(data))
        else:
            self._loop.remove_reader(peer)
            peer.close()

    def answered(self, data: bytes) -> bytes:
        """The answer to the request |data|."""
        return _MOVED if data.startswith(b"GET /moved") else self.answer

    def send(self, data: bytes) -> None:
        """To the connection that was opened last."""
        self._open[-1].send(data)

    def close(self) -> None:
        """Everything that is still open."""
        for peer in (self._listener, *self._open):
            if peer.fileno() >= 0:
                self._loop.remove_reader(peer)
                peer.close()


class SecureServer(Server):
    """The same over TLS, for one connection."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__()
        self.url = self.url.replace("http:", "https:")
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)

    def answered(self, data: bytes) -> bytes:
        """What TLS says to |data|."""
        self._in.write(data)
        with contextlib.suppress(ssl.SSLWantReadError):
            if self._tls.version() is None:
                self._tls.do_handshake()
            self._tls.write(super().answered(self._tls.read(65536)))
        return self._out.read()


async def _repeat(turn: Turn, turns: int) -> None:
    for _ in range(turns):
        await turn()


async def measured(turn: Turn, turns: int = _TURNS) -> int:
    """The turns between two marks; gives their number."""
    await _repeat(turn, _WARM_UP)
    os.getppid()
    await _repeat(turn, turns)
    os.getppid()
    return turns


async def fetches(server: Server) -> int:
    """One whole warm request by the shortest door."""

    async def turn() -> None:
        response = await aiofast.fetch(server.url)
        assert response.status == 200 and len(response.body) == len(_SMALL)

    return await measured(turn)


async def fetches_at_once(server: Server) -> int:
    """The same in tasks that wait at the same time: one run of the loop wakes many."""

    async def one() -> None:
        assert (await aiofast.fetch(server.url)).status == 200

    async def turn() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(_IN_FLIGHT):
                group.create_task(_repeat(one, 4))

    await turn()
    return await measured(turn, 4) * _IN_FLIGHT * 4


async def sessions(server: Server) -> int:
    """One whole warm request by aiohttp's door."""
    async with aiofast.ClientSession() as session:

        async def turn() -> None:
            async with session.get(server.url) as response:
                assert response.status == 200 and len(await response.read()) == len(_SMALL)

        return await measured(turn)


async def sessions_with_cookies(server: Server) -> int:
    """The same with three cookies in the jar that go along."""
    cookies = [
        "id=8d0f3c3ad1c44e4b; HttpOnly",
        "theme=dark; Path=/",
        "seen=1; Path=/; Max-Age=9999",
    ]
    async with aiofast.ClientSession(cookie_jar=aiofast.CookieJar(unsafe=True)) as session:
        session.cookie_jar.update_cookies_from_headers(cookies, yarl.URL(server.url))

        async def turn() -> None:
            async with session.get(server.url) as response:
                assert response.status == 200 and len(await response.read()) == len(_SMALL)

        return await measured(turn)


async def sessions_with_headers(server: Server) -> int:
    """The same with two headers and no cookie."""
    headers = {"X-Client": "micro", "Accept": "application/json"}
    async with aiofast.ClientSession() as session:

        async def turn() -> None:
            async with session.get(server.url, headers=headers) as response:
                assert response.status == 200 and len(await response.read()) == len(_SMALL)

        return await measured(turn)


async def posts(server: Server) -> int:
    """A request with headers and a JSON body."""
    headers = {"X-Client": "micro", "Accept": "application/json"}

    async def turn() -> None:
        response = await aiofast.post(server.url, json={"id": 1027}, headers=headers)
        assert response.status == 200

    return await measured(turn)


async def posts_of_session(server: Server) -> int:
    """The same by aiohttp's door."""
    async with aiofast.ClientSession(headers={"Authorization": "Bearer micro"}) as session:

        async def turn() -> None:
            async with session.post(server.url, json={"id": 1027}) as response:
                assert response.status == 200 and len(await response.read()) == len(_SMALL)

        return await measured(turn)


async def settings(server: Server) -> int:
    """A request with a query, a context and a limit of its own."""
    context, limit = ssl.create_default_context(), aiofast.ClientTimeout(total=60)
    query = {"page": 2, "q": "as small as"}

    async def turn() -> None:
        response = await aiofast.fetch(server.url, params=query, ssl=context, timeout=limit)
        assert response.status == 200

    return await measured(turn)


async def redirects(server: Server) -> int:
    """A redirect followed: two requests."""
    url = server.url.replace("/items/1027", "/moved")

    async def turn() -> None:
        response = await aiofast.fetch(url)
        assert response.status == 200 and len(response.history) == 1

    return await measured(turn)


async def secure_sessions(server: Server) -> int:
    """One whole warm request over TLS."""
    with tempfile.TemporaryDirectory(prefix="aiofast-paths-") as name:
        ca = certificate.make(Path(name))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(Path(name, "server.pem"), Path(name, "server.key"))
        client = ssl.create_default_context(cafile=ca)
    secure = SecureServer(context)
    try:
        async with aiofast.ClientSession() as session:

            async def turn() -> None:
                async with session.get(secure.url, ssl=client) as response:
                    assert response.status == 200 and len(await response.read()) == len(_SMALL)

            return await measured(turn)
    finally:
        secure.close()


async def wake_ups(server: Server) -> int:
    """A task that waits is woken by a piece of a body: read, parse, wake."""
    loop = asyncio.get_running_loop()
    async with aiofast.ClientSession() as session:
        server.answer = _PIECES
        async with session.get(server.url) as response:

            async def turn() -> None:
                loop.call_soon(server.send, _PIECE)
                assert await response.content.readany() == b"part"

            turns = await measured(turn)
            server.send(_LAST)
            assert await response.content.readany() == b""
    server.answer = _ANSWER
    return turns


async def header_looks(server: Server) -> int:
    """The first look at the headers of a response, then two more."""
    every = [await aiofast.fetch(server.url) for _ in range(_TURNS + _WARM_UP)]

    async def turn() -> None:
        headers = every.pop().headers
        assert headers["content-type"] and headers.get("X-Request-Id") and "Link" not in headers

    return await measured(turn)


async def finished(server: Server) -> int:
    """Awaiting what is done already."""

    async def turn() -> None:
        await aiofast._core.done(None)

    return await measured(turn)


PATHS = {
    "fetch": fetches,
    "fetch, 50 at once": fetches_at_once,
    "ClientSession": sessions,
    "ClientSession with 3 cookies": sessions_with_cookies,
    "ClientSession with headers": sessions_with_headers,
    "POST of JSON with headers": posts,
    "ClientSession, POST of JSON": posts_of_session,
    "fetch with params, ssl, timeout": settings,
    "redirect": redirects,
    "ClientSession over TLS": secure_sessions,
    "wake-up of a task": wake_ups,
    "headers looked at": header_looks,
    "await of a done result": finished,
}


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    """The server of this process while the block lasts."""
    server = Server()
    try:
        yield server
    finally:
        server.close()


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Without the cyclic collector, whose turns depend on what was imported."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def run(names: list[str]) -> None:
    """Each path on the same loop, with the same server."""
    async with serving() as server:
        for name in names:
            with uncollected():
                turns = await PATHS[name](server)
            print(f"{name}\t{turns}", flush=True)


def main() -> int:
    """Which extension and which Python, then the paths."""
    core = aiofast._core.__file__
    print(f"{Path(core)}\t{platform.python_implementation()} {sys.version}".replace("\n", " "))
    asyncio.run(run(sys.argv[1:] or list(PATHS)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
