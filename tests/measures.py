"""What a test may measure: the growth of memory, and how long the loop stood."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path


class Peak:
    """What memory grew by at most, in bytes; 0 where the system does not tell."""

    def __enter__(self) -> Peak:
        self.grown = 0
        if sys.platform == "linux":
            Path("/proc/self/clear_refs").write_text("5")
            self.before = self.read("VmRSS")
        return self

    def __exit__(self, *exc: object) -> None:
        if sys.platform == "linux":
            self.grown = self.read("VmHWM") - self.before

    @staticmethod
    def read(name: str) -> int:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
        raise AssertionError(name)


class Stalls:
    """The most CPU seconds that passed between two turns of the loop."""

    worst = 0.0

    async def watch(self) -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.worst = max(self.worst, now - before)
            before = now


@asynccontextmanager
async def stalls() -> AsyncIterator[Stalls]:
    found = Stalls()
    task = asyncio.create_task(found.watch())
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.wait([task])
