"""mypy, the stub against the extension, ruff: the same here as in the editor."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest
from lint.tree import ROOT


def run(tool: str, *arguments: str) -> None:
    if importlib.util.find_spec(tool.partition(".")[0]) is None:
        assert not os.environ.get("CI"), f"{tool} is missing"
        pytest.skip(f"{tool} is not installed")
    # The stub of the tree, the extension that is installed.
    variables = {**os.environ, "PYTHONSAFEPATH": "1", "MYPYPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", tool, *arguments],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]


@pytest.mark.seconds(120)
def test_mypy_strict() -> None:
    run("mypy", "--cache-dir", "build/mypy")


@pytest.mark.seconds(120)
def test_stub_and_extension_agree() -> None:
    run("mypy.stubtest", "--mypy-config-file", "pyproject.toml", "aiofast._core")


@pytest.mark.seconds(120)
def test_ruff() -> None:
    run("ruff", "check", "--no-cache", "--output-format=concise", ".")
