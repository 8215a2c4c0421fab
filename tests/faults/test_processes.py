"""Forks, threads, and ends at any moment.

Stated beforehand: nothing a child does with what it got of its parent reaches
the parent's connections; the child itself works with a loop of its own, and is
told so otherwise; a process that ends, at any moment and in any state, ends with
its own status and without a word.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading

import aiofast
import pytest
from servers import Scripted, answer, forever, request, response, send, silence

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def python(program, *arguments, flags=("-W", "ignore"), timeout=60):
    done = subprocess.run(
        [sys.executable, *flags, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return done.returncode, done.stdout.split("\n")[:-1], done.stderr


# --- fork -----------------------------------------------------------------------

PARENT = """
import asyncio, aiofast, gc, os, ssl, sys
url, ca = sys.argv[1:3]
context = ssl.create_default_context(cafile=ca) if ca else True

def own():
    return aiofast.ClientSession(connector=aiofast.TCPConnector(ssl=context))

async def get(session, path):
    async with session.get(url + path) as found:
        await found.read()
        return "kept" if found.reused else "new"

async def main():
    global session, slow
    session = own()
    await get(session, "/")
    slow = asyncio.create_task(get(session, "/slow"))  # over the kept connection
    await asyncio.sleep(0)
    held = await session.get(url + "/held")            # a body under way
    await get(session, "/")                            # one more is kept
    await asyncio.sleep(0.05)
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            code = child(held) or 0
        finally:
            os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
    print(await asyncio.wait_for(slow, 10), flush=True)
    print((await asyncio.wait_for(held.read(), 10)).decode(), flush=True)
    print(await asyncio.wait_for(get(session, "/"), 10), flush=True)
    await session.close()

def apart(main):
    "A loop of the child's own: asyncio forgets the parent's after a fork."
    asyncio._set_running_loop(None)
    return asyncio.run(main)
"""

CHILDREN = {
    "does nothing": "def child(held): pass",
    "drops all it has": """
def child(held):
    global session, slow
    del session, slow, held
    gc.collect()
""",
    "closes the session's connections": """
def child(held):
    session.connector.close()
    held.close()
    gc.collect()
""",
    "releases the response": "def child(held): held.release()",
    "makes requests of its own": """
def child(held):
    async def main():
        async with own() as mine:
            print([await get(mine, "/") for _ in range(2)], flush=True)
    apart(main())
""",
    "goes on with the session": """
def child(held):
    async def main():
        print([await get(session, "/") for _ in range(2)], flush=True)
        await session.close()
    apart(main())
""",
    "reads the parent's response": """
def child(held):
    async def main():
        try:
            await asyncio.wait_for(held.read(), 5)
        except (RuntimeError, ValueError, aiofast.ClientError) as error:
            print(["told"], flush=True)
    apart(main())
""",
    "forks again": """
def child(held):
    global session
    pid = os.fork()
    if pid == 0:
        session.connector.close()
        os._exit(0)
    session.connector.close()
    gc.collect()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
""",
    "runs the parent's loop": """
def child(held):
    loop = slow.get_loop()
    asyncio._set_running_loop(loop)
    try:
        get_again = session.get(url + "/")
        get_again.add_done_callback(print)
    except RuntimeError as error:
        print(["fork" in str(error)], flush=True)
    else:
        return 71
""",
}

SAYS = {
    "makes requests of its own": "['new', 'kept']",
    "goes on with the session": "['new', 'kept']",
    "reads the parent's response": "['told']",
    "runs the parent's loop": "[True]",
}


def slow_server(**options):
    def script(peer):
        while True:
            request(peer)
            if peer.last.target == "/slow":
                peer.server.stop.wait(0.6)
            if peer.last.target == "/held":
                peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
                peer.server.stop.wait(0.6)
                peer.write(b"cd")
            else:
                peer.write(response(b"ok"))

    return Scripted([script], **options)


@needs_fork
@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("what", CHILDREN)
def test_a_child_does_not_reach_the_parents_connections(what, secure, authority):
    server = slow_server(tls=authority.server() if secure else None)
    code, said, errors = python(
        PARENT + CHILDREN[what] + "\nasyncio.run(main())",
        server.url,
        authority.ca_file if secure else "",
    )
    assert (code, errors) == (0, ""), errors
    own = [SAYS[what]] if what in SAYS else []
    assert said == [*own, "0", "kept", "abcd", "kept"]


@needs_fork
@pytest.mark.parametrize("secure", [False, True])
def test_a_child_that_ends_as_any_program_does(secure, authority):
    """With all that the interpreter tears down."""
    server = slow_server(tls=authority.server() if secure else None)
    program = PARENT.replace("os._exit(code)", "pass").replace(
        "code = child(held) or 0", "sys.exit(0)"
    )
    code, said, errors = python(
        program + "\nasyncio.run(main())", server.url, authority.ca_file if secure else ""
    )
    assert code == 0, errors
    assert said == ["0", "kept", "abcd", "kept"], errors


@needs_fork
def test_many_children_of_one_parent():
    """As a server that forks its workers after a first request."""
    server = Scripted([forever(answer(b"ok"))])
    code, said, errors = python(
        """
