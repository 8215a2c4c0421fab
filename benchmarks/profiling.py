"""Where the time of a request goes: a client's scenario under perf, by part."""

import contextlib
import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from chart import number
from meter import CONTROL
from processes import captured
from scenarios import Scenario

_PATIENCE = 900  # seconds, for each of the two commands
_RECORD = ("record", "-F", "4999", "-D", "-1", "-o")
_REPORT = ("report", "--stdio", "--no-children", "-t", "\t", "--sort", "dso,symbol", "-i")
_LISTED = 12  # functions of a profile that are named
MISSING = "perf is not installed (Debian: apt-get install linux-perf)"

# What a sample's file and function stand for; the first that fits.
_PARTS = (
    ("kernel", r"^\[(kernel|k\]|guest|hypervisor)|\.ko\b|^\[vdso\]", ""),
    ("llhttp", r"^_core\.", r"^llhttp"),
    ("aiofast", r"^_core\.", ""),
    ("libuv", r"^(libuv|loop\.cpython)", ""),  # uvloop has libuv built in
    ("OpenSSL", r"^(lib(ssl|crypto)|_ssl\.|ssl_engine)", ""),
    ("codings", r"^(libz|libbrotli|libzstd|zlib\.)", ""),
    ("libc", r"^(libc[.-]|libm[.-]|libpthread|ld-linux|ld-|libstdc)", ""),
    ("asyncio's C", r"^_asyncio\.", ""),
    ("interpreter", r"^(python|libpython)", ""),
)
PARTS = (*(name for name, _, _ in _PARTS), "others")


def part_of(dso: str, symbol: str) -> str:
    """The part that a sample belongs to."""
    for name, file, function in _PARTS:
        if re.search(file, dso) and re.search(function, symbol):
            return name
    return "others"


def plain(symbol: str) -> str:
    """A function's name without what the optimizer hung on it."""
    return re.sub(r"[.'](lto_priv|part|isra|constprop|cold|\d).*", "", symbol)


@dataclass(frozen=True)
class Profile:
    """Where a request's CPU went; or |trouble|."""

    client: str
    scenario: Scenario
    microseconds: float = 0.0  # CPU of a request
    shares: dict[str, float] | None = None  # part: of 1
    functions: tuple[tuple[str, str, float], ...] = ()  # part, name, share; most first
    trouble: str = ""


def read(rows: Iterable[str]) -> list[tuple[str, str, float]]:
    """(file, function, share) of each line of perf's report."""
    found = []
    for row in rows:
        fields = [field.strip() for field in row.split("\t")]
        if len(fields) >= 3 and re.fullmatch(r"[\d.]+%?", fields[0]):
            symbol = re.sub(r"^\[.\] ", "", fields[2])
            found.append((fields[1], symbol, float(fields[0].rstrip("%")) / 100))
    return found


def summed(client: str, scenario: Scenario, line: str, rows: Iterable[str]) -> Profile:
    """From the worker's |line| and perf's report."""
    figures = json.loads(line)
    if "requests" not in figures:
        return Profile(client, scenario, trouble=" ".join(map(str, figures.values())))
    shares: Counter[str] = Counter()
    functions: Counter[tuple[str, str]] = Counter()
    for dso, symbol, share in read(rows):
        part = part_of(dso, symbol)
        shares[part] += share
        # What has no symbol is known by its file alone.
        name = f"in {dso}" if symbol.startswith("0x") else plain(symbol)
        functions[part, name] += share
    most = tuple((part, name, share) for (part, name), share in functions.most_common(_LISTED))
    each = figures["cpu"] / figures["requests"] * 1e6
    return Profile(client, scenario, each, dict(shares), most)


@contextlib.contextmanager
def _environment(pipes: str) -> Iterator[None]:
    """What children of this block are told."""
    os.environ[CONTROL] = pipes
    try:
        yield
    finally:
        del os.environ[CONTROL]


def profile(
    client: str, scenario: Scenario, argv: Sequence[str], core: int | None, directory: Path
) -> Profile:
    """Runs one round under `perf record`."""
    perf = shutil.which("perf")
    if perf is None:
        return Profile(client, scenario, trouble=MISSING)
    data, pipes = str(directory / "perf.data"), [directory / "perf.in", directory / "perf.out"]
    for pipe in pipes:
        pipe.unlink(missing_ok=True)
        os.mkfifo(pipe)
    named = ",".join(str(pipe) for pipe in pipes)
    record = [perf, *_RECORD, data, f"--control=fifo:{named}", "--", *argv]
    try:
        with _environment(named):
            _, line, errors = captured(record, core, _PATIENCE)
        if not line.strip():
            return Profile(client, scenario, trouble=f"perf record: {errors.strip()[-300:]}")
        _, shown, _ = captured([perf, *_REPORT, data], core, _PATIENCE)
    except subprocess.TimeoutExpired as late:
        return Profile(client, scenario, trouble=f"perf took longer than {late.timeout:g} s")
    return summed(client, scenario, line.splitlines()[-1], shown.splitlines())


def table(profiles: Sequence[Profile]) -> str:
    """One scenario in markdown: microseconds of CPU for each request, by part."""
    scenario, done = profiles[0].scenario, [one for one in profiles if one.shares]
    lines = [f"### {scenario.name}: {scenario.title}", ""]
    used = [part for part in PARTS if any((one.shares or {}).get(part) for one in done)]
    if done:
        lines += ["| µs for each request | all | " + " | ".join(used) + " |"]
        lines += ["|---|" + "--:|" * (len(used) + 1)]
    for one in done:
        cells = (number((one.shares or {}).get(part, 0.0) * one.microseconds) for part in used)
        lines.append(f"| {one.client} | {number(one.microseconds)} | " + " | ".join(cells) + " |")
    for one in done:
        said = ", ".join(f"{name} ({part}) {share:.1%}" for part, name, share in one.functions)
        lines += ["", f"{one.client}: {said}."]
    lines += [f"\n- {one.client}: {one.trouble}" for one in profiles if not one.shares]
    return "\n".join(lines) + "\n"
