"""From the rounds to figures, and from figures to a table."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from chart import number
from peers import LIMITS, REFERENCE, UNOPTIMIZED
from scenarios import Scenario

_BULK = 65536  # bytes of body from which the time for a GiB is of interest
_DISTURBED = 0.05  # of the two cores, by others, in any one round


@dataclass
class Series:
    """All rounds of one client in one scenario, or why there are none."""

    client: str
    scenario: Scenario
    rounds: list[dict[str, Any]] = field(default_factory=list)
    trouble: str | None = None  # "missing: ...", "failed: ...", "not measured: ..."

    @property
    def label(self) -> str:
        """The client's name, with what a reader of its figures must know."""
        remark = self.rounds[0].get("remark") if self.rounds else None
        return f"{self.client} ({remark})" if remark else self.client

    def spread(self, of: Callable[[dict[str, Any]], float]) -> dict[str, float]:
        """Median, least and most of a figure over the rounds."""
        values = [of(one) for one in self.rounds]
        return {"median": statistics.median(values), "min": min(values), "max": max(values)}

    def summary(self) -> dict[str, Any]:
        """The figures as they go into the JSON file."""
        if not self.rounds:
            return {}
        figures: dict[str, Any] = {
            "requests_per_second": self.spread(lambda one: one["requests"] / one["seconds"]),
            "cpu_us_per_request": self.spread(lambda one: one["cpu"] / one["requests"] * 1e6),
            "seconds": self.spread(lambda one: one["seconds"]),
        }
        if all("latency" in one for one in self.rounds):
            figures["p50_ms"] = self.spread(lambda one: one["latency"][0] * 1e3)
            figures["p99_ms"] = self.spread(lambda one: one["latency"][1] * 1e3)
        if self.scenario.moves >= _BULK:
            gib = self.scenario.moves / 2**30
            figures["cpu_s_per_gib"] = self.spread(lambda one: one["cpu"] / one["requests"] / gib)
        if all("process_cpu" in one for one in self.rounds):
            figures["process_cpu_s"] = self.spread(lambda one: one["process_cpu"])
        if all("each" in one for one in self.rounds):
            figures["bytes_per_connection"] = self.spread(lambda one: one["each"])
        if all("rss" in one for one in self.rounds):
            figures["peak_rss_bytes"] = max(one["rss"] for one in self.rounds)
        if all("server_cpu" in one for one in self.rounds):
            figures["server_busy"] = self.spread(lambda one: one["server_cpu"] / one["seconds"])
        if all("others" in one for one in self.rounds):
            figures["others"] = self.spread(lambda one: one["others"])
        return figures


def ratios(series: Series, others: Iterable[Series]) -> dict[str, float]:
    """How many times as fast as the reference and the limit, and the CPU against them.

    Medians of interleaved rounds are compared: what slowed the machine for a
    while slowed all of them.
    """
    mine = series.summary()
    found: dict[str, float] = {}
    for other in others:
        theirs = other.summary()
        if not mine or not theirs or other.client not in (REFERENCE, *LIMITS):
            continue
        if "bytes_per_connection" in mine:
            weights = [one["bytes_per_connection"]["median"] for one in (mine, theirs)]
            if weights[1] > 0:
                found[f"memory_of_{other.client}"] = weights[0] / weights[1]
        rates = [figures["requests_per_second"]["median"] for figures in (mine, theirs)]
        found[f"rate_of_{other.client}"] = rates[0] / rates[1]
        used = [figures["cpu_us_per_request"]["median"] for figures in (mine, theirs)]
        if used[1]:
            found[f"cpu_of_{other.client}"] = used[0] / used[1]
    return found


def _range(spread: dict[str, float], scale: float = 1.0) -> str:
    return f"{number(spread['min'] * scale)} to {number(spread['max'] * scale)}"


def _times(found: dict[str, float], key: str) -> str:
    return f"{found[key]:.2f}" if key in found else ""


def _loop_cells(series: Series, found: dict[str, float]) -> dict[str, str]:
    """Columns of a scenario that runs for a time."""
    figures, limit = series.summary(), series.scenario.limit
    rate, used = figures["requests_per_second"], figures["cpu_us_per_request"]
    cells = {
        "requests/s": f"**{number(rate['median'])}**",
        "min to max": _range(rate),
        "CPU µs/request": number(used["median"]),
        "CPU min to max": _range(used),
        f"times {REFERENCE}": _times(found, f"rate_of_{REFERENCE}"),
        f"times {limit}": _times(found, f"rate_of_{limit}"),
        f"CPU of {REFERENCE}": _times(found, f"cpu_of_{REFERENCE}"),
    }
    for name in ("p50", "p99"):
        spread = figures.get(f"{name}_ms")
        cells[f"{name} ms"] = number(spread["median"]) if spread else ""
    if series.scenario.moves >= _BULK:
        cells["CPU s/GiB"] = number(figures["cpu_s_per_gib"]["median"])
    busy = figures.get("server_busy")
    cells["server busy"] = f"{busy['median']:.0%}" if busy else ""
    return cells


