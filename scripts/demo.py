"""Does five everyday jobs with aiofast, aiohttp and requests, and checks each body.

The jobs are those that people write about when they write about asyncio and HTTP:
probe a list of URLs; fetch some HTTPS pages; make 3 and 100 calls to a slow JSON
service; connect, write and read by hand; get along with a private certificate
authority. The servers are our own, on loopback, in a process of their own; the
authority is made for this run, and really verified.

Exit status 1 when a check fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import aiofast
import aiohttp
import requests
import trustme

DELAY = 0.050  # what the JSON service takes
SLOW = 0.300  # what the slow page takes
ROUNDS = 5


# --- the servers ----------------------------------------------------------------


def page(name: str) -> bytes:
    return f"<html><title>{name}</title>".encode() + b"<p>text</p>" * 200 + b"</html>\n"


def respond(target: str) -> tuple[float, bytes]:
    """The delay and the bytes of the response to |target|."""
    kind, _, name = target.strip("/").partition("/")
    status, extra, body, delay = "200 OK", "", page(name), 0.0
    if kind == "json":
        body, extra, delay = json.dumps({"id": int(name)}).encode(), "", DELAY
    elif kind == "slow":
        delay = SLOW
    elif kind == "moved":
        status, extra, body = "302 Found", f"Location: /page/{name}\r\n", b""
    elif kind != "page":
        status, body = "404 Not Found", b"no such page\n"
    content = "application/json" if kind == "json" else "text/html"
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content}\r\n{extra}Content-Length: {len(body)}"
    return delay, head.encode() + b"\r\n\r\n" + body


class Server(asyncio.Protocol):
    """As much of HTTP/1.1 as these jobs need."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data
        while b"\r\n\r\n" in self.received:
            head, self.received = self.received.split(b"\r\n\r\n", 1)
            _, target, version = head.split(b"\r\n", 1)[0].decode().split(" ")
            delay, answer = respond(target)
            loop = asyncio.get_running_loop()
            loop.call_later(delay, self.answer, answer, version == "HTTP/1.0")

    def answer(self, data: bytes, last: bool) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)
            if last:
                self.transport.close()


async def serve(chain: str) -> None:
    """Serves until standard input ends; prints the ports first."""
    loop = asyncio.get_running_loop()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    plain = await loop.create_server(Server, "127.0.0.1", 0, backlog=1024)
    secure = [
        await loop.create_server(Server, "127.0.0.1", 0, ssl=context, backlog=1024)
        for _ in range(5)
    ]
    ports = [each.sockets[0].getsockname()[1] for each in (plain, *secure)]
    print(json.dumps(ports), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


class Place(NamedTuple):
    """Where everything is."""

    plain: str
    secure: list[str]
    refused: str
    ca_file: str
    context: ssl.SSLContext


@contextlib.contextmanager
def servers() -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="aiofast-demo-") as folder:
        authority = trustme.CA()
        ca_file, chain = str(Path(folder) / "ca.pem"), str(Path(folder) / "chain.pem")
        authority.cert_pem.write_to_path(ca_file)
        authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(
            chain
        )
        command = [sys.executable, __file__, "--serve", chain]
        pipe = subprocess.PIPE
        with (
            socket.socket() as taken,
            subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process,
        ):
            taken.bind(("127.0.0.1", 0))  # bound, not listening: it refuses
            assert process.stdout is not None
            plain, *secure = json.loads(process.stdout.readline())
            yield Place(
                f"http://127.0.0.1:{plain}",
                [f"https://127.0.0.1:{port}" for port in secure],
                f"http://127.0.0.1:{taken.getsockname()[1]}",
                ca_file,
                ssl.create_default_context(cafile=ca_file),
            )
            assert process.stdin is not None
            process.stdin.close()


# --- the jobs, and what must come of them ---------------------------------------

Outcome = list[tuple[Any, bytes]]  # a status or what went wrong, and the body


def probe_list(place: Place) -> tuple[list[str], Outcome]:
    urls, expected = [], []
    for index in range(6):
        urls.append(f"{place.plain}/page/{index}")
        expected.append((200, page(str(index))))
    for index in range(2):
        urls.append(f"{place.plain}/moved/{index}")
        expected.append((302, b""))
        urls.append(f"{place.plain}/missing/{index}")
        expected.append((404, b"no such page\n"))
    urls.append(f"{place.plain}/slow/1")
    expected.append((200, page("1")))
    urls.append(f"{place.refused}/")
    expected.append(("refused", b""))
    return urls, expected


