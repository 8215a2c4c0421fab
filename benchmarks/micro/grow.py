"""What a request costs at one point of an axis: requests between two marks.

    python grow.py AXIS N URL

AXIS is what there is N of (../growth.py has the list); URL is that of the
server, whose locations growth.py makes. Prints one line of what runs, then
"AXIS N<tab>requests<tab>CPU seconds" for the part between the marks (a mark is
what core.c says).
"""

import asyncio
import gc
import os
import resource
import sys
import threading
from collections.abc import Awaitable, Callable

import aiofast

_FEW = 200  # requests at least
_LAPS = 5  # of each task at least, and before the first mark
_OPENING = 200  # connections that are opened at a time

Turn = Callable[[int], Awaitable[None]]


def _session() -> aiofast.ClientSession:
    """No limit of connections or time: what is counted is the work."""
    connector = aiofast.TCPConnector(limit=0, keepalive_timeout=3600)
    return aiofast.ClientSession(connector=connector, timeout=aiofast.ClientTimeout(total=None))


async def _get(session: aiofast.ClientSession, url: str) -> None:
    async with session.get(url) as response:
        await response.read()
        if response.status != 200:
            raise RuntimeError(f"status {response.status} for {url}")


async def _laps(turn: Turn, count: int) -> None:
    for number in range(count):
        await turn(number)


class _Marks:
    """The part that counts: from one mark to the other, with the CPU between them."""

    def __enter__(self) -> "_Marks":
        gc.collect()
        gc.freeze()  # what is there already is no work of a request's
        os.getppid()
        self._before = resource.getrusage(resource.RUSAGE_SELF)
        return self

    def __exit__(self, *_: object) -> None:
        after = resource.getrusage(resource.RUSAGE_SELF)
        os.getppid()
        before = self._before
        self.used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


async def _counted(turn: Turn, count: int) -> tuple[int, float]:
    """|count| requests between the marks; their number and the CPU."""
    await _laps(turn, _LAPS)  # what opened the connections is gone by then
    with _Marks() as marks:
        await _laps(turn, count)
    return count, marks.used


async def in_flight(number: int, url: str) -> tuple[int, float]:
    """So many requests at a time, each on its connection, in tasks that exist already."""
    count = max(_LAPS, _FEW // number)
    begin, ready = asyncio.Event(), asyncio.Semaphore(0)
    async with _session() as session:

        async def turn(_: int) -> None:
            await _get(session, url + "/small")

        async def task() -> None:
            await turn(0)
            ready.release()
            await begin.wait()
            await _laps(turn, count)

        tasks = [asyncio.create_task(task()) for _ in range(number)]
        for _ in tasks:
            await ready.acquire()
        with _Marks() as marks:
            begin.set()
            await asyncio.wait(tasks)
        for one in tasks:
            one.result()
    return count * number, marks.used


async def origins(number: int, url: str) -> tuple[int, float]:
    """One request after the other, each to the next of so many origins, all connected."""
    port = url.rpartition(":")[2]
    every = [
        f"http://127.{1 + i // 62500}.{i // 250 % 250}.{1 + i % 250}:{port}/small"
        for i in range(number)
    ]
    async with _session() as session:

        async def turn(index: int) -> None:
            await _get(session, every[index % number])

        for start in range(0, number, _OPENING):
            group = every[start : start + _OPENING]
            await asyncio.gather(*(_get(session, one) for one in group))
        return await _counted(turn, max(number, _FEW))


async def idle(number: int, url: str) -> tuple[int, float]:
    """One request after the other beside so many idle connections to the same origin."""
    async with _session() as session:

        async def turn(_: int) -> None:
            await _get(session, url + "/small")

        await asyncio.gather(*(turn(0) for _ in range(number)))
        return await _counted(turn, _FEW)


async def answered(number: int, url: str) -> tuple[int, float]:
    """So many fields in each response, of which one is looked at."""
    async with _session() as session:

        async def turn(_: int) -> None:
            async with session.get(f"{url}/fields-{number}") as response:
                await response.read()
                assert response.headers["Content-Type"] and response.status == 200

        return await _counted(turn, _FEW)


async def asked(number: int, url: str) -> tuple[int, float]:
    """So many fields in each request."""
    headers = {f"X-Field-{i}": f"value {i}" for i in range(number)}
    async with _session() as session:

        async def turn(_: int) -> None:
            async with session.get(url + "/small", headers=headers) as response:
                await response.read()
                assert response.status == 200

        return await _counted(turn, _FEW)


async def body(number: int, url: str) -> tuple[int, float]:
    """So many bytes in each response."""
    async with _session() as session:

        async def turn(_: int) -> None:
            async with session.get(f"{url}/body-{number}") as response:
                assert len(await response.read()) == number

        return await _counted(turn, 20 if number >= 2**20 else _FEW)


async def cookies(number: int, url: str) -> tuple[int, float]:
    """So many cookies in the jar, each of another host than the one that is asked."""
    from yarl import URL

    async with _session() as session:
        for i in range(number):
            session.cookie_jar.update_cookies(
                {"name": "value"}, URL(f"http://host-{i}.example.org/")
            )

        async def turn(_: int) -> None:
            await _get(session, url + "/small")

        return await _counted(turn, _FEW)


async def loops(number: int, url: str) -> tuple[int, float]:
    """So many event loops, each in a thread with a session of its own."""
    count = max(_LAPS, _FEW // number)
    gate = threading.Barrier(number + 1, timeout=300)

    async def task() -> None:
        async with _session() as session:

            async def turn(_: int) -> None:
                await _get(session, url + "/small")

            await _laps(turn, _LAPS)
            for laps in (count, 0):
                gate.wait()  # holds up this thread's loop alone
                await _laps(turn, laps)

    threads = [threading.Thread(target=asyncio.run, args=(task(),)) for _ in range(number)]
    for thread in threads:
        thread.start()
    with _Marks() as marks:
        gate.wait()
        gate.wait()
    for thread in threads:
        thread.join()
    return count * number, marks.used


async def processes(number: int, url: str) -> tuple[int, float]:
    """So many processes, each with a loop and a session, on this one's processor."""
    argv = [sys.executable, __file__, "share", str(20000 // number), url]
    pipe = asyncio.subprocess.PIPE
    every = [
        await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe) for _ in range(number)
    ]
    for one in every:
        assert one.stdout is not None
        await one.stdout.readline()  # what runs, and that it is ready
    found = await asyncio.gather(*(one.communicate(b"go\n") for one in every))
    rows = [output.decode().split("\t") for output, _ in found]
    return sum(int(row[1]) for row in rows), sum(float(row[2]) for row in rows)


async def share(number: int, url: str) -> tuple[int, float]:
    """What one process of many does: so many requests, once it is told to."""
    async with _session() as session:

        async def turn(_: int) -> None:
            await _get(session, url + "/small")

        await _laps(turn, _LAPS)
        sys.stdin.readline()
        return await _counted(turn, number)


AXES = {
    "loops": loops,
    "processes": processes,
    "in-flight": in_flight,
    "origins": origins,
    "idle": idle,
    "fields-answered": answered,
    "fields-asked": asked,
    "body": body,
    "cookies": cookies,
}


def main() -> int:
    """One point."""
    axis, number, url = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(aiofast._core.__file__, flush=True)
    requests, used = asyncio.run(share(number, url) if axis == "share" else AXES[axis](number, url))
    print(f"{axis} {number}\t{requests}\t{used}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
