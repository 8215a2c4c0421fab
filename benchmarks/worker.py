"""One round of one client in one scenario, as a process of its own.

    python worker.py CLIENT SCENARIO --url URL [--ca FILE] [--seconds N] [--server-pid PID]

Prints one line of JSON: the figures, {"missing": why}, {"cannot": why} or
{"error": what happened}. run.py starts it on the client's core.
"""

import argparse
import asyncio
import contextlib
import ctypes
import gc
import importlib
import importlib.machinery
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import peers
from meter import Meter, watched
from scenarios import SCENARIOS, Scenario

_ROOT = Path(__file__).resolve().parent.parent
_IMPORTS = 5  # fresh interpreters for each round of the import scenario
_WARM_UP = 0.3  # seconds that a warm-up lasts at least
_ATTEMPTS = 3  # at a round that lasts about as long as it should

_SAMPLED = 16  # one task in so many is timed, so that timing costs next to nothing
_SETTLED = 0.3  # seconds until what a request left behind is gone

# Makes |in_flight| times |count| requests; gives what some of them took.
Run = Callable[[int, int], Awaitable[list[float]]]

_TIMED_IMPORT = """\
import asyncio, resource, sys, time
sys.path[:] = {path!r}
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
used, start = cpu(), time.perf_counter()
{statement}
print(time.perf_counter() - start, cpu() - used)
"""


def use_tree() -> None:
    """Falls back on this repository where no aiofast is installed.

    What is installed goes first: what was built in place is as a rule the
    debug build of somebody at work.
    """
    suffixes = importlib.machinery.EXTENSION_SUFFIXES
    if any((_ROOT / "aiofast" / f"_core{suffix}").exists() for suffix in suffixes):
        sys.path.append(str(_ROOT))


def cpu() -> float:
    """Seconds of processor time of this process, all its threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_memory() -> int:
    """Bytes of memory this process held at most."""
    try:
        # ru_maxrss would carry over the size of the process that started us.
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


async def laps(one: peers.One, count: int) -> None:
    """One of the loops that are in flight."""
    for _ in range(count):
        await one()


async def timed_laps(one: peers.One, count: int, samples: list[float]) -> None:
    """The same, and how long each request took."""
    clock = time.perf_counter
    before = clock()
    for _ in range(count):
        await one()
        after = clock()
        samples.append(after - before)
        before = after


@contextlib.asynccontextmanager
async def running(adapter: Any, target: peers.Target) -> AsyncIterator[Run]:
    """What makes requests with this client, whichever loop it has."""
    if hasattr(adapter, "driver"):
        with adapter.driver(target) as drive:

            async def driven(in_flight: int, count: int) -> list[float]:
                return drive(in_flight, count)

            yield driven
        return
    async with adapter.caller(target) as one:

        async def run(in_flight: int, count: int) -> list[float]:
            samples: list[float] = []
            async with asyncio.TaskGroup() as group:
                for number in range(in_flight):
                    sampled = number % _SAMPLED == 0
                    lap = timed_laps(one, count, samples) if sampled else laps(one, count)
                    group.create_task(lap)
            return samples

        yield run


def percentiles(samples: list[float]) -> list[float]:
    """Half of the requests took no longer than the first, all but 1 % than the second."""
    ordered = sorted(samples)
    return [ordered[min(len(ordered) - 1, len(ordered) * part // 100)] for part in (50, 99)]


async def loop(
    adapter: Any, target: peers.Target, seconds: float, server: int | None
) -> dict[str, Any]:
    """Opens and warms up, finds how many requests fill |seconds|, then measures."""
    async with running(adapter, target) as run:

        async def timed(count: int) -> tuple[float, list[float]]:
            start = time.perf_counter()
            samples = await run(target.in_flight, count)
            return time.perf_counter() - start, samples

        # Connections and handshakes are no measure of what a request takes.
        await timed(1)
        count, (took, _) = 1, await timed(1)
        while took < min(_WARM_UP, seconds):
            count *= 4 if took * 4 < _WARM_UP else 2
            took, _ = await timed(count)
        for _ in range(_ATTEMPTS):
            count = max(1, round(count * seconds / took))
            with watched():
                meter, used = Meter(server), cpu()
                took, samples = await timed(count)
                used = cpu() - used
            beside = meter.read(used)
            if took > seconds / 2:
                break
    figures = {"requests": count * target.in_flight, "seconds": took, "cpu": used, **beside}
    return {**figures, "latency": percentiles(samples)}


async def burst(adapter: Any, target: peers.Target) -> dict[str, Any]:
    """All at once, nothing opened before: session, connections, answers."""
    used, start = cpu(), time.perf_counter()
    async with running(adapter, target) as run:
        await run(target.in_flight, 1)
        took, used = time.perf_counter() - start, cpu() - used
    # The whole job of a program that does this and ends: interpreter and imports too.
    return {"requests": target.in_flight, "seconds": took, "cpu": used, "process_cpu": cpu()}


def resident() -> int:
    """Bytes of memory that this process holds for what is alive in it."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # what was freed goes back, where the C library can
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        raise peers.Cannot("this system does not tell a process's memory") from None
    return pages * os.sysconf("SC_PAGE_SIZE")


