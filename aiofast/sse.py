"""Server-sent events (WHATWG HTML, 9.2): the parser and the stream."""

from __future__ import annotations

import asyncio
from codecs import getincrementaldecoder
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import ClientConnectionError, ClientPayloadError, ContentTypeError, request_info
from .mediatype import parse_media_type
from .streams import LineTooLong

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_LONGEST_WAIT = 60.0


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event: its type, its data with lines joined by LF, the last id that
    the stream has set, and the reconnection time in milliseconds if one was set
    since the last event."""

    event: str = "message"
    data: str = ""
    id: str = ""
    retry: int | None = None

    def json(self) -> Any:
        """The data parsed as JSON. ValueError."""
        import json

        return json.loads(self.data)


class EventParser:
    """Events from text, in pieces of any kind. Without I/O."""

    __slots__ = (
        "_after_cr",
        "_data",
        "_decode",
        "_line",
        "_retry",
        "_size",
        "_type",
        "events",
        "last_id",
        "limit",
        "retry",
    )

    def __init__(self, limit: int | None = None) -> None:
        self.events: deque[ServerSentEvent] = deque()  # whole, not taken yet
        self.last_id = ""
        self.retry: int | None = None  # the last one set, in milliseconds
        self.limit = limit
        self.restart()

    def restart(self) -> None:
        """A new connection begins: what was not whole is dropped."""
        # A byte order mark is dropped, and malformed UTF-8 becomes U+FFFD.
        self._decode = getincrementaldecoder("utf-8-sig")("replace").decode
        self._line: list[str] = []
        self._after_cr = False
        self._data: list[str] = []
        self._type = ""
        self._retry: int | None = None
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Adds what is whole to |events|. LineTooLong past the limit."""
        text = self._decode(data)
        if not text:
            return
        if self._after_cr and text[0] == "\n":
            text = text[1:]
            self._after_cr = False
            if not text:
                return
        self._after_cr = text[-1] == "\r"
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        first, *rest = text.split("\n")
        self._line.append(first)
        self._size += len(first)
        if rest:
            self._on_line("".join(self._line))
            tail = rest.pop()
            for line in rest:
                self._size += len(line)
                self._on_line(line)
            self._line = [tail]
            self._size += len(tail)
        self._check()

    def _check(self) -> None:
        if self.limit is not None and self._size > self.limit:
            raise LineTooLong(f"an event of more than {self.limit} characters")

    def _on_line(self, line: str) -> None:
        self._check()
        if not line:
            self._dispatch()
            return
        name, _, value = line.partition(":")
        if value[:1] == " ":
            value = value[1:]
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._type = value
        elif name == "id":
            if "\0" not in value:
                self.last_id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry = self._retry = int(value[:10])

    def _dispatch(self) -> None:
        if self._data:
            data = "\n".join(self._data)
            event = ServerSentEvent(self._type or "message", data, self.last_id, self._retry)
            self.events.append(event)
            self._data = []
            self._retry = None
        self._type = ""
        self._size = 0


class EventStream:
    """The events of a response, an asynchronous iterator. `async with`, or
    aclose(), ends the connection that it has made itself."""

    def __init__(
        self,
        response: Any,
        reconnect: bool,
        retry: float,
        limit: int | None,
        content_type: str | None,
    ) -> None:
        if reconnect and response.method != "GET":
            raise ValueError(f"only GET can be made again, not {response.method}")
        self.response = response  # the present one
        self._own: Any = None  # the same if it was made here
        self._reconnect = reconnect
        self._wait = retry
        self._content_type = content_type
        self._parser = EventParser(limit)
        self._first = response.history[0] if response.history else response
        self._check(response)

    @property
    def last_event_id(self) -> str:
        """The id that the stream has set last."""
        return self._parser.last_id

    def _check(self, response: Any) -> None:
        kind = response.header("Content-Type")
        if self._content_type is None or parse_media_type(kind)[0] == self._content_type:
            return
        raise ContentTypeError(
            request_info(response),
            response.history,
            status=response.status,
            message=f"expected {self._content_type}, but the body has an unexpected mimetype: "
            f"{kind or 'none'}",
            headers=response.headers,
        )

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ServerSentEvent:
        parser = self._parser
        while not parser.events:
            try:
                data = await self.response.content.readany()
            except (ClientPayloadError, ClientConnectionError, TimeoutError):
                if not self._reconnect:
                    raise
                data = b""
            if data:
                parser.feed(data)
            elif not self._reconnect:
                raise StopAsyncIteration
            else:
                await self._again()
        return parser.events.popleft()

    async def _again(self) -> None:
        """Waits, and makes the request again until the server answers."""
        from ._core import fetch
        from .redirects import status_error
        from .settings import MAX_REDIRECTS

        old = self.response
        pool, options = old.pool, old.options
        old.close()
        headers = [
            (name, value)
            for name, value in self._first.request_headers.items()
            if name.lower() not in ("host", "last-event-id")
        ]
        if self._parser.last_id:
            headers.append(("Last-Event-ID", self._parser.last_id))
        wait = self._wait if self._parser.retry is None else self._parser.retry / 1000
        while True:
            await asyncio.sleep(wait)
            url = self._first.url_text
            try:
                found = await fetch(
                    options, pool, "GET", url, None, headers, None, MAX_REDIRECTS, None
                )
                break
            except (ClientConnectionError, TimeoutError):
                wait = min(max(2 * wait, 0.1), max(wait, _LONGEST_WAIT))
        self.response = self._own = found
        if found.status == 204:
            self._reconnect = False
            found.close()
            raise StopAsyncIteration
        if found.status != 200:
            self._reconnect = False
            found.close()
            raise status_error(found)
        self._check(found)
        self._parser.restart()

    async def aclose(self) -> None:
        """Ends the connection, if the stream has made it itself; the first one is
        its response's."""
        if self._own is not None:
            self._own.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self.aclose()
