"""One adapter for each client that is measured.

An adapter is a module with IMPORT (the statements a program would write, which
the import scenario times), PACKAGE (whose version is reported) and one of:

- `caller(target)`: an async context manager that gives `one`, a coroutine
  function which makes one request and checks the answer's status and length;
- `driver(target)`, for a client with a loop of its own: a context manager that
  gives `run(in_flight, count)`, which makes as many requests, checks them and
  gives the seconds that some of them took;
- `measure(scenario, target, seconds)`, for a program: a whole round.

What a client cannot do it says with Cannot, before anything is measured; an
adapter may have `remark(target)` for what a reader of its figures must know.
"""

import importlib
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from scenarios import PIECE

if TYPE_CHECKING:
    from ssl import SSLContext

One = Callable[[], Awaitable[None]]


class WrongAnswer(Exception):
    """A response that is not the one the server was asked for."""


class Cannot(Exception):
    """The client has no way to do this; the words say what is missing."""


@dataclass(frozen=True)
class Target:
    """What to request and what must come back."""

    url: str
    length: int
    ca: str | None = None  # the file of the authority to trust, for https
    in_flight: int = 1
    sent: int = 0  # bytes of body; 0 is a GET, more a POST
    streams: bool = False  # the body comes in pieces of unknown sum

    @property
    def body(self) -> bytes | None:
        """The body of a small POST; None where there is none, or a stream."""
        return b"x" * self.sent if self.sent and not self.streams else None

    def context(self) -> "SSLContext | None":
        """For clients of the ssl module: one that trusts the authority alone."""
        if self.ca is None:
            return None
        import ssl  # late: not every client's process shall pay for it

        return ssl.create_default_context(cafile=self.ca)

    def pieces(self) -> Iterator[bytes]:
        """The streamed body."""
        piece = b"x" * PIECE
        for _ in range(self.sent // PIECE):
            yield piece

    async def stream(self) -> AsyncIterator[bytes]:
        """The same for clients that take an asynchronous iterator."""
        for piece in self.pieces():
            yield piece

    def refuse(self, status: int, length: int) -> NoReturn:
        """Says how an answer was wrong."""
        raise WrongAnswer(f"status {status} with {length} bytes, wanted 200 with {self.length}")


class Adapter(Protocol):
    """The shape of a module in this directory."""

    PACKAGE: str
    IMPORT: str
    caller: Callable[[Target], AbstractAsyncContextManager[One]]


# The name of each client, and the module that drives it. What follows a plus
# sign is the event loop: see LOOPS.
CLIENTS = {
    "aiofast.fetch": "aiofast_fetch",
    "aiofast.ClientSession": "aiofast_session",
    "aiohttp": "aiohttp_session",
    "aiohttp+uvloop": "aiohttp_session",
    "pyreqwest": "pyreqwest_client",
    "wreq": "wreq_client",
    "pycurl": "pycurl_multi",
    "wrk": "wrk",
    "h2load": "h2load",
}
# Not in a run unless it is a --full one or --only names them.
EXTRA = {
    "aiofast.fetch+uvloop": "aiofast_fetch",
    "aiofast.ClientSession+uvloop": "aiofast_session",
    "aiohttp+aiofastnet": "aiohttp_session",
    "pyreqwest+uvloop": "pyreqwest_client",
    "curl_cffi": "curl_cffi_session",
    "niquests": "niquests_session",
    "httpx2": "httpx2_client",
}
LIMITS = ("wrk", "h2load")  # in C, as the limit of what one core can do
REFERENCE = "aiohttp"
LOOPS = ("uvloop", "aiofastnet")
# What may be missing; all else that cannot be imported is an error.
OPTIONAL = (
    "aiofast",
    "aiohttp",
    "pyreqwest",
    "pycurl",
    "curl_cffi",
    "niquests",
    "httpx2",
    "wreq",
    "uvloop",
    "aiofastnet",
    "wrk",
    "h2load",
)


def loop_of(client: str) -> str:
    """The package whose event loop the client runs on; "" for asyncio's own."""
    loop = client.partition("+")[2]
    return loop if loop in LOOPS else ""


def load(client: str) -> Any:
    """The adapter of a client; ModuleNotFoundError where it is not installed."""
    module = importlib.import_module(f"peers.{(CLIENTS | EXTRA)[client]}")
    if loop_of(client):
        importlib.import_module(loop_of(client))
    return module


UNOPTIMIZED = "not optimized"


def version(client: str, adapter: Any) -> str:
    """What is measured: package and version, with the loop's if it is not asyncio's."""
    package = sys.modules[adapter.PACKAGE]
    number = getattr(package, "__version__", None) or installed(adapter.PACKAGE)
    words = f"{adapter.PACKAGE} {number}"
    core = getattr(sys.modules.get(f"{adapter.PACKAGE}._core"), "__file__", None)
    if core and unoptimized(Path(core).read_bytes()):
        words += f" ({UNOPTIMIZED})"
    words += getattr(adapter, "ABOUT", "")
    loop = loop_of(client)
    return f"{words}, {loop} {installed(loop)}" if loop else words


def unoptimized(library: bytes) -> bool:
    """Whether the debug information says so: gcc keeps its flags there.

    Without such information nothing is known and nothing is said.
    """
    for producer in re.findall(rb"GNU C\d+ [^\0]*", library):
        levels = re.findall(rb" (-O\w*)", producer)
        if b"-fsanitize" in producer or (levels and levels[-1] in (b"-O0", b"-Og")):
            return True
    return False


def installed(package: str) -> str:
    """The version as the installer recorded it."""
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "of this tree"
