"""What the figures were taken on: hardware, system and versions."""

import os
import platform
import ssl
import sys
import time
from pathlib import Path


def _processor() -> str:
    """The processor's name as the kernel gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _turn() -> float:
    """Nanoseconds for a turn of a simple loop: how fast this interpreter is.

    Builds of one version differ by a third and more, and a slow one holds back
    a client written in Python more than one written in C: ratios depend on it.
    """
    turns, best = 300_000, float("inf")
    for _ in range(5):
        total, start = 0, time.perf_counter()
        for number in range(turns):
            total += number & 3
        best = min(best, time.perf_counter() - start)
    return round(best / turns * 1e9, 1)


def describe(server_core: int | None, client_core: int | None) -> dict[str, object]:
    """Facts that a figure means little without; nothing that names the machine."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "python_loop_turn_ns": _turn(),
        "compiler": platform.python_compiler(),
        "openssl": ssl.OPENSSL_VERSION,
        "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
        "server_core": server_core,
        "client_core": client_core,
        "load_before": [round(load, 2) for load in os.getloadavg()],
    }