def sockets() -> int:
    """How many this process has open."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the listing's own descriptor
            found += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
    return found


async def idle(adapter: Any, target: peers.Target) -> dict[str, Any]:
    """Memory of connections that are kept: with all of them against with a few."""
    used, start = cpu(), time.perf_counter()
    async with running(adapter, target) as run:
        await run(2, 2)
        await asyncio.sleep(_SETTLED)
        few, before = sockets(), resident()
        await run(target.in_flight, 1)
        await asyncio.sleep(_SETTLED)
        kept, after = sockets() - few, resident()
        took, used = time.perf_counter() - start, cpu() - used
    if kept < target.in_flight / 2:
        raise peers.Cannot(f"of {target.in_flight:,} connections it kept {kept + few:,}")
    figures = {"requests": target.in_flight, "seconds": took, "cpu": used}
    return {**figures, "each": (after - before) / kept, "kept": kept}


def imports(client: str, adapter: Any) -> dict[str, Any]:
    """The middle of some fresh interpreters; a first one writes the byte code."""
    if not hasattr(adapter, "IMPORT"):
        raise peers.Cannot("it is no package of Python")
    loop = peers.loop_of(client)
    statement = adapter.IMPORT + (f"; import {loop}" if loop else "")
    program = _TIMED_IMPORT.format(path=sys.path, statement=statement)
    argv = [sys.executable, "-c", program]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    runs = []
    for _ in range(_IMPORTS + 1):
        # Not in the caller's directory: a package lying there would be taken.
        done = subprocess.run(
            argv, env=environment, cwd=_ROOT / "benchmarks", capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"{statement}: {done.stderr.strip()[-300:]}")
        runs.append(tuple(float(word) for word in done.stdout.split()))
    seconds, used = sorted(runs[1:])[_IMPORTS // 2]
    return {"requests": 1, "seconds": seconds, "cpu": used}


def loop_factory(client: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the loop that the client's name asks for; None for asyncio's own."""
    name = peers.loop_of(client)
    if not name:
        return None
    package = importlib.import_module(name)
    return package.new_event_loop if name == "uvloop" else package.loop_factory()


def measure(
    client: str, scenario: Scenario, target: peers.Target, options: argparse.Namespace
) -> dict[str, Any]:
    """The figures of one round, with the version that gave them."""
    adapter = peers.load(client)
    if hasattr(adapter, "measure"):
        meter = Meter(options.server_pid)
        with watched():
            figures = adapter.measure(scenario, target, options.seconds)
        figures |= meter.read(figures["cpu"])
        return {**figures, "version": adapter.version()}
    if scenario.kind == "import":
        return {**imports(client, adapter), "version": peers.version(client, adapter)}
    with asyncio.Runner(loop_factory=loop_factory(client)) as runner:
        if scenario.kind == "burst":
            figures = runner.run(burst(adapter, target))
        elif scenario.kind == "idle":
            figures = runner.run(idle(adapter, target))
        else:
            figures = runner.run(loop(adapter, target, options.seconds, options.server_pid))
    figures |= {"rss": peak_memory(), "version": peers.version(client, adapter)}
    remark = getattr(adapter, "remark", lambda target: None)(target)
    return {**figures, "remark": remark} if remark else figures


def explained(error: BaseException) -> dict[str, Any]:
    """A failure as a result: what is absent, what is not offered, or what went wrong."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, ModuleNotFoundError) and error.name in peers.OPTIONAL:
        return {"missing": str(error)}
    if isinstance(error, peers.Cannot | NotImplementedError):
        return {"cannot": str(error)}
    return {"error": f"{type(error).__name__}: {error}"}


def use_all_descriptors() -> None:
    """As many open connections as the system allows, for every client."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> int:
    """Reads the arguments, prints the line; status 1 for an error."""
    parser = argparse.ArgumentParser(description="One round of one client.")
    parser.add_argument("client", choices=[*peers.CLIENTS, *peers.EXTRA])
    parser.add_argument("scenario", choices=list(SCENARIOS))
    parser.add_argument("--url", default="")
    parser.add_argument("--ca")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--server-pid", type=int)
    options = parser.parse_args()
    scenario = SCENARIOS[options.scenario]
    url = options.url + scenario.path
    target = peers.Target(
        url, scenario.length, options.ca, scenario.in_flight, scenario.sent, scenario.streams
    )
    use_tree()
    use_all_descriptors()
    try:
        line = measure(options.client, scenario, target, options)
    except Exception as error:
        line = explained(error)
    print(json.dumps(line), flush=True)
    return 1 if "error" in line else 0


if __name__ == "__main__":
    sys.exit(main())
