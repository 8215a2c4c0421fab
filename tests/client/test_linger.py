"""The engine waits for the next answer itself, for a moment: what else the loop
has to do comes in between all the same (csrc/py/py_host_linger.c)."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
import time

import aiofast
import pytest
from servers import Scripted, answer, forever, pause, request, response, send

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="epoll"),
    pytest.mark.skipif(
        os.environ.get("AIOFAST_TEST_LOOP") == "uvloop", reason="asyncio's own loop"
    ),
]
COUNT = 300


def run(main, *, debug=False, factory=asyncio.SelectorEventLoop):
    with asyncio.Runner(loop_factory=factory, debug=debug) as runner:
        return runner.run(main)


async def turns_of_loop(url, count=COUNT):
    """How many turns asyncio's loop took for so many requests in a row."""
    loop = asyncio.get_running_loop()
    await aiofast.fetch(url)
    turns = 0
    once = loop._run_once

    def counted():
        nonlocal turns
        turns += 1
        once()

    loop._run_once = counted
    for _ in range(count):
        assert (await aiofast.fetch(url)).status == 200
    del loop._run_once
    return turns


def slow(seconds):
    """A server that takes so long for each answer."""
    return Scripted([forever(request, pause(seconds), send(response()))])


def test_several_answers_in_one_turn(nginx):
    assert run(turns_of_loop(f"{nginx.url}/json")) < COUNT


def test_not_in_debug_mode(nginx):
    assert run(turns_of_loop(f"{nginx.url}/json"), debug=True) >= COUNT


def test_not_with_another_loop(nginx):
    class Other(asyncio.SelectorEventLoop):
        pass

    assert run(turns_of_loop(f"{nginx.url}/json"), factory=Other) >= COUNT


def test_not_with_another_turn(nginx, monkeypatch):
    """As nest_asyncio has it, also once the engine is there."""
    once = asyncio.SelectorEventLoop._run_once

    async def main():
        await aiofast.fetch(f"{nginx.url}/json")
        monkeypatch.setattr(asyncio.SelectorEventLoop, "_run_once", lambda loop: once(loop))
        await asyncio.sleep(0)  # the run that is under way may end as it began
        return await turns_of_loop(f"{nginx.url}/json")

    assert run(main()) >= COUNT


def test_other_tasks_have_their_turns(nginx):
    async def main():
        rounds = 0
        busy = True

        async def other():
            nonlocal rounds
            while busy:
                rounds += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        for _ in range(COUNT):
            await aiofast.fetch(f"{nginx.url}/json")
        busy = False
        await task
        return rounds

    assert run(main()) >= COUNT


def test_a_timer_is_kept():
    """It is due long before the answer comes, and after the wait has begun."""
    server = slow(0.4)

    async def main():
        for _ in range(3):  # once the engine has given up waiting as well
            fired = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(0.01, fired.set_result, None)
            fetch = asyncio.ensure_future(aiofast.fetch(f"{server.url}/"))
            await fired
            assert not fetch.done()
            assert (await fetch).status == 200

    run(main())


def test_another_thread_wakes_the_loop():
    server = slow(0.4)

    async def main():
        loop = asyncio.get_running_loop()
        for _ in range(3):
            fetch = asyncio.ensure_future(aiofast.fetch(f"{server.url}/"))
            called = loop.create_future()

            def call(called=called):
                time.sleep(0.05)
                loop.call_soon_threadsafe(called.set_result, None)

            thread = threading.Thread(target=call)
            thread.start()
            await called
            assert not fetch.done()
            assert (await fetch).status == 200
            thread.join()

    run(main())


def test_other_descriptors_are_served():
    server = slow(0.4)
    ours, theirs = socket.socketpair()

    async def main():
        loop = asyncio.get_running_loop()
        ours.setblocking(False)
        for _ in range(3):
            fetch = asyncio.ensure_future(aiofast.fetch(f"{server.url}/"))
            await asyncio.sleep(0.01)
            theirs.send(b"x")
            assert await loop.sock_recv(ours, 10) == b"x"
            assert not fetch.done()
            assert (await fetch).status == 200

    with ours, theirs:
        run(main())


def test_a_signal_is_handled():
    server = slow(0.6)
    seen = []

    async def main():
        for _ in range(2):
            fetch = asyncio.ensure_future(aiofast.fetch(f"{server.url}/"))
            await asyncio.sleep(0)
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            assert (await fetch).status == 200

    old = signal.signal(signal.SIGALRM, lambda *_: seen.append(time.monotonic()))
    try:
        run(main())
    finally:
        signal.signal(signal.SIGALRM, old)
    assert len(seen) == 2


def test_an_interrupt_ends_the_program():
    server = slow(20)

    async def main():
        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        try:
            await aiofast.fetch(f"{server.url}/")
        finally:
            timer.join()

    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(main())
    assert time.monotonic() - begin < 15


def test_stop_in_a_woken_task(nginx):
    loop = asyncio.SelectorEventLoop()

    async def main():
        for _ in range(20):
            await aiofast.fetch(f"{nginx.url}/json")
        loop.stop()
        await aiofast.fetch(f"{nginx.url}/json")
        return "whole"

    task = loop.create_task(main())
    loop.run_forever()
    assert not task.done()
    assert loop.run_until_complete(task) == "whole"
    loop.close()


def test_the_loop_closed_by_what_it_woke():
    """The last reference to a loop that is never closed, and one that is."""
    server = Scripted([forever(answer())])

    async def main():
        for _ in range(10):
            await aiofast.fetch(f"{server.url}/")

    for _ in range(5):
        loop = asyncio.SelectorEventLoop()
        loop.run_until_complete(main())
        loop.close()
    assert server.wait_for(lambda: server.open == 0)


def test_a_child_leaves_the_parents_loop_alone(nginx):
    async def main():
        for number in range(60):
            await aiofast.fetch(f"{nginx.url}/json")
            if number % 20 == 10:
                child = os.fork()
                if child == 0:
                    os._exit(7)
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7

    run(main())
