"""Measures HTTP clients beside each other: see README.md here.

python benchmarks/run.py [--seconds N] [--rounds N] [--only CLIENT ...]
                         [--scenario NAME ...] [--out DIRECTORY] [--profile]
"""

import argparse
import contextlib
import datetime
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import chart
import machine
import profiling
import report
from peers import CLIENTS, EXTRA, LIMIT
from processes import captured, cores, pinned
from report import Series
from scenarios import SCENARIOS, Scenario
from server import certificate, nginx, slow

_HERE = Path(__file__).resolve().parent


class Bench:
    """The servers of a run, and how a round is measured against them."""

    def __init__(self, seconds: float, directory: Path, stack: contextlib.ExitStack) -> None:
        self.seconds = seconds
        self.server_core, self.client_core = cores()
        self.directory = directory
        with pinned(self.client_core):
            self.machine = machine.describe(self.server_core, self.client_core)
        self.ca = certificate.make(directory)
        self.nginx = stack.enter_context(nginx.serving(directory, self.server_core))
        self.slow = stack.enter_context(slow.serving(self.server_core))

    def command(self, client: str, scenario: Scenario) -> list[str]:
        """The worker's command line."""
        argv = [
            sys.executable,
            str(_HERE / "worker.py"),
            client,
            scenario.name,
            "--seconds",
            str(self.seconds),
        ]
        if scenario.server:
            url = {"plain": self.nginx.plain, "tls": self.nginx.tls, "slow": self.slow.url}
            pid = self.slow.pid if scenario.server == "slow" else self.nginx.pid
            argv += ["--url", url[scenario.server]]
            argv += ["--server-pid", str(pid)] if pid else []
        if scenario.server == "tls":
            argv += ["--ca", str(self.ca)]
        return argv

    def round(self, client: str, scenario: Scenario) -> dict[str, Any]:
        """One worker's line; whatever goes wrong is a line as well."""
        limit = 60 + 4 * self.seconds
        try:
            status, output, errors = captured(
                self.command(client, scenario), self.client_core, limit
            )
        except subprocess.TimeoutExpired:
            return {"error": f"no result after {limit:g} s"}
        try:
            line: dict[str, Any] = json.loads(output.splitlines()[-1])
        except (IndexError, ValueError):
            words = errors.strip().splitlines()[-1:] or ["no word why"]
            return {"error": f"the worker ended with {status}: {words[0]}"}
        return line


def note(series: Series, line: dict[str, Any]) -> str:
    """Puts a round's line where it belongs; gives what to show of it."""
    if "error" in line:
        series.trouble = f"failed: {line['error']}"
        series.rounds.clear()
    elif "missing" in line:
        series.trouble = f"missing: {line['missing']}"
    elif "inapplicable" in line:
        series.trouble = "not applicable"
    else:
        series.rounds.append(line)
        rate, used = line["requests"] / line["seconds"], line["cpu"] / line["requests"]
        if series.scenario.kind == "loop":
            return f"{rate:>10,.0f} requests/s {used * 1e6:>9,.1f} µs CPU/request"
        return f"{line['seconds'] * 1e3:>10,.1f} ms {line['cpu'] * 1e3:>9,.1f} ms CPU"
    return series.trouble


def measure(bench: Bench, scenario: Scenario, clients: Sequence[str], rounds: int) -> list[Series]:
    """All rounds of a scenario, the clients taking turns."""
    every = [Series(client, scenario) for client in clients]
    for number in range(1, rounds + 1):
        for series in every:
            if series.trouble is None:
                shown = note(series, bench.round(series.client, scenario))
                print(
                    f"{scenario.name:<10} {number}/{rounds} {series.client:<22} {shown}",
                    file=sys.stderr,
                    flush=True,
                )
    return every


