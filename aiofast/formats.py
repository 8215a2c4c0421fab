"""What responses have in common whose bodies are read item by item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from .sse import EventStream
    from .streams import StreamReader


class BodyFormats:
    """What responses whose body streams have in common. Each of these takes the
    rest of the body for itself, and reads ahead of what it has given."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def content(self) -> StreamReader: ...

        def header(self, name: str, /) -> str | None: ...

    def lines(
        self, encoding: str | None = None, *, errors: str = "replace", max_length: int | None = None
    ) -> AsyncIterator[str]:
        """The lines of the text, without their ends (LF or CRLF), as they come.

        encoding: by default the byte order mark's, else Content-Type's, else
            UTF-8. LookupError if Python does not know it.
        max_length: characters from which on a line is a LineTooLong, a ValueError;
            by default a line may have any length.
        """
        from .lines import Lines
        from .mediatype import incremental_decoder

        decoder = incremental_decoder(self.header("Content-Type"), encoding, errors)
        return Lines(self.content, "\n", max_length, decoder)

    def ndjson(
        self, *, loads: Callable[[bytes], Any] | None = None, max_length: int | None = None
    ) -> AsyncIterator[Any]:
        """The values of JSON lines (NDJSON), one by one. ValueError
        (json.JSONDecodeError) for a line that is no JSON; LineTooLong for one of
        more than |max_length| bytes."""
        from .lines import JSONLines, Lines

        if loads is None:
            import json

            loads = json.loads
        return JSONLines(Lines(self.content, b"\n", max_length), loads)

    def sse(
        self,
        *,
        reconnect: bool = False,
        retry: float = 3.0,
        max_event: int | None = None,
        content_type: str | None = "text/event-stream",
    ) -> EventStream:
        """Server-sent events (WHATWG HTML 9.2), one by one.

        reconnect: when the connection ends or is lost, wait and make the request
            again, with Last-Event-ID; until the server answers 204 No Content. For
            GET only.
        retry: seconds to wait, until the server says otherwise; doubled with each
            attempt that fails, up to a minute.
        max_event: characters from which on an event is a LineTooLong.
        content_type: ContentTypeError for another one; None: any will do.
        """
        from .sse import EventStream

        return EventStream(self, reconnect, retry, max_event, content_type)
