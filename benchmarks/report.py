"""From the rounds to figures, and from figures to a table."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from peers import LIMIT, REFERENCE, UNOPTIMIZED
from scenarios import Scenario

_DISTURBED = 0.05  # of the two cores, by others, in any one round


@dataclass
class Series:
    """All rounds of one client in one scenario, or why there are none."""

    client: str
    scenario: Scenario
    rounds: list[dict[str, Any]] = field(default_factory=list)
    trouble: str | None = None  # "missing: ...", "failed: ...", "not applicable"

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
        if not mine or not theirs or other.client not in (REFERENCE, LIMIT):
            continue
        rates = [figures["requests_per_second"]["median"] for figures in (mine, theirs)]
        found[f"rate_of_{other.client}"] = rates[0] / rates[1]
        used = [figures["cpu_us_per_request"]["median"] for figures in (mine, theirs)]
        if used[1]:
            found[f"cpu_of_{other.client}"] = used[0] / used[1]
    return found


def _number(value: float) -> str:
    """Three digits or the whole number, with thousands set apart."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _range(spread: dict[str, float], scale: float = 1.0) -> str:
    return f"{_number(spread['min'] * scale)} to {_number(spread['max'] * scale)}"


def _times(found: dict[str, float], key: str) -> str:
    return f"{found[key]:.2f}" if key in found else ""


_LOOP = (
    "requests/s",
    "min to max",
    "CPU µs/request",
    "min to max",
    f"times {REFERENCE}",
    f"times {LIMIT}",
    f"CPU of {REFERENCE}",
    "peak RSS MiB",
    "server busy",
)
_JOB = ("ms", "min to max", "CPU ms", "min to max", f"times {REFERENCE}", "peak RSS MiB")


def _cells(series: Series, others: Sequence[Series]) -> list[str]:
    """One row's figures."""
    figures, found = series.summary(), ratios(series, others)
    used, memory = figures["cpu_us_per_request"], figures.get("peak_rss_bytes")
    rss = f"{memory / 2**20:.0f}" if memory else ""
    if series.scenario.kind == "loop":
        rate, busy = figures["requests_per_second"], figures.get("server_busy")
        return [
            f"**{_number(rate['median'])}**",
            _range(rate),
            _number(used["median"]),
            _range(used),
            _times(found, f"rate_of_{REFERENCE}"),
            _times(found, f"rate_of_{LIMIT}"),
            _times(found, f"cpu_of_{REFERENCE}"),
            rss,
            f"{busy['median']:.0%}" if busy else "",
        ]
    took, scale = figures["seconds"], series.rounds[0]["requests"] / 1e3
    return [
        f"**{_number(took['median'] * 1e3)}**",
        _range(took, 1e3),
        _number(used["median"] * scale),
        _range(used, scale),
        _times(found, f"rate_of_{REFERENCE}"),
        rss,
    ]


def table(rows: Sequence[Series]) -> str:
    """One scenario's clients as a markdown table."""
    scenario = rows[0].scenario
    heads = ("client", *(_LOOP if scenario.kind == "loop" else _JOB))
    lines = [
        f"### {scenario.name}: {scenario.title}",
        "",
        "| " + " | ".join(heads) + " |",
        "|---" + "|--:" * (len(heads) - 1) + "|",
    ]
    for row in rows:
        if row.rounds:
            cells = _cells(row, rows)
        else:
            trouble = (row.trouble or "not measured").replace("|", "/").replace("\n", " ")
            cells = [trouble, *[""] * (len(heads) - 2)]
        lines.append("| " + " | ".join((row.client, *cells)) + " |")
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


def document(result: dict[str, Any], groups: Sequence[Sequence[Series]]) -> str:
    """The markdown file of a run: on what, with what, and a table for each scenario."""
    machine, settings = result["machine"], result["settings"]
    pinned = machine["server_core"] is not None
    where = f"server on core {machine['server_core']}, client on core {machine['client_core']}"
    named = ", ".join(result["versions"].values()).split(", ")
    versions = ", ".join(dict.fromkeys(named))  # each once
    lines = [
        "# Results",
        "",
        f"{result['when']} · {machine['processor']}, {machine['cores']} cores · "
        f"{machine['system']} · {machine['python']} ({machine['python_loop_turn_ns']} ns for a "
        f"turn of a loop) · {machine['openssl']} · {where if pinned else 'nothing pinned'}",
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