def picture(group: Sequence[Series], result: dict[str, Any]) -> str | None:
    """The chart of a loop scenario; None where there is nothing to draw."""
    bars = []
    for series in group:
        if series.rounds and series.scenario.kind == "loop":
            figures = series.summary()
            rate, used = figures["requests_per_second"], figures["cpu_us_per_request"]["median"]
            kind = "ours" if series.client.startswith("aiofast") else "theirs"
            bars.append(
                chart.Bar(
                    series.client,
                    rate["median"],
                    rate["min"],
                    rate["max"],
                    f"{used:,.1f} µs CPU each"
                    if used < 1000
                    else f"{used / 1000:,.2f} ms CPU each",
                    "limit" if series.client == LIMIT else kind,
                )
            )
    if not bars:
        return None
    what = result["machine"]
    pinned_to = "one core for the client, nginx on another; longer is better"
    if what["server_core"] is None:
        pinned_to = "client and nginx on one machine; longer is better"
    return chart.draw(
        f"Requests per second: {group[0].scenario.title}",
        pinned_to + (" (DISTURBED by other processes)" if report.disturbed(group) else ""),
        f"{what['processor']}, {what['python']}; median of interleaved rounds "
        f"({result['settings']['rounds']}), the line spans them; {LIMIT} is the limit, in C",
        bars,
    )


def write(
    directory: Path, result: dict[str, Any], groups: Sequence[Sequence[Series]], text: str
) -> None:
    """JSON, table and charts of a run."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "results.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    (directory / "results.md").write_text(text)
    for group in groups:
        drawn = picture(group, result)
        if drawn is not None:
            (directory / f"{group[0].scenario.name}.svg").write_text(drawn)


def collect(
    bench: Bench, options: argparse.Namespace, groups: Sequence[Sequence[Series]]
) -> dict[str, Any]:
    """Everything that is known about a run, as it goes into the JSON file."""
    versions = {"nginx": nginx.version()}
    entries = []
    for group in groups:
        for series in group:
            if series.rounds:
                versions[series.client] = series.rounds[0]["version"]
            entry = {"scenario": series.scenario.name, "client": series.client}
            figures = {**series.summary(), "ratios": report.ratios(series, group)}
            entries.append({**entry, "trouble": series.trouble, **figures, "rounds": series.rounds})
    return {
        "when": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": bench.machine,
        "versions": versions,
        "settings": {"seconds": options.seconds, "rounds": options.rounds},
        "results": entries,
    }


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measures HTTP clients beside each other.")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a round (2)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each client (5)")
    parser.add_argument(
        "--only",
        action="append",
        choices=[*CLIENTS, *EXTRA],
        metavar="CLIENT",
        help=f"may be repeated: {', '.join([*CLIENTS, *EXTRA])}",
    )
    parser.add_argument(
        "--scenario",
        action="append",
        choices=list(SCENARIOS),
        metavar="NAME",
        help=f"may be repeated: {', '.join(SCENARIOS)}",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="where to write the results (a whole run: "
        "benchmarks/results; a partial one is only printed)",
    )
    parser.add_argument(
        "--profile",
        action="store_true",
        help="one round of each under perf, and what it saw, instead of measuring",
    )
    options = parser.parse_args()
    if not 0.1 <= options.seconds <= 600 or not 1 <= options.rounds <= 1000:
        parser.error("--seconds is 0.1 to 600, --rounds 1 to 1000")
    if options.out is None and not options.only and not options.scenario:
        options.out = _HERE / "results"
    return options


@contextlib.contextmanager
def benched(seconds: float) -> Iterator[Bench]:
    """Servers up, in a directory that goes with them."""
    with (
        tempfile.TemporaryDirectory(prefix="aiofast-bench-") as name,
        contextlib.ExitStack() as stack,
    ):
        yield Bench(seconds, Path(name), stack)


def main() -> int:
    """Status 1 if a client failed or nothing could be measured."""
    # A termination must end the servers too, so it becomes an exception.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = arguments()
    clients = options.only or list(CLIENTS)
    chosen = [SCENARIOS[name] for name in options.scenario or SCENARIOS]
    with benched(options.seconds) as bench:
        if options.profile:
            for scenario in chosen:
                for client in clients:
                    print(f"== {client}, {scenario.name}")
                    argv = bench.command(client, scenario)
                    print(profiling.profile(argv, bench.client_core, bench.directory))
            return 0
        if bench.server_core == bench.client_core:
            print("benchmark: server and client share what cores there are", file=sys.stderr)
        groups = [measure(bench, scenario, clients, options.rounds) for scenario in chosen]
        result = collect(bench, options, groups)
    text = report.document(result, groups)
    print(text)
    if options.out is not None:
        write(options.out, result, groups, text)
    every = [series for group in groups for series in group]
    failed = any((series.trouble or "").startswith("failed") for series in every)
    return 1 if failed or not any(series.rounds for series in every) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
