"""A task runs the loop that runs it, as nest_asyncio lets programs do (Jupyter,
GUIs): also the task that the engine itself has woken a moment ago."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import aiofast
import pytest
from servers import Scripted, answer, forever, request, silence


def turn_until(condition, seconds=5.0):
    """Runs the running loop from inside, as nest_asyncio does."""
    loop = asyncio.get_running_loop()
    if not hasattr(loop, "_run_once"):
        pytest.skip("asyncio's own loop alone can be run from inside")
    task = asyncio.current_task()
    end = time.monotonic() + seconds
    alarm = loop.call_later(seconds + 0.1, lambda: None)
    while not condition():
        assert time.monotonic() < end, "the engine stands still"
        asyncio.tasks._leave_task(loop, task)
        try:
            loop._run_once()
        finally:
            asyncio.tasks._enter_task(loop, task)
    alarm.cancel()


def nested(awaitable):
    task = asyncio.ensure_future(awaitable)
    turn_until(task.done)
    return task.result()


async def woken(server):
    """From here on the caller runs in a task that the engine has woken."""
    assert (await aiofast.fetch(f"{server.url}/")).status == 200


@pytest.fixture
def server():
    return Scripted([forever(answer(b"here"))])


async def test_on_a_kept_connection(server):
    await woken(server)
    for _ in range(3):
        assert nested(aiofast.fetch(f"{server.url}/")).body == b"here"
    assert (await aiofast.fetch(f"{server.url}/")).body == b"here"
    assert server.connections == 1


async def test_on_a_new_connection(server):
    await woken(server)
    other = Scripted([forever(answer(b"other"))])
    assert nested(aiofast.fetch(f"{other.url}/")).body == b"other"
    assert nested(aiofast.fetch(other.url.replace("127.0.0.1", "localhost"))).body == b"other"


async def test_many_and_deeper(server):
    await woken(server)

    async def inner(depth):
        found = await aiofast.fetch_all([f"{server.url}/"] * 20)
        if depth:
            assert nested(inner(depth - 1)) == depth - 1
        found += [await aiofast.fetch(f"{server.url}/")]
        assert all(each.body == b"here" for each in found)
        return depth

    assert nested(inner(3)) == 3


async def test_a_deadline_inside(server):
    await woken(server)
    slow = Scripted([request, silence])
    start = time.monotonic()
    with pytest.raises(aiofast.ServerTimeoutError):
        nested(aiofast.fetch(f"{slow.url}/", timeout=0.1))
    assert time.monotonic() - start < 2


async def test_a_cancellation_inside(server):
    await woken(server)
    slow = Scripted([request, silence])
    one = aiofast.fetch(f"{slow.url}/")
    ended = []
    one.add_done_callback(ended.append)
    one.cancel()
    turn_until(lambda: ended)
    assert one.cancelled()


async def test_a_session_inside(server):
    await woken(server)

    async def read():
        async with aiofast.ClientSession() as session, session.get(f"{server.url}/") as found:
            return await found.text()

    assert nested(read()) == "here"


async def test_others_go_on_meanwhile(server):
    """Those that the interrupted turn of the engine has still to wake."""

    async def one(n):
        found = await aiofast.fetch(f"{server.url}/")
        if n % 3 == 0:
            nested(aiofast.fetch(f"{server.url}/"))
        return found.status

    assert await asyncio.gather(*(one(n) for n in range(12))) == [200] * 12


PROGRAM = """
import asyncio, logging, sys, nest_asyncio, aiofast
nest_asyncio.apply()
url = sys.argv[1]

def inside():
    return asyncio.get_event_loop().run_until_complete(aiofast.fetch(url)).status

async def main():
    print((await aiofast.fetch(url)).status, inside(), asyncio.run(aiofast.fetch(url)).status)
    async with aiofast.ClientSession() as session:
        async with session.get(url) as found:
            await found.read()
        print(inside())
    try:
        asyncio.run(aiofast.fetch(sys.argv[2], timeout=0.1))
    except aiofast.ServerTimeoutError:
        print("late")
asyncio.run(main())
"""


def test_under_nest_asyncio(server):
    pytest.importorskip("nest_asyncio")
    slow = Scripted([request, silence])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, f"{server.url}/", f"{slow.url}/"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["200", "200", "200", "200", "late"]