def page_list(place: Place) -> tuple[list[str], Outcome]:
    urls = [f"{site}/page/{index}" for index, site in enumerate(place.secure)]
    return urls, [(200, page(str(index))) for index in range(len(urls))]


def json_list(count: int) -> Callable[[Place], tuple[list[str], Outcome]]:
    def make(place: Place) -> tuple[list[str], Outcome]:
        urls = [f"{place.plain}/json/{index}" for index in range(1, count + 1)]
        bodies = [json.dumps({"id": index}).encode() for index in range(1, count + 1)]
        return urls, [(200, body) for body in bodies]

    return make


async def with_aiofast(place: Place, urls: list[str]) -> Outcome:
    found = await aiofast.fetch_all(
        urls, allow_redirects=False, ssl=place.context, return_exceptions=True
    )
    return [
        ("refused", b"") if isinstance(each, aiofast.ClientConnectorError) else read(each)
        for each in found
    ]


def read(response: Any) -> tuple[Any, bytes]:
    if isinstance(response, BaseException):
        return repr(response), b""
    return response.status, response.body


async def with_aiohttp(place: Place, urls: list[str]) -> Outcome:
    async def one(session: aiohttp.ClientSession, url: str) -> tuple[Any, bytes]:
        try:
            async with session.get(url, allow_redirects=False, ssl=place.context) as response:
                return response.status, await response.read()
        except aiohttp.ClientConnectorError:
            return "refused", b""

    async with aiohttp.ClientSession() as session:
        return await asyncio.gather(*(one(session, url) for url in urls))


async def with_requests(place: Place, urls: list[str]) -> Outcome:
    """One after the other: that is what the library does."""
    results: Outcome = []
    with requests.Session() as session:
        session.trust_env = False
        for url in urls:
            try:
                response = session.get(url, allow_redirects=False, verify=place.ca_file, timeout=10)
                results.append((response.status_code, response.content))
            except requests.ConnectionError:
                results.append(("refused", b""))
    return results


Client = Callable[[Place, list[str]], Awaitable[Outcome]]
CLIENTS: dict[str, Client] = {
    "aiofast": with_aiofast,
    "aiohttp": with_aiohttp,
    "requests": with_requests,
}

JOBS: dict[str, Callable[[Place], tuple[list[str], Outcome]]] = {
    "probe 12 URLs, one slow (300 ms), one refuses": probe_list,
    "5 HTTPS pages of 5 sites": page_list,
    "3 JSON calls, 50 ms each": json_list(3),
    "100 JSON calls, 50 ms each": json_list(100),
}


# --- checks ---------------------------------------------------------------------


class Checks:
    """Counts what was right, and tells at once what was not."""

    def __init__(self) -> None:
        self.right = 0
        self.wrong: list[str] = []

    def that(self, what: str, holds: bool) -> None:
        if holds:
            self.right += 1
        else:
            self.wrong.append(what)
            print(f"FAILED: {what}", file=sys.stderr)


def timed(client: Client, place: Place, urls: list[str]) -> tuple[float, Outcome]:
    """Seconds from a cold start, the event loop's own included, and the outcome."""
    start = time.perf_counter()
    outcome = asyncio.run(client(place, urls))  # type: ignore[arg-type]
    return time.perf_counter() - start, outcome


def run_jobs(place: Place, checks: Checks) -> list[tuple[str, dict[str, float]]]:
    table = []
    for job, make in JOBS.items():
        urls, expected = make(place)
        times: dict[str, list[float]] = {name: [] for name in CLIENTS}
        for turn in range(ROUNDS):
            for name, client in CLIENTS.items():
                if name == "requests" and turn > 0:
                    continue  # its time hardly varies, and is long
                seconds, outcome = timed(client, place, urls)
                times[name].append(seconds)
                for url, got, right in zip(urls, outcome, expected, strict=True):
                    checks.that(f"{name}: {url} gave {got[0]!r}", got == right)
        table.append((job, {name: statistics.median(each) for name, each in times.items()}))
    return table


