"""The instruction-count gate: what it reads from callgrind, and when it fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"

# Uncompressed, as `callgrind --compress-strings=no --compress-pos=no` writes.
PROFILE = """\
# callgrind format
positions: line
events: Ir
summary: 71

ob=/somewhere/_core.so
fl=aif_buf.c
fn=add
84 40
fi=string.h
29 6
cob=/somewhere/libc.so.6
cfn=memcpy
calls=2 264
29 20
29 2
ob=/somewhere/libc.so.6
fn=memcpy
+3 0
264 20
ob=/somewhere/_core.so
fn=other
7 3
"""


@pytest.fixture
def instructions(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import instructions

    return instructions


def test_cost_is_counted_where_it_was_spent(instructions: ModuleType) -> None:
    found = instructions.callgrind.read(PROFILE.splitlines())
    assert found == {
        ("_core.so", "add"): 48,
        ("_core.so", "other"): 3,
        ("libc.so.6", "memcpy"): 20,
    }
    count = instructions.callgrind.Count("a path", 10, found)
    assert count.total() == 7.1
    assert count.within("_core") == 5.1


def test_where_the_instructions_are(instructions: ModuleType) -> None:
    spent = {
        ("_core.x.so", "llhttp__run"): 30,
        ("_core.x.so", "on_read"): 50,
        ("libuv.so", "f"): 20,
    }
    count = instructions.callgrind.Count("a path", 10, spent)
    lines = instructions.where([count]).splitlines()
    assert lines[0] == "| instructions for each turn | all | llhttp | aiofast | libuv |"
    assert lines[2] == "| a path | 10 | 3 | 5 | 2 |"
    assert "on_read 5" in lines[-1]


def verdicts(instructions: ModuleType, count: int, kind: str = "here") -> list[str]:
    figures = [instructions.Figure(kind, "a path", count)]
    return [one.word for one in instructions.judge(figures, {"here": {"a path": 1000}})]


@pytest.mark.parametrize(
    ("count", "word"),
    [(1000, "ok"), (1050, "ok"), (1051, "REGRESSION"), (950, "ok"), (949, "better")],
)
def test_tolerance(instructions: ModuleType, count: int, word: str) -> None:
    assert verdicts(instructions, count) == [word]


def test_another_kind_of_machine_has_no_baseline(instructions: ModuleType) -> None:
    assert verdicts(instructions, 9999, "elsewhere") == ["no baseline"]


def test_a_new_baseline_is_whole_for_its_kind(instructions: ModuleType) -> None:
    old = {"here": {"gone": 1, "a path": 2}, "elsewhere": {"a path": 3}}
    figures = [instructions.Figure("here", "a path", 5)]
    assert instructions.accept(figures, old) == {"here": {"a path": 5}, "elsewhere": {"a path": 3}}
    assert old["here"]["a path"] == 2


def test_the_table_says_what_changed(instructions: ModuleType) -> None:
    figures = [instructions.Figure("here", "a path", 1100), instructions.Figure("here", "new", 7)]
    text = instructions.table(instructions.judge(figures, {"here": {"a path": 1000}}))
    assert text.splitlines()[0] == "here"
    assert "1,100" in text and "+10.0%" in text and "REGRESSION" in text
    assert "no baseline" in text


def test_compilers_are_told_apart(instructions: ModuleType) -> None:
    assert instructions.compiler_of(b"\0GCC: (Debian 12.2.0-14) 12.2.0\0") == "gcc 12"
    assert instructions.compiler_of(b"\0Debian clang version 14.0.6\0GCC: (x) 12.2.0") == "clang 14"
    assert instructions.compiler_of(b"nothing") == "unknown compiler"


def test_the_paths_run_without_a_counter() -> None:
    """What is counted works, here on whatever build is being tested."""
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "micro" / "paths.py")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    names = [line.partition("\t")[0] for line in done.stdout.splitlines()[1:]]
    for kind, paths in json.loads((BENCHMARKS / "micro" / "baselines.json").read_text()).items():
        assert "core" in kind or sorted(paths) == sorted(names), kind
