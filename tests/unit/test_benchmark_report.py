"""The benchmark's report and charts: medians, ratios, tables, SVG; what h2load prints."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
MODULES = ("chart", "peers", "pictures", "report", "run", "scenarios")


class Bench:
    """The benchmark's modules, which import each other as its programs do."""

    chart: ModuleType
    peers: ModuleType
    pictures: ModuleType
    report: ModuleType
    run: ModuleType
    scenarios: ModuleType

    def series(self, client: str, name: str, *rounds: dict[str, Any]) -> Any:
        made = self.report.Series(client, self.scenarios.SCENARIOS[name])
        made.rounds.extend(rounds)
        return made


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    found = Bench()
    for name in MODULES:
        setattr(found, name, importlib.import_module(name))
    yield found
    for name in MODULES:
        sys.modules.pop(name, None)


def loop_round(requests: int, cpu: float, **more: Any) -> dict[str, Any]:
    return {"requests": requests, "seconds": 2.0, "cpu": cpu, "version": "x 1", **more}


def cells(table: str, client: str) -> dict[str, str]:
    """A client's row of a markdown table, by its heads."""
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("|")]
    found = next(row for row in rows if row[0].strip() == client)
    return {head.strip(): cell.strip() for head, cell in zip(rows[0], found, strict=True)}


def test_medians_and_ratios(bench: Bench) -> None:
    ours = bench.series(
        "aiofast.fetch",
        "small-64",
        loop_round(8000, 1.0, latency=[0.001, 0.004]),
        loop_round(4000, 1.0, latency=[0.002, 0.005]),
        loop_round(6000, 1.5, latency=[0.003, 0.009]),
    )
    theirs = bench.series("aiohttp", "small-64", *[loop_round(1000, 1.0)] * 3)
    limit = bench.series("wrk", "small-64", *[loop_round(12000, 1.2)] * 3)
    group = [ours, theirs, limit]
    row = cells(bench.report.table(group), "aiofast.fetch")
    assert row["requests/s"] == "**3,000**" and row["min to max"] == "2,000 to 4,000"
    assert row["CPU µs/request"] == "250"
    assert row["times aiohttp"] == "6.00" and row["times wrk"] == "0.50"
    assert row["CPU of aiohttp"] == "0.25"
    assert row["p50 ms"] == "2" and row["p99 ms"] == "5"
    assert bench.report.ratios(ours, group)["cpu_of_wrk"] == pytest.approx(2.5)


def test_bodies_have_their_time_for_a_gibibyte(bench: Bench) -> None:
    big = bench.series("aiofast.fetch", "large", loop_round(1024, 5.0))
    assert cells(bench.report.table([big]), "aiofast.fetch")["CPU s/GiB"] == "0.5"
    small = bench.series("aiofast.fetch", "small-1", loop_round(1024, 5.0))
    assert "CPU s/GiB" not in bench.report.table([small])


def test_who_took_no_part_is_named_with_the_reason(bench: Bench) -> None:
    ours = bench.series("aiofast.fetch", "small-1", loop_round(10, 1.0))
    absent = bench.series("pyreqwest", "small-1")
    absent.trouble = "missing: No module named 'pyreqwest'"
    table = bench.report.table([ours, absent])
    assert "- pyreqwest: missing: No module named 'pyreqwest'" in table.splitlines()
    alone = bench.report.table([absent])
    assert "|" not in alone and "pyreqwest" in alone


def test_a_remark_stands_beside_the_name(bench: Bench) -> None:
    ours = bench.series("aiofast.fetch", "small-1", loop_round(10, 1.0, remark="in a boat"))
    assert "| aiofast.fetch (in a boat) |" in bench.report.table([ours])


def test_bursts_tell_time_and_processor(bench: Bench) -> None:
    burst = {"requests": 1000, "seconds": 0.2, "cpu": 0.05, "process_cpu": 0.12, "version": "x"}
    limit = {"requests": 1000, "seconds": 0.1, "cpu": 0.025, "version": "x"}
    group = [
        bench.series("aiofast.fetch", "cold-1000", burst),
        bench.series("h2load", "cold-1000", limit),
    ]
    row = cells(bench.report.table(group), "aiofast.fetch")
    assert row["ms"] == "**200**" and row["CPU ms"] == "50"
    assert row["CPU of h2load"] == "2.00" and row["CPU ms with imports"] == "120"


def test_idle_connections_are_weighed(bench: Bench) -> None:
    def weighed(client: str, each: float) -> Any:
        one = {"requests": 1000, "seconds": 1, "cpu": 1, "each": each, "kept": 998, "version": "x"}
        return bench.series(client, "idle", one)

    group = [weighed("aiofast.fetch", 3072.0), weighed("aiohttp", 12288.0)]
    row = cells(bench.report.table(group), "aiofast.fetch")
    assert row["KiB for each"] == "**3**" and row["of aiohttp"] == "0.25" and row["kept"] == "998"


