"""Which charts a run gives: the right figure of each scenario, and who is who in it."""

from collections.abc import Sequence
from typing import Any

import chart
import report
from peers import LIMITS
from report import Series


def _kind(client: str) -> str:
    """Ours, theirs, or the limit."""
    if client in LIMITS:
        return "limit"
    return "ours" if client.startswith("aiofast") else "theirs"


def _bar(series: Series) -> chart.Bar:
    """What is compared in a scenario of this kind, with its spread and a second figure."""
    figures, name, kind = series.summary(), series.label, _kind(series.client)
    if series.scenario.kind == "idle":
        each, scale = figures["bytes_per_connection"], 1 / 1024
        note = "KiB each"
    elif series.scenario.kind == "burst":
        each, scale = figures["cpu_us_per_request"], series.rounds[0]["requests"] / 1e3
        note = f"ms CPU, {figures['seconds']['median'] * 1e3:,.0f} ms in all"
    else:
        each, scale = figures["requests_per_second"], 1.0
        used = figures["cpu_us_per_request"]["median"]
        note = f"{used:,.1f} µs CPU each" if used < 1000 else f"{used / 1000:,.2f} ms CPU each"
    middle, least, most = (each[part] * scale for part in ("median", "min", "max"))
    return chart.Bar(name, middle, least, most, note, kind)


_TITLES = {
    "loop": ("Requests per second", "longer is better"),
    "burst": ("CPU of the whole job", "shorter is better"),
    "idle": ("Memory for each idle connection", "shorter is better"),
}


def draw(group: Sequence[Series], result: dict[str, Any]) -> str | None:
    """A scenario's chart; None where there is nothing to draw."""
    kind = group[0].scenario.kind
    bars = [_bar(series) for series in group if series.rounds] if kind in _TITLES else []
    if not bars:
        return None
    what, (title, better) = result["machine"], _TITLES[kind]
    where = "one core for the client, nginx on another"
    if what["server_core"] is None:
        where = "client and nginx on one machine"
    warning = " (DISTURBED by other processes)" if report.disturbed(group) else ""
    return chart.draw(
        f"{title}: {group[0].scenario.title}",
        f"{where}; {better}{warning}",
        f"{what['processor']}, {what['python']}; median of interleaved rounds "
        f"({result['settings']['rounds']}), the line spans them; wrk and h2load are in C",
        bars,
        ascending=kind != "loop",
    )
