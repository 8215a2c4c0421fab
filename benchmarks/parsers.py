"""aiofast.parser beside httptools, in one process: microseconds for one message.

python benchmarks/parsers.py [--rounds N]

Requests and responses of 5, 20 and 60 fields and a body of 5 bytes, fed whole; with a protocol
that has all callbacks, and with one that has no on_header. Each figure is the best of N rounds;
rounds of the two take turns, so that a busy machine is busy for both.
"""

import argparse
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import httptools
from aiofast import parser

TURNS = 2000
FIELDS = [
    b"Host: example.org",
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101",
    b"Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
    b"Accept-Encoding: gzip, deflate, br",
    b"Content-Length: 5",
]


class WithoutHeaders:
    """A protocol that wants everything but each field."""

    def on_message_begin(self) -> None: ...
    def on_url(self, url: bytes) -> None: ...
    def on_status(self, status: bytes) -> None: ...
    def on_headers_complete(self) -> None: ...
    def on_body(self, body: bytes) -> None: ...
    def on_message_complete(self) -> None: ...


class Everything(WithoutHeaders):
    def on_header(self, name: bytes, value: bytes) -> None: ...


def message(kind: str, fields: int) -> bytes:
    more = [b"X-Custom-Header-%d: some value of a header %d" % (i, i) for i in range(fields - 5)]
    first = b"POST /some/path?a=b HTTP/1.1" if kind == "request" else b"HTTP/1.1 200 OK"
    return b"\r\n".join([first, *FIELDS, *more, b"", b"hello"])


def feeder(module: ModuleType, kind: str, protocol: type) -> Callable[[bytes], Any]:
    make = module.HttpRequestParser if kind == "request" else module.HttpResponseParser
    feed: Callable[[bytes], Any] = make(protocol()).feed_data
    return feed


def measure(feed: Callable[[bytes], Any], data: bytes) -> float:
    start = time.perf_counter()
    for _ in range(TURNS):
        feed(data)
    return (time.perf_counter() - start) / TURNS * 1e6


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=15)
    rounds = arguments.parse_args().rounds
    print(f"httptools {httptools.__version__}, Python {sys.version.split()[0]}; us a message")
    print("message     fields  callbacks       httptools  aiofast  times as fast")
    slower = 0
    for kind in ("request", "response"):
        for fields in (5, 20, 60):
            for protocol, floor in ((Everything, 1.0), (WithoutHeaders, 1.5)):
                data = message(kind, fields)
                theirs, ours = (feeder(each, kind, protocol) for each in (httptools, parser))
                pairs = [(measure(theirs, data), measure(ours, data)) for _ in range(rounds)]
                a, b = min(x for x, _ in pairs), min(y for _, y in pairs)
                slower += a / b < floor
                row = f"{kind:<10} {fields:7}  {protocol.__name__:<14}"
                print(f"{row} {a:10.2f} {b:8.2f} {a / b:8.2f}")
    return slower > 0


if __name__ == "__main__":
    sys.exit(main())
