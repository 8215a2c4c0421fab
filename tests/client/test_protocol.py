"""A Fetch as asyncio uses it: a coroutine before its start, from then on a future."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import threading
import weakref

import aiofast
import pytest
from conftest import let_stop, new_loop
from servers import (
    Scripted,
    answer,
    eof,
    forever,
    free_port,
    pause,
    request,
    response,
    send,
    silence,
)


async def settle():
    await asyncio.sleep(0.05)


def started(url):
    """A Fetch that is a future already."""
    fetch = aiofast.fetch(url)
    fetch.add_done_callback(lambda _: None)
    return fetch


both = pytest.mark.parametrize("make", [aiofast.fetch, started])


# --- futures, without a task around ---------------------------------------------


@both
async def test_gather_of_bare_fetches(make):
    server = Scripted([forever(answer(b"one"))])
    found = await asyncio.gather(*(make(f"{server.url}/") for _ in range(5)))
    assert [each.body for each in found] == [b"one"] * 5


@both
async def test_a_cancelled_gather_ends(make):
    server = Scripted([request, silence])
    outer = asyncio.gather(*(make(f"{server.url}/") for _ in range(3)))
    await server.reached(lambda: len(server.requests) == 3)
    outer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(outer, 5)


@both
async def test_a_task_in_gather_that_is_cancelled_ends(make):
    server = Scripted([request, silence])

    async def body():
        await asyncio.gather(make(f"{server.url}/"), make(f"{server.url}/"))

    task = asyncio.create_task(body())
    await server.reached(lambda: len(server.requests) == 2)
    task.cancel("enough")
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)


@pytest.mark.parametrize("collect", [False, True])
async def test_a_cancelled_child_of_gather(collect):
    server = Scripted([request, silence], [answer(b"good")])
    child = started(f"{server.url}/")
    outer = asyncio.gather(child, aiofast.fetch(f"{server.url}/"), return_exceptions=collect)
    await server.reached(lambda: len(server.requests) == 2)
    child.cancel("this one")
    if collect:
        first, second = await asyncio.wait_for(outer, 5)
        assert isinstance(first, asyncio.CancelledError)
        assert first.args == ("this one",)
        assert second.body == b"good"
    else:
        with pytest.raises(asyncio.CancelledError, match="this one"):
            await asyncio.wait_for(outer, 5)


@both
async def test_as_completed_and_wait_for(make):
    slow, quick = Scripted([pause(0.1), answer(b"slow")]), Scripted([answer(b"quick")])
    order = []
    for each in asyncio.as_completed([make(f"{s.url}/") for s in (slow, quick)]):
        order.append((await each).body)
    assert order == [b"quick", b"slow"]
    mute = Scripted([request, eof], [request, eof])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(make(f"{mute.url}/"), 0.05)
    await mute.reached(lambda: mute.open == 0)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(make(f"{mute.url}/"), 0)


@both
async def test_a_bare_fetch_in_a_shield_goes_on(make):
    server = Scripted([request, pause(0.1), send(response(b"late"))])
    inner = make(f"{server.url}/")

    async def body():
        await asyncio.shield(inner)

    task = asyncio.create_task(body())
    await server.reached(lambda: server.requests)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await inner).body == b"late"


async def test_a_timeout_leaves_no_trace_in_the_task():
    mute = Scripted([request, silence])
    task = asyncio.current_task()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await aiofast.fetch(f"{mute.url}/")
    assert task.cancelling() == 0
    good = Scripted([answer(b"next")])
    assert (await aiofast.fetch(f"{good.url}/")).body == b"next"


async def test_a_cancellation_may_be_taken_back():
    mute, good = Scripted([request, silence]), Scripted([answer(b"after all")])

    async def body():
        try:
            await aiofast.fetch(f"{mute.url}/")
        except asyncio.CancelledError:
            asyncio.current_task().uncancel()
        return (await aiofast.fetch(f"{good.url}/")).body

    task = asyncio.create_task(body())
    await mute.reached(lambda: mute.requests)
    task.cancel()
    assert await task == b"after all"


@pytest.mark.parametrize("message", [None, "text", ("a", "pair"), ValueError("v"), KeyError])
async def test_the_message_of_a_cancellation_is_what_it_was(message):
    future = asyncio.get_running_loop().create_future()
    future.cancel(message)
    fetch = aiofast.fetch("http://127.0.0.1:9/")
    fetch.cancel(message)
    seen = []
    for each in (future, fetch):
        with pytest.raises(asyncio.CancelledError) as caught:
            each.result()
        seen.append(caught.value.args)
    assert seen[0] == seen[1]


def test_from_another_thread():
    server = Scripted([answer(b"there"), request, eof])
    loop = new_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        future = asyncio.run_coroutine_threadsafe(aiofast.fetch(f"{server.url}/"), loop)
        assert future.result(5).body == b"there"
        future = asyncio.run_coroutine_threadsafe(aiofast.fetch(f"{server.url}/"), loop)
        assert server.wait_for(lambda: len(server.requests) == 2)
        assert future.cancel()
        assert server.wait_for(lambda: server.open == 0)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


# --- several that wait for one --------------------------------------------------


async def test_two_await_the_same():
    server = Scripted([request, pause(0.05), send(response(b"both"))])
    fetch = aiofast.fetch(f"{server.url}/")

    async def body():
        return await fetch

    found = await asyncio.gather(body(), body(), fetch)
    assert found[0] is found[1] is found[2]
    assert (await fetch) is found[0]
    assert len(server.requests) == 1


async def test_cancelling_one_of_two_cancels_what_they_wait_for():
    """As with a future of asyncio; shield() is for the other wish."""
    server = Scripted([request, silence])
    fetch = aiofast.fetch(f"{server.url}/")

    async def body():
        return await fetch

    tasks = [asyncio.create_task(body()) for _ in range(2)]
    await server.reached(lambda: server.requests)
    tasks[0].cancel()
    await asyncio.wait(tasks, timeout=5)
    assert [task.cancelled() for task in tasks] == [True, True]


async def test_a_failure_is_told_to_all():
    fetch = aiofast.fetch(f"http://127.0.0.1:{free_port()}/")

    async def body():
        await fetch

    found = await asyncio.gather(body(), body(), return_exceptions=True)
    assert isinstance(found[0], aiofast.ClientConnectorError)
    assert found[0] is found[1] is fetch.exception()


async def test_a_coroutine_that_is_closed_leaves_the_fetch_to_the_others():
    server = Scripted([request, pause(0.1), send(response(b"whole"))])
    fetch = aiofast.fetch(f"{server.url}/")

    async def body():
        return await fetch

    task = asyncio.create_task(body())
    await server.reached(lambda: server.requests)
    other = body()
    assert other.send(None) is fetch
    fetch.add_done_callback(lambda _: None)
    other.close()
    assert (await task).body == b"whole"


async def test_the_last_coroutine_that_is_closed_ends_the_fetch():
    server = Scripted([request, eof])
    fetch = aiofast.fetch(f"{server.url}/")

    async def body():
        return await fetch

    only = body()
    assert only.send(None) is fetch
    await server.reached(lambda: server.requests)
    only.close()
    await server.reached(lambda: server.open == 0)
    assert fetch.cancelled()


def test_awaiting_in_another_loop_does_not_harm_the_first():
    server = Scripted([request, pause(0.1), send(response(b"mine"))])
    first, second = new_loop(), new_loop()
    fetch = aiofast.fetch(f"{server.url}/")

    async def start():
        fetch.add_done_callback(lambda _: None)
        await asyncio.sleep(0.01)

    async def body():
        return await fetch

    first.run_until_complete(start())
    with pytest.raises(RuntimeError):
        second.run_until_complete(body())
    assert not fetch.done()
    assert first.run_until_complete(body()).body == b"mine"
    first.close()
    second.close()


# --- callbacks ------------------------------------------------------------------


async def test_callbacks_run_in_their_own_context():
    server = Scripted([answer()])
    name = contextvars.ContextVar("name", default="none")
    seen = []
    fetch = aiofast.fetch(f"{server.url}/")
    for each in ("first", "second"):
        context = contextvars.copy_context()
        context.run(name.set, each)
        fetch.add_done_callback(lambda _: seen.append(name.get()), context=context)
    name.set("third")
    fetch.add_done_callback(lambda _: seen.append(name.get()))
    name.set("own")
    await fetch
    assert name.get() == "own"
    await asyncio.sleep(0)
    assert seen == ["first", "second", "third"]


def test_an_interrupt_in_one_callback_does_not_lose_the_others():
    server = Scripted([answer()])
    loop = new_loop()
    called = []

    def interrupt(_):
        raise KeyboardInterrupt

    async def body():
        fetch = aiofast.fetch(f"{server.url}/")
        fetch.add_done_callback(interrupt)
        fetch.add_done_callback(called.append)
        fetch.add_done_callback(called.append)
        return await fetch

    task = loop.create_task(body())
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    let_stop(loop)
    assert loop.run_until_complete(asyncio.wait_for(task, 5)).status == 200
    assert len(called) == 2
    loop.close()


def test_a_limit_of_time_holds_after_an_interrupt():
    server, mute = Scripted([answer()]), Scripted([request, silence])
    loop = new_loop()

    def interrupt(_):
        raise KeyboardInterrupt

    async def late():
        with pytest.raises(TimeoutError):
            await aiofast.fetch(f"{mute.url}/", timeout=0.3)

    async def body():
        fetch = aiofast.fetch(f"{server.url}/")
        fetch.add_done_callback(interrupt)
        await fetch

    waiting, task = loop.create_task(late()), loop.create_task(body())
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    let_stop(loop)
    loop.run_until_complete(asyncio.wait_for(waiting, 5))
    loop.run_until_complete(asyncio.wait([task]))
    loop.close()


async def test_a_context_that_is_in_use_is_reported_not_fatal():
    """Nobody else is forgotten because of it."""
    server = Scripted([answer()])
    reports = []
    asyncio.get_running_loop().set_exception_handler(lambda _, facts: reports.append(facts))
    fetch = aiofast.fetch(f"{server.url}/")
    fetch.add_done_callback(lambda _: None, context=3)
    assert (await asyncio.wait_for(fetch, 5)).status == 200
    assert isinstance(reports[0]["exception"], TypeError)


async def test_failures_in_a_row_leave_the_loop_to_others():
    """Each comes through the drain, and none of them waits for the network."""
    turns = 0
    stop = False

    async def other():
        nonlocal turns
        while not stop:
            turns += 1
            await asyncio.sleep(0)

    async def body():
        nonlocal stop
        connector = aiofast.UnixConnector("/nonexistent/" + "x" * 200)
        async with aiofast.ClientSession(connector=connector) as session:
            for _ in range(50):
                with pytest.raises(aiofast.ClientError):
                    await session.get("http://here/")
        stop = True

    await asyncio.gather(other(), body())
    assert turns >= 10


# --- eager tasks ----------------------------------------------------------------


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are of 3.12")
async def test_eager_tasks():
    loop = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    server = Scripted([forever(answer(b"eager"))])

    async def body():
        return (await aiofast.fetch(f"{server.url}/")).body

    try:
        found = await asyncio.gather(*(asyncio.create_task(body()) for _ in range(10)))
        assert found == [b"eager"] * 10
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(aiofast.fetch(f"{server.url}/")) for _ in range(10)]
        assert [task.result().body for task in tasks] == [b"eager"] * 10
        failing = asyncio.create_task(aiofast.fetch("http://"))
        with pytest.raises(aiofast.InvalidURL):
            await failing
        task = asyncio.create_task(body())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    finally:
        loop.set_task_factory(None)


# --- who keeps what alive -------------------------------------------------------


async def test_a_fetch_that_nobody_holds_ends_by_itself():
    server = Scripted([request, pause(0.05), send(response(b"unheard")), forever(answer(b"next"))])
    fetch = aiofast.fetch(f"{server.url}/")
    seen = weakref.ref(fetch)
    fetch.add_done_callback(lambda _: None)
    del fetch
    gc.collect()
    await server.reached(lambda: server.requests)
    assert seen() is not None
    while seen() is not None:
        await asyncio.sleep(0.01)
    assert (await aiofast.fetch(f"{server.url}/")).reused is True


async def test_a_task_that_reads_a_body_is_not_collected():
    """Nobody but the engine holds it while it waits."""
    server = Scripted([request, send(response(b"x" * 1000)[:-500]), pause(0.2), send(b"x" * 500)])
    done = []

    async def body(session):
        async with session.get(f"{server.url}/") as found:
            done.append(len(await found.read()))

    session = aiofast.ClientSession()
    asyncio.get_running_loop().create_task(body(session))
    await server.reached(lambda: server.requests)
    await settle()
    gc.collect()
    while not done:
        await asyncio.sleep(0.01)
        gc.collect()
    assert done == [1000]
    await session.close()


@pytest.mark.parametrize("stream", [False, True])
def test_a_forgotten_loop_takes_along_what_is_in_flight(stream):
    part = response(b"x" * 1000)[:-500] if stream else b""
    server = Scripted([request, send(part), eof])
    loop = asyncio.new_event_loop()
    gone = weakref.ref(loop)

    async def body():
        async with aiofast.ClientSession() as session:
            async with session.get(f"{server.url}/") as found:
                await found.read()

    async def some_time():
        await server.reached(lambda: server.requests)
        await settle()

    task = loop.create_task(body())
    task._log_destroy_pending = False
    loop.run_until_complete(some_time())
    loop.set_exception_handler(lambda *_: None)
    del loop, task
    with pytest.warns(ResourceWarning):
        gc.collect()
    gc.collect()
    assert gone() is None
    assert server.wait_for(lambda: server.open == 0)
