"""A client's scenario under perf, where perf is there."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from processes import captured

_PATIENCE = 900  # seconds, for each of the two commands
_RECORD = ("record", "-F", "997", "-g", "-o")
_REPORT = ("report", "--stdio", "--no-children", "-g", "none", "--percent-limit", "0.5")


def profile(argv: Sequence[str], core: int | None, directory: Path) -> str:
    """Runs one round under `perf record`; gives the worker's line and perf's
    report, or why there is none."""
    perf = shutil.which("perf")
    if perf is None:
        return "perf is not installed (Debian: apt-get install linux-perf)\n"
    data = str(directory / "perf.data")
    record = [perf, *_RECORD, data, "--", *argv]
    report = [perf, *_REPORT, "--sort", "dso,symbol", "-i", data]
    try:
        status, line, errors = captured(record, core, _PATIENCE)
        if status:
            return f"perf record failed: {line.strip()} {errors.strip()[-500:]}\n"
        _, shown, _ = captured(report, core, _PATIENCE)
    except subprocess.TimeoutExpired as late:
        return f"perf took longer than {late.timeout:g} s\n"
    wanted = [row for row in shown.splitlines() if row and not row.startswith("#")]
    return line + "\n".join(wanted) + "\n"
