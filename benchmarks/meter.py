"""What a measurement used, beside the client: the server, and everybody else."""

import contextlib
import os
import time
from collections.abc import Collection, Iterator

CONTROL = "BENCHMARK_PERF_CONTROL"  # in the environment: the pipes to and from perf


def used_by(pid: int | None) -> float | None:
    """Seconds of processor time that a process has used so far."""
    if not pid:
        return None
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def used_on(cores: Collection[int]) -> float | None:
    """Seconds that processes, or other virtual machines, have used on some cores."""
    names = {f"cpu{core}" for core in cores}
    try:
        with open("/proc/stat") as file:
            rows = [line.split() for line in file if line.split(None, 1)[0] in names]
    except OSError:
        return None
    # User, nice, system and steal. Interrupts are left out: those of the
    # loopback device are the benchmark's own.
    ticks = sum(int(row[column]) for row in rows for column in (1, 2, 3, 8))
    return ticks / os.sysconf("SC_CLK_TCK") if rows else None


class Meter:
    """Counts from its creation until `read`.

    Where client and server are pinned, what their cores were used for beyond
    the two of them is what disturbed the measurement.
    """

    def __init__(self, server: int | None) -> None:
        self._server = server
        self._cores = self._pinned()
        self._before = used_by(server), used_on(self._cores)
        self._start = time.perf_counter()

    def _pinned(self) -> set[int]:
        """The client's core and the server's; none where they may roam."""
        if not self._server or not hasattr(os, "sched_getaffinity"):
            return set()
        try:
            each = [os.sched_getaffinity(pid) for pid in (0, self._server)]
        except OSError:
            return set()
        return set().union(*each) if all(len(cores) == 1 for cores in each) else set()

    def read(self, client: float) -> dict[str, float]:
        """The server's seconds, and the others' share of the two cores."""
        was, others = self._before
        seconds = time.perf_counter() - self._start
        server = used_by(self._server)
        if server is None or was is None:
            return {}
        found = {"server_cpu": server - was}
        total = used_on(self._cores)
        if total is not None and others is not None:
            rest = total - others - client - found["server_cpu"]
            found["others"] = max(0.0, rest / (seconds * len(self._cores)))
        return found


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """In a worker: perf, if it runs one, looks at this block alone."""
    pipes = os.environ.get(CONTROL)
    if pipes is None:
        yield
        return
    control, answers = pipes.split(",")
    with open(control, "w") as out, open(answers) as back:

        def tell(word: str) -> None:
            out.write(f"{word}\n")
            out.flush()
            back.readline()

        tell("enable")
        yield
        tell("disable")