async def by_hand(place: Place, checks: Checks) -> dict[str, float]:
    """Connect, write and read step by step, then the same by one fetch."""
    host, _, port = place.plain.removeprefix("http://").partition(":")
    marks = [time.perf_counter()]
    reader, writer = await aiofast.open_connection(host, int(port))
    marks.append(time.perf_counter())
    writer.write(f"GET /json/7 HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
    await writer.drain()
    marks.append(time.perf_counter())
    head, body = (await reader.read()).split(b"\r\n\r\n", 1)
    marks.append(time.perf_counter())
    writer.close()
    await writer.wait_closed()
    found = await aiofast.fetch(f"{place.plain}/json/7")
    checks.that("by hand: the same body as fetch", body == found.body == b'{"id": 7}')
    checks.that("by hand: a status line", head.startswith(b"HTTP/1.1 200"))
    checks.that("fetch: it waited for the response", found.timings["wait"] >= DELAY * 0.9)
    names = ("connect", "write", "read")
    return dict(zip(names, (b - a for a, b in itertools.pairwise(marks)), strict=True))


async def certificates(place: Place, checks: Checks) -> list[str]:
    """An unknown authority is refused, then accepted by a context that knows it."""
    url, story = f"{place.secure[0]}/page/0", []
    try:
        await aiofast.fetch(url)
        checks.that("aiofast: an unknown authority is refused", False)
    except aiofast.ClientConnectorCertificateError as error:
        checks.that("aiofast: an unknown authority is refused", True)
        story.append(f"refused   fetch(url): {first_line(error)}")
    found = await aiofast.fetch(url, ssl=place.context)
    checks.that("aiofast: accepted with ssl=ctx", found.body == page("0"))
    story.append(f"accepted  fetch(url, ssl=ctx): {found.status}, {len(found.body)} bytes")
    async with aiohttp.ClientSession() as session:
        with contextlib.suppress(aiohttp.ClientConnectorCertificateError):
            await session.get(url)
            checks.that("aiohttp: an unknown authority is refused", False)
    with ThreadPoolExecutor(1) as pool, contextlib.suppress(requests.exceptions.SSLError):
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(pool, lambda: requests.get(url, timeout=10))
        checks.that("requests: an unknown authority is refused", False)
    return story


def first_line(error: BaseException, width: int = 150) -> str:
    text = str(error).splitlines()[0]
    return text if len(text) <= width else text[: width - 1] + "\N{HORIZONTAL ELLIPSIS}"


async def trace(place: Place, checks: Checks) -> list[str]:
    """Each phase of a cold HTTPS request, as it ends."""
    lines, before = [], 0.0

    def ended(phase: str, since_start: float) -> None:
        nonlocal before
        took, before = since_start - before, since_start
        lines.append(f"{phase:<9}{1000 * took:9.3f} ms   at {1000 * since_start:8.3f} ms")

    url = f"{place.secure[1]}/page/1"
    found = await aiofast.fetch(url, ssl=place.context, trace=ended)
    checks.that("trace: the body", found.body == page("1"))
    checks.that("trace: a TLS phase", any(line.startswith("tls") for line in lines))
    lines.insert(0, f"GET {url}")
    lines.append(f"{found.status} {found.reason}, {len(found.body)} bytes from {found.peer}")
    return lines


# --- the report -----------------------------------------------------------------


def show(table: list[tuple[str, dict[str, float]]]) -> None:
    width = max(len(job) for job, _ in table)
    print(f"\n{'milliseconds, from a cold start':<{width}}" + "".join(f"{n:>12}" for n in CLIENTS))
    print("-" * (width + 12 * len(CLIENTS)))
    for job, times in table:
        print(f"{job:<{width}}" + "".join(f"{1000 * times[name]:12.1f}" for name in CLIENTS))


def main() -> int:
    checks = Checks()
    with servers() as place:
        table = run_jobs(place, checks)
        phases = asyncio.run(by_hand(place, checks))
        story = asyncio.run(certificates(place, checks))
        lines = asyncio.run(trace(place, checks))
    show(table)
    print("\nBy hand, on aiofast.open_connection")
    print("  " + "   ".join(f"{name} {1000 * took:.2f} ms" for name, took in phases.items()))
    print("\nA private certificate authority")
    print("\n".join(f"  {line}" for line in story))
    print("\nOne trace, over a new connection")
    print("\n".join(f"  {line}" for line in lines))
    print(f"\n{checks.right} checks right, {len(checks.wrong)} wrong")
    return 1 if checks.wrong else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(serve(sys.argv[2]))
    else:
        # A proxy of the environment has no business on loopback.
        os.environ["NO_PROXY"] = "*"
        sys.exit(main())
