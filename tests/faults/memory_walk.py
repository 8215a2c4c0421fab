"""Fails one allocation after the other under a whole request, and says what came
of each; test_memory.py runs this and states what may come.

    python memory_walk.py URL FORM [--ca FILE] [--extension nomemory.so | --core | --all]

FORM is one of FORMS. With --extension (built from nomemory.c) only what
aiofast._core asks Python's allocators for fails, with --core (and nomalloc.c
preloaded) only what it asks of the C library, and the walk ends when there is
nothing left to fail. With --all every allocation of the interpreter fails in
turn, until 25 rounds in a row have come out whole.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import importlib.util
import json
import os
import ssl
import sys
import tempfile
import warnings

import aiofast
from aiofast import _core


async def fetch(session, url, context):
    return (await aiofast.fetch(url + "/chunked", ssl=context)).body


async def post(session, url, context):
    return (await aiofast.post(url + "/plain", json={"a": 1}, ssl=context)).body


async def cancelled(session, url, context):
    task = asyncio.create_task(session.get(url + "/plain"))
    await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass
    return b"body"


async def upload(session, url, context):
    async def pieces():
        yield b"a"
        yield b"b"

    async with session.post(url + "/plain", data=pieces()) as found:
        return await found.read()


async def streamed(session, url, context):
    async with session.get(url + "/chunked") as found:
        return b"".join([piece async for piece in found.content.iter_chunked(100)])


async def reused(session, url, context):
    for _ in range(2):
        async with session.get(url + "/plain") as found:
            body = await found.read()
            str(found.headers), found.url, found.raw_headers
    return body


async def failing(session, url, context, path, expected, **options):
    """A request that fails by itself, in a way that is stated."""
    try:
        async with session.get(url + path, **options) as found:
            await found.read()
    except expected as error:
        if isinstance(error, aiofast.ClientError):
            return b"body"
        raise
    raise AssertionError(f"{path} went well")


async def malformed(session, url, context):
    return await failing(session, url, context, "/bad", aiofast.ClientResponseError)


async def cut(session, url, context):
    return await failing(session, url, context, "/cut", aiofast.ClientPayloadError)


async def late(session, url, context):
    return await failing(
        session, url, context, "/mute", aiofast.ServerTimeoutError,
        timeout=aiofast.ClientTimeout(sock_read=0.02),
    )  # fmt: skip


async def refused(session, url, context):
    return await failing(session, "http://127.0.0.1:1", context, "/", aiofast.ClientConnectorError)


async def closed(session, url, context):
    """The session's connector is closed under a request that waits."""
    task = asyncio.create_task(session.get(url + "/mute"))
    await asyncio.sleep(0.01)
    session.connector.close()
    try:
        await task
    except aiofast.ClientConnectionError:
        return b"body"
    raise AssertionError("it went well")


async def waiting(session, url, context):
    """Three requests for one connection."""
    connector = aiofast.TCPConnector(limit=1)
    narrow = aiofast.ClientSession(connector=connector)
    try:
        found = await asyncio.gather(
            *(FORMS["session"](narrow, url, context) for _ in range(3)), return_exceptions=True
        )
    finally:
        connector.close()
        narrow.detach()
    bad = [each for each in found if each != b"body"]
    if bad:
        raise bad[0]
    return b"body"


async def named(session, url, context):
    async with session.get(url.replace("127.0.0.1", "localhost") + "/plain") as found:
        return await found.read()


async def hinted(session, url, context):
    told = []
    found = await aiofast.fetch(
        url + "/hints", on_informational=lambda status, fields: told.append(status)
    )
    return found.body


async def posted_file(session, url, context):
    with open(__file__, "rb") as file:
        return (await aiofast.post(url + "/plain", data=file)).body


async def downloaded(session, url, context):
    with tempfile.TemporaryDirectory() as folder:
        await aiofast.download(url + "/large", f"{folder}/a")
    return b"body"


def get(path):
    async def request(session, url, context):
        async with session.get(url + path) as found:
            return await found.read()

    return request


FORMS = {
    "session": get("/plain"),
    "tls": get("/plain"),
    "gzip": get("/gzip"),
    "redirect": get("/redirect"),
    "fetch": fetch,
    "post": post,
    "upload": upload,
    "streamed": streamed,
    "reused": reused,
    "cancelled": cancelled,
    "malformed": malformed,
    "cut": cut,
    "late": late,
    "refused": refused,
    "closed": closed,
    "waiting": waiting,
    "named": named,
    "hinted": hinted,
    "file": posted_file,
    "download": downloaded,
}


