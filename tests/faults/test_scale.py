"""The short form of soak.py, which CI has the time for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("soak.py")


@pytest.mark.slow
@pytest.mark.seconds(120)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("options", [("--requests", "20000"), ("--at-once", "2000")])
def test_nothing_is_lost(options):
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *options],
        capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["fine"]
