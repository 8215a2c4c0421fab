"""A cancel at every turn of the loop, from the first to the one in which the
request ends: connecting, the handshake, sending, reading, waiting for a
connection, redirects.

Stated beforehand: the request ends with CancelledError at once, or had ended
before; with the one connection that is allowed the next request is served, the
server has never more than that one and the one that was given up, nothing is in
flight, and no exception is left unseen.
"""

from __future__ import annotations

import asyncio
import gc
import time
from typing import Any

import aiofast
import pytest
from servers import Scripted, drip, full_backlog, request, response

BIG = b"u" * 2_000_000
FEW = 400  # more turns than any of these takes


class Turns(asyncio.SelectorEventLoop):
    """Calls a function when so many turns have gone by."""

    left, act = 0, staticmethod(lambda: None)

    def _run_once(self) -> None:
        super()._run_once()
        if self.left > 0:
            self.left -= 1
            if self.left == 0:
                self.act()


def script(peer: Any) -> None:
    while True:
        request(peer)
        path = peer.last.target
        if path.startswith("/hop/"):
            count = int(path[5:])
            to = "/end" if count == 1 else f"/hop/{count - 1}"
            peer.write(response(b"moved", f"Location: {to}", status="302 Found"))
        elif path == "/drip":
            drip(response(b"a body that takes its time"), 0.001, 5)(peer)
        elif path == "/hints":
            drip(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + response(b"x"), 0.001, 20)(
                peer
            )
        else:
            peer.write(response(b"end"))


async def get(session: Any, url: str, **options: Any) -> None:
    async with session.get(url, **options) as found:
        await found.read()


async def reading(session: Any, base: str) -> None:
    await get(session, base + "/drip")


async def connecting(session: Any, base: str) -> None:
    await get(session, base.replace("127.0.0.1", "localhost") + "/end")


async def redirected(session: Any, base: str) -> None:
    await get(session, base + "/hop/3")


async def hinted(session: Any, base: str) -> None:
    await get(session, base + "/hints")


async def sending(session: Any, base: str) -> None:
    async with session.post(base + "/end", data=BIG) as found:
        await found.read()


async def in_pieces(session: Any, base: str) -> None:
    async def pieces() -> Any:
        for _ in range(8):
            yield b"p" * 1000
            await asyncio.sleep(0)

    async with session.post(base + "/end", data=pieces()) as found:
        await found.read()


async def streaming(session: Any, base: str) -> None:
    async with session.get(base + "/drip") as found:
        async for _ in found.content.iter_any():
            pass


async def queued(session: Any, base: str) -> None:
    """Behind another one that has the connection; that one is let be."""
    other = asyncio.ensure_future(get(session, base + "/drip"))
    try:
        await asyncio.sleep(0)
        await get(session, base + "/end")
    finally:
        await asyncio.wait([other])


async def once(act: Any, server: Any, context: Any, at: int) -> bool:
    """Cancelled at turn |at|; whether it ended before that."""
    loop: Any = asyncio.get_running_loop()
    connector = aiofast.TCPConnector(limit=1, ssl=context)
    async with aiofast.ClientSession(connector=connector) as session:
        task = asyncio.create_task(act(session, server.url))
        loop.act, loop.left = task.cancel, at
        begin = time.monotonic()
        try:
            await task
            whole = True
        except asyncio.CancelledError:
            whole = False
        assert time.monotonic() - begin < 5
        loop.left = 0
        async with asyncio.timeout(5):
            await get(session, server.url + "/end")
        stats = connector.stats()
        assert (stats["open"], stats["waiting"]) == (1, 0), stats
        assert aiofast._core.stats()["fetches"] == 0
    return whole


def every_turn(act: Any, server: Any, context: Any) -> int:
    """How many turns it took until the request was whole before its cancel."""
    unseen: list[Any] = []
    with asyncio.Runner(loop_factory=Turns) as runner:
        runner.get_loop().set_exception_handler(lambda loop, facts: unseen.append(facts))
        for at in range(1, FEW):
            if runner.run(once(act, server, context, at)):
                break
        gc.collect()
        runner.run(asyncio.sleep(0))
    assert at < FEW - 1, "it never came to its end"
    assert unseen == []
    return at


@pytest.mark.seconds(120)
@pytest.mark.parametrize("place", ["plain", "tls"])
@pytest.mark.parametrize(
    ("act", "least"),
    [
        (reading, 8), (connecting, 4), (redirected, 5), (hinted, 5), (sending, 4),
        (in_pieces, 8), (streaming, 8), (queued, 8),
    ],
)  # fmt: skip
def test_a_cancel_at_every_turn(act, least, place, authority):
    tls = authority.server("localhost", "127.0.0.1") if place == "tls" else None
    server = Scripted([script], tls=tls)
    turns = every_turn(act, server, authority.client())
    print(f"{act.__name__} {place}: {turns} turns")
    # On a busy machine several steps may fall into one turn.
    assert turns >= least // 2


@pytest.mark.parametrize("limit", ["sock_connect", "total"])
def test_a_cancel_at_every_turn_of_a_connect_that_hangs(limit):
    """No connection is ever made: it ends by the limit, or by the cancel before."""
    server = full_backlog()

    async def once(at: int) -> bool:
        loop: Any = asyncio.get_running_loop()
        timeout = aiofast.ClientTimeout(**{limit: 0.05})
        async with aiofast.ClientSession(connector=aiofast.TCPConnector(limit=1)) as session:
            task = asyncio.create_task(get(session, server.url, timeout=timeout))
            loop.act, loop.left = task.cancel, at
            try:
                await task
            except asyncio.CancelledError:
                return False
            except TimeoutError:
                return True
            finally:
                loop.left = 0
                assert session.connector.stats()["open"] == 0

    with asyncio.Runner(loop_factory=Turns) as runner:
        for at in range(1, FEW):
            if runner.run(once(at)):
                break
    assert 1 < at < FEW - 1
