"""wrk, an HTTP load generator in C, as the limit of what one core can do.

It looks at nothing but the status: the lengths are checked by the sum of bytes
that it reports at the end. It does not verify certificates, but resumes TLS
sessions.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

from scenarios import Scenario

from peers import Cannot, Target, WrongAnswer, programs

PACKAGE = "wrk"


def version() -> str:
    """wrk's first words about itself."""
    done = subprocess.run([programs.find("wrk"), "-v"], capture_output=True, text=True)
    return " ".join(done.stdout.split("[")[0].split()[:2])


def refused(scenario: Scenario) -> str | None:
    """Why wrk has no part in a scenario."""
    if scenario.kind != "loop":
        return "it keeps requests going, nothing else"
    if scenario.name == "redirect":
        return "it follows no redirect"
    if scenario.name == "json-gzip":
        return "it decodes nothing"
    return "it streams no body" if scenario.streams else None


def measure(scenario: Scenario, target: Target, seconds: float) -> dict[str, Any]:
    """One run of wrk on this process's core."""
    words = refused(scenario)
    if words:
        raise Cannot(words)
    script = str(Path(__file__).with_suffix(".lua"))
    argv = [programs.find("wrk"), "-t1", f"-c{target.in_flight}", f"-d{max(1, round(seconds))}s"]
    output, cpu = programs.run(
        [*argv, "-s", script, target.url], {"BENCHMARK_SENT": str(target.sent)}
    )
    marked = [line for line in output.splitlines() if line.startswith("FIGURES ")]
    if not marked:
        raise RuntimeError(f"wrk said nothing to the point: {output.strip()[-300:]}")
    figures = json.loads(marked[-1].removeprefix("FIGURES "))
    if figures["failed"] or figures["bytes"] < figures["requests"] * target.length:
        raise WrongAnswer(f"wrk reports {figures}")
    return {
        "requests": figures["requests"],
        "seconds": figures["microseconds"] / 1e6,
        "cpu": cpu,
        "rss": figures["peak_kib"] * 1024,
        "latency": [figures["p50"] / 1e6, figures["p99"] / 1e6],
    }