import asyncio, aiofast, os, sys
url = sys.argv[1]
async def main():
    return (await aiofast.fetch(url)).reused
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
pids = []
for _ in range(8):
    pid = os.fork()
    if pid == 0:
        found = [asyncio.run(main()) for _ in range(3)]
        os._exit(found != [False, False, False])
    pids.append(pid)
print([os.waitpid(pid, 0)[1] for pid in pids], flush=True)
print(loop.run_until_complete(main()), flush=True)
loop.close()
""",
        f"{server.url}/",
    )
    assert (code, errors) == (0, ""), errors
    assert said == [str([0] * 8), "True"]


# --- threads --------------------------------------------------------------------


@pytest.mark.seconds(60)
def test_loops_in_threads(nginx):
    """Eight loops at once, opened and closed again and again; no answer crosses."""
    faults = []

    def work(number):
        async def main():
            connector = aiofast.TCPConnector(limit=5)
            async with aiofast.ClientSession(connector=connector) as session:

                async def one(count):
                    query = f"{number}-{count}"
                    async with session.get(f"{nginx.url}/json?{query}") as found:
                        body = await found.read()
                        if body != nginx.JSON.encode() or found.url.query_string != query:
                            faults.append((query, found.url, body))

                await asyncio.gather(*(one(count) for count in range(40)))
                await aiofast.fetch(f"{nginx.url}/json")
                doomed = asyncio.create_task(one(-1))
                await asyncio.sleep(0)
                doomed.cancel()

        try:
            for _ in range(8):
                asyncio.run(main())
        except BaseException as error:
            faults.append(repr(error))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    assert faults == []
    assert not any(thread.is_alive() for thread in threads)


def test_a_loop_closed_with_all_in_flight():
    """Connecting, waiting, reading, queued; a hundred times."""
    server = Scripted([request, send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"), silence])

    async def main(turns):
        asyncio.get_running_loop().set_exception_handler(lambda *ignored: None)
        session = aiofast.ClientSession(connector=aiofast.TCPConnector(limit=3))
        tasks = [asyncio.ensure_future(session.get(f"{server.url}/")) for _ in range(6)]
        tasks.append(asyncio.ensure_future(aiofast.fetch(f"{server.url}/")))
        for _ in range(turns):
            await asyncio.sleep(0.0005)
        return session, tasks

    for turns in range(100):
        loop = asyncio.new_event_loop()
        session, tasks = loop.run_until_complete(main(turns % 10))
        loop.close()
        session.detach()  # all it had went with the loop
        del tasks, session, loop


# --- the end of the interpreter -------------------------------------------------

ENDING = """
import asyncio, aiofast, os, sys, ssl, threading, time, signal
url, ca, delay, how = sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4]
context = ssl.create_default_context(cafile=ca)
def end():
    if how == "signal":
        os.kill(os.getpid(), signal.SIGINT)
async def main():
    session = aiofast.ClientSession(connector=aiofast.TCPConnector(limit=4, ssl=context))
    async def many():
        while True:
            async with session.get(url) as found:
                await found.read()
    tasks = [asyncio.create_task(many()) for _ in range(8)]
    if how == "signal":
        threading.Timer(delay, end).start()
        await asyncio.gather(*tasks)
    await asyncio.sleep(delay)
    if how == "exit":
        sys.exit(3)
    if how == "raise":
        raise SystemExit(3)
    if how == "stop":
        asyncio.get_running_loop().stop()
        await asyncio.sleep(9)
try:
    if how == "thread":
        threading.Thread(target=asyncio.run, args=(main(),), daemon=True).start()
        time.sleep(delay)
        sys.exit(3)
    asyncio.run(main())
except KeyboardInterrupt:
    sys.exit(3)
except RuntimeError:  # stopped before it was complete
    sys.exit(3)
sys.exit(3)
"""


@pytest.mark.seconds(90)
@pytest.mark.parametrize("how", ["exit", "raise", "signal", "stop", "return", "thread"])
async def test_an_end_at_any_moment(how, nginx, authority):
    """Twelve moments, in pairs at once: the status is the program's."""
    gate = asyncio.Semaphore(2)

    async def one(index):
        async with gate:
            url = (nginx.url if index % 2 else nginx.tls_url) + "/json"
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-W", "ignore", "-c", ENDING, url, authority.ca_file,
                str(0.001 + index * 0.007), how,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
            _, errors = await asyncio.wait_for(process.communicate(), 30)
            return process.returncode, errors.decode()

    for code, errors in await asyncio.gather(*(one(index) for index in range(12))):
        assert code == 3, errors
        assert "Fatal" not in errors and "Segmentation" not in errors, errors


async def test_a_finalizer_that_makes_requests_while_all_ends():
    server = Scripted([forever(answer())])
    code, _, errors = python(
        """
import asyncio, aiofast, sys
class Late:
    def __del__(self):
        try:
            aiofast.fetch(sys.argv[1])
            loop = asyncio.new_event_loop()
            loop.run_until_complete(aiofast.fetch(sys.argv[1]))
            loop.close()
        except BaseException:
            pass
async def main():
    await aiofast.fetch(sys.argv[1])
asyncio.run(main())
keep = Late()
sys.modules["late"] = keep
""",
        f"{server.url}/",
    )
    assert code == 0, errors
