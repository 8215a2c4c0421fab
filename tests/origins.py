"""What behaves: aiohttp's server, nginx, a private CA, and the content codings.

Web       aiohttp's server with the routes below, in a thread.
Nginx     Debian's nginx with a generated configuration, a process of its own.
Authority a private CA and the contexts of both sides.
CODERS    the content codings, by the system's encoders.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import ctypes.util
import gzip
import itertools
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from servers import HOST, free_port

# --- certificates ---------------------------------------------------------------


class Authority:
    """A private CA, and another one that signed nothing that we trust."""

    def __init__(self) -> None:
        import trustme

        self.ca = trustme.CA()
        self.other = trustme.CA()
        self.folder = Path(tempfile.mkdtemp(prefix="aiofast-ca-"))
        self.ca_file = str(self.folder / "ca.pem")
        self.ca.cert_pem.write_to_path(self.ca_file)
        self._servers: dict[tuple[str, ...], ssl.SSLContext] = {}
        cert = self.ca.issue_cert("localhost", HOST, "::1")
        self.chain_file = str(self.folder / "chain.pem")
        self.key_file = str(self.folder / "key.pem")
        cert.private_key_pem.write_to_path(self.key_file)
        for index, blob in enumerate(cert.cert_chain_pems):
            blob.write_to_path(self.chain_file, append=index > 0)

    def server(self, *names: str) -> ssl.SSLContext:
        """A server's context with a certificate for |names|, by default for
        localhost and the loopback addresses."""
        names = names or ("localhost", HOST, "::1")
        if names not in self._servers:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.ca.issue_cert(*names).configure_cert(context)
            self._servers[names] = context
        return self._servers[names]

    def expired(self) -> ssl.SSLContext:
        import datetime

        past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(HOST, not_after=past).configure_cert(context)
        return context

    def client(self) -> ssl.SSLContext:
        """A new client's context that trusts the CA, and checks names."""
        return ssl.create_default_context(cafile=self.ca_file)

    def stranger(self) -> ssl.SSLContext:
        """A client's context that trusts another CA."""
        context = ssl.create_default_context()
        self.other.configure_trust(context)
        return context

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


# --- codings --------------------------------------------------------------------


