"""Runs a program under callgrind and reads what it counted between marks."""

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

MARK = "getppid"  # a mark is a call of this function; core.c says why
_PATIENCE = 900  # seconds
MISSING = "valgrind is not installed (Debian: apt-get install valgrind)"
# The C library chooses among its copies of memcpy and the like by processor.
# Without these it takes the same ones everywhere.
_PLAIN = "glibc.cpu.hwcaps=-AVX512VL,-AVX2,-AVX,-AVX_Fast_Unaligned_Load,-ERMS,-FSRM"


@dataclass(frozen=True)
class Count:
    """Instructions of one path, by the file and the function they are in."""

    name: str
    turns: int
    spent: dict[tuple[str, str], int]  # all turns together

    def total(self) -> float:
        """Instructions for each turn, wherever they are."""
        return sum(self.spent.values()) / self.turns

    def within(self, beginning: str) -> float:
        """Instructions for each turn in files whose name begins so."""
        found = (cost for (file, _), cost in self.spent.items() if file.startswith(beginning))
        return sum(found) / self.turns


def read(lines: Iterable[str]) -> dict[tuple[str, str], int]:
    """Instructions by file and function, from what callgrind wrote without compression.

    The line after "calls=" has the cost of what was called, which is counted
    where it was spent.
    """
    spent: Counter[tuple[str, str]] = Counter()
    file, function, called = "", "", False
    for line in lines:
        if line.startswith("ob="):
            file = Path(line[3:].strip()).name
        elif line.startswith("fn="):
            function = line[3:].strip()
        elif line.startswith("calls="):
            called = True
        elif line[:1].isdigit():
            if not called:
                spent[file, function] += int(line.split()[1])
            called = False
    return dict(spent)


def environment() -> dict[str, str]:
    """The same for every run, whoever calls: what is in it changes counts."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    fixed = {"LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    return {**kept, **fixed, "GLIBC_TUNABLES": _PLAIN}


def count(argv: Sequence[str], directory: Path) -> tuple[str, list[Count]]:
    """The first line that |argv| prints, and a Count for each "name<tab>turns..." after it.

    FileNotFoundError where valgrind is missing, RuntimeError where the program
    failed. |directory| is for callgrind's files, which are removed.
    """
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise FileNotFoundError(MISSING)
    out = directory / "callgrind.out"
    options = ["-q", "--tool=callgrind", f"--dump-before={MARK}", f"--callgrind-out-file={out}"]
    options += ["--compress-strings=no", "--compress-pos=no"]
    done = subprocess.run(
        [valgrind, *options, *argv],
        env=environment(),
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
    )
    if done.returncode:
        raise RuntimeError(f"{argv[0]}: {(done.stderr or done.stdout).strip()[-1500:]}")
    first, *rest = done.stdout.splitlines()
    found = []
    for index, row in enumerate(rest, 1):
        name, turns = row.split("\t")[:2]
        # Each path has two marks; what came before the first is in the odd files.
        with Path(f"{out}.{2 * index}").open() as file:
            found.append(Count(name, int(turns), read(file)))
    for file in directory.glob("callgrind.out*"):
        file.unlink()
    return first, found
