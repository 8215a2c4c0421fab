"""aiofast.parser beside httptools, in one process: microseconds for one message.

python benchmarks/parsers.py [--rounds N]

Requests and responses of 5, 20 and 60 fields and a body of 5 bytes, fed whole; with a protocol
that has all callbacks, and with one that has no on_header. Then other kinds of messages with all
callbacks, a parser's birth, and parse_url(). Each figure is the best of N rounds; rounds of the
two take turns, so that a busy machine is busy for both. Exit status 1 if one figure is below its
floor: as fast as httptools, and 1.5 times that where no field is listened to.
"""

import argparse
import functools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import httptools
from aiofast import parser

FIELDS = [
    b"Host: example.org",
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101",
    b"Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
    b"Accept-Encoding: gzip, deflate, br",
    b"Content-Length: 5",
]
GET = b"GET /path?a=b HTTP/1.1\r\nHost: example.org\r\n\r\n"
CHUNKED = b"\r\nTransfer-Encoding: chunked\r\n\r\n"
UPGRADE = b"GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
URLS = (b"/some/path?a=b", b"http://user:pass@example.org:8080/some/path?a=b#c")


class WithoutHeaders:
    """A protocol that wants everything but each field."""

    def on_message_begin(self) -> None: ...
    def on_url(self, url: bytes) -> None: ...
    def on_status(self, status: bytes) -> None: ...
    def on_headers_complete(self) -> None: ...
    def on_body(self, body: bytes) -> None: ...
    def on_message_complete(self) -> None: ...
    def on_chunk_header(self) -> None: ...
    def on_chunk_complete(self) -> None: ...


class Everything(WithoutHeaders):
    def on_header(self, name: bytes, value: bytes) -> None: ...


class Row(NamedTuple):
    """What is measured: |work| for each module does something |turns| times."""

    name: str
    detail: str
    protocol: str
    floor: float
    turns: int
    work: Callable[[ModuleType], Callable[[], Any]]


def message(kind: str, fields: int) -> bytes:
    more = [b"X-Custom-Header-%d: some value of a header %d" % (i, i) for i in range(fields - 5)]
    first = b"POST /some/path?a=b HTTP/1.1" if kind == "request" else b"HTTP/1.1 200 OK"
    return b"\r\n".join([first, *FIELDS, *more, b"", b"hello"])


def chunked(kind: str, count: int, size: int) -> bytes:
    first = b"POST / HTTP/1.1" if kind == "request" else b"HTTP/1.1 200 OK"
    return first + CHUNKED + b"%x\r\n%b\r\n" % (size, b"x" * size) * count + b"0\r\n\r\n"


def sized(kind: str, size: int) -> bytes:
    first = b"POST / HTTP/1.1" if kind == "request" else b"HTTP/1.1 200 OK"
    return first + b"\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


def feeding(
    kind: str, data: Sequence[Any], protocol: type = Everything
) -> Callable[[ModuleType], Callable[[], Any]]:
    """One parser that is fed |data| again and again."""

    def work(module: ModuleType) -> Callable[[], Any]:
        make = module.HttpRequestParser if kind == "request" else module.HttpResponseParser
        feed = make(protocol()).feed_data

        def each() -> None:
            for piece in data:
                feed(piece)

        return functools.partial(feed, data[0]) if len(data) == 1 else each

    return work


def born(module: ModuleType) -> Callable[[], Any]:
    """What a server does for a connection with one request."""
    protocol = Everything()

    def each() -> None:
        module.HttpRequestParser(protocol).feed_data(GET)

    return each


def upgraded(module: ModuleType) -> Callable[[], Any]:
    feed = module.HttpRequestParser(Everything()).feed_data

    def each() -> None:
        try:
            feed(UPGRADE)
        except module.HttpParserUpgrade:
            pass

    return each


def rows() -> Iterator[Row]:
    for kind in ("request", "response"):
        for fields in (5, 20, 60):
            data = [message(kind, fields)]
            for protocol, floor in ((Everything, 1.0), (WithoutHeaders, 1.5)):
                work = feeding(kind, data, protocol)
                yield Row(kind, f"{fields} fields", protocol.__name__, floor, 2000, work)
    for name, detail, turns, kind, parts in (
        ("small", "GET, 1 field", 5000, "request", [GET]),
        ("small", "204, no field", 5000, "response", [b"HTTP/1.1 204 No Content\r\n\r\n"]),
        ("pipelined", "20 GETs", 400, "request", [GET * 20]),
        ("pipelined", "20 POSTs", 200, "request", [message("request", 5) * 20]),
        ("chunked", "3 x 100 bytes", 2000, "request", [chunked("request", 3, 100)]),
        ("chunked", "1000 x 10 bytes", 20, "response", [chunked("response", 1000, 10)]),
        ("chunked", "16 x 64 KiB", 20, "response", [chunked("response", 16, 65536)]),
        ("body", "1 MiB, whole", 20, "response", [sized("response", 1 << 20)]),
        ("body", "1 MiB, 64 KiB", 20, "request", pieces(sized("request", 1 << 20), 65536)),
        ("in two", "20 fields", 1000, "request", pieces(message("request", 20), 500)),
        ("in bytes", "5 fields", 40, "request", pieces(message("request", 5), 1)),
        ("bytearray", "5 fields", 2000, "request", [bytearray(message("request", 5))]),
        ("memoryview", "5 fields", 2000, "request", [memoryview(message("request", 5))]),
    ):
        yield Row(name, detail, "Everything", 1.0, turns, feeding(kind, parts))
    yield Row("upgrade", "2 fields", "Everything", 1.0, 2000, upgraded)
    yield Row("new parser", "and one GET", "Everything", 1.0, 2000, born)
    for url in URLS:
        yield Row(
            "parse_url",
            f"{len(url)} bytes",
            "",
            1.0,
            5000,
            lambda module, url=url: functools.partial(module.parse_url, url),
        )


def measure(work: Callable[[], Any], turns: int) -> float:
    start = time.perf_counter()
    for _ in range(turns):
        work()
    return (time.perf_counter() - start) / turns * 1e6


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=15)
    rounds = arguments.parse_args().rounds
    print(f"httptools {httptools.__version__}, Python {sys.version.split()[0]}; us a message")
    print("message     detail           callbacks       httptools  aiofast  times as fast")
    slower = 0
    for row in rows():
        theirs, ours = (row.work(module) for module in (httptools, parser))
        pairs = [(measure(theirs, row.turns), measure(ours, row.turns)) for _ in range(rounds)]
        a, b = min(x for x, _ in pairs), min(y for _, y in pairs)
        slower += a / b < row.floor
        line = f"{row.name:<11} {row.detail:<16} {row.protocol:<14}"
        print(f"{line} {a:10.2f} {b:8.2f} {a / b:8.2f}{'  BELOW' * (a / b < row.floor)}")
    return slower > 0


if __name__ == "__main__":
    sys.exit(main())
