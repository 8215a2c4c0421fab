"""Counts the instructions of the hot paths and holds them to a stored baseline.

    python benchmarks/instructions.py [--accept | --where] [--core | --python] [--json FILE]

Prints a table; status 1 if a path takes more than 5 % more instructions than
the baseline of this machine's kind (benchmarks/micro/baselines.json), 2 if it
could not count. A kind that has no baseline is told and passes. --accept
stores what was counted as the new baseline, --where shows instead in which
part of the process the instructions of the Python paths are. See docs/benchmarks.md.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import peers
import profiling
from micro import callgrind

_HERE = Path(__file__).resolve().parent
_MICRO = _HERE / "micro"
_BASELINES = _MICRO / "baselines.json"
TOLERANCE = 0.05  # of the baseline's count

Baselines = dict[str, dict[str, int]]  # kind of machine: path: instructions for each turn


@dataclass(frozen=True)
class Figure:
    """One count and the kind of machine that it may be compared on."""

    kind: str
    path: str
    count: int


@dataclass(frozen=True)
class Verdict:
    """A figure beside its baseline, which may be missing."""

    figure: Figure
    baseline: int | None

    @property
    def change(self) -> float | None:
        """By what part the count went up; negative is better."""
        return self.figure.count / self.baseline - 1 if self.baseline else None

    @property
    def word(self) -> str:
        """What is to be said of it."""
        if self.baseline is None:
            return "no baseline"
        more, allowed = self.figure.count - self.baseline, self.baseline * TOLERANCE
        if more > allowed:
            return "REGRESSION"
        return "better" if more < -allowed else "ok"


def judge(figures: list[Figure], baselines: Mapping[str, Mapping[str, int]]) -> list[Verdict]:
    """Each figure beside the baseline of its own kind."""
    return [Verdict(one, baselines.get(one.kind, {}).get(one.path)) for one in figures]


def accept(figures: list[Figure], baselines: Baselines) -> Baselines:
    """The baselines with these figures in place of those of their kinds.

    What was counted is whole for its kind, so a path that is gone goes.
    """
    kinds = {one.kind for one in figures}
    changed = {kind: dict(paths) for kind, paths in baselines.items() if kind not in kinds}
    for one in figures:
        changed.setdefault(one.kind, {})[one.path] = one.count
    return dict(sorted(changed.items()))


def table(verdicts: list[Verdict]) -> str:
    """Lines for people, grouped by kind."""
    lines, kind = [], ""
    for one in verdicts:
        if one.figure.kind != kind:
            kind = one.figure.kind
            lines += ["", kind]
        beside = "" if one.baseline is None else f"{one.baseline:>11,}  {one.change:+7.1%}"
        lines.append(f"  {one.figure.path:<40}{one.figure.count:>11,}{beside:>20}  {one.word}")
    return "\n".join(lines).lstrip("\n")


def compiler_of(binary: bytes) -> str:
    """The compiler that the binary names in its comment section: "gcc 12"."""
    found = re.search(rb"GCC: \([^)]*\) (\d+)\.", binary)
    clang = re.search(rb"clang version (\d+)\.", binary)
    if clang:
        return f"clang {clang[1].decode()}"
    return f"gcc {found[1].decode()}" if found else "unknown compiler"


def count_core(directory: Path) -> list[Figure]:
    """The paths of the C core, compiled here as the release build is."""
    build = _HERE.parent / "build" / "micro"
    subprocess.run(["make", "-s", "-C", str(_MICRO), f"BUILD={build}"], check=True)
    first, counts = callgrind.count([str(build / "core")], directory)
    compiler = compiler_of((build / "core").read_bytes())
    kind = f"{platform.machine()}, {compiler}, {first}: core"
    return [Figure(kind, one.name, round(one.total())) for one in counts]


def run_python(directory: Path) -> tuple[str, list[callgrind.Count]]:
    """The paths as a program sees them."""
    return callgrind.count([sys.executable, str(_MICRO / "paths.py")], directory)


def where(counts: list[callgrind.Count]) -> str:
    """In markdown: by part of the process, and our functions that take most."""
    parts: list[Counter[str]] = []
    lines = []
    for one in counts:
        shares: Counter[str] = Counter()
        ours: Counter[str] = Counter()
        for (file, function), cost in one.spent.items():
            part = profiling.part_of(file, function)
            shares[part] += cost
            if part in ("aiofast", "llhttp"):
                ours[profiling.plain(function)] += cost
        most = (f"{name} {cost / one.turns:,.0f}" for name, cost in ours.most_common(10))
        parts.append(shares)
        lines.append(f"- {one.name}: {', '.join(most)}")
    used = [part for part in profiling.PARTS if any(shares[part] for shares in parts)]
    rows = [f"| instructions for each turn | all | {' | '.join(used)} |"]
    rows.append("|---|" + "--:|" * (len(used) + 1))
    for one, shares in zip(counts, parts, strict=True):
        cells = (f"{shares[part] / one.turns:,.0f}" for part in used)
        rows.append(f"| {one.name} | {one.total():,.0f} | {' | '.join(cells)} |")
    return "\n".join([*rows, "", *lines])


def count_python(directory: Path) -> list[Figure]:
    """The paths as a program sees them: within the extension, and in the whole process.

    What the interpreter spends depends on its build and is compared with the
    same build alone; what the extension spends, on the version of Python whose
    headers it was compiled with.
    """
    first, counts = run_python(directory)
    extension, _, build = first.partition("\t")
    binary = Path(extension).read_bytes()
    if peers.unoptimized(binary):
        raise RuntimeError(f"{extension} is not a release build")
    version = ".".join(platform.python_version_tuple()[:2])
    start = f"{platform.machine()}, {compiler_of(binary)}, {platform.python_implementation()}"
    name = Path(extension).name
    ours = f"{start} {version}: within the extension"
    # A build is known by its date and its settings.
    mark = hashlib.sha256(build.encode()).hexdigest()[:8]
    whole = f"{start} {platform.python_version()} (build {mark}): whole process"
    figures = [Figure(ours, one.name, round(one.within(name))) for one in counts]
    return figures + [Figure(whole, one.name, round(one.total())) for one in counts]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Counts the instructions of the hot paths.")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--accept", action="store_true", help="store the counts as the baseline")
    what.add_argument("--where", action="store_true", help="show in which part they are")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--core", action="store_true", help="the C core alone")
    which.add_argument("--python", action="store_true", help="the Python paths alone")
    parser.add_argument("--json", type=Path, help="write the counts there as well")
    return parser.parse_args()


def main() -> int:
    """Counts, prints, judges."""
    options = arguments()
    figures: list[Figure] = []
    try:
        with tempfile.TemporaryDirectory(prefix="aiofast-micro-") as name:
            if options.where:
                print(where(run_python(Path(name))[1]))
                return 0
            if not options.python:
                figures += count_core(Path(name))
            if not options.core:
                figures += count_python(Path(name))
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        print(f"instructions: {error}", file=sys.stderr)
        return 2
    stored: Baselines = json.loads(_BASELINES.read_text()) if _BASELINES.exists() else {}
    verdicts = judge(figures, stored)
    print(table(verdicts))
    if options.json:
        rows = [{"kind": one.kind, "path": one.path, "count": one.count} for one in figures]
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    if options.accept:
        _BASELINES.write_text(json.dumps(accept(figures, stored), indent=1) + "\n")
        print(f"\naccepted: {os.path.relpath(_BASELINES)} now has these counts; commit it")
        return 0
    worse = [one for one in verdicts if one.word == "REGRESSION"]
    if any(one.baseline is None for one in verdicts):
        print("\nno baseline for what is marked so: nothing was compared there")
    if any(one.word == "better" for one in verdicts):
        print("\nbetter than the baseline: hold it with make instructions ARGS=--accept")
    if worse:
        print(
            f"\n{len(worse)} more than {TOLERANCE:.0%} above the baseline. Where that is meant, "
            "say why in the commit and store it: make instructions ARGS=--accept"
        )
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
