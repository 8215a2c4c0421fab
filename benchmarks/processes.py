"""Cores for the two sides, and child processes that are always ended."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any


def cores() -> tuple[int | None, int | None]:
    """The server's core and the client's: None where this system cannot pin."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[min(1, len(usable) - 1)]


@contextlib.contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Whatever is started inside inherits the core; this process gets its own back."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def end(process: subprocess.Popen[Any]) -> None:
    """Ends one child, by its own handle, and collects it."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def running(
    argv: Sequence[str], core: int | None, **options: Any
) -> Iterator[subprocess.Popen[str]]:
    """A child process on |core| for as long as the block lasts."""
    with pinned(core):
        process = subprocess.Popen(argv, text=True, stdin=subprocess.DEVNULL, **options)
    try:
        yield process
    finally:
        end(process)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def captured(argv: Sequence[str], core: int | None, timeout: float) -> tuple[int, str, str]:
    """Exit status, output and errors of a child that may take |timeout| seconds.

    TimeoutExpired where it took longer; it is ended then, as on any exception.
    """
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with running(argv, core, **pipes) as process:
        output, errors = process.communicate(timeout=timeout)
        return process.returncode, output, errors


def first_child(pid: int) -> int | None:
    """The process id of a process's first child, where the system tells."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb") as file:
            return int(file.read().split()[0])
    except (OSError, IndexError):
        return None
