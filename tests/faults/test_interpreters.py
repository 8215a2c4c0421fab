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

# The main interpreter makes requests in a thread; meanwhile others come, work and
# go, two of them alive at a time. They do not import at once: CPython's datetime
# does not survive that in interpreters with a GIL each.
PROGRAM = """
import asyncio, sys, threading
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
import aiofast
url, other, ca, work = sys.argv[1:]
faults, ended, count = [], False, 0
async def requests():
    global count
    async with aiofast.ClientSession() as session:
        while not ended:
            async with session.get(url) as found:
                assert await found.read() == b"yes"
                count += 1
thread = threading.Thread(target=asyncio.run, args=(requests(),))
thread.start()
last = None
for number in range(4):
    made = interpreters.create()
    try:
        facts = f"number, other, ca = {number}, {other!r}, {ca!r}\\n"
        told = interpreters.run_string(made, facts + work)
        if told is not None:
            faults.append(told)
    except BaseException as error:
        faults.append(repr(error))
    if last is not None:
        interpreters.destroy(last)
    last = made
interpreters.destroy(last)
ended = True
thread.join()
print(faults, count > 0)
"""

WORK = """
import asyncio, ssl, aiofast
assert aiofast._core.__file__
async def main():
    connector = aiofast.TCPConnector(limit=5, ssl=ssl.create_default_context(cafile=ca))
    async with aiofast.ClientSession(connector=connector) as session:
        async def get(count):
            async with session.get(f"{other}?{number}-{count}") as found:
                body = await found.read()
                assert body == b"yes", body
                assert found.url.query_string == f"{number}-{count}"
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
    assert done.stdout == "[] True\n"


CONTROL = """
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
for _ in range(5):
    made = interpreters.create()
    interpreters.run_string(made, "import asyncio, datetime, hashlib, json, ssl, zlib")
    interpreters.destroy(made)
"""


@pytest.fixture(scope="module")
def sound():
    """A CPython whose own modules survive this: 3.12.1's do not."""
    done = subprocess.run([sys.executable, "-c", CONTROL], capture_output=True, timeout=100)
    if done.returncode < 0:
        pytest.skip("this CPython crashes without aiofast")
    assert done.returncode == 0, done.stderr


# asyncio of 3.11 shares its state between subinterpreters, and crashes without aiofast.
needs_interpreters = pytest.mark.skipif(
    not (3, 12) <= sys.version_info < (3, 14),
    reason="3.11 has one asyncio for all, 3.14 another module for them",
)


@needs_interpreters
@pytest.mark.seconds(120)
@pytest.mark.parametrize("place", ["plain", "tls"])
def test_several_beside_the_main_one(place, authority, sound):
    tls = authority.server() if place == "tls" else None
    server = Scripted([forever(answer(b"yes"))], tls=tls)
    plain = Scripted([forever(answer(b"yes"))])
    run(WORK, f"{plain.url}/", f"{server.url}/", authority.ca_file)
    assert server.connections >= 4


@needs_interpreters
@pytest.mark.seconds(120)
def test_one_that_ends_with_requests_in_flight(authority, sound):
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
