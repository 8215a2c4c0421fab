"""fetch_all and fetch_many: many requests, never more than |limit| at once."""

from __future__ import annotations

import asyncio
import contextlib
import inspect

import aiofast
import pytest
from servers import (
    Gone,
    Scripted,
    answer,
    forever,
    free_port,
    pause,
    request,
    response,
    send,
    silence,
)


def urls_of(web, count, path="/json?id={}"):
    return [web.url + path.format(n) for n in range(count)]


async def test_fetch_all_keeps_the_order(web):
    urls = [f"{web.url}/delay/{ms}" for ms in (60, 5, 40, 20)]
    found = await aiofast.fetch_all(urls)
    assert isinstance(found, list)
    assert [each.json()["delay"] for each in found] == [60, 5, 40, 20]


async def test_fetch_all_of_nothing_is_nothing():
    assert await aiofast.fetch_all([]) == []


@pytest.mark.parametrize("limit", [1, 3, 10])
async def test_fetch_all_holds_its_limit(web, limit):
    found = await aiofast.fetch_all(urls_of(web, 30, "/delay/2?{}"), limit=limit)
    assert [each.status for each in found] == [200] * 30
    assert web.most <= limit
    assert web.count == 30


async def test_fetch_all_runs_at_once(web):
    await aiofast.fetch_all(urls_of(web, 20, "/delay/100?{}"), limit=20)
    assert web.most > 10


async def test_fetch_all_passes_options_on(web):
    found = await aiofast.fetch_all(
        [f"{web.url}/echo"] * 2, method="POST", data=b"x", headers={"X-A": "1"}
    )
    for each in found:
        assert (each.json()["method"], each.json()["body"]) == ("POST", "x")


async def test_fetch_all_raises_the_first_failure_and_ends_the_rest(web):
    slow = Scripted([request, silence])
    refused = f"http://127.0.0.1:{free_port()}/"
    with pytest.raises(aiofast.ClientConnectorError) as caught:
        await aiofast.fetch_all([f"{slow.url}/", refused, f"{web.url}/json"])
    assert refused in str(getattr(caught.value, "url", caught.value))
    assert aiofast._core.stats()["fetches"] == 0


async def test_fetch_all_may_return_exceptions_in_place(web):
    urls = [f"{web.url}/json", f"http://127.0.0.1:{free_port()}/", "not a url", f"{web.url}/json"]
    found = await aiofast.fetch_all(urls, return_exceptions=True)
    assert [type(each) for each in (found[0], found[3])] == [type(found[0])] * 2
    assert found[0].status == found[3].status == 200
    assert isinstance(found[1], aiofast.ClientConnectorError)
    assert isinstance(found[2], aiofast.InvalidURL)


async def test_fetch_many_gives_them_as_they_complete(web):
    urls = [f"{web.url}/delay/{ms}" for ms in (300, 1, 150)]
    seen = [each.json()["delay"] async for each in aiofast.fetch_many(urls)]
    assert seen == [1, 150, 300]


async def test_fetch_many_may_keep_the_order(web):
    urls = [f"{web.url}/delay/{ms}" for ms in (100, 1, 50)]
    seen = [each.json()["delay"] async for each in aiofast.fetch_many(urls, ordered=True)]
    assert seen == [100, 1, 50]


async def test_fetch_many_is_an_async_generator(web):
    many = aiofast.fetch_many([f"{web.url}/json"])
    assert inspect.isasyncgen(many)
    assert (await anext(many)).status == 200
    with pytest.raises(StopAsyncIteration):
        await anext(many)


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("limit", [1, 4])
async def test_fetch_many_holds_its_limit_and_takes_no_more_than_it_needs(web, limit, ordered):
    """What is pulled from the iterable and not yet handed out is at most |limit|."""
    pulled = handed = 0
    ahead = []

    def source():
        nonlocal pulled
        for n in range(40):
            pulled += 1
            ahead.append(pulled - handed)
            yield f"{web.url}/delay/{1 + n % 3}"

    async for found in aiofast.fetch_many(source(), limit=limit, ordered=ordered):
        assert found.status == 200
        handed += 1
        await asyncio.sleep(0.002)
    assert handed == pulled == 40
    assert max(ahead) <= limit + 1
    assert web.most <= limit


async def test_fetch_many_takes_an_async_iterable(web):
    async def source():
        for n in range(5):
            await asyncio.sleep(0.001)
            yield f"{web.url}/json?id={n}"

    seen = [each.json()["id"] async for each in aiofast.fetch_many(source())]
    assert sorted(seen) == list("01234")


async def test_fetch_many_hands_out_what_is_ready_while_the_source_is_slow(web):
    gate = asyncio.Event()

    async def source():
        yield f"{web.url}/json?id=first"
        await gate.wait()
        yield f"{web.url}/json?id=second"

    many = aiofast.fetch_many(source())
    first = await asyncio.wait_for(anext(many), 5)
    assert first.json()["id"] == "first"
    gate.set()
    assert (await anext(many)).json()["id"] == "second"
    await many.aclose()


