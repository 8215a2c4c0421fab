"""The extension exports its initialisation and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest


def exported(path: str) -> set[str]:
    macos = sys.platform == "darwin"
    command = ["nm", "-gU", path] if macos else ["nm", "-D", "--defined-only", path]
    listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    names = {line.split()[-1] for line in listed.stdout.splitlines() if line.strip()}
    return {name.removeprefix("_") for name in names} if macos else names


def test_only_the_initialisation_is_exported() -> None:
    if shutil.which("nm") is None:
        assert not os.environ.get("CI"), "nm is missing"
        pytest.skip("no nm here (binutils)")
    from aiofast import _core

    expected = "PyInit__core"
    assert exported(_core.__file__) == {expected}
