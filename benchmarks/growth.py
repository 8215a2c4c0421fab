"""How the cost of a request grows with what there is ever more of.

    python benchmarks/growth.py [--axis NAME ...] [--most N] [--cpu] [--out DIRECTORY]

Counts the instructions of a request under valgrind, which come out nearly the
same on a busy machine; --cpu takes processor time instead, which also knows of
caches and of the kernel and needs a quiet machine. Writes growth.json,
growth.md and a chart for each axis into DIRECTORY.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import curve
import machine
import peers
from chart import number
from micro import callgrind
from processes import captured, cores
from server import certificate, nginx

_HERE = Path(__file__).resolve().parent
_POINT = _HERE / "micro" / "grow.py"
_PATIENCE = 600  # seconds for one point
_TIME = "µs of CPU"
_STALE = 0.25  # of the cost at the first point: what growth is not worth a word


@dataclass(frozen=True)
class Axis:
    """What there is ever more of, and how many."""

    name: str
    title: str
    across: str
    points: tuple[int, ...]
    timed: bool = False  # in processor time always: valgrind follows one process


_TENS = (1, 10, 100, 1000, 10000)
_FIELDS = (1, 10, 30, 100)
_FEW = (1, 2, 4, 8, 16)
_SIZES = (100, 1000, 10_000, 100_000, 1_000_000, 10_000_000)
AXES = {
    axis.name: axis
    for axis in (
        Axis("in-flight", "requests in flight", "requests in flight", _TENS),
        Axis("origins", "origins taken in turn, all connected", "origins", _TENS),
        Axis("idle", "idle connections beside the one in use", "idle connections", _TENS),
        Axis("cookies", "cookies of other hosts in the jar", "cookies", _TENS),
        Axis("fields-answered", "fields of a response", "fields", _FIELDS),
        Axis("fields-asked", "fields of a request", "fields", _FIELDS),
        Axis("body", "bytes of body", "bytes", _SIZES),
        Axis("loops", "event loops, each in a thread", "threads", _FEW),
        Axis("processes", "processes on one core", "processes", _FEW, timed=True),
    )
}


@dataclass(frozen=True)
class Point:
    """The cost of a request where there are |number|: by the label of a line."""

    number: int
    costs: dict[str, float]


def locations(directory: Path, port: int) -> str:
    """A server for all this: every address of the loopback network is an origin."""
    rows = [f"server {{ listen 0.0.0.0:{port} backlog=4096;", "allow 127.0.0.0/8; deny all;"]
    rows.append("location = /small { return 200 'a small body'; }")
    for count in _FIELDS:
        fields = "".join(f"add_header X-Field-{i} 'value {i}'; " for i in range(count))
        rows.append(f"location = /fields-{count} {{ {fields} return 200 'a small body'; }}")
    for size in _SIZES:
        (directory / f"body-{size}").write_bytes(b"x" * size)
        rows.append(f"location = /body-{size} {{ alias {directory}/body-{size}; }}")
    return "\n".join([*rows, "}"])


def counted(argv: Sequence[str], directory: Path) -> dict[str, float]:
    """Instructions for each request: in the extension, with libuv, and in all."""
    extension, (count,) = callgrind.count(argv, directory)
    ours = count.within(Path(extension).name)
    return {
        "whole process": count.total(),
        "aiofast and libuv": ours + count.within("libuv"),
        "aiofast": ours,
    }


def timed(argv: Sequence[str], core: int | None) -> dict[str, float]:
    """Microseconds of processor time for each request; the least of three runs."""
    found = []
    for _ in range(3):
        status, output, errors = captured(argv, core, _PATIENCE)
        if status:
            raise RuntimeError(f"{argv[-3:]}: {errors.strip()[-500:]}")
        _, requests, used = output.splitlines()[-1].split("\t")
        found.append(float(used) / int(requests) * 1e6)
    return {"whole process": min(found)}


def verdict(points: Sequence[Point]) -> str:
    """In words: how the cost at the end is to the cost at the start, and to the number."""
    first, last = points[0], points[-1]
    label = next(iter(first.costs))
    was, now, more = first.costs[label], last.costs[label], last.number / first.number
    if more <= 1:
        return "one point alone"
    if now <= was * (1 + _STALE):
        return f"flat: {now / was:.2f} times at {more:,.0f} times as many"
    each = (now - was) / (last.number - first.number)
    return f"{now / was:.2f} times at {more:,.0f} times as many, {each:,.3g} for each more"


def table(axis: Axis, points: Sequence[Point], unit: str) -> str:
    """One axis in markdown."""
    labels = list(points[0].costs)
    lines = [
        f"### {axis.name}: {axis.title}",
        "",
        f"{unit} for each request; {verdict(points)}.",
        "",
        f"| {axis.across} | " + " | ".join(labels) + " |",
        "|--:" * (len(labels) + 1) + "|",
    ]
    for point in points:
        cells = (number(point.costs[label]) for label in labels)
        lines.append(f"| {point.number:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def chart(axis: Axis, points: Sequence[Point], unit: str, where: str) -> str:
    """One axis as SVG."""
    labels = list(points[0].costs)
    lines = [
        curve.Line(label, tuple((point.number, point.costs[label]) for point in points))
        for label in labels
    ]
    title = f"{unit} for each request over the number of {axis.title}"
    return curve.draw(title, verdict(points), axis.across, where, lines)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="How the cost of a request grows.")
    parser.add_argument("--axis", action="append", choices=list(AXES), help="may be repeated")
    parser.add_argument("--most", type=int, default=10**9, help="leave out points above this")
    parser.add_argument("--cpu", action="store_true", help="processor time, not instructions")
    parser.add_argument("--out", type=Path, help="where to write (nowhere unless given)")
    return parser.parse_args()


def unit_of(axis: Axis, options: argparse.Namespace) -> str:
    """What the costs along |axis| are."""
    return _TIME if options.cpu or axis.timed else "Instructions"


def along(
    axis: Axis, options: argparse.Namespace, url: str, scratch: Path
) -> tuple[list[Point], str | None]:
    """The points of one axis, and what kept it from going on."""
    points: list[Point] = []
    for count in axis.points:
        if count > options.most:
            break
        argv = [sys.executable, str(_POINT), axis.name, str(count), url]
        try:
            costs = (
                timed(argv, cores()[1])
                if unit_of(axis, options) == _TIME
                else counted(argv, scratch)
            )
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            return points, str(error).strip().splitlines()[-1]
        points.append(Point(count, costs))
        shown = ", ".join(f"{label} {number(one)}" for label, one in costs.items())
        print(f"{axis.name:<16} {count:>10,}  {shown}", file=sys.stderr, flush=True)
    return points, None


def measure(options: argparse.Namespace) -> tuple[dict[str, list[Point]], list[str]]:
    """Every point that was asked for, and a line for each axis that failed."""
    found: dict[str, list[Point]] = {}
    failed = []
    with tempfile.TemporaryDirectory(prefix="aiofast-growth-") as name:
        directory, scratch = Path(name), Path(name, "callgrind")
        scratch.mkdir()
        certificate.make(directory)
        (port,) = nginx.free_ports(1)
        with nginx.serving(directory, cores()[0], locations(directory, port)):
            for axis in (AXES[name] for name in options.axis or AXES):
                points, why = along(axis, options, f"http://127.0.0.1:{port}", scratch)
                if points:
                    found[axis.name] = points
                if why:
                    failed.append(f"{axis.name}: not measured to its end: {why}")
                    print(failed[-1], file=sys.stderr, flush=True)
    return found, failed


def main() -> int:
    """Measures, prints, writes; status 1 if an axis failed, 2 where nothing can be measured."""
    options = arguments()
    try:
        found, failed = measure(options)
    except OSError as error:  # no valgrind, no nginx
        print(f"growth: {error}", file=sys.stderr)
        return 2
    what = machine.describe(*cores())
    version = peers.installed("aiofast")
    where = f"aiofast {version}, {what['python']}, {what['processor']}"
    text = f"# Growth\n\n{where}; `ClientSession`.\n\n" + "\n".join(
        table(AXES[name], points, unit_of(AXES[name], options)) for name, points in found.items()
    )
    text += "".join(f"\n- {line}\n" for line in failed)
    print(text)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        rows = {name: [[one.number, one.costs] for one in points] for name, points in found.items()}
        units = {name: unit_of(AXES[name], options) for name in found}
        result = {"units": units, "machine": what, "aiofast": version, "axes": rows}
        (options.out / "growth.json").write_text(json.dumps(result, indent=1) + "\n")
        (options.out / "growth.md").write_text(text)
        for name, points in found.items():
            drawn = chart(AXES[name], points, units[name], where)
            (options.out / f"growth-{name}.svg").write_text(drawn)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
