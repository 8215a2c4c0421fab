"""Every allocation of Python's fails once, in turn, under whole requests.

Stated beforehand: the request ends with its result, with MemoryError, or with a
ClientError, or waits for its limit of time where a callback was lost (two dozen
points at most, and cancelling ends it); nothing crashes; and the next request, in
a loop of its own, works.
(The core's own allocations: tests/c/test_torture.c.)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from servers import Scripted, chunked, forever, request, response

_testcapi = pytest.importorskip("_testcapi")

# A failing allocation inside asyncio may lose a callback or end its loop; so each
# round has a loop of its own, an end in any case, and what comes out of it is
# only looked at, not judged, where it is asyncio's.
WALK = """
import asyncio, gc, json, sys, time, warnings
import _testcapi, aiofast, ssl
url, ca, form, first, step = *sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5])
warnings.simplefilter("ignore")
context = ssl.create_default_context(cafile=ca) if ca else True

async def request(session):
    if form == "fetch":
        return (await aiofast.fetch(url + "/chunked", ssl=context)).body
    if form == "post":
        return (await aiofast.post(url + "/plain", json={"a": 1}, ssl=context)).body
    if form == "cancelled":
        task = asyncio.create_task(session.get(url + "/plain"))
        await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass
        return b"body"
    path = {"redirect": "/redirect", "gzip": "/gzip"}.get(form, "/plain")
    async with session.get(url + path) as found:
        return await found.read()

def is_pythons(error):
    # CPython 3.11 loses an exception where the traceback finds no memory; that is
    # not ours unless it came out of our own code.
    if not isinstance(error, SystemError) or "without" not in str(error):
        return False
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    file = frame.tb_frame.f_code.co_filename if frame is not None else "aiofast"
    return "aiofast" not in file and file != "<string>"

def once(at):
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *ignored: None)
    connector = aiofast.TCPConnector(ssl=context)
    session = aiofast.ClientSession(connector=connector)
    outcome = []
    async def main():
        if at:
            _testcapi.set_nomemory(at, at + 1)
        try:
            outcome.append(await request(session))
        except BaseException as error:
            outcome.append(error)
        finally:
            _testcapi.remove_mem_hooks()
            loop.stop()
    end = loop.call_later(0.5, loop.stop)
    coroutine = main()
    task = loop.create_task(coroutine)
    try:
        loop.run_forever()
    except MemoryError as error:
        outcome.append(error)
    _testcapi.remove_mem_hooks()
    end.cancel()
    task.cancel()
    # What asyncio's own step has lost is not resumed: the loop ends in any case.
    task.add_done_callback(lambda done: loop.stop())
    end = loop.call_later(0.1, loop.stop)
    loop.run_forever()
    end.cancel()
    task._log_destroy_pending = False
    connector.close()
    session.detach()
    loop.close()
    return outcome[0] if outcome else None

warm = once(0)
assert warm == b"body", warm
counts, strange = {}, []
at, whole = first, 0
while whole < 25 and at < 4000:
    outcome = once(at)
    if isinstance(outcome, (asyncio.CancelledError, type(None))):
        outcome = None  # half a second went by without an end, and we cancelled it
    name = "whole" if outcome == b"body" else type(outcome).__name__
    name = "waits" if outcome is None else name
    counts[name] = counts.get(name, 0) + 1
    whole = whole + 1 if name == "whole" else 0
    fine = isinstance(outcome, (bytes, MemoryError, aiofast.ClientError, type(None)))
    if not fine and not is_pythons(outcome):
        strange.append(f"{at}: {outcome!r}")
    at += step
after = once(0)
assert after == b"body", after
gc.collect()
print(json.dumps({"walked": at - first, "counts": counts, "strange": strange}))
"""


def serve(peer):
    import gzip

    while True:
        request(peer)
        path = peer.last.target
        if path == "/redirect":
            peer.write(response(b"", "Location: /plain", status="302 Found"))
        elif path == "/gzip":
            peer.write(response(gzip.compress(b"body"), "Content-Encoding: gzip"))
        elif path == "/chunked":
            head = response(b"", "Transfer-Encoding: chunked", "Set-Cookie: a=b", length=False)
            peer.write(head + chunked(b"bo", b"dy", trailers=["A: b"]))
        else:
            peer.write(response(b"body"))


@pytest.mark.seconds(280)
@pytest.mark.parametrize(
    "form", ["session", "fetch", "post", "redirect", "gzip", "cancelled", "tls"]
)
def test_python_without_memory(form, authority):
    """AIOFAST_MEMORY_STEP=3 for every third alone."""
    step = int(os.environ.get("AIOFAST_MEMORY_STEP", "1"))
    server = Scripted([forever(serve)], tls=authority.server() if form == "tls" else None)
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", WALK, server.url,
         authority.ca_file if form == "tls" else "", form, "1", str(step)],
        capture_output=True, text=True, timeout=270, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    print(form, found)
    assert found["strange"] == [], found
    assert found["counts"].get("MemoryError", 0) > 5, "nothing failed: it was no walk"
    assert found["counts"].get("waits", 0) <= 24, found
