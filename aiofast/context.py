"""What session.get() gives where the engine's own awaitable does not do: a
coroutine that can also be entered with `async with`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ._core import Fetch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from types import TracebackType

    from .clientresponse import ClientResponse
    from .sending import Source
    from .tracker import UploadTracker

_T = TypeVar("_T")


class RequestContextManager(Coroutine[Any, Any, _T], Generic[_T]):
    """A request that has not begun: awaited it gives the response, and `async
    with` releases that at the end."""

    __slots__ = ("_coro", "_resp")
    _resp: Any

    def __init__(self, coro: Coroutine[Any, Any, _T]) -> None:
        self._coro = coro

    def send(self, arg: None) -> Any:
        """As of a coroutine."""
        return self._coro.send(arg)

    def throw(self, *args: Any, **kwargs: Any) -> Any:
        """As of a coroutine."""
        return self._coro.throw(*args, **kwargs)

    def close(self) -> None:
        """As of a coroutine."""
        self._coro.close()

    def __await__(self) -> Generator[Any, None, _T]:
        return self._coro.__await__()

    def __iter__(self) -> Generator[Any, None, _T]:
        return self.__await__()

    async def __aenter__(self) -> _T:
        self._resp = await self._coro
        entered: _T = await self._resp.__aenter__()
        return entered

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self._resp.__aexit__(exc_type, exc, tb)


RequestContextManager.register(Fetch)  # it is all of this too


class Closing(Coroutine[Any, Any, None]):
    """What closing a connector gives: that is done already, and need not be awaited.
    Who awaits waits for |task| too."""

    __slots__ = ("_running", "_task")

    def __init__(self, task: Awaitable[None] | None = None) -> None:
        self._task = task
        self._running: Generator[Any, None, None] | None = None

    def __await__(self) -> Generator[Any, None, None]:
        if self._task is not None:
            yield from self._task.__await__()

    def send(self, arg: None) -> Any:
        """As of a coroutine."""
        if self._running is None:
            self._running = self.__await__()
        return self._running.send(arg)

    def throw(self, *args: Any, **kwargs: Any) -> Any:
        """As of a coroutine."""
        if self._running is None:
            self._running = self.__await__()
        return self._running.throw(*args, **kwargs)

    def close(self) -> None:
        """As of a coroutine."""
        if self._running is not None:
            self._running.close()


async def tracked(
    send: Callable[[], Awaitable[ClientResponse]], tracker: UploadTracker | None
) -> ClientResponse:
    """The response to what |send| sends; |tracker| is told of it."""
    if tracker is None:
        return await send()
    response: ClientResponse = await tracker.follow(send)
    return response


async def closing(request: Awaitable[_T], body: Source) -> _T:
    """The result of |request|. What |body| holds is closed: at once if there is
    none, else as soon as all of it is sent."""
    try:
        response = await request
    except BaseException:
        await body.close()
        raise
    await body.release()
    return response


async def raising(
    send: Callable[[], Awaitable[ClientResponse]],
    check: Any,
    tracker: UploadTracker | None = None,
) -> ClientResponse:
    """The response to what |send| sends after |check|, which may raise and is a
    function or a bool; |tracker| is told of it."""
    response = await tracked(send, tracker)
    try:
        if callable(check):
            await check(response)
    except BaseException:
        response.close()
        raise
    return response


_F = TypeVar("_F", bound="Callable[..., Any]")


def as_coroutine_function(function: _F) -> _F:
    """Marks |function|, which returns an awaitable, as what it stands for:
    unittest.mock then puts an AsyncMock in its place, as for aiohttp's."""
    if sys.version_info >= (3, 12):
        return inspect.markcoroutinefunction(function)
    from asyncio import coroutines

    function._is_coroutine = coroutines._is_coroutine  # type: ignore[attr-defined]
    return function