async def test_fetch_many_never_ends_an_endless_source_early(web):
    def source():
        while True:
            yield f"{web.url}/json"

    many, count = aiofast.fetch_many(source(), limit=5), 0
    async for found in many:
        assert found.status == 200
        count += 1
        if count == 50:
            break
    await many.aclose()
    assert 50 <= web.count <= 56


@pytest.mark.parametrize("form", ["tuple", "dict"])
async def test_requests_in_place_of_urls(web, form):
    url = f"{web.url}/echo"
    item = ("PUT", url) if form == "tuple" else {"method": "PUT", "url": url, "data": b"x"}
    found = await aiofast.fetch_all([item, url])
    assert [each.json()["method"] for each in found] == ["PUT", "GET"]
    if form == "dict":
        assert found[0].json()["body"] == "x"


async def test_closing_the_generator_ends_what_is_in_flight(web):
    slow = Scripted([request, silence])
    many = aiofast.fetch_many([f"{web.url}/json", f"{slow.url}/1", f"{slow.url}/2"])
    assert (await anext(many)).status == 200
    await slow.reached(lambda: len(slow.requests) == 2)
    await many.aclose()
    assert aiofast._core.stats()["fetches"] == 0


async def test_cancelling_the_caller_ends_what_is_in_flight():
    slow = Scripted([request, silence])
    task = asyncio.create_task(aiofast.fetch_all([f"{slow.url}/{n}" for n in range(10)]))
    await slow.reached(lambda: len(slow.requests) == 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert aiofast._core.stats()["fetches"] == 0


async def test_an_error_ends_the_iteration_and_what_is_in_flight():
    slow = Scripted([request, silence])
    urls = [f"{slow.url}/", f"http://127.0.0.1:{free_port()}/"]
    with pytest.raises(aiofast.ClientConnectorError):
        async for _ in aiofast.fetch_many(urls):
            pass
    assert aiofast._core.stats()["fetches"] == 0


async def test_an_error_of_the_source_comes_through(web):
    def source():
        yield f"{web.url}/json"
        raise LookupError("source")

    with pytest.raises(LookupError, match="source"):
        async for found in aiofast.fetch_many(source()):
            assert found.status == 200


@pytest.mark.parametrize("ordered", [False, True])
async def test_a_source_that_is_cancelled_does_not_end_in_silence(web, ordered):
    async def source():
        yield f"{web.url}/json"
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        async for found in aiofast.fetch_many(source(), ordered=ordered):
            assert found.status == 200
    with pytest.raises(asyncio.CancelledError):
        await aiofast.fetch_all(source())


@pytest.mark.parametrize("full", [False, True])
async def test_closing_the_generator_closes_an_asynchronous_source(web, full):
    closed = []

    async def source():
        try:
            while True:
                yield f"{web.url}/json"
                if not full:
                    await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    own = source()
    async with contextlib.aclosing(aiofast.fetch_many(own, limit=1)) as many:
        async for found in many:
            assert found.status == 200
            break
    assert closed == [True]
    with pytest.raises(StopAsyncIteration):
        await anext(own)


@pytest.mark.parametrize("form", ["url", "options"])
async def test_a_limit_beyond_the_shared_pools_is_honoured(form):
    """All are answered only once all have come."""
    count = 130
    server = Scripted([request, together(count), send(response(b"x"))])
    options = {"headers": {"X-A": "1"}} if form == "options" else {}
    found = await aiofast.fetch_all([f"{server.url}/"] * count, limit=count, **options)
    assert [each.status for each in found] == [200] * count
    assert server.connections == count
    await server.reached(lambda: server.open == 0)  # the pool has gone


def together(count):
    def step(peer):
        if not peer.server.wait_for(lambda: len(peer.server.requests) == count, 20):
            raise Gone("they do not come")

    return step


@pytest.mark.parametrize("limit", [0, -1])
async def test_a_limit_is_positive(web, limit):
    with pytest.raises(ValueError):
        await aiofast.fetch_all([f"{web.url}/json"], limit=limit)
    assert web.count == 0


async def test_no_task_is_made_per_request(web):
    before = len(asyncio.all_tasks())
    most = 0

    async def look():
        nonlocal most
        while True:
            most = max(most, len(asyncio.all_tasks()))
            await asyncio.sleep(0)

    watcher = asyncio.create_task(look())
    await aiofast.fetch_all(urls_of(web, 50), limit=50)
    watcher.cancel()
    assert most <= before + 2


async def test_answers_do_not_cross():
    """Each body carries the token of its request."""

    def script(peer):
        while True:
            request(peer)
            peer.write(response(peer.last.target.encode()))

    server = Scripted([script])
    urls = [f"{server.url}/{n}" for n in range(500)]
    count = 0
    async for found in aiofast.fetch_many(urls, limit=20):
        assert found.body.decode() == found.url.path
        count += 1
    assert count == 500
    assert server.connections <= 20


async def test_a_slow_one_does_not_hold_up_the_others():
    server = Scripted([request, pause(0.5), send(response(b"slow"))], [forever(answer(b"quick"))])
    urls = [f"{server.url}/{n}" for n in range(10)]
    seen = []
    async for found in aiofast.fetch_many(urls, limit=2):
        seen.append(found.body)
    assert seen.count(b"slow") == 1
    assert seen[-1] == b"slow"
