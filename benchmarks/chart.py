"""A bar chart, written as SVG without any library.

It draws its own background and follows the reader's light or dark preference,
so it can be read on any page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH, _LEFT, _BAR, _STEP, _TOP, _FOOT = 760, 190, 22, 36, 64, 36
_LABEL = 190  # room to the right of the longest bar for its figures

STYLE = """\
  <style>
    text { font: 13px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
    .card { fill: #ffffff; stroke: #d0d7de }
    .title { font-size: 16px; font-weight: 600 }
    .quiet { fill: #59636e; font-size: 12px }
    .ours { fill: #0969da }
    .theirs { fill: #8c959f }
    .limit { fill: #d0d7de; stroke: #8c959f }
    .range { stroke: #1f2328; stroke-width: 1.5 }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .card { fill: #0d1117; stroke: #30363d }
      .quiet { fill: #9198a1 }
      .ours { fill: #4493f8 }
      .theirs { fill: #6e7681 }
      .limit { fill: #21262d; stroke: #6e7681 }
      .range { stroke: #e6edf3 }
    }
  </style>"""


@dataclass(frozen=True)
class Bar:
    """One client: its figures, and whether it is ours, theirs or the limit."""

    label: str
    value: float
    least: float
    most: float
    note: str
    kind: str


def number(value: float) -> str:
    """A whole number with thousands set apart; three digits below a hundred."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _row(bar: Bar, y: int, scale: float) -> str:
    """One bar with its name, its figures and a line from the least to the most."""
    middle, width = y + _BAR / 2, max(0.0, bar.value) * scale
    low, high = _LEFT + bar.least * scale, _LEFT + bar.most * scale
    beyond = max(_LEFT + width, high) + 8
    return "\n".join(
        (
            f'  <text x="{_LEFT - 10}" y="{middle + 4.5:.1f}" text-anchor="end">'
            f"{escape(bar.label)}</text>",
            f'  <rect class="{bar.kind}" x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}" '
            'rx="3"/>',
            f'  <line class="range" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>',
            f'  <text x="{beyond:.1f}" y="{middle + 4.5:.1f}">{number(bar.value)}'
            f'<tspan class="quiet" dx="8">{escape(bar.note)}</tspan></text>',
        )
    )


def draw(title: str, subtitle: str, foot: str, bars: Sequence[Bar], ascending: bool = False) -> str:
    """The whole picture; the largest value is at the top, or the smallest."""
    ordered = sorted(bars, key=lambda bar: bar.value if ascending else -bar.value)
    height = _TOP + _STEP * len(ordered) + _FOOT
    scale = (_WIDTH - _LEFT - _LABEL) / (max(bar.most for bar in ordered) or 1)
    spoken = "; ".join(f"{bar.label} {number(bar.value)}" for bar in ordered)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" role="img" aria-labelledby="title desc">',
        f'  <title id="title">{escape(title)}</title>',
        f'  <desc id="desc">{escape(spoken)}</desc>',
        STYLE,
        f'  <rect class="card" x=".5" y=".5" width="{_WIDTH - 1}" height="{height - 1}" rx="8"/>',
        f'  <text class="title" x="20" y="29">{escape(title)}</text>',
        f'  <text class="quiet" x="20" y="48">{escape(subtitle)}</text>',
        *(_row(bar, _TOP + _STEP * index, scale) for index, bar in enumerate(ordered)),
        f'  <text class="quiet" x="20" y="{height - 15}">{escape(foot)}</text>',
        "</svg>",
    ]
    return "\n".join(lines) + "\n"
