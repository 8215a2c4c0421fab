"""One adapter for each client that is measured.

An adapter is a module with IMPORT (the statements a program would write, which
the import scenario times), PACKAGE (whose version is reported) and
`caller(target)`: an async context manager that gives `one`, a coroutine
function which makes one request and checks the answer's status and length.
A client that is no Python module has `measure(scenario, target, seconds)`.
"""

import importlib
import re
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

One = Callable[[], Awaitable[None]]


class WrongAnswer(Exception):
    """A response that is not the one the server was asked for."""


@dataclass(frozen=True)
class Target:
    """What to request and what must come back."""

    url: str
    length: int
    ca: str | None = None  # the file of the authority to trust, for https
    in_flight: int = 1

    def refuse(self, status: int, length: int) -> NoReturn:
        """Says how an answer was wrong."""
        raise WrongAnswer(f"status {status} with {length} bytes, wanted 200 with {self.length}")


class Adapter(Protocol):
    """The shape of a module in this directory."""

    PACKAGE: str
    IMPORT: str
    caller: Callable[[Target], AbstractAsyncContextManager[One]]


# The name of each client, and the module that drives it.
CLIENTS = {
    "aiofast.fetch": "aiofast_fetch",
    "aiofast.ClientSession": "aiofast_session",
    "aiohttp": "aiohttp_session",
    "aiohttp+uvloop": "aiohttp_session",
    "pyreqwest": "pyreqwest_client",
    "wrk": "wrk",
}
# Not in a run unless --only names them.
EXTRA = {
    "aiofast.fetch+uvloop": "aiofast_fetch",
    "aiofast.ClientSession+uvloop": "aiofast_session",
}
LIMIT = "wrk"
REFERENCE = "aiohttp"


def load(client: str) -> Any:
    """The adapter of a client; ModuleNotFoundError where it is not installed."""
    module = importlib.import_module(f"peers.{(CLIENTS | EXTRA)[client]}")
    if client.endswith("+uvloop"):
        importlib.import_module("uvloop")
    return module


UNOPTIMIZED = "not optimized"


def version(client: str, adapter: Any) -> str:
    """What is measured: package and version, with the loop's if it is not asyncio's."""
    package = sys.modules[adapter.PACKAGE]
    number = getattr(package, "__version__", None) or _installed(adapter.PACKAGE)
    words = f"{adapter.PACKAGE} {number}"
    core = getattr(sys.modules.get(f"{adapter.PACKAGE}._core"), "__file__", None)
    if core and unoptimized(Path(core).read_bytes()):
        words += f" ({UNOPTIMIZED})"
    return f"{words}, uvloop {_installed('uvloop')}" if client.endswith("+uvloop") else words


def unoptimized(library: bytes) -> bool:
    """Whether the debug information says so: gcc keeps its flags there.

    Without such information nothing is known and nothing is said.
    """
    for producer in re.findall(rb"GNU C\d+ [^\0]*", library):
        levels = re.findall(rb" (-O\w*)", producer)
        if b"-fsanitize" in producer or (levels and levels[-1] in (b"-O0", b"-Og")):
            return True
    return False


def _installed(package: str) -> str:
    """The version as the installer recorded it."""
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "of this tree"
