"""Runs CPython's own asyncio tests with their client connections made by aiofast.

    python cpython.py MODULE[:WORDS]...     such as test_ssl or test_events:create,connect

With WORDS only tests with one of them in their name run. The tests are those of the
installed standard library; nothing of them is here.
"""

from __future__ import annotations

import faulthandler
import sys
import unittest
from asyncio import base_events, unix_events
from collections.abc import Iterator
from typing import Any

from aiofast import _core, transport

# What these look at is inside of asyncio's own transports.
INSIDE = (
    "test_flush_before_shutdown",  # transport._ssl_protocol
)


def put(cls: type, name: str, function: Any) -> None:
    async def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    setattr(cls, name, method)


def put_all() -> None:
    others = base_events.BaseEventLoop.start_tls

    async def start_tls(self: Any, below: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(below, _core.Transport):
            return await transport.start_tls(below, *args, **kwargs)
        return await others(self, below, *args, **kwargs)

    put(base_events.BaseEventLoop, "create_connection", transport.create_connection)
    put(
        unix_events._UnixSelectorEventLoop,
        "create_unix_connection",
        transport.create_unix_connection,
    )
    base_events.BaseEventLoop.start_tls = start_tls  # type: ignore[method-assign]


def tests_of(suite: Any) -> Iterator[unittest.TestCase]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests_of(test)
        else:
            yield test


def main(names: list[str]) -> int:
    faulthandler.dump_traceback_later(100, exit=True)
    put_all()
    suite = unittest.TestSuite()
    for name in names:
        module, _, words = name.partition(":")
        for test in tests_of(
            unittest.defaultTestLoader.loadTestsFromName(f"test.test_asyncio.{module}")
        ):
            method = test.id().rpartition(".")[2]
            wanted = not words or any(word in method for word in words.split(","))
            if wanted and method not in INSIDE:
                suite.addTest(test)
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    return 0 if result.wasSuccessful() and result.testsRun > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
