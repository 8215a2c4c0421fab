"""h2load of nghttp2, the second load generator in C, speaking HTTP/1.1.

Other than wrk it can make a number of requests once, each on a connection of
its own, which makes it the limit for what starts cold. It verifies nothing and
looks at statuses alone; lengths are checked by the sum of bytes.
"""

import re
import subprocess
import tempfile
from typing import Any

from scenarios import Scenario

from peers import Cannot, Target, WrongAnswer, programs

PACKAGE = "h2load"

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
_TOOK = re.compile(r"^finished in ([\d.]+)(us|ms|s|m),", re.MULTILINE)
_COUNTS = re.compile(
    r"^requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed", re.MULTILINE
)
_BYTES = re.compile(r"^traffic: .*\((\d+)\) data$", re.MULTILINE)


def version() -> str:
    """As it tells: "h2load nghttp2/1.52.0"."""
    done = subprocess.run([programs.find("h2load"), "--version"], capture_output=True, text=True)
    return done.stdout.strip()


def refused(scenario: Scenario) -> str | None:
    """Why h2load has no part in a scenario."""
    if scenario.kind not in ("loop", "burst"):
        return "it makes requests, nothing else"
    if scenario.server in ("tls-fresh", "tls-full"):
        return "it opens no connection again that the server closed"
    if scenario.name == "redirect":
        return "it follows no redirect"
    if scenario.name == "json-gzip":
        return "it decodes nothing"
    return "it streams no body" if scenario.streams else None


def read(output: str) -> dict[str, Any]:
    """Its figures, from what it prints for people."""
    took, counts, data = _TOOK.search(output), _COUNTS.search(output), _BYTES.search(output)
    if not took or not counts or not data:
        raise RuntimeError(f"h2load said nothing to the point: {output.strip()[-300:]}")
    return {
        "requests": int(counts[2]),
        "failed": int(counts[3]),
        "seconds": float(took[1]) * _UNITS[took[2]],
        "bytes": int(data[1]),
    }


def measure(scenario: Scenario, target: Target, seconds: float) -> dict[str, Any]:
    """One run of h2load on this process's core."""
    words = refused(scenario)
    if words:
        raise Cannot(words)
    argv = [programs.find("h2load"), "--h1", "-t1", f"-c{target.in_flight}"]
    if scenario.kind == "burst":
        argv += [f"-n{target.in_flight}"]
    else:
        argv += [f"-D{max(1, round(seconds))}"]
    with tempfile.NamedTemporaryFile() as body:
        if target.body:
            body.write(target.body)
            body.flush()
            argv += ["-d", body.name]
        output, cpu = programs.run([*argv, target.url])
    figures = read(output)
    if figures["failed"] or figures["bytes"] < figures["requests"] * target.length:
        raise WrongAnswer(f"h2load reports {figures}")
    if scenario.kind == "burst" and figures["requests"] != target.in_flight:
        raise WrongAnswer(f"h2load reports {figures}")
    return {"requests": figures["requests"], "seconds": figures["seconds"], "cpu": cpu}
