"""Nothing grows: each type's recipe, a thousand times, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from leaks import operations, recipes

PROGRAM = Path(operations.__file__)


def test_every_type_has_a_recipe():
    """Also those that the module does not name."""
    covered = set().union(*(types for _, types in recipes.RECIPES.values()))
    assert set(recipes.core_types()) - covered == set()
    assert covered - set(recipes.core_types()) == set(), "a recipe for a type that is gone"


def test_every_public_operation_has_a_recipe():
    assert operations.without_recipe() == []


def multidict_crashes() -> bool:
    """In a debug build of Python, without aiofast: 7.2 does."""
    program = "import multidict\nfor _ in range(1000): multidict.CIMultiDict({'a': 'b'})['a']"
    return subprocess.run([sys.executable, "-c", program], check=False).returncode < 0


@pytest.mark.slow
@pytest.mark.seconds(300)
@pytest.mark.parametrize("name", recipes.RECIPES)
def test_nothing_grows(name):
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", str(PROGRAM), name],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    if done.returncode < 0 and hasattr(sys, "gettotalrefcount") and multidict_crashes():
        pytest.skip("multidict crashes in this build of Python, without aiofast")
    assert done.returncode == 0, done.stderr[-2000:]
    grown = json.loads(done.stdout)
    rounds = grown["rounds"]
    few = rounds // 20  # one per round would be 20 times as much
    assert {kind: n for kind, n in grown["refs"].items() if n > few} == {}
    assert grown["objects"] < rounds // 4, grown
    assert grown["traced"] < 40 * rounds, grown  # less than any object
    assert grown["files"] <= 3, grown  # idle connections come and go
    assert grown["resident"] < 3 << 20, grown
    assert grown.get("allocations", 0) < few, grown
    assert grown.get("fetches", 0) == 0, grown
    assert grown["total"] < rounds, grown  # 0 where Python does not count them
