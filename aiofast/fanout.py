"""Many requests at once: fetch_all() and fetch_many().

No task, timer or coroutine per request: a `Crew` starts requests and hears of
their ends by callback. What is under way and what nobody has read yet are
counted together against the limit, so that memory stays flat however long the
list and however slow the reader.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, overload

from . import _core
from .errors import redact_malformed
from .fetch import SHARED, caller_over, fetch_over

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Iterable
    from typing import Literal, Unpack

    from yarl import URL

    from ._core import Caller, Fetch, Pool
    from .fetch import FetchOptions, FetchRequest
    from .response import Response

    Request = str | URL | FetchRequest | tuple[str, str | URL]
    Requests = Iterable[Request] | AsyncIterable[Request]
    Outcome = Response | BaseException

__all__ = ("fetch_all", "fetch_many")

_END: Any = object()
_SHARED = 100  # connections of the pool that all fetches of a loop share


class Crew:
    """Fetches |requests|, at most |limit| at a time, and hands out (index,
    response or exception) as they end. Used as an async context manager:
    leaving cancels what is under way."""

    def __init__(self, requests: Requests, limit: int, options: FetchOptions) -> None:
        if isinstance(limit, bool) or not isinstance(limit, int):
            raise TypeError(f"limit must be an int, not {limit!r}")
        if limit < 1:
            raise ValueError(f"limit must be at least 1, not {limit}")
        if isinstance(requests, (str, bytes)):
            raise TypeError("requests must be an iterable of URLs, not one URL")
        self._limit = limit
        self._options = options
        self._source: Any = None
        self._async_source: Any = None
        if hasattr(requests, "__aiter__"):
            self._async_source = requests
        else:
            self._source = iter(requests)
        self._pump: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None  # of the source
        self._under_way: dict[Fetch[Response], tuple[int, Request]] = {}
        self._ended: deque[tuple[int, Outcome]] = deque()
        self._reader: asyncio.Future[None] | None = None  # waits for an end
        self._room: asyncio.Future[None] | None = None  # the pump waits for room
        self._pool: Pool | None = None  # where the shared one is too small
        self._caller = SHARED
        self._leaving = False
        self._next_index = 0
        self.held = 0  # results handed out that the caller still counts as unread

    async def __aenter__(self) -> Crew:
        if self._limit > _SHARED:
            self._pool = _core.Pool(limit=self._limit)
            self._caller = caller_over(self._pool)
        if self._async_source is not None:
            self._pump = asyncio.ensure_future(self._draw())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._leaving = True
        under_way, self._under_way = self._under_way, {}
        for one in under_way:
            one.remove_done_callback(self._on_done)
            one.cancel()
        if self._pool is not None:
            self._pool.close()
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)

    async def next(self) -> tuple[int, Outcome] | None:
        """The next that ended; None when there are no more. What the source of
        requests raises."""
        while True:
            self._fill()
            if self._ended:
                ended = self._ended.popleft()
                self._fill()  # before the caller goes away with the result
                self._make_room()
                return ended
            if self._failure is not None:
                raise self._failure
            if not self._under_way and self._source is None and self._async_source is None:
                return None
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None

    def release(self) -> None:
        """One result that was counted in `held` has been read."""
        self.held -= 1
        self._make_room()

    # --- starting ---

    def _is_full(self) -> bool:
        return len(self._under_way) + len(self._ended) + self.held >= self._limit

    def _fill(self) -> None:
        while self._source is not None and not self._is_full():
            try:
                request = next(self._source, _END)
            except Exception as failure:
                # Raised by next() once the results that are there are read.
                self._failure, request = failure, _END
            if request is _END:
                self._source = None
            else:
                self._start(request)

    async def _draw(self) -> None:
        """Starts what an asynchronous source gives, one task for all of it."""
        try:
            async for request in self._async_source:
                while self._is_full():
                    self._room = asyncio.get_running_loop().create_future()
                    await self._room
                self._start(request)
        except BaseException as failure:
            if self._leaving or isinstance(failure, (KeyboardInterrupt, SystemExit)):
                raise
            self._failure = failure  # its own CancelledError too
        finally:
            source, self._async_source = self._async_source, None
            self._wake()
            if self._leaving and hasattr(source, "aclose"):
                await source.aclose()

    def _start(self, request: Request) -> None:
        index = self._next_index
        self._next_index += 1
        try:
            one = as_fetch(request, self._options, self._caller)
        except Exception as error:  # is this request's failure, as any other
            self._end(index, request, error)
            return
        self._under_way[one] = index, request
        one.add_done_callback(self._on_done)

    # --- ending ---

    def _on_done(self, one: Fetch[Response]) -> None:
        entry = self._under_way.pop(one, None)
        if entry is None:
            return
        outcome: Outcome | None
        if one.cancelled():
            outcome = asyncio.CancelledError()
        else:
            outcome = one.exception()
            if outcome is None:
                outcome = one.result()
        self._end(*entry, outcome)

    def _end(self, index: int, request: Request, outcome: Outcome) -> None:
        if isinstance(outcome, BaseException) and getattr(outcome, "url", None) is None:
            outcome.url = redact_malformed(str(_url_of(request)))  # type: ignore[attr-defined]
        self._ended.append((index, outcome))
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _make_room(self) -> None:
        if self._room is not None and not self._room.done() and not self._is_full():
            self._room.set_result(None)


def as_fetch(request: Request, options: FetchOptions, caller: Caller) -> Fetch[Response]:
    """The fetch for |request|, which overrides |options|, by |caller|. TypeError;
    what fetch() raises."""
    if isinstance(request, dict):
        named: Any = {**options, **request}
        if "url" not in named:
            raise TypeError("a request as a dict needs 'url'")
        return fetch_over(caller, named.pop("url"), named)
    if isinstance(request, tuple):
        if len(request) != 2:
            raise TypeError("a request as a tuple is (method, url)")
        method, url = request
        with_method: FetchOptions = {**options, "method": method}
        return fetch_over(caller, url, with_method)
    return fetch_over(caller, request, options)


def _url_of(request: Any) -> Any:
    if isinstance(request, dict):
        return request.get("url", "")
    if isinstance(request, tuple):
        return request[-1] if request else ""
    return request


@overload
def fetch_many(
    requests: Requests,
    *,
    limit: int = 100,
    ordered: bool = False,
    return_exceptions: Literal[False] = False,
    **options: Unpack[FetchOptions],
) -> AsyncGenerator[Response, None]: ...
@overload
def fetch_many(
    requests: Requests,
    *,
    limit: int = 100,
    ordered: bool = False,
    return_exceptions: bool,
    **options: Unpack[FetchOptions],
) -> AsyncGenerator[Response | BaseException, None]: ...
async def fetch_many(
    requests: Requests,
    *,
    limit: int = 100,
    ordered: bool = False,
    return_exceptions: bool = False,
    **options: Unpack[FetchOptions],
) -> AsyncGenerator[Any, None]:
    """Responses as they complete: `async for response in fetch_many(urls)`.

    requests: any iterable or asynchronous iterable of URLs, (method, URL) pairs
        or dicts of fetch()'s parameters with "url"; drawn from as there is room.
    limit: how many may be under way or unread at a time, 100. With more than that
        the call has connections of its own, which are closed at its end.
    ordered: in the order of the requests instead of as they complete.
    return_exceptions: give a failure in its place instead of raising it.
    The other parameters are fetch()'s, for all requests.

    The first failure is raised by the iteration and carries its URL as `url`;
    the rest is cancelled then, and also when the generator is closed early. After
    a `break` Python closes it when it is collected; contextlib.aclosing() does at
    once. An asynchronous generator as |requests| is closed along with it.
    TypeError, ValueError; as fetch().
    """
    async with Crew(requests, limit, options) as crew:
        waiting: dict[int, Any] = {}
        expected = 0
        while (ended := await crew.next()) is not None:
            index, outcome = ended
            if isinstance(outcome, BaseException) and not return_exceptions:
                raise outcome
            if not ordered:
                yield outcome
                continue
            waiting[index] = outcome
            crew.held += 1
            while expected in waiting:
                outcome = waiting.pop(expected)
                expected += 1
                crew.release()
                yield outcome


@overload
async def fetch_all(
    requests: Requests,
    *,
    limit: int = 100,
    return_exceptions: Literal[False] = False,
    **options: Unpack[FetchOptions],
) -> list[Response]: ...
@overload
async def fetch_all(
    requests: Requests,
    *,
    limit: int = 100,
    return_exceptions: bool,
    **options: Unpack[FetchOptions],
) -> list[Response | BaseException]: ...
async def fetch_all(
    requests: Requests,
    *,
    limit: int = 100,
    return_exceptions: bool = False,
    **options: Unpack[FetchOptions],
) -> Any:
    """All responses, in the order of |requests|; parameters as fetch_many().

    The first failure is raised and cancels the rest, unless
    |return_exceptions| puts each in its place. TypeError, ValueError; as
    fetch().
    """
    results: dict[int, Any] = {}
    async with Crew(requests, limit, options) as crew:
        while (ended := await crew.next()) is not None:
            index, outcome = ended
            if isinstance(outcome, BaseException) and not return_exceptions:
                raise outcome
            results[index] = outcome
    return [results[index] for index in range(len(results))]
