"""The extension is built so that a mistake ends a process rather than being used:
checked copies, guarded stacks, tables that cannot be written to."""

from __future__ import annotations

import subprocess
import sys

import pytest
from aiofast import _core

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at ELF")


def readelf(*options: str) -> str:
    command = ["readelf", "-W", *options, str(_core.__file__)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_loader_writes_nothing_after_it_has_loaded() -> None:
    assert "GNU_RELRO" in readelf("-l")
    assert "BIND_NOW" in readelf("-d") or "NOW" in readelf("-d")


def test_no_stack_is_executable() -> None:
    (stack,) = (line for line in readelf("-l").splitlines() if "GNU_STACK" in line)
    assert " RW " in stack and "RWE" not in stack


def test_stacks_and_copies_are_checked() -> None:
    symbols = readelf("--dyn-syms")
    assert "__stack_chk_fail" in symbols
    assert "_chk@" in symbols.replace("__stack_chk", "")  # __memcpy_chk and its kin
