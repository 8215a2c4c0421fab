"""How tests run, and what holds after each of them: nothing is left open.

Coroutine tests run under a fresh event loop: asyncio's, or uvloop's when
AIOFAST_TEST_LOOP=uvloop; PYTHONASYNCIODEBUG is asyncio's own switch. After every
test, coroutine or not, there is no pending task, no fetch in flight, no warning
of a resource, no unraisable exception, no report to the loop's exception
handler, and not one file descriptor more than before.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import functools
import gc
import inspect
import os
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import servers

SECONDS = 30.0
TERMINAL = pytest.StashKey[int]()  # where the stacks go when a test hangs
FDS = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes more than a second or two")
    config.addinivalue_line("markers", "seconds(n): the test may take n seconds")
    if os.environ.get("AIOFAST_TEST_LOOP", "asyncio") not in ("asyncio", "uvloop"):
        raise pytest.UsageError("AIOFAST_TEST_LOOP is asyncio or uvloop")
    # A shell's job in the background ignores it, and so would every child process.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        config.stash[TERMINAL] = os.dup(2)


def pytest_unconfigure(config: pytest.Config) -> None:
    os.close(config.stash[TERMINAL])


def new_loop() -> asyncio.AbstractEventLoop:
    if os.environ.get("AIOFAST_TEST_LOOP") == "uvloop":
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


def let_stop(loop: asyncio.AbstractEventLoop) -> None:
    """After an interrupt in a callback: uvloop may keep its wish to stop, and
    its next run_until_complete() would end at once."""
    loop.call_soon(loop.stop)
    loop.run_forever()


def open_files() -> list[str]:
    """What every open descriptor is, but for the one that reads the list."""
    found = []
    for name in os.listdir(FDS):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"{FDS}/{name}"))
    return sorted(found)


@functools.cache
def warm_up() -> None:
    """Runs the engine once, so that what a process opens once and for all (such
    as libuv's signal pipe) is not counted against the first test."""
    import aiofast

    async def refused() -> None:
        with contextlib.suppress(aiofast.ClientError):
            await aiofast.fetch(f"http://localhost:{servers.free_port()}/")

    loop = new_loop()
    loop.run_until_complete(refused())
    loop.close()


class Watch:
    """Collects what a test leaves behind."""

    def __init__(self) -> None:
        self.left: list[str] = []
        self.files = open_files()

    def __enter__(self) -> Watch:
        self._hook = sys.unraisablehook
        sys.unraisablehook = self._unraisable
        self._warnings = warnings.catch_warnings(record=True)
        self._caught = self._warnings.__enter__()
        warnings.simplefilter("always", ResourceWarning)
        return self

    def __exit__(self, kind: Any, value: Any, tb: Any) -> None:
        self.left += [f"a script failed: {fault}" for fault in servers.close_all()]
        gc.collect()
        if kind is None:
            self._count_files()
        sys.unraisablehook = self._hook
        self._warnings.__exit__(None, None, None)
        for caught in self._caught or ():
            if issubclass(caught.category, ResourceWarning):
                self.left.append(f"ResourceWarning: {caught.message}")
            else:
                warnings.warn_explicit(
                    caught.message, caught.category, caught.filename, caught.lineno
                )
        if kind is None and self.left:
            pytest.fail("left behind:\n  " + "\n  ".join(self.left), pytrace=False)

    def report(self, loop: Any, context: dict[str, Any]) -> None:
        """The loop's exception handler."""
        # What a test's own server of asyncio says of a client that left, in debug mode only.
        if context.get("message", "").startswith("Error on transport creation for incoming"):
            return
        self.left.append(f"reported to the loop: {context.get('message')}: {context!r}")

    def _unraisable(self, unraisable: Any) -> None:
        self.left.append(f"unraisable: {unraisable.exc_value!r} in {unraisable.object!r}")

    def _count_files(self) -> None:
        """The servers' threads close their ends a moment after us."""
        end = time.monotonic() + 3.0
        while len(open_files()) > len(self.files):
            if time.monotonic() > end:
                new = [what for what in open_files() if what not in self.files]
                self.left.append(f"descriptors: {len(self.files)} before, now also {new}")
                return
            time.sleep(0.01)
            gc.collect()


def run(main: Any, watch: Watch, seconds: float) -> None:
    """Runs the coroutine |main| in a loop of its own, then looks around."""
    loop = new_loop()
    asyncio.set_event_loop(loop)
    loop.set_exception_handler(watch.report)

    async def body() -> None:
        async with asyncio.timeout(seconds):
            await main
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        pending = asyncio.all_tasks() - {asyncio.current_task()}
        watch.left += [f"pending task: {task!r}" for task in pending]
        core = sys.modules.get("aiofast._core")
        if core is not None:
            fetches = core.stats().get("fetches", 0)
            if fetches:
                watch.left.append(f"{fetches} fetches in flight")

    try:
        loop.run_until_complete(body())
    finally:
        try:
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            loop.close()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool:
    mark = pyfuncitem.get_closest_marker("seconds")
    seconds = float(mark.args[0]) if mark else SECONDS
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    if "aiofast._core" in sys.modules:
        warm_up()
    terminal = pyfuncitem.config.stash[TERMINAL]
    faulthandler.dump_traceback_later(seconds + 15, exit=True, file=terminal)
    try:
        with Watch() as watch:
            result = pyfuncitem.obj(**arguments)
            if inspect.iscoroutine(result):
                run(result, watch, seconds)
            del result
    finally:
        faulthandler.cancel_dump_traceback_later()
    return True


# --- what the tests share -------------------------------------------------------


@pytest.fixture(scope="session")
def authority() -> Iterator[Any]:
    import origins

    found = origins.Authority()
    yield found
    found.close()


@pytest.fixture(scope="session")
def _web() -> Iterator[Any]:
    import origins

    server = origins.Web()
    yield server
    server.close()


@pytest.fixture
def web(_web: Any) -> Any:
    """aiohttp's server, its counters at zero."""
    _web.reset()
    return _web


@pytest.fixture(scope="session")
def _web_tls(authority: Any) -> Iterator[Any]:
    import origins

    server = origins.Web(authority.server())
    yield server
    server.close()


@pytest.fixture
def web_tls(_web_tls: Any) -> Any:
    """The same over TLS."""
    _web_tls.reset()
    return _web_tls


@pytest.fixture(scope="session")
def nginx(authority: Any) -> Iterator[Any]:
    import origins

    server = origins.Nginx(authority)
    yield server
    server.close()


@pytest.fixture(params=["openssl", "ssl"])
def tls_engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Both engines that TLS may run on, one after the other; in child processes too."""
    from aiofast import _core

    if _core.tls_engine(request.param) != request.param:
        pytest.skip("this Python's ssl is not one that the direct engine knows")
    monkeypatch.setenv("AIOFAST_TLS", request.param)
    yield request.param
    _core.tls_engine("openssl")


@pytest.fixture
def client_context(authority: Any) -> Any:
    """A client's TLS context that trusts the tests' CA."""
    return authority.client()