@pytest.mark.parametrize(
    ("line", "trouble"),
    [
        ({"missing": "no such package"}, "missing: no such package"),
        ({"cannot": "it has no legs"}, "not measured: it has no legs"),
        ({"error": "Boom: x"}, "failed: Boom: x"),
        (loop_round(10, 1.0), None),
    ],
)
def test_every_line_of_a_worker_has_a_place(bench: Bench, line: Any, trouble: str | None) -> None:
    series = bench.series("aiofast.fetch", "small-1")
    assert bench.run.note(series, line)
    assert series.trouble == trouble and bool(series.rounds) == (trouble is None)


def test_other_processes_are_a_disturbance(bench: Bench) -> None:
    calm = bench.series("aiohttp", "small-1", loop_round(10, 1.0, others=0.01))
    assert bench.report.disturbance([[calm]]) == []
    loud = bench.series("aiohttp", "small-1", loop_round(10, 1.0, others=0.31))
    assert "small-1 31%" in bench.report.disturbance([[loud]])[0]


def bars(drawn: str) -> list[tuple[str, float]]:
    """Labels and widths of a chart's bars, from the top."""
    root = ElementTree.fromstring(drawn)
    space = "{http://www.w3.org/2000/svg}"
    labels = [text.text for text in root.iter(f"{space}text") if text.get("text-anchor") == "end"]
    widths = [
        float(rect.get("width") or 0)
        for rect in root.iter(f"{space}rect")
        if rect.get("class") != "card"
    ]
    return [(label or "", width) for label, width in zip(labels, widths, strict=True)]


def test_the_chart_is_drawn_to_scale(bench: Bench) -> None:
    Bar = bench.chart.Bar
    some = [
        Bar("a <b>", 100, 90, 110, "n & m", "theirs"),
        Bar("ours", 400, 350, 440, "n", "ours"),
    ]
    drawn = bars(bench.chart.draw("t", "s", "f", some))
    assert [label for label, _ in drawn] == ["ours", "a <b>"]
    assert drawn[0][1] == pytest.approx(4 * drawn[1][1], rel=0.01)
    turned = bars(bench.chart.draw("t", "s", "f", some, ascending=True))
    assert [label for label, _ in turned] == ["a <b>", "ours"]


def test_figures_of_nothing_can_be_drawn(bench: Bench) -> None:
    drawn = bench.chart.draw("t", "s", "f", [bench.chart.Bar("a", 0, -1, 0, "n", "ours")])
    assert bars(drawn) == [("a", 0.0)]


@pytest.mark.parametrize("name", ["small-64", "cold-100", "idle"])
def test_each_kind_has_its_picture(bench: Bench, name: str) -> None:
    line = {"requests": 100, "seconds": 0.5, "cpu": 0.2, "each": 2048.0, "kept": 9, "version": "x"}
    result = {
        "machine": {"server_core": 0, "processor": "P", "python": "CPython 3"},
        "settings": {"rounds": 1},
    }
    drawn = bench.pictures.draw([bench.series("aiofast.fetch", name, line)], result)
    value = {"small-64": "200", "cold-100": "200", "idle": "2"}[name]
    assert f">{value}<" in drawn and bench.scenarios.SCENARIOS[name].title in drawn
    assert bench.pictures.draw([bench.series("aiofast.fetch", name)], result) is None


def test_h2load_is_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    h2load = importlib.import_module("peers.h2load")
    output = """\
finished in 182.47ms, 5480.36 req/s, 1.34MB/s
requests: 1000 total, 1000 started, 1000 done, 998 succeeded, 2 failed, 2 errored, 0 timeout
status codes: 998 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 250.00KB (256000) total, 136.72KB (140000) headers (space savings 0.00%), 103.31KB \
(105788) data
"""
    found = h2load.read(output)
    assert found == {"requests": 998, "failed": 2, "seconds": 0.18247, "bytes": 105788}
    with pytest.raises(RuntimeError, match="nothing to the point"):
        h2load.read("usage: h2load")


def test_every_client_has_its_module_and_every_scenario_its_place(bench: Bench) -> None:
    for module in (bench.peers.CLIENTS | bench.peers.EXTRA).values():
        assert (BENCHMARKS / "peers" / f"{module}.py").exists()
    readme = (BENCHMARKS / "README.md").read_text()
    for name in bench.scenarios.SCENARIOS:
        assert re.search(rf"`{re.escape(name)}`", readme), name
    body = bench.scenarios.medium()
    assert len(body) == bench.scenarios.MEDIUM and len(json.loads(body)) > 500
