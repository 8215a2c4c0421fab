"""The leak registry: for each type of the extension a recipe that makes some and
drops them. Run as a program with a recipe's name it repeats that recipe and
prints, as JSON, what has grown; test_leaks.py judges.

A type without a recipe fails the tests, so that none is forgotten.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import ssl
import sys
import tempfile
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import aiofast
from aiofast import _core
from origins import CODERS, Authority
from servers import Scripted, answer, chunked, eof, fin, forever, free_port, request, send, take

Recipe = Callable[["Kitchen"], Awaitable[None]]
RECIPES: dict[str, tuple[Recipe, frozenset[str]]] = {}
ROUNDS = int(os.environ.get("AIOFAST_LEAK_ROUNDS", "1000"))


def recipe(*types: str) -> Callable[[Recipe], Recipe]:
    """Registers a recipe for |types|, by their names."""

    def register(function: Recipe) -> Recipe:
        RECIPES[function.__name__] = (function, frozenset(types))
        return function

    return register


def core_types() -> dict[str, type]:
    """Every heap type of the extension, those that have no name in it too."""
    found = {}
    seen: list[type] = [object]
    while seen:
        for each in type.__subclasses__(seen.pop()):
            if each is type:
                continue
            seen.append(each)
            if each.__module__ == "aiofast._core":
                found[each.__name__] = each
    return found


END = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nend"
HINTING = (
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + chunked(b"one\n", b"two\nthree\n", trailers=["X-Sum: 7"])
)
SHORT = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"


EVENTS = "Content-Type: text/event-stream"


def servers_of(authority: Authority) -> dict[str, Scripted]:
    good = Scripted([forever(answer(b"x" * 200, "X-A: 1", "Content-Type: text/plain"))])
    moved = answer(b"", f"Location: {good.url}/next", status="302 Found")
    coded = answer(CODERS["gzip"](b"y" * 9999) or b"", "Content-Encoding: gzip")
    return {
        "good": good,
        "closing": Scripted([request, fin]),
        "cutting": Scripted([request, send(SHORT), fin]),
        "malformed": Scripted([request, send(b"HTTP/1.1 2x0 OK\r\n\r\n")]),
        "mute": Scripted([eof]),
        "rude": Scripted([take(100), fin]),
        "moved": Scripted([forever(moved)]),
        "coded": Scripted([forever(coded)]),
        "hinting": Scripted([forever(request, send(HINTING))]),
        "secure": Scripted([forever(answer(b"z" * 100))], tls=authority.server()),
        "once": Scripted([request, send(END), fin], tls=authority.server()),
        "json": Scripted([forever(answer(b'{"a": 1}', "Content-Type: application/json"))]),
        "lines": Scripted([forever(answer(b'{"a": 1}\n{"b": 2}\n'))]),
        "events": Scripted([forever(answer(b"data: x\n\ndata: y\n\n", EVENTS))]),
        "missing": Scripted([forever(answer(b"", status="404 Not Found"))]),
    }


class Kitchen:
    """What the recipes need. The servers are in a process of their own, since
    what they remember would be counted here."""

    def __init__(self) -> None:
        self.authority = Authority()
        self.folder = tempfile.TemporaryDirectory()
        self.path = f"{self.folder.name}/socket"
        ports, self._hold = self._fork()
        self.good, self.closing, self.cutting = (
            self._url(ports, name) for name in ("good", "closing", "cutting")
        )
        self.malformed, self.moved, self.coded = (
            self._url(ports, name) for name in ("malformed", "moved", "coded")
        )
        self.mute = self._url(ports, "mute")
        self.no_tls = self._url(ports, "rude", "https")
        self.mute_tls = self._url(ports, "mute", "https")
        self.hinting = self._url(ports, "hinting")
        self.json = self._url(ports, "json")
        self.lines = self._url(ports, "lines")
        self.events = self._url(ports, "events")
        self.missing = self._url(ports, "missing")
        self.secure = self._url(ports, "secure", "https")
        self.once = self._url(ports, "once", "https")
        self.refused = f"http://127.0.0.1:{free_port()}/"
        self.client = self.authority.client()
        self.stranger = self.authority.stranger()

    def close(self) -> None:
        os.close(self._hold)
        os.waitpid(self._child, 0)
        self.authority.close()
        self.folder.cleanup()

    @staticmethod
    def _url(ports: dict[str, int], name: str, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{ports[name]}/"

    def _fork(self) -> tuple[dict[str, int], int]:
        """The ports of the servers in the child, which ends when the returned
        descriptor is closed."""
        told, tell = os.pipe()
        held, hold = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            os.close(hold)
            ports = {name: each.port for name, each in servers_of(self.authority).items()}
            unix = Scripted([forever(answer(b"unix"))], path=self.path)
            os.write(tell, json.dumps(ports).encode())
            os.close(tell)
            os.read(held, 1)
            unix.close()
            os._exit(0)
        os.close(tell)
        os.close(held)
        with os.fdopen(told) as pipe:
            return json.load(pipe), hold


# --- one for each way through the engine ----------------------------------------


@recipe("Wait")
async def done_waits(kitchen: Kitchen) -> None:
    await _core.done(object())
    _core.done([])


@recipe("Wait", "ResponseBase")
async def streamed_bodies(kitchen: Kitchen) -> None:
    async with aiofast.ClientSession() as session:
        await stream(kitchen, session)


async def stream(kitchen: Kitchen, session: aiofast.ClientSession) -> None:
    async with session.get(kitchen.good) as found:
        assert len(await found.read()) == 200
        await found.text()
    async with session.get(kitchen.good) as found:
        assert len(await found.content.read(10)) == 10
    response = await session.get(kitchen.good)
    response.release()


@recipe("Wait", "ResponseBase")
async def read_in_pieces(kitchen: Kitchen) -> None:
    def nothing() -> None:
        pass

    async with aiofast.stream("GET", kitchen.hinting) as found:
        found.content.on_eof(nothing)
        assert await found.readexactly(3) == b"one"
        assert await found.content.readchunk() == (b"\n", True)
        assert [line async for line in found.lines()] == ["two", "three"]
        await found.content.wait_eof()
        assert [status for status, _ in found.informational] == [103]
        assert found.trailers["X-Sum"] == "7"
    async with aiofast.stream("GET", kitchen.hinting) as found:
        assert await found.readinto(bytearray(5))
        with contextlib.suppress(ValueError):
            await found.readline(max_line_length=1)
        found.content.on_eof(nothing)
    async with aiofast.stream("GET", kitchen.coded) as found:
        assert len(await found.readany()) > 100
    told: list[int] = []
    await aiofast.fetch(kitchen.hinting, on_informational=lambda status, _: told.append(status))
    assert told == [103]


@recipe("Wait", "FileRead")
async def files(kitchen: Kitchen) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = await aiofast.download(kitchen.good, f"{folder}/a", checksum="sha256")
        assert found.size == 200
        with open(f"{folder}/a", "r+b") as file:
            _core.write_file(file.fileno(), 0, b"x" * 1000).cancel()
            await _core.write_file(file.fileno(), 5, b"y")
            await aiofast.post(kitchen.good, data=file)


@recipe("Fetch", "ResponseBase")
async def whole_responses(kitchen: Kitchen) -> None:
    found = await aiofast.fetch(f"{kitchen.good}?a=1#f", headers={"X-B": "2"})
    assert (found.status, len(found.body), found.headers["X-A"]) == (200, 200, "1")
    assert (found.url.fragment, found.request_headers["X-B"]) == ("f", "2")
    _ = (found.timings, found.peer, found.raw_headers, repr(found))


@recipe("Fetch")
async def fetches_never_started(kitchen: Kitchen) -> None:
    aiofast.fetch(kitchen.good).close()
    pending = aiofast.fetch(kitchen.good, data=b"body", method="POST")
    pending.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await pending


@recipe("Fetch", "Upload")
async def uploads(kitchen: Kitchen) -> None:
    await aiofast.post(kitchen.good, data=bytearray(100_000))
    await aiofast.post(kitchen.good, data=iter([b"a", b"b" * 1000]))
    await aiofast.post(kitchen.good, json={"a": 1})


@recipe("HttpRequestParser", "HttpResponseParser", "URL")
async def parsers(kitchen: Kitchen) -> None:
    from aiofast import parser

    class Heard(parser.HTTPProtocol):
        def on_header(self, name: bytes, value: bytes) -> None:
            if name == b"fail":
                raise ValueError(value)

    heard = parser.HttpRequestParser(Heard())
    heard.feed_data(b"POST /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
    with contextlib.suppress(parser.HttpParserCallbackError):
        heard.feed_data(b"GET / HTTP/1.1\r\nfail: now\r\n\r\n")
    parser.HttpResponseParser(Heard()).feed_data(HINTING)
    with contextlib.suppress(parser.HttpParserError):
        parser.HttpResponseParser(Heard()).feed_data(b"nonsense\r\n\r\n")
    parser.HttpResponseParser(Heard()).feed_data(SHORT)
    parser.parse_url(b"http://user@host:80/path?query#fragment")
    with contextlib.suppress(parser.HttpParserInvalidURLError):
        parser.parse_url(b"http://")


@recipe("Transport", "SSLTransport")
async def transports(kitchen: Kitchen) -> None:
    host, port = _core.url_origin(kitchen.good)[1:]
    reader, writer = await aiofast.open_connection(host, port)
    writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    await reader.read(10)
    writer.close()
    await writer.wait_closed()
    host, port = _core.url_origin(kitchen.secure)[1:]
    reader, writer = await aiofast.open_connection(host, port, ssl=kitchen.client)
    writer.transport.abort()
    await asyncio.sleep(0)


@recipe("Fetch", "ResponseBase")
async def redirects(kitchen: Kitchen) -> None:
    found = await aiofast.fetch(kitchen.moved, auth=("a", "b"))
    assert len(found.history) == 1


@recipe("Fetch")
async def coded_bodies(kitchen: Kitchen) -> None:
    assert len((await aiofast.fetch(kitchen.coded)).body) == 9999


@recipe("Fetch")
async def failures(kitchen: Kitchen) -> None:
    bad = [kitchen.refused, kitchen.closing, kitchen.cutting, kitchen.malformed]
    for url in ["http://", *bad]:
        with contextlib.suppress(aiofast.ClientError):
            await aiofast.fetch(url)
            raise AssertionError(url)
    with contextlib.suppress(ValueError):
        await aiofast.fetch(kitchen.good, headers={"X": "a\r\nb"})
        raise AssertionError("sent")


@recipe("Fetch")
async def cancellations(kitchen: Kitchen) -> None:
    for url in (kitchen.mute, kitchen.mute_tls):
        for turns in (0, 1, 5):
            task = asyncio.create_task(aiofast.fetch(url))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@recipe("Fetch")
async def timeouts(kitchen: Kitchen) -> None:
    with contextlib.suppress(TimeoutError):
        await aiofast.fetch(kitchen.mute, timeout=0.001)
        raise AssertionError("answered")


@recipe("Options")
async def options(kitchen: Kitchen) -> None:
    base = _core.Options(total=5.0, defaults=(("A", "b"),))
    _core.Options(base, tls_context=kitchen.client, policy=lambda fetch, response: None)
    with contextlib.suppress(TypeError):
        _core.Options(no_such_setting=1)  # type: ignore[call-arg]


@recipe("Caller", "Options", "Fetch")
async def callers(kitchen: Kitchen) -> None:
    caller = _core.Caller(
        _core.Options(),
        derive=lambda **changes: _core.Options(),
        dumps=lambda value: "{}",
        secret=(("Authorization", "x"),),
        cookies=lambda url: [("Cookie", "a=b")],
        kept=True,
    )
    for arguments in (
        {"headers": {"X": "y"}, "params": {"a": "b"}, "json": 1, "timeout": object()},
        {"data": b"x", "ssl": object()},
        {"data": object()},
        {"headers": {"X": "y", "Z": 5}, "params": {"a": b"c"}},
    ):
        one = caller.fetch("POST", kitchen.good, 0, None, arguments)
        if one is not None:
            one.close()


@recipe("Pool")
async def sessions(kitchen: Kitchen) -> None:
    async with aiofast.ClientSession(headers={"X": "y"}) as session:
        async with session.get(kitchen.good) as found:
            await found.read()
    aiofast.TCPConnector()


@recipe("Pool", "Fetch")
async def waiters(kitchen: Kitchen) -> None:
    connector = aiofast.TCPConnector(limit=1)
    async with aiofast.ClientSession(connector=connector) as session:

        async def get() -> bytes:
            async with session.get(kitchen.good) as found:
                return await found.read()

        await asyncio.gather(*(get() for _ in range(5)))


@recipe("Pool")
async def tls_connections(kitchen: Kitchen) -> None:
    await aiofast.fetch(kitchen.secure, ssl=kitchen.client)
    await aiofast.fetch(kitchen.once, ssl=kitchen.client)


@recipe("Pool")
async def tls_failures(kitchen: Kitchen) -> None:
    with contextlib.suppress(ssl.CertificateError):
        await aiofast.fetch(kitchen.secure, ssl=kitchen.stranger)
        raise AssertionError("trusted")
    with contextlib.suppress(aiofast.ClientError):
        await aiofast.fetch(kitchen.no_tls, ssl=kitchen.client)
        raise AssertionError("no TLS there")


async def loops(kitchen: Kitchen) -> None:
    """Takes whole loops, so it runs outside of any: see main()."""


@recipe("Fetch")
async def callbacks_and_cycles(kitchen: Kitchen) -> None:
    pending = aiofast.fetch(kitchen.good)
    cycle = [pending]
    pending.add_done_callback(lambda done: cycle.append(done))
    await pending
    other = aiofast.fetch(kitchen.good)
    other.add_done_callback(print)
    other.remove_done_callback(print)
    other.close()


@recipe("Fetch")
async def fan_out(kitchen: Kitchen) -> None:
    found = await aiofast.fetch_all([f"{kitchen.good}{n}" for n in range(3)])
    assert len(found) == 3
    many = aiofast.fetch_many([f"{kitchen.good}{n}" for n in range(3)], limit=2)
    async for _ in many:
        break
    await many.aclose()


RECIPES["loops"] = (loops, frozenset({"Host"}))


# --- measuring ------------------------------------------------------------------


def resident() -> int:
    """Bytes, where the system tells; else 0."""
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def snapshot() -> dict[str, Any]:
    for _ in range(3):
        gc.collect()
    return {
        "refs": {name: sys.getrefcount(each) for name, each in core_types().items()},
        "objects": len(gc.get_objects()),
        "traced": tracemalloc.get_traced_memory()[0],
        "files": len(os.listdir("/dev/fd")),
        "resident": resident(),
        # A debug build of Python counts all of them.
        "total": sys.gettotalrefcount() if hasattr(sys, "gettotalrefcount") else 0,
    }


def growth(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    grown = {name: after[name] - before[name] for name in before if name != "refs"}
    grown["refs"] = {
        name: count - before["refs"].get(name, 0) for name, count in after["refs"].items()
    }
    return grown


def in_one_loop(kitchen: Kitchen, cook: Recipe, rounds: int) -> dict[str, Any]:
    async def some(count: int) -> int:
        for _ in range(count):
            await cook(kitchen)
        gc.collect()
        await asyncio.sleep(0.05)
        return _core.stats()["allocations"]

    async def all_rounds() -> dict[str, Any]:
        first = await some(rounds // 4 + 20)
        before = snapshot()
        second = await some(rounds)
        grown = growth(before, snapshot())
        grown["allocations"] = second - first
        grown["fetches"] = _core.stats()["fetches"]
        return grown

    return asyncio.run(all_rounds())


def in_many_loops(kitchen: Kitchen, rounds: int) -> dict[str, Any]:
    async def main() -> None:
        await aiofast.fetch(kitchen.good)

    async def end() -> None:
        _core.close_loop()

    def some(count: int) -> None:
        for index in range(count):
            loop = asyncio.new_event_loop()
            loop.run_until_complete(main())
            if index % 2:
                loop.run_until_complete(loop.shutdown_asyncgens())
            if index % 3 == 0:
                loop.run_until_complete(end())
            loop.close()

    some(rounds // 4)
    before = snapshot()
    some(rounds)
    return growth(before, snapshot())


def main(name: str) -> None:
    cook, _ = RECIPES[name]
    gc.collect()
    kitchen = Kitchen()
    tracemalloc.start()
    if name == "loops":
        grown = in_many_loops(kitchen, ROUNDS)
    else:
        grown = in_one_loop(kitchen, cook, ROUNDS)
    kitchen.close()
    print(json.dumps({"rounds": ROUNDS, **grown}))


if __name__ == "__main__":
    main(sys.argv[1])
