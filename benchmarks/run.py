"""Measures HTTP clients beside each other: see README.md here.

python benchmarks/run.py [--seconds N] [--rounds N] [--only CLIENT ...]
                         [--scenario NAME ...] [--out DIRECTORY] [--full] [--profile]
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

import machine
import pictures
import profiling
import report
from peers import CLIENTS, EXTRA
from processes import captured, cores, pinned
from report import Series
from scenarios import SCENARIOS, Scenario
from server import certificate, nginx, programs

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
        self.urls, self.pids = dict(self.nginx.urls), dict.fromkeys(self.nginx.urls, self.nginx.pid)
        for name in ("sink",) if self.nginx.waits else ("sink", "slow"):
            program = stack.enter_context(programs.serving(name, self.server_core))
            self.urls[name], self.pids[name] = program.url, program.pid

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
            url, pid = self.urls[scenario.server], self.pids[scenario.server]
            argv += ["--url", url]
            argv += ["--server-pid", str(pid)] if pid else []
            if url.startswith("https:"):
                argv += ["--ca", str(self.ca)]
        return argv

    def round(self, client: str, scenario: Scenario) -> dict[str, Any]:
        """One worker's line; whatever goes wrong is a line as well."""
        if scenario.server and scenario.server not in self.urls:
            return {"cannot": "there is no such server here (it needs nginx's echo module)"}
        limit = 60 + 4 * self.seconds
        try:
            status, output, errors = captured(
                self.command(client, scenario), self.client_core, limit
            )
        except subprocess.TimeoutExpired:
            return {"cannot": f"no result after {limit:g} s"}
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
    elif "cannot" in line:
        series.trouble = f"not measured: {line['cannot']}"
    else:
        series.rounds.append(line)
        rate, used = line["requests"] / line["seconds"], line["cpu"] / line["requests"]
        if series.scenario.kind == "loop":
            return f"{rate:>10,.0f} requests/s {used * 1e6:>9,.1f} µs CPU/request"
        if series.scenario.kind == "idle":
            return f"{line['each'] / 1024:>10,.1f} KiB each of {line['kept']:,}"
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
                    f"{scenario.name:<12} {number}/{rounds} {series.client:<28} {shown}",
                    file=sys.stderr,
                    flush=True,
                )
    return every


def write(
    directory: Path, result: dict[str, Any], groups: Sequence[Sequence[Series]], text: str
) -> None:
    """JSON, table and charts of a run."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "results.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    (directory / "results.md").write_text(text)
    for group in groups:
        drawn = pictures.draw(group, result)
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


def profiles(bench: Bench, chosen: Sequence[Scenario], clients: Sequence[str]) -> str:
    """A table for each scenario of where the time goes, printed as they come."""
    text = f"# Profiles\n\n{report.where(bench.machine)}\n\n"
    for scenario in chosen:
        if scenario.kind != "loop":
            continue
        every = [
            profiling.profile(
                client,
                scenario,
                bench.command(client, scenario),
                bench.client_core,
                bench.directory,
            )
            for client in clients
        ]
        print(profiling.table(every), flush=True)
        text += profiling.table(every) + "\n"
    return text


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measures HTTP clients beside each other.")
    parser.add_argument("--seconds", type=float, help="length of a round (1; with --full 2)")
    parser.add_argument("--rounds", type=int, help="rounds of each client (3; with --full 5)")
    parser.add_argument(
        "--full", action="store_true", help="every client and scenario: an hour and a half"
    )
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
        help="one round of each under perf, and where the time went, instead of measuring",
    )
    options = parser.parse_args()
    options.seconds = options.seconds or (2.0 if options.full or options.profile else 1.0)
    options.rounds = options.rounds or (5 if options.full else 3)
    if not 0.1 <= options.seconds <= 600 or not 1 <= options.rounds <= 1000:
        parser.error("--seconds is 0.1 to 600, --rounds 1 to 1000")
    if options.out is None and not (options.only or options.scenario or options.profile):
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
    clients = options.only or [*CLIENTS, *(EXTRA if options.full else ())]
    chosen = [
        scenario
        for name, scenario in SCENARIOS.items()
        if (name in options.scenario if options.scenario else options.full or not scenario.rare)
    ]
    with benched(options.seconds) as bench:
        if options.profile:
            text = profiles(bench, chosen, clients)
            if options.out is not None:
                options.out.mkdir(parents=True, exist_ok=True)
                (options.out / "profile.md").write_text(text)
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
