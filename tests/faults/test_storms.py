"""Storms of cancellations: at random times, by each way asyncio has, with one
connection for all. Afterwards the pool serves, nothing is in flight, no
exception was left unseen (conftest), and the server has no connection more than
the limit.

Stated beforehand: each request ends with its body, or with CancelledError
(TimeoutError where the way turns it into one), within 15 s of being told to.

The long form, 100,000 cancellations: AIOFAST_STORM=25000 (for each way), or
`make storm`.
"""

from __future__ import annotations

import asyncio
import os
import random
import time

import aiofast
import pytest

COUNT = int(os.environ.get("AIOFAST_STORM", "500"))
AT_ONCE = 20


class Tally:
    """What came of the requests."""

    def __init__(self):
        self.whole = self.cancelled = self.other = 0
        self.strange = []

    def note(self, outcome, body):
        if isinstance(outcome, (asyncio.CancelledError, TimeoutError)):
            self.cancelled += 1
        elif outcome == body:
            self.whole += 1
        else:
            self.strange.append(outcome)


async def read(session, url):
    async with session.get(url) as found:
        return await found.read()


async def by_timeout(session, url, delay):
    try:
        async with asyncio.timeout(delay):
            return await read(session, url)
    except TimeoutError as error:
        return error


async def by_wait_for(session, url, delay):
    try:
        return await asyncio.wait_for(read(session, url), delay)
    except TimeoutError as error:
        return error


async def by_cancel(session, url, delay):
    task = asyncio.create_task(read(session, url))
    asyncio.get_running_loop().call_later(delay, task.cancel)
    try:
        return await task
    except asyncio.CancelledError as error:
        return error


async def by_gather(session, url, delay):
    both = asyncio.gather(read(session, url), read(session, url))
    asyncio.get_running_loop().call_later(delay, both.cancel)
    try:
        one, other = await both
        assert one == other
        return one
    except asyncio.CancelledError as error:
        return error


class Stop(Exception):
    pass


async def by_group(session, url, delay):
    """A sibling fails, and the group cancels the rest."""

    async def fail():
        await asyncio.sleep(delay)
        raise Stop

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            group.create_task(read(session, url))
            group.create_task(read(session, url))
    except* Stop:
        pass
    return asyncio.CancelledError()


async def by_the_fetch(session, url, delay):
    """The request itself, without a task around it."""
    pending = session.get(url)
    asyncio.get_running_loop().call_later(delay, pending.cancel)
    try:
        async with pending as found:
            return await found.read()
    except asyncio.CancelledError as error:
        return error


WAYS = [by_timeout, by_wait_for, by_cancel, by_gather, by_group, by_the_fetch]


async def storm(session, way, url, body, dice):
    tally = Tally()
    left = COUNT

    async def worker():
        nonlocal left
        while left > 0:
            left -= 1
            # Most of them within the life of a request, some in the queue, some after.
            delay = dice.choice((0, dice.random() * 0.001, dice.random() * 0.01))
            start = time.monotonic()
            tally.note(await way(session, url, delay), body)
            assert time.monotonic() - start < 15

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return tally


@pytest.mark.seconds(900 if COUNT > 1000 else 60)
@pytest.mark.parametrize("limit", [1, 7])
@pytest.mark.parametrize("place", ["plain", "tls"])
@pytest.mark.parametrize("way", WAYS)
async def test_a_storm(way, place, limit, nginx, authority):
    base = nginx.url if place == "plain" else nginx.tls_url
    url = f"{base}/{'json' if limit == 1 else 'big.bin'}"
    body = nginx.JSON.encode() if limit == 1 else nginx.big
    connector = aiofast.TCPConnector(limit=limit, ssl=authority.client())
    dice = random.Random(f"{way.__name__}{place}{limit}")
    async with aiofast.ClientSession(connector=connector) as session:
        tally = await storm(session, way, url, body, dice)
        assert tally.strange == []
        assert tally.cancelled > COUNT // 10, "it was no storm"
        async with asyncio.timeout(10):
            for _ in range(3):
                assert await read(session, f"{base}/json") == nginx.JSON.encode()
        assert connector.stats()["open"] <= limit
        assert connector.stats()["waiting"] == 0
        assert aiofast._core.stats()["fetches"] == 0
    print(f"{way.__name__} {place} limit={limit}: {tally.cancelled} cancelled, {tally.whole} whole")


# --- at every step --------------------------------------------------------------


class Steps:
    """Drives a coroutine as a task does, and throws a cancellation in at its
    |at|-th suspension."""

    def __init__(self, coroutine, at):
        self.coroutine, self.at, self.count = coroutine, at, 0

    def __await__(self):
        awaiting = self.coroutine.__await__()
        value, throw = None, None
        while True:
            try:
                step = awaiting.throw(throw) if throw is not None else awaiting.send(value)
            except StopIteration as stop:
                return stop.value
            self.count += 1
            throw = None
            if self.count == self.at:
                if asyncio.isfuture(step):
                    step._asyncio_future_blocking = False  # nobody awaits it any more
                throw = asyncio.CancelledError()
                continue
            value = yield step


async def scenario(session, web, form):
    if form == "redirect":
        return await read(session, f"{web.url}/redirect/3")
    if form == "post":
        async with session.post(f"{web.url}/echo", data=b"x" * 300_000) as found:
            return len(await found.read())
    if form == "stream":
        async with session.get(f"{web.url}/bytes/300000") as found:
            size = 0
            async for part in found.content.iter_chunked(50_000):
                size += len(part)
            return size
    return await read(session, f"{web.url}/json")


@pytest.mark.parametrize("form", ["plain", "redirect", "post", "stream"])
async def test_cancelled_at_every_suspension(form, web):
    """Thrown in at the first await that suspends, the second, and so on, until the
    request is done before: each time the one slot is free again."""
    connector = aiofast.TCPConnector(limit=1)
    async with aiofast.ClientSession(connector=connector) as session:
        whole = await scenario(session, web, form)
        for at in range(1, 200):
            steps = Steps(scenario(session, web, form), at)
            try:
                async with asyncio.timeout(10):
                    assert await steps == whole
                break
            except asyncio.CancelledError:
                pass
            async with asyncio.timeout(5):
                assert await read(session, f"{web.url}/json")
        else:
            pytest.fail("it never came to its end")
        assert at > 1