def is_pythons(error):
    # CPython loses an exception where the traceback finds no memory; that is not
    # ours unless it came out of our own code.
    if not isinstance(error, SystemError):
        return False
    if str(error).startswith("<function "):
        return True  # one written in Python, which cannot end without either
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    file = frame.tb_frame.f_code.co_filename if frame is not None else "aiofast"
    return "aiofast" not in file and file != __file__


class Everything:
    """All that the interpreter asks for."""

    def __init__(self):
        import _testcapi

        self.capi = _testcapi
        self.whole = 0

    def arm(self, at):
        self.capi.set_nomemory(at, at + 1)

    def disarm(self):
        self.capi.remove_mem_hooks()

    def go_on(self, outcome):
        self.whole = self.whole + 1 if outcome == b"body" else 0
        return self.whole < 25


class Ours:
    """What the extension asks for."""

    def __init__(self, path):
        spec = importlib.util.spec_from_file_location("nomemory", path)
        self.hooks = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.hooks)
        self.hooks.watch(_core.__file__)
        self.asked, self.place = 0, None

    def arm(self, at):
        self.hooks.arm(at)

    def disarm(self):
        # The first one tells; later ones of the same round find nothing armed.
        self.asked, self.place = self.hooks.disarm()

    def go_on(self, outcome):
        return self.place is not None


class Core:
    """What the extension asks of the C library."""

    def __init__(self):
        self.hooks = ctypes.PyDLL(None)
        self.place = None
        assert self.hooks.nomalloc_watch(os.fsencode(_core.__file__)) == 0

    def arm(self, at):
        self.hooks.nomalloc_arm(ctypes.c_long(at))

    def disarm(self):
        self.place = self.hooks.nomalloc_disarm() or None

    def go_on(self, outcome):
        return self.place is not None


class Walk:
    def __init__(self, arguments):
        self.request = FORMS[arguments.form]
        self.url = arguments.url
        self.context = True
        if arguments.ca:
            self.context = ssl.create_default_context(cafile=arguments.ca)
        extension = arguments.extension
        if extension:
            self.hooks = Ours(extension)
        else:
            self.hooks = Core() if arguments.core else Everything()
        self.counts, self.strange, self.waits = {}, [], []

    def once(self, at):
        """One request in a loop of its own, whose |at|-th allocation fails; its
        body, its exception, or None if half a second went by without an end."""
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda *ignored: None)
        connector = aiofast.TCPConnector(ssl=self.context)
        session = aiofast.ClientSession(connector=connector)
        outcome = []

        async def main():
            if at:
                self.hooks.arm(at)
            try:
                outcome.append(await self.request(session, self.url, self.context))
            except BaseException as error:
                outcome.append(error)
            finally:
                if at:
                    self.hooks.disarm()
                loop.stop()

        end = loop.call_later(0.5, loop.stop)
        task = loop.create_task(main())
        try:
            loop.run_forever()
        except MemoryError as error:
            outcome.append(error)
        if at and not outcome:
            self.hooks.disarm()
        end.cancel()
        task.cancel()
        # What asyncio's own step has lost is not resumed: the loop ends anyway.
        task.add_done_callback(lambda done: loop.stop())
        end = loop.call_later(0.1, loop.stop)
        found = outcome[0] if outcome else None
        loop.run_forever()
        end.cancel()
        task._log_destroy_pending = False
        connector.close()
        session.detach()
        loop.close()
        return found

    def judge(self, at, outcome):
        if outcome is None:
            name = "waits"
            self.waits.append([at, getattr(self.hooks, "place", None)])
        else:
            name = "whole" if outcome == b"body" else type(outcome).__name__
        self.counts[name] = self.counts.get(name, 0) + 1
        fine = isinstance(outcome, (bytes, MemoryError, aiofast.ClientError, type(None)))
        if not fine and not is_pythons(outcome):
            self.strange.append([at, getattr(self.hooks, "place", None), repr(outcome)])

    def run(self):
        warm = self.once(0)
        assert warm == b"body", warm
        at, outcome = 0, None
        while at == 0 or self.hooks.go_on(outcome):
            at += 1
            gc.collect()  # Or a free list would have what is asked for.
            outcome = self.once(at)
            self.judge(at, outcome)
        after = self.once(0)
        assert after == b"body", after
        gc.collect()
        return {
            "walked": at, "counts": self.counts, "strange": self.strange, "waits": self.waits
        }  # fmt: skip


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("form", choices=FORMS)
    parser.add_argument("--ca")
    parser.add_argument("--extension")
    parser.add_argument("--core", action="store_true")
    parser.add_argument("--all", action="store_true")
    warnings.simplefilter("ignore")
    json.dump(Walk(parser.parse_args()).run(), sys.stdout)


if __name__ == "__main__":
    main()
