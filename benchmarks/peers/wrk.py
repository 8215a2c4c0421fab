"""wrk, an HTTP load generator in C, as the limit of what one core can do.

It looks at nothing but the status: the lengths are checked by the sum of bytes
that it reports at the end. It does not verify certificates.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from scenarios import Scenario

from peers import Target, WrongAnswer

PACKAGE = "wrk"


def version() -> str:
    """wrk's first words about itself."""
    done = subprocess.run([_find(), "-v"], capture_output=True, text=True)
    return " ".join(done.stdout.split("[")[0].split()[:2])


def _find() -> str:
    """The wrk program; missing is told as for a Python client."""
    found = shutil.which("wrk")
    if found is None:
        raise ModuleNotFoundError("the wrk program is not installed", name="wrk")
    return found


def measure(scenario: Scenario, target: Target, seconds: float) -> dict[str, Any] | None:
    """One run of wrk on this process's core; None for what wrk cannot do."""
    if scenario.kind != "loop":
        return None
    argv = [
        _find(),
        "-t1",
        f"-c{target.in_flight}",
        f"-d{max(1, round(seconds))}s",
        "-s",
        str(Path(__file__).with_suffix(".lua")),
        target.url,
    ]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    with process.stdout:
        output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    marked = [line for line in output.splitlines() if line.startswith("FIGURES ")]
    if process.returncode or not marked:
        raise RuntimeError(f"wrk ended with {process.returncode}: {output.strip()[-300:]}")
    figures = json.loads(marked[-1].removeprefix("FIGURES "))
    if figures["failed"] or figures["bytes"] < figures["requests"] * target.length:
        raise WrongAnswer(f"wrk reports {figures}")
    return {
        "requests": figures["requests"],
        "seconds": figures["microseconds"] / 1e6,
        "cpu": usage.ru_utime + usage.ru_stime,
        "rss": figures["peak_kib"] * 1024,
    }
