"""Requests in a row, one in ten of them failing: memory, descriptors, handles.

    python tests/faults/soak.py --requests 1000000      (make soak N=1000000)
    python tests/faults/soak.py --at-once 10000

Prints one line of JSON and exits with 1 if something was lost: a request without
its outcome, an answer to another request, more than 2 bytes of memory for each
request, a descriptor or handle that stays.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import subprocess
import sys
import time
from typing import Any

import aiofast

# A server in a process of its own, so that memory and time are the client's.
SERVER = r"""
import asyncio, re, sys
class Plain(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.buffer = transport, b""
    def data_received(self, data):
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
            path = head.split(b" ", 2)[1]
            body = b"<" + path + b">"
            if path.startswith(b"/cut"):
                self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + body)
                self.transport.close()
            elif path.startswith(b"/reset"):
                self.transport.abort()
            elif path.startswith(b"/bad"):
                self.transport.write(b"HTTP/1.1 2x0 OK\r\n\r\n")
            elif path.startswith(b"/hold"):
                loop.call_later(float(path.split(b"/")[2]), self.answer, body)
            elif not path.startswith(b"/mute"):
                self.answer(body)
    def answer(self, body):
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
async def main():
    global loop
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Plain, "127.0.0.1", 0, backlog=8192)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""

FAULTS = ("cut", "reset", "bad", "mute", "cancel")


def resident() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Soak:
    def __init__(self, base: str) -> None:
        self.base = base
        self.outcomes: dict[str, int] = {}
        self.crossed = 0
        self.dice = random.Random(7)

    async def one(self, session: Any, number: int, failing: bool) -> None:
        kind = self.dice.choice(FAULTS) if failing else "good"
        timeout = 0.02 if kind == "mute" else 30
        name = "mute" if kind == "cancel" else kind
        path = f"/{name}/{number}"
        task = asyncio.create_task(self.fetch(session, path, timeout))
        if kind == "cancel":
            asyncio.get_running_loop().call_later(self.dice.random() * 0.005, task.cancel)
        try:
            body = await task
        except (aiofast.ClientError, TimeoutError, asyncio.CancelledError) as error:
            outcome = type(error).__name__ if kind != "good" else "lost"
        else:
            outcome = "whole"
            self.crossed += body != f"<{path}>".encode()
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    async def fetch(self, session: Any, path: str, timeout: float) -> bytes:
        async with session.get(self.base + path, timeout=timeout) as found:
            return bytes(await found.read())

    async def rounds(self, session: Any, count: int, every: int) -> None:
        numbers = iter(range(count))

        async def worker() -> None:
            for number in numbers:
                await self.one(session, number, number % every == every - 1)

        await asyncio.gather(*(worker() for _ in range(50)))


async def soak(base: str, requests: int, every: int) -> dict[str, Any]:
    run = Soak(base)
    async with aiofast.ClientSession(connector=aiofast.TCPConnector(limit=50)) as session:
        await run.rounds(session, max(requests // 5, 5000), every)  # warm
        gc.collect()
        files, before, start = len(os.listdir("/dev/fd")), resident(), time.monotonic()
        run.outcomes.clear()
        await run.rounds(session, requests, every)
        gc.collect()
        seconds = time.monotonic() - start
        grown = resident() - before
        files = len(os.listdir("/dev/fd")) - files
    await asyncio.sleep(0.1)
    stats = aiofast._core.stats()
    lost = run.outcomes.get("lost", 0) + requests - sum(run.outcomes.values())
    return {
        "requests": requests,
        "seconds": round(seconds, 1),
        "outcomes": run.outcomes,
        "crossed": run.crossed,
        "lost": lost,
        "bytes_per_request": round(grown / requests, 3),
        "descriptors": files,
        "fetches": stats["fetches"],
        "fine": not lost
        and not run.crossed
        # Below a million requests, the noise of the allocator weighs more.
        and grown < max(2 * requests, 4 << 20)
        and files <= 50
        and stats["fetches"] == 0,
    }


async def at_once(base: str, count: int) -> dict[str, Any]:
    connector = aiofast.TCPConnector(limit=0)
    before, start = resident(), time.monotonic()
    most = 0
    async with aiofast.ClientSession(connector=connector) as session:

        async def one(number: int) -> bool:
            async with session.get(f"{base}/hold/4/{number}", timeout=60) as found:
                return bool(await found.read() == f"</hold/4/{number}>".encode())

        tasks = [asyncio.create_task(one(number)) for number in range(count)]
        while not all(task.done() for task in tasks):
            most = max(most, connector.stats()["busy"])
            grown = resident() - before
            await asyncio.sleep(0.2)
        good = sum(await asyncio.gather(*tasks))
    await asyncio.sleep(0.1)
    return {
        "at_once": count,
        "most_open": most,
        "good": good,
        "seconds": round(time.monotonic() - start, 1),
        "kib_each": round(grown / count / 1024, 1),
        "fine": good == count and aiofast._core.stats()["fetches"] == 0,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=0)
    parser.add_argument("--every", type=int, default=10, help="one in so many fails")
    parser.add_argument("--at-once", type=int, default=0)
    given = parser.parse_args()
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        base = f"http://127.0.0.1:{int(server.stdout.readline())}"
        if given.at_once:
            found = asyncio.run(at_once(base, given.at_once))
        else:
            found = asyncio.run(soak(base, given.requests or 20_000, given.every))
    finally:
        server.kill()
        server.wait()
    print(json.dumps(found))
    return 0 if found["fine"] else 1


if __name__ == "__main__":
    sys.exit(main())
