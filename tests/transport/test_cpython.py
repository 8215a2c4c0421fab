"""CPython's own asyncio tests, where this Python has them (cpython.py)."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MODULES = [
    "test_streams",
    "test_buffered_proto",
    "test_sendfile",
    "test_server",
    "test_events",
    "test_sslproto",
    "test_ssl",
]


@pytest.mark.slow
@pytest.mark.seconds(120)
@pytest.mark.parametrize("module", MODULES)
def test_with_connections_of_ours(module: str) -> None:
    try:
        found = importlib.util.find_spec("test.test_asyncio")
    except ImportError:
        found = None
    if found is None:
        pytest.skip("this Python came without its tests")
    done = subprocess.run(
        [sys.executable, "-W", "default", str(HERE / "cpython.py"), module],
        capture_output=True,
        text=True,
        timeout=110,
        env={**os.environ, "PYTHONASYNCIODEBUG": ""},
    )
    assert done.returncode == 0, done.stderr[-5000:]
