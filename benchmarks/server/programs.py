"""Servers that are Python programs of their own: they print their port and serve."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from processes import running


@dataclass(frozen=True)
class Program:
    """A running server."""

    url: str
    pid: int


@contextlib.contextmanager
def serving(module: str, core: int | None) -> Iterator[Program]:
    """`server.<module>` as a child process on |core| while the block lasts."""
    command = [sys.executable, "-m", f"server.{module}"]
    home = Path(__file__).resolve().parent.parent
    with running(command, core, cwd=home, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        if not port:
            raise SystemExit(f"benchmark: server/{module}.py did not start")
        yield Program(f"http://127.0.0.1:{port}", process.pid)
