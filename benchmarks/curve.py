"""A chart of lines over an axis of powers, written as SVG without any library."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from chart import STYLE, number

_WIDTH, _HEIGHT = 760, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 90, 170, 70, 84
_STEPS = 4  # lines across
_COLOURS = """\
  <style>
    .grid { stroke: #d0d7de; stroke-width: 1 }
    .line { fill: none; stroke-width: 2 }
    .line-0 { stroke: #0969da } .dot-0 { fill: #0969da }
    .line-1 { stroke: #8c959f } .dot-1 { fill: #8c959f }
    .line-2 { stroke: #bc4c00 } .dot-2 { fill: #bc4c00 }
    @media (prefers-color-scheme: dark) {
      .grid { stroke: #30363d }
      .line-0 { stroke: #4493f8 } .dot-0 { fill: #4493f8 }
      .line-1 { stroke: #6e7681 } .dot-1 { fill: #6e7681 }
      .line-2 { stroke: #f0883e } .dot-2 { fill: #f0883e }
    }
  </style>"""


@dataclass(frozen=True)
class Line:
    """One figure over the axis: (how many, how much), in the axis's order."""

    label: str
    points: tuple[tuple[float, float], ...]


def ceiling(value: float) -> float:
    """The next of 1, 2, 2.5, 5 and 10 times a power of ten, for the axis's top."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    steps = (step * power for step in (1, 2, 2.5, 5, 10))
    return next(step for step in steps if step >= value * (1 - 1e-9))


def short(value: float) -> str:
    """How many, as an axis has room for: 10k, 1M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


class _Field:
    """Where a point lies on the picture."""

    def __init__(self, lines: Sequence[Line]) -> None:
        xs = sorted({x for line in lines for x, _ in line.points})
        self.xs = xs
        self.top = ceiling(max(y for line in lines for _, y in line.points))
        self._low, self._high = math.log10(xs[0]), math.log10(xs[-1])

    def x(self, value: float) -> float:
        """Powers are evenly apart; a single point is in the middle."""
        span = self._high - self._low
        part = (math.log10(value) - self._low) / span if span else 0.5
        return _LEFT + part * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """From zero, so that what looks twice as high is twice as much."""
        return _HEIGHT - _BOTTOM - value / self.top * (_HEIGHT - _TOP - _BOTTOM)


def _axes(field: _Field, across: str) -> list[str]:
    """The lines behind, and what they stand for."""
    rows = []
    for step in range(_STEPS + 1):
        value = field.top * step / _STEPS
        y = field.y(value)
        rows += [
            f'  <line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>',
            f'  <text class="quiet" x="{_LEFT - 10}" y="{y + 4:.1f}" text-anchor="end">'
            f"{number(value)}</text>",
        ]
    for value in field.xs:
        rows.append(
            f'  <text class="quiet" x="{field.x(value):.1f}" y="{_HEIGHT - _BOTTOM + 20}" '
            f'text-anchor="middle">{short(value)}</text>'
        )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    rows.append(
        f'  <text class="quiet" x="{middle}" y="{_HEIGHT - _BOTTOM + 40}" text-anchor="middle">'
        f"{escape(across)}</text>"
    )
    return rows


def _apart(lines: Sequence[Line], field: _Field) -> list[float]:
    """How high each line's label stands: at its end, but not on another's."""
    placed: dict[int, float] = {}
    last = -math.inf
    for index in sorted(range(len(lines)), key=lambda i: field.y(lines[i].points[-1][1])):
        last = max(field.y(lines[index].points[-1][1]), last + 17)
        placed[index] = last
    return [placed[index] for index in range(len(lines))]


def draw(title: str, subtitle: str, across: str, foot: str, lines: Sequence[Line]) -> str:
    """The whole picture; |across| names what there is ever more of."""
    field = _Field(lines)
    rows = _axes(field, across)
    for index, (line, height) in enumerate(zip(lines, _apart(lines, field), strict=True)):
        places = [(field.x(x), field.y(y)) for x, y in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        rows.append(f'  <polyline class="line line-{index % 3}" points="{path}"/>')
        rows += [
            f'  <circle class="dot-{index % 3}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'
            for x, y in places
        ]
        rows.append(
            f'  <text x="{places[-1][0] + 12:.1f}" y="{height + 4:.1f}">{escape(line.label)}</text>'
        )
    spoken = "; ".join(
        f"{line.label}: " + ", ".join(f"{number(y)} at {short(x)}" for x, y in line.points)
        for line in lines
    )
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
            f'width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-labelledby="title desc">',
            f'  <title id="title">{escape(title)}</title>',
            f'  <desc id="desc">{escape(spoken)}</desc>',
            STYLE,
            _COLOURS,
            f'  <rect class="card" x=".5" y=".5" width="{_WIDTH - 1}" height="{_HEIGHT - 1}" '
            'rx="8"/>',
            f'  <text class="title" x="20" y="29">{escape(title)}</text>',
            f'  <text class="quiet" x="20" y="48">{escape(subtitle)}</text>',
            *rows,
            f'  <text class="quiet" x="20" y="{_HEIGHT - 15}">{escape(foot)}</text>',
            "</svg>\n",
        )
    )