def _job_cells(series: Series, found: dict[str, float]) -> dict[str, str]:
    """Columns of a scenario that is done once in each round."""
    figures, limit = series.summary(), series.scenario.limit
    took, used = figures["seconds"], figures["cpu_us_per_request"]
    scale = series.rounds[0]["requests"] / 1e3
    cells = {
        "ms": f"**{number(took['median'] * 1e3)}**",
        "min to max": _range(took, 1e3),
        "CPU ms": number(used["median"] * scale),
        "CPU min to max": _range(used, scale),
        f"times {REFERENCE}": _times(found, f"rate_of_{REFERENCE}"),
        f"CPU of {REFERENCE}": _times(found, f"cpu_of_{REFERENCE}"),
    }
    if limit:
        cells[f"CPU of {limit}"] = _times(found, f"cpu_of_{limit}")
        whole = figures.get("process_cpu_s")
        cells["CPU ms with imports"] = number(whole["median"] * 1e3) if whole else ""
    return cells


def _idle_cells(series: Series, found: dict[str, float]) -> dict[str, str]:
    """Columns of the weighing."""
    each = series.summary()["bytes_per_connection"]
    return {
        "KiB for each": f"**{number(each['median'] / 1024)}**",
        "min to max": _range(each, 1 / 1024),
        f"of {REFERENCE}": _times(found, f"memory_of_{REFERENCE}"),
        "kept": f"{series.rounds[0]['kept']:,}",
    }


_COLUMNS = {"loop": _loop_cells, "burst": _job_cells, "import": _job_cells, "idle": _idle_cells}


def table(rows: Sequence[Series]) -> str:
    """One scenario's clients as a markdown table; who could not take part is named below."""
    scenario = rows[0].scenario
    lines = [f"### {scenario.name}: {scenario.title}", ""]
    filled = []
    for row in rows:
        if row.rounds:
            cells = _COLUMNS[scenario.kind](row, ratios(row, rows))
            memory = row.summary().get("peak_rss_bytes")
            cells["peak RSS MiB"] = f"{memory / 2**20:.0f}" if memory else ""
            filled.append((row.label, cells))
    if filled:
        heads = ("client", *filled[0][1])
        lines.append("| " + " | ".join(heads) + " |")
        lines.append("|---" + "|--:" * (len(heads) - 1) + "|")
        lines += ["| " + " | ".join((label, *cells.values())) + " |" for label, cells in filled]
    absent = [row for row in rows if not row.rounds]
    if filled and absent:
        lines.append("")
    for row in absent:
        trouble = (row.trouble or "not measured").replace("\n", " ")
        lines.append(f"- {row.client}: {trouble}")
    return "\n".join(lines) + "\n"


def disturbed(group: Iterable[Series]) -> float:
    """The largest share that others took in a scenario's rounds; 0 if it is small."""
    shares = (series.summary().get("others", {}).get("max", 0.0) for series in group)
    worst = max(shares, default=0.0)
    return worst if worst > _DISTURBED else 0.0


def disturbance(groups: Iterable[Sequence[Series]]) -> list[str]:
    """A warning where other processes took a share of the two cores."""
    shares = {group[0].scenario.name: disturbed(group) for group in groups}
    told = ", ".join(f"{name} {share:.0%}" for name, share in shares.items() if share)
    if not told:
        return []
    return [
        "**Disturbed.** Other processes used up to this share of the two cores during a round: "
        f"{told}. Requests per second and their ratios are not to be trusted there; CPU per "
        "request suffers less.",
        "",
    ]


def where(machine: dict[str, Any]) -> str:
    """The machine in a line."""
    pinned = f"server on core {machine['server_core']}, client on core {machine['client_core']}"
    if machine["server_core"] is None:
        pinned = "nothing pinned"
    return (
        f"{machine['processor']}, {machine['cores']} cores · {machine['system']} · "
        f"{machine['python']} ({machine['python_loop_turn_ns']} ns for a turn of a loop) · "
        f"{machine['openssl']} · {pinned}"
    )


def document(result: dict[str, Any], groups: Sequence[Sequence[Series]]) -> str:
    """The markdown file of a run: on what, with what, and a table for each scenario."""
    settings = result["settings"]
    named = ", ".join(result["versions"].values()).split(", ")
    versions = ", ".join(dict.fromkeys(named))  # each once
    lines = [
        "# Results",
        "",
        f"{result['when']} · {where(result['machine'])}",
        "",
        f"{versions}.",
        "",
        f"Interleaved rounds: {settings['rounds']} of {settings['seconds']:g} s each; medians, "
        f"with the least and the most. “times {REFERENCE}” is how many times as fast, from the "
        "same run; "
        "“server busy” is the share of its core that the server used: near 100 % it was the "
        "server that set the pace.",
        "",
        *disturbance(groups),
    ]
    if UNOPTIMIZED in versions:
        lines += ["**A debug build was measured.** Its figures say nothing about aiofast.", ""]
    return "\n".join(lines) + "\n" + "\n".join(table(group) for group in groups)
