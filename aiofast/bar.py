"""A progress bar on a terminal."""

from __future__ import annotations

import sys
import time

_WIDTH = 30
_PAUSE = 0.1  # seconds between two drawings
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def amount(size: float) -> str:
    """|size| bytes for people: "512 B", "1.5 MiB"."""
    unit = 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size /= 1024
        unit += 1
    return f"{size:.0f} B" if not unit else f"{size:.1f} {_UNITS[unit]}"


class Bar:
    """Draws how far a transfer is; nothing where standard error is no terminal."""

    def __init__(self, name: str) -> None:
        self._name = "".join(char if char.isprintable() else "?" for char in name)[:30]
        self._shown = sys.stderr is not None and sys.stderr.isatty()
        self._began = self._drawn = time.monotonic()
        self._first: int | None = None
        self._last: tuple[int, int | None] | None = None

    def __call__(self, size: int, total: int | None) -> None:
        if self._first is None:
            self._first = size
        self._last = size, total
        now = time.monotonic()
        if self._shown and now - self._drawn >= _PAUSE:
            self._drawn = now
            self._draw(now)

    def _draw(self, now: float) -> None:
        assert self._last is not None and self._first is not None
        size, total = self._last
        rate = (size - self._first) / max(now - self._began, 1e-9)
        text = f"{amount(size)} at {amount(rate)}/s"
        if total:
            filled = min(_WIDTH, _WIDTH * size // total)
            text = f"[{'#' * filled}{'.' * (_WIDTH - filled)}] {100 * size // total:3}% {text}"
        sys.stderr.write(f"\r\x1b[K{self._name} {text}")
        sys.stderr.flush()

    def end(self) -> None:
        """Nothing more will come."""
        if self._shown and self._last is not None:
            self._draw(time.monotonic())
            sys.stderr.write("\n")
            sys.stderr.flush()