def deflate_raw(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def _library(name: str) -> ctypes.CDLL | None:
    path = ctypes.util.find_library(name)
    return ctypes.CDLL(path) if path else None


def brotli(data: bytes) -> bytes | None:
    """|data| in brotli by the system's encoder; None if it has none."""
    lib = _library("brotlienc")
    if lib is None:
        return None
    out = ctypes.create_string_buffer(len(data) + 1024)
    size = ctypes.c_size_t(len(out))
    done = lib.BrotliEncoderCompress(
        5, 22, 0, ctypes.c_size_t(len(data)), data, ctypes.byref(size), out
    )
    return out.raw[: size.value] if done else None


def zstd(data: bytes) -> bytes | None:
    """|data| in zstd by the system's encoder; None if it has none."""
    lib = _library("zstd")
    if lib is None:
        return None
    lib.ZSTD_compress.restype = ctypes.c_size_t
    out = ctypes.create_string_buffer(len(data) + 1024)
    size = lib.ZSTD_compress(out, ctypes.c_size_t(len(out)), data, ctypes.c_size_t(len(data)), 3)
    return out.raw[:size]


CODERS: dict[str, Callable[[bytes], bytes | None]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "deflate": zlib.compress,
    "br": brotli,
    "zstd": zstd,
}

# --- aiohttp's server -----------------------------------------------------------


class Web:
    """aiohttp's server in a thread, with the routes of `_routes`. `most` is the
    largest number of requests that were in their handlers at once."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.port = 0
        self.now = self.most = self.count = 0
        self.transports: set[Any] = set()
        self.targets: list[str] = []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="web")
        self._thread.start()
        assert self._ready.wait(20), "aiohttp's server did not start"

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{HOST}:{self.port}"

    def reset(self) -> None:
        self.most = self.count = 0
        self.transports.clear()
        self.targets.clear()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(20)

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        from aiohttp import web

        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()

        @web.middleware
        async def counting(req: Any, handler: Any) -> Any:
            self.now += 1
            self.count += 1
            self.most = max(self.most, self.now)
            self.transports.add(req.transport)
            self.targets.append(req.raw_path)
            try:
                return await handler(req)
            finally:
                self.now -= 1

        app = web.Application(middlewares=[counting], client_max_size=64 * 1024 * 1024)
        _routes(app)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, HOST, 0, ssl_context=self.tls, backlog=4096)
        await site.start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._end.wait()
        await runner.cleanup()


def _routes(app: Any) -> None:
    from aiohttp import web

    def body(size: int) -> bytes:
        return bytes(itertools.islice(itertools.cycle(range(256)), size))

    async def hello(req: Any) -> Any:
        return web.json_response({"hello": "world", "id": req.query.get("id")})

    async def delay(req: Any) -> Any:
        await asyncio.sleep(int(req.match_info["ms"]) / 1000)
        return web.json_response({"delay": int(req.match_info["ms"])})

    async def status(req: Any) -> Any:
        return web.Response(status=int(req.match_info["n"]), text="status")

    async def redirect(req: Any) -> Any:
        left = int(req.match_info["n"])
        target = f"/redirect/{left - 1}" if left > 1 else "/echo"
        return web.Response(status=302, headers={"Location": target}, text="moved")

    async def bounce(req: Any) -> Any:
        headers = {"Location": req.query["to"]}
        return web.Response(status=int(req.query.get("status", 302)), headers=headers)

    async def echo(req: Any) -> Any:
        data = await req.read()
        return web.json_response(
            {
                "method": req.method,
                "target": req.raw_path,
                "headers": [[key, value] for key, value in req.headers.items()],
                "body": data.decode("latin-1"),
            }
        )

    async def coded(req: Any) -> Any:
        coding = req.match_info["coding"]
        data = CODERS[coding](json.dumps({"coding": coding, "text": "x" * 1000}).encode())
        if data is None:
            return web.Response(status=501)
        return web.Response(
            body=data, headers={"Content-Encoding": coding, "Content-Type": "application/json"}
        )

    async def size(req: Any) -> Any:
        return web.Response(body=body(int(req.match_info["n"])))

    async def stream(req: Any) -> Any:
        answer = web.StreamResponse()
        answer.enable_chunked_encoding()
        await answer.prepare(req)
        for index in range(int(req.match_info.get("n", 5))):
            await answer.write(b"chunk %d\n" % index)
            if req.query.get("pause"):
                await asyncio.sleep(float(req.query["pause"]))
        await answer.write_eof()
        return answer

    async def cookies(req: Any) -> Any:
        answer = web.json_response(dict(req.cookies))
        for name, value in req.query.items():
            answer.set_cookie(name, value)
        return answer

    async def slow_body(req: Any) -> Any:
        answer = web.StreamResponse(headers={"Content-Length": "10"})
        await answer.prepare(req)
        for _ in range(10):
            await answer.write(b"s")
            await asyncio.sleep(float(req.query.get("pause", 0.02)))
        return answer

    app.router.add_get("/json", hello)
    app.router.add_get("/delay/{ms}", delay)
    app.router.add_route("*", "/status/{n}", status)
    app.router.add_get("/redirect/{n}", redirect)
    app.router.add_route("*", "/bounce", bounce)
    app.router.add_route("*", "/echo", echo)
    app.router.add_get("/bytes/{n}", size)
    app.router.add_get("/chunked/{n}", stream)
    app.router.add_get("/stream", stream)
    app.router.add_get("/cookies", cookies)
    app.router.add_get("/slow-body", slow_body)
    app.router.add_get("/{coding:gzip|deflate|br|zstd}", coded)


# --- nginx ----------------------------------------------------------------------

_NGINX = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  keepalive_requests 1000000;
  default_type application/octet-stream;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2;
  fastcgi_temp_path {folder}/t3; uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  ssl_certificate {chain}; ssl_certificate_key {key};
  ssl_session_cache shared:tests:1m; ssl_session_tickets on;
  server {{
    listen 127.0.0.1:{plain} backlog=4096;
    listen 127.0.0.1:{secure} ssl backlog=4096;
    root {folder}/www;
    add_header X-Connection $connection;
    add_header X-Resumed $ssl_session_reused;
    location = /json {{ default_type application/json; return 200 '{json}'; }}
    location /once {{ keepalive_timeout 0; return 200 'once'; }}
  }}
}}
"""


class Nginx:
    """Debian's nginx as a process of its own: /json, /once (closes after each
    response) and the files small.txt and big.bin. Every response tells the
    number of its connection and whether its TLS session was resumed ("r")."""

    JSON = json.dumps({"hello": "world", "list": list(range(20))})

    def __init__(self, authority: Authority) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="aiofast-nginx-"))
        www = self.folder / "www"
        www.mkdir()
        self.big = os.urandom(1024 * 1024) * 4
        (www / "small.txt").write_bytes(b"a small file\n")
        (www / "big.bin").write_bytes(self.big)
        for _ in range(5):  # a port may be taken between the look and the start
            self.port, self.tls_port = free_port(), free_port()
            if self._start(authority):
                return
        raise RuntimeError("nginx did not start: " + (self.folder / "error.log").read_text())

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"https://{HOST}:{self.tls_port}"

    def _start(self, authority: Authority) -> bool:
        config = self.folder / "nginx.conf"
        config.write_text(
            _NGINX.format(
                folder=self.folder,
                chain=authority.chain_file,
                key=authority.key_file,
                plain=self.port,
                secure=self.tls_port,
                json=self.JSON,
            )
        )
        errors = str(self.folder / "error.log")
        program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
        self.process = subprocess.Popen(
            [program or "nginx", "-p", str(self.folder), "-c", str(config), "-e", errors],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(200):
            if self.process.poll() is not None:
                return False
            with contextlib.suppress(OSError), socket.create_connection((HOST, self.tls_port)):
                return True
            time.sleep(0.02)
        self.close()
        return False

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)
