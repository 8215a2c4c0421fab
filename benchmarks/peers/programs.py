"""Load generators in C: how they are found and run."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence


def find(name: str) -> str:
    """The program; a missing one is told as for a Python client."""
    found = shutil.which(name)
    if found is None:
        raise ModuleNotFoundError(f"the {name} program is not installed", name=name)
    return found


def run(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> tuple[str, float]:
    """What it printed, and the seconds of processor time it used."""
    variables = {**os.environ, **(environment or {})}
    process = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=variables
    )
    assert process.stdout is not None
    with process.stdout:
        output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        words = output.strip()[-300:]
        raise RuntimeError(f"{argv[0]} ended with {process.returncode}: {words}")
    return output, usage.ru_utime + usage.ru_stime
