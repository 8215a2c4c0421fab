"""slow_resolver.c as a library, for programs that are to see names, and public
addresses, that the machine does not have."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


@pytest.fixture(scope="session")
def resolver(tmp_path_factory):
    """The path of the library, for LD_PRELOAD."""
    if sys.platform != "linux":
        pytest.skip("LD_PRELOAD as Linux has it")
    if COMPILER is None:
        pytest.skip("no C compiler")
    library = tmp_path_factory.mktemp("resolver") / "slow_resolver.so"
    source = Path(__file__).with_name("slow_resolver.c")
    command = [COMPILER, "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", library, source, "-ldl"]
    subprocess.run(command, check=True)
    return str(library)
