"""One round of one client in one scenario, as a process of its own.

    python worker.py CLIENT SCENARIO --url URL [--ca FILE] [--seconds N] [--server-pid PID]

Prints one line of JSON: the figures, {"missing": why}, {"inapplicable": true} or
{"error": what happened}. run.py starts it on the client's core.
"""

import argparse
import asyncio
import importlib.machinery
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import peers
from meter import Meter
from scenarios import SCENARIOS, Scenario

_ROOT = Path(__file__).resolve().parent.parent
_IMPORTS = 5  # fresh interpreters for each round of the import scenario
_WARM_UP = 0.3  # seconds that a warm-up lasts at least
_ATTEMPTS = 3  # at a round that lasts about as long as it should

_OPTIONAL = ("aiofast", "aiohttp", "pyreqwest", "uvloop", "wrk")

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


async def timed(one: peers.One, in_flight: int, count: int) -> float:
    """Seconds for |in_flight| loops of |count| requests."""
    start = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(laps(one, count))
    return time.perf_counter() - start


async def loop(
    adapter: Any, target: peers.Target, seconds: float, server: int | None
) -> dict[str, Any]:
    """Opens and warms up, finds how many requests fill |seconds|, then measures."""
    async with adapter.caller(target) as one:
        # Connections and handshakes are no measure of what a request takes.
        await timed(one, target.in_flight, 1)
        count, took = 1, await timed(one, target.in_flight, 1)
        while took < _WARM_UP:
            count *= 4 if took * 4 < _WARM_UP else 2
            took = await timed(one, target.in_flight, count)
        for _ in range(_ATTEMPTS):
            count = max(1, round(count * seconds / took))
            meter, used = Meter(server), cpu()
            took = await timed(one, target.in_flight, count)
            used = cpu() - used
            beside = meter.read(used)
            if took > seconds / 2:
                break
    return {"requests": count * target.in_flight, "seconds": took, "cpu": used, **beside}


async def burst(adapter: Any, target: peers.Target) -> dict[str, Any]:
    """All at once, nothing opened before: session, connections, answers."""
    used, start = cpu(), time.perf_counter()
    async with adapter.caller(target) as one:
        await asyncio.gather(*(one() for _ in range(target.in_flight)))
        took, used = time.perf_counter() - start, cpu() - used
    return {"requests": target.in_flight, "seconds": took, "cpu": used}


def imports(client: str, adapter: Any) -> dict[str, Any]:
    """The middle of some fresh interpreters; a first one writes the byte code."""
    statement = adapter.IMPORT + ("; import uvloop" if client.endswith("+uvloop") else "")
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


def measure(
    client: str, scenario: Scenario, target: peers.Target, options: argparse.Namespace
) -> dict[str, Any]:
    """The figures of one round, with the version that gave them."""
    adapter = peers.load(client)
    if hasattr(adapter, "measure"):
        meter = Meter(options.server_pid)
        figures = adapter.measure(scenario, target, options.seconds)
        if figures is None:
            return {"inapplicable": True}
        figures |= meter.read(figures["cpu"])
        return {**figures, "version": adapter.version()}
    if scenario.kind == "import":
        return {**imports(client, adapter), "version": peers.version(client, adapter)}
    factory = None
    if client.endswith("+uvloop"):
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        if scenario.kind == "burst":
            figures = runner.run(burst(adapter, target))
        else:
            figures = runner.run(loop(adapter, target, options.seconds, options.server_pid))
    return {**figures, "rss": peak_memory(), "version": peers.version(client, adapter)}


def explained(error: BaseException) -> dict[str, Any]:
    """A failure as a result: what is absent, or what went wrong."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, ModuleNotFoundError) and error.name in _OPTIONAL:
        return {"missing": str(error)}
    return {"error": f"{type(error).__name__}: {error}"}


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
    target = peers.Target(url, scenario.length, options.ca, scenario.in_flight)
    use_tree()
    try:
        line = measure(options.client, scenario, target, options)
    except Exception as error:
        line = explained(error)
    print(json.dumps(line), flush=True)
    return 1 if "error" in line else 0


if __name__ == "__main__":
    sys.exit(main())
