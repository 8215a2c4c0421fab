"""The benchmark's curves and profiles: scales, verdicts, who a sample belongs to."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.mark.parametrize(
    ("value", "top"),
    [(0, 1), (1, 1), (1.1, 2), (2.2, 2.5), (48_000, 50_000), (51_000, 100_000), (0.03, 0.05)],
)
def test_an_axis_ends_on_a_round_number(
    load: Callable[[str], ModuleType], value: float, top: float
) -> None:
    assert load("curve").ceiling(value) == pytest.approx(top)


def test_lines_are_drawn_to_scale(load: Callable[[str], ModuleType]) -> None:
    curve = load("curve")
    flat = curve.Line("flat <1>", ((1, 100), (10, 100), (100, 100)))
    steep = curve.Line("steep", ((1, 0), (10, 50), (100, 100)))
    drawn = curve.draw("title", "sub", "across", "foot", [flat, steep])
    root = ElementTree.fromstring(drawn)
    one, two = (
        [tuple(map(float, pair.split(","))) for pair in (line.get("points") or "").split()]
        for line in root.iter(f"{SVG}polyline")
    )
    assert len({y for _, y in one}) == 1
    # Powers are evenly apart; half the value is half the height.
    assert one[1][0] - one[0][0] == pytest.approx(one[2][0] - one[1][0], abs=0.2)
    assert two[0][1] - two[1][1] == pytest.approx(two[1][1] - two[2][1], abs=0.2)
    assert two[2] == one[2]
    # Two lines that end at one place have labels that do not lie on each other.
    heights = [
        float(text.get("y") or 0)
        for text in root.iter(f"{SVG}text")
        if text.text in ("flat <1>", "steep")
    ]
    assert abs(heights[0] - heights[1]) >= 15


def test_a_single_point_can_be_drawn(load: Callable[[str], ModuleType]) -> None:
    curve = load("curve")
    assert "<circle" in curve.draw("t", "s", "a", "f", [curve.Line("x", ((1, 5),))])


def test_the_verdict_tells_flat_from_growing(load: Callable[[str], ModuleType]) -> None:
    growth = load("growth")

    def points(*costs: float) -> list[object]:
        every = zip((1, 10, 10_000), costs, strict=False)
        return [growth.Point(number, {"whole process": cost}) for number, cost in every]

    assert growth.verdict(points(100, 130, 110)) == "flat: 1.10 times at 10,000 times as many"
    assert growth.verdict(points(100, 1000, 20_098)) == (
        "200.98 times at 10,000 times as many, 2 for each more"
    )
    assert growth.verdict(points(100)) == "one point alone"


def test_every_axis_has_its_program_and_its_place(load: Callable[[str], ModuleType]) -> None:
    growth = load("growth")
    assert list(growth.AXES) and set(growth.AXES) == set(load("micro.grow").AXES)


def test_the_server_has_what_the_axes_ask_for(
    load: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    growth = load("growth")
    text = growth.locations(tmp_path, 4711)
    assert "allow 127.0.0.0/8; deny all;" in text  # it listens on every address
    for size in growth.AXES["body"].points:
        assert (tmp_path / f"body-{size}").stat().st_size == size
        assert f"location = /body-{size} " in text
    for count in growth.AXES["fields-answered"].points:
        assert f"location = /fields-{count} " in text


REPORT = """\
# To display the perf.data header info, please use --header/--header-only options.
    40.00%\t[kernel.kallsyms]\t[k] tcp_ack\t-\t-
    20.00%\t_core.cpython-311-x86_64-linux-gnu.so\t[.] llhttp__internal__run.lto_priv.0\t-\t-
    10.00%\t_core.cpython-311-x86_64-linux-gnu.so\t[.] on_read\t-\t-
     9.00%\tlibuv.so.1.0.0\t[.] uv__io_poll\t-\t-
     8.00%\tpython3.11\t[.] 0x00000000000feedb\t-\t-
     7.00%\tpython3.11\t[.] 0x000000000010ba84\t-\t-
     6.00%\tsomething.so\t[.] strange\t-\t-
"""


def test_a_profile_is_summed_by_part(load: Callable[[str], ModuleType]) -> None:
    profiling, scenarios = load("profiling"), load("scenarios")
    line = json.dumps({"requests": 1000, "seconds": 1, "cpu": 0.02})
    scenario = scenarios.SCENARIOS["small-64"]
    found = profiling.summed("aiofast.fetch", scenario, line, REPORT.splitlines())
    assert found.microseconds == pytest.approx(20)
    assert {part: round(share, 2) for part, share in found.shares.items()} == {
        "kernel": 0.4,
        "llhttp": 0.2,
        "aiofast": 0.1,
        "libuv": 0.09,
        "interpreter": 0.15,
        "others": 0.06,
    }
    assert ("interpreter", "in python3.11", pytest.approx(0.15)) in found.functions
    assert ("llhttp", "llhttp__internal__run", 0.2) in found.functions
    table = profiling.table([found, profiling.Profile("wrk", scenario, trouble="it is gone")])
    assert "| aiofast.fetch | 20 | 8 | 4 | 2 |" in table
    assert "- wrk: it is gone" in table


def test_what_could_not_be_measured_has_no_profile(load: Callable[[str], ModuleType]) -> None:
    profiling, scenarios = load("profiling"), load("scenarios")
    line = json.dumps({"cannot": "it follows no redirect"})
    found = profiling.summed("wrk", scenarios.SCENARIOS["redirect"], line, [])
    assert found.shares is None and found.trouble == "it follows no redirect"
