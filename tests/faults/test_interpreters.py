"""Subinterpreters, from CPython 3.12 on: each has an engine and a GIL of its own.

Stated beforehand: what runs in several of them at once gets its own answers, and
one that ends with requests in flight takes nothing of the others along. The free-
threaded build keeps its lock, since the extension does not say that it can do
without.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig

import pytest
from servers import Scripted, answer, eof, forever, request

# Runs |WORK| in three interpreters, each in a thread, again and again.
PROGRAM = """
import sys, textwrap, threading
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
url, other, ca, work = sys.argv[1:]
faults = []
def one(number):
    for round in range(2):
        made = interpreters.create()
        source = f"number, round, other, ca = {number}, {round}, {other!r}, {ca!r}\\n"
        try:
            told = interpreters.run_string(made, source + work)
            if told is not None:
                faults.append(told)
        except BaseException as error:
            faults.append(repr(error))
        interpreters.destroy(made)
threads = [threading.Thread(target=one, args=(number,)) for number in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(faults), faults)
import asyncio, aiofast  # the main one can do the same
async def main():
    return (await aiofast.fetch(url)).status
print(asyncio.run(main()))
"""

WORK = """
import asyncio, ssl, aiofast
assert aiofast._core.__file__
async def main():
    connector = aiofast.TCPConnector(limit=5, ssl=ssl.create_default_context(cafile=ca))
    async with aiofast.ClientSession(connector=connector) as session:
        async def get(count):
            async with session.get(f"{other}?{number}-{round}-{count}") as found:
                body = await found.read()
                assert body == b"yes", body
                assert found.url.query_string == f"{number}-{round}-{count}"
        await asyncio.gather(*(get(count) for count in range(60)))
        found = await aiofast.post(other, json={"number": number}, ssl=connector._ssl)
        assert found.status == 200 and found.headers["Content-Length"] == "3"
asyncio.run(main())
"""

IN_FLIGHT = """
import asyncio, aiofast
loop = asyncio.new_event_loop()
async def main():
    session = aiofast.ClientSession()
    tasks = [asyncio.ensure_future(session.get(other)) for _ in range(5)]
    await asyncio.sleep(0.05)
    return session, tasks
kept = loop.run_until_complete(main())
"""


def run(work, *arguments):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-X", "faulthandler", "-c", PROGRAM, *arguments, work],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = done.stdout.split("\n")
    assert said[0].startswith("0 []"), said[0]
    assert said[1] == "200"


# asyncio of 3.11 shares its state between subinterpreters, and crashes without aiofast.
needs_interpreters = pytest.mark.skipif(
    not (3, 12) <= sys.version_info < (3, 14),
    reason="3.11 has one asyncio for all, 3.14 another module for them",
)


@needs_interpreters
@pytest.mark.seconds(120)
@pytest.mark.parametrize("place", ["plain", "tls"])
def test_several_at_once(place, authority):
    tls = authority.server() if place == "tls" else None
    server = Scripted([forever(answer(b"yes"))], tls=tls)
    plain = Scripted([forever(answer(b"yes"))])
    run(WORK, f"{plain.url}/", f"{server.url}/", authority.ca_file)
    assert server.connections >= 6


@needs_interpreters
@pytest.mark.seconds(120)
def test_one_that_ends_with_requests_in_flight(authority):
    mute = Scripted([request, eof])
    server = Scripted([forever(answer(b"yes"))])
    run(IN_FLIGHT, f"{server.url}/", f"{mute.url}/", authority.ca_file)
    assert mute.wait_for(lambda: mute.open == 0)


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="has a GIL")
def test_the_free_threaded_build_keeps_its_lock():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c",
         "import aiofast, sys; print(sys._is_gil_enabled())"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout == "True\n"
