"""From the engine's phases to aiohttp's signals."""

from __future__ import annotations

from asyncio import get_running_loop
from typing import TYPE_CHECKING, Any

from .cookiescope import is_address
from .tracing import tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._core import Fetch, Pool
    from .clientrequest import ClientRequest
    from .clientresponse import ClientResponse
    from .tracing import Trace


async def watched(
    start: Callable[[Any], Fetch[ClientResponse]],
    request: ClientRequest,
    traces: list[Trace],
    pool: Pool | None,
) -> ClientResponse:
    """The response to what |start| makes; |traces| hear of its phases."""
    if not traces:
        return await start(None)
    watch = Watch(request, traces, pool)
    watch.fetch = fetch = start(watch.ended)
    try:
        fetch.add_done_callback(watch.wake)  # which starts it
        await watch.follow()
    except BaseException:
        fetch.cancel()
        raise
    return await fetch


class Watch:
    """Hears of the phases as they end, and awaits the signals in between."""

    fetch: Fetch[ClientResponse]

    def __init__(self, request: ClientRequest, traces: list[Trace], pool: Pool | None) -> None:
        self.request = request
        self.traces = traces
        self.pool = pool
        self.phases: list[str] = []
        self.waiter: Any = None
        self.resolves = not is_address(request.host) and request.dns_signals
        self.looking = False

    def ended(self, phase: str, seconds: float) -> None:
        """Called by the engine."""
        self.phases.append(phase)
        self.wake()

    def wake(self, _: object = None) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    async def follow(self) -> None:
        """Returns when the request is over."""
        waiting = self.pool is not None and self.pool.stats()["waiting"] > 0
        if waiting and self.fetch.phase == "queued":
            await tell(self.traces, "on_connection_queued_start")
        else:
            waiting = False
        while True:
            while self.phases:
                await self._told(self.phases.pop(0), waiting)
            if self.fetch.done():
                return
            self.waiter = get_running_loop().create_future()
            await self.waiter

    async def _told(self, phase: str, waited: bool) -> None:
        if phase == "queued":
            if waited:
                await tell(self.traces, "on_connection_queued_end")
            await self._connecting()
        elif phase == "dns":
            await self._resolved()
        elif (phase == "connect" and not self.request.is_ssl()) or phase == "tls":
            await tell(self.traces, "on_connection_create_end")
        elif phase == "send":
            await self._sent()

    async def _connecting(self) -> None:
        made = ("dns", "connect", "tls")
        if any(phase in self.phases for phase in made) or self.fetch.phase in made:
            await tell(self.traces, "on_connection_create_start")
            if self.resolves and self.fetch.phase == "dns":
                await self._looking_up()
        elif self.fetch.phase in ("send", "wait", "receive", "done") and (
            "send" in self.phases or self.fetch.phase != "done"
        ):
            await tell(self.traces, "on_connection_reuseconn")

    async def _looking_up(self) -> None:
        self.looking = True
        await tell(self.traces, "on_dns_cache_miss", self.request.host)
        await tell(self.traces, "on_dns_resolvehost_start", self.request.host)

    async def _resolved(self) -> None:
        if not self.resolves:
            return
        if not self.looking:
            if self.fetch.dns_cached:
                await tell(self.traces, "on_dns_cache_hit", self.request.host)
                return
            await self._looking_up()
        await tell(self.traces, "on_dns_resolvehost_end", self.request.host)

    async def _sent(self) -> None:
        request = self.request
        await tell(
            self.traces, "on_request_headers_sent", request.method, request.url, request.headers
        )
        body = request.body
        if isinstance(body, bytes) and body:
            await tell(
                self.traces, "on_request_chunk_sent", request.method, request.url, bytes(body)
            )
