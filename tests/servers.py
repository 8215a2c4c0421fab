"""Servers that misbehave on purpose: all on loopback, on ports the system picks.

A server follows a script for each connection: a list of steps, each a function
of the connection. There is a thread for each connection, and plain TCP, TLS and
Unix sockets. The servers that behave are in origins.py.

A server registers itself in LIVE when it starts; the conftest closes at the end
of a test what the test has started.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

HOST = "127.0.0.1"
LIVE: list[Any] = []


def close_all() -> list[str]:
    """Ends every server of this test; the scripts' own faults are returned."""
    faults: list[str] = []
    while LIVE:
        server = LIVE.pop()
        server.close()
        faults += server.faults
    return faults


def free_port() -> int:
    """A port nobody listens on: what refuses, or what nginx is told to take."""
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1])


def response(
    body: bytes = b"ok",
    *headers: str,
    status: str = "200 OK",
    version: str = "HTTP/1.1",
    length: bool = True,
) -> bytes:
    """The bytes of one response, with Content-Length unless told otherwise."""
    lines = [f"{version} {status}", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def chunked(*chunks: bytes, trailers: Iterable[str] = ()) -> bytes:
    """A body in chunked coding."""
    data = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return data + b"0\r\n" + b"".join(line.encode() + b"\r\n" for line in trailers) + b"\r\n"


# --- scripted -----------------------------------------------------------------


class Gone(Exception):
    """The peer has left, or the server is being closed: the script ends."""


class Request(NamedTuple):
    """A request as it came."""

    connection: int
    method: str
    target: str
    version: str
    headers: list[tuple[str, str]]
    body: bytes
    raw: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        return next(iter(self.all(name)), None)


class Peer:
    """One accepted connection, as its script sees it."""

    def __init__(self, server: Scripted, sock: socket.socket, index: int) -> None:
        self.server = server
        self.sock = sock
        self.index = index
        self.buffer = b""
        self.last: Request | None = None
        self.left = threading.Event()  # the peer's end of file was seen

    def more(self) -> None:
        try:
            data = self.sock.recv(65536)
        except OSError as exc:
            self.left.set()
            raise Gone(repr(exc)) from None
        if not data:
            self.left.set()
            raise Gone("end of file")
        self.buffer += data

    def read(self, size: int) -> bytes:
        while len(self.buffer) < size:
            self.more()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def write(self, data: bytes) -> None:
        try:
            self.sock.sendall(data)
        except OSError as exc:
            raise Gone(repr(exc)) from None


Step = Callable[[Peer], None]


def request(peer: Peer) -> None:
    """Reads one request with its body and records it."""
    while b"\r\n\r\n" not in peer.buffer:
        peer.more()
    size = peer.buffer.index(b"\r\n\r\n") + 4
    head = peer.read(size)
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    method, target, version = first.split(" ")
    headers = []
    for line in lines:
        name, _, value = line.partition(":")
        headers.append((name, value.strip(" \t")))
    coded = any(k.lower() == "transfer-encoding" for k, _ in headers)
    length = next((int(v) for k, v in headers if k.lower() == "content-length"), 0)
    body, raw = read_chunks(peer) if coded else (peer.read(length),) * 2
    peer.last = Request(peer.index, method, target, version, headers, body, head + raw)
    peer.server.requests.append(peer.last)


def read_line(peer: Peer) -> bytes:
    while b"\r\n" not in peer.buffer:
        peer.more()
    return peer.read(peer.buffer.index(b"\r\n") + 2)


def read_chunks(peer: Peer) -> tuple[bytes, bytes]:
    """A chunked body, strictly: its content, and all of it with its trailers."""
    body = raw = b""
    while True:
        line = read_line(peer)
        size = int(line[:-2], 16)
        raw += line
        if size == 0:
            break
        chunk = peer.read(size + 2)
        assert chunk.endswith(b"\r\n"), chunk
        body += chunk[:-2]
        raw += chunk
    while raw[-4:] != b"\r\n\r\n":
        raw += read_line(peer)
    return body, raw


def take(size: int) -> Step:
    """Reads |size| bytes of whatever comes."""

    def step(peer: Peer) -> None:
        peer.read(size)

    return step


def send(*data: bytes) -> Step:
    """Sends each of |data| by a call of its own."""

    def step(peer: Peer) -> None:
        for part in data:
            peer.write(part)

    return step


def drip(data: bytes, pause: float = 0.0, size: int = 1) -> Step:
    """Sends |size| bytes at a time, with a pause after each."""

    def step(peer: Peer) -> None:
        for offset in range(0, len(data), size):
            peer.write(data[offset : offset + size])
            if peer.server.stop.wait(pause):
                raise Gone("closed")

    return step


def flood(data: bytes, limit: int = 64 * 1024 * 1024) -> Step:
    """Sends |data| again and again until the peer has had enough, or |limit|
    bytes were taken: then `server.flooded` says so."""

    def step(peer: Peer) -> None:
        block = data * max(1, 65536 // len(data))
        for _ in range(limit // len(block)):
            peer.write(block)
        peer.server.flooded = True

    return step


def pause(seconds: float) -> Step:
    def step(peer: Peer) -> None:
        if peer.server.stop.wait(seconds):
            raise Gone("closed")

    return step


def until(event: threading.Event) -> Step:
    """Waits for |event|, which the test sets."""

    def step(peer: Peer) -> None:
        while not event.wait(0.01):
            if peer.server.stop.is_set():
                raise Gone("closed")

    return step


def signal(event: threading.Event) -> Step:
    """Tells the test that the script has come this far."""

    def step(peer: Peer) -> None:
        event.set()

    return step


def silence(peer: Peer) -> None:
    """Neither reads nor writes until the server is closed."""
    peer.server.stop.wait()
    raise Gone("closed")


def eof(peer: Peer) -> None:
    """Reads until the peer closes; what it sends before stays in the buffer."""
    with contextlib.suppress(Gone):
        while True:
            peer.more()


def half_close(peer: Peer) -> None:
    """Sends a FIN and goes on reading."""
    with contextlib.suppress(OSError):
        peer.sock.shutdown(socket.SHUT_WR)


def fin(peer: Peer) -> None:
    """Closes in good order: close_notify first where there is TLS."""
    if isinstance(peer.sock, ssl.SSLSocket):
        with contextlib.suppress(OSError, ValueError):
            peer.sock.settimeout(0)  # the peer's own close_notify is not awaited
            peer.sock.unwrap()
    cut(peer)


def cut(peer: Peer) -> None:
    """Sends a FIN; under TLS without close_notify."""
    with contextlib.suppress(OSError):
        peer.sock.shutdown(socket.SHUT_RDWR)
    raise Gone("script")


def rst(peer: Peer) -> None:
    """Resets the connection."""
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.sock.close()
    raise Gone("script")


def forever(*steps: Step) -> Step:
    """Repeats |steps| until the peer leaves."""

    def step(peer: Peer) -> None:
        while True:
            for each in steps:
                each(peer)

    return step


def answer(body: bytes = b"ok", *headers: str, status: str = "200 OK") -> Step:
    """Reads one request and answers it; HEAD gets no body."""
    data = response(body, *headers, status=status)

    def step(peer: Peer) -> None:
        request(peer)
        assert peer.last is not None
        peer.write(data[: len(data) - len(body)] if peer.last.method == "HEAD" else data)

    return step


class Scripted:
    """A server that follows scripts: the first connection the first one, and so
    on; later connections follow the last one. At the end of its script a
    connection is read until the peer closes it. Steps stop when it does."""

    def __init__(
        self,
        *scripts: Iterable[Step],
        tls: ssl.SSLContext | None = None,
        path: str | None = None,
        host: str = HOST,
        port: int = 0,
        backlog: int = 1024,
        accept: bool = True,
    ) -> None:
        self.scripts = [list(script) for script in scripts]
        self.tls = tls
        self.stop = threading.Event()
        self.requests: list[Request] = []
        self.peers: list[Peer] = []
        self.faults: list[str] = []
        self.flooded = False
        self.open = self.most = 0
        self.resumed: list[bool] = []
        self.handshake_errors: list[str] = []
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        if path is not None:
            self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.listener.bind(path)
            self.port = 0
        else:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self.listener = socket.socket(family, socket.SOCK_STREAM)
            self.listener.bind((host, port))
            self.port = self.listener.getsockname()[1]
        self.host = f"[{host}]" if ":" in host else host
        self.listener.listen(backlog)
        self.listener.settimeout(0.05)
        if accept:
            self._start(self._accept)
        LIVE.append(self)

    @property
    def url(self) -> str:
        """Without a path: append one."""
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"

    @property
    def connections(self) -> int:
        return len(self.peers)

    def wait_for(self, condition: Callable[[], bool], seconds: float = 5.0) -> bool:
        """Waits, blocking the caller, until |condition| holds."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            time.sleep(0.005)
        return True

    async def reached(self, condition: Callable[[], bool], seconds: float = 5.0) -> None:
        """Waits, the loop running, until |condition| holds; fails if it does not."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "the server never came to the awaited state"
            await asyncio.sleep(0.005)

    def close(self) -> None:
        self.stop.set()
        for peer in self.peers:
            with contextlib.suppress(OSError):
                peer.sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
            if thread.is_alive():
                self.faults.append(f"{thread.name} of {self.url} does not end")
        self.listener.close()

    def _start(self, work: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True, name=work.__name__)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.stop.is_set():
            try:
                sock, _ = self.listener.accept()
            except TimeoutError:
                continue
            sock.settimeout(None)
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer = Peer(self, sock, len(self.peers))
            with self._lock:
                self.peers.append(peer)
                self.open += 1
                self.most = max(self.most, self.open)
            self._start(self._serve, peer)

    def _serve(self, peer: Peer) -> None:
        script = self.scripts[min(peer.index, len(self.scripts) - 1)]
        try:
            if self.tls is not None:
                peer.sock = self._handshake(peer)
            for step in script:
                step(peer)
            eof(peer)
        except Gone:
            pass
        except Exception as exc:
            self.faults.append(f"connection {peer.index}: {exc!r}")
        finally:
            with contextlib.suppress(OSError):
                peer.sock.close()
            with self._lock:
                self.open -= 1

    def _handshake(self, peer: Peer) -> ssl.SSLSocket:
        assert self.tls is not None
        try:
            sock = self.tls.wrap_socket(peer.sock, server_side=True)
        except OSError as exc:
            self.handshake_errors.append(str(exc))
            raise Gone("handshake") from None
        self.resumed.append(bool(sock.session_reused))
        return sock


def full_backlog(host: str = HOST) -> Scripted:
    """A server that accepts nothing and whose backlog is full: a connection
    attempt neither succeeds nor fails."""
    server = Scripted([], accept=False, backlog=0, host=host)
    server.fillers = []  # type: ignore[attr-defined]
    for _ in range(4):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex((host, server.port))
        server.fillers.append(sock)  # type: ignore[attr-defined]
    plain_close = server.close

    def close() -> None:
        plain_close()
        for sock in server.fillers:  # type: ignore[attr-defined]
            sock.close()

    server.close = close  # type: ignore[method-assign]
    return server
