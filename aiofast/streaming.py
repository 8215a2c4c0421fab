"""stream(): one request, whose response is there when its head is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _core
from .fetch import _fetch_with
from .formats import BodyFormats
from .mediatype import decode_text
from .response import Response
from .settings import NATIVE, OptionsCache
from .streams import StreamReader
from .timeouts import ClientTimeout, limits_from

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from types import TracebackType
    from typing import Self, Unpack

    from ._core import Fetch
    from .fetch import VerbOptions
    from .outgoing import StrOrURL

__all__ = ("StreamResponse", "stream")


class StreamResponse(BodyFormats, _core.ResponseBase):
    """A response whose head is here and whose body comes as it is read.

    The facts of the head are those of Response: status, reason, headers, url,
    history, ... The body is read by the methods of StreamReader, which are here
    too; lines(), ndjson() and sse() read it item by item. Leaving `async with`
    gives the connection back: what was not read is read away if it is short,
    else the connection is closed.
    """

    __slots__ = ("_content",)

    _content: StreamReader

    version = Response.version
    ok = Response.ok
    content_type = Response.content_type
    charset = Response.charset
    raise_for_status = Response.raise_for_status
    __repr__ = Response.__repr__

    @property
    def content(self) -> StreamReader:
        """The body."""
        try:
            return self._content
        except AttributeError:
            self._content = StreamReader(self)
            return self._content

    # --- as StreamReader says ---

    async def read(self, n: int = -1) -> bytes:
        """Up to |n| bytes, at least one unless the body is at its end; all that
        is left if |n| is negative."""
        return await self.content.read(n)

    async def readany(self) -> bytes:
        """What is there, or comes next; b"" at the end."""
        return await self.content.readany()

    async def readexactly(self, n: int) -> bytes:
        """|n| bytes. asyncio.IncompleteReadError if the body is shorter."""
        return await self.content.readexactly(n)

    async def readline(self, *, max_line_length: int | None = None) -> bytes:
        """One line with its end; b"" at the end of the body."""
        return await self.content.readline(max_line_length=max_line_length)

    async def readuntil(self, separator: bytes = b"\n", *, max_size: int | None = None) -> bytes:
        """As readline(), for another |separator|."""
        return await self.content.readuntil(separator, max_size=max_size)

    async def readinto(self, buffer: bytearray | memoryview) -> int:
        """Fills |buffer| with what is there, or comes next: how many bytes, 0 at
        the end."""
        return await self.content.readinto(buffer)

    def iter_any(self) -> AsyncIterator[bytes]:
        """The pieces as they come."""
        return self.content.iter_any()

    def iter_chunked(self, n: int) -> AsyncIterator[bytes]:
        """Pieces of at most |n| bytes."""
        return self.content.iter_chunked(n)

    def iter_chunks(self) -> AsyncIterator[tuple[bytes, bool]]:
        """Pieces, and whether a chunk of the chunked coding ends behind each."""
        return self.content.iter_chunks()

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The lines, with their ends."""
        return self.content.__aiter__()

    @property
    def total_bytes(self) -> int:
        """Bytes of the body that came so far, decoded."""
        return self.received

    def at_eof(self) -> bool:
        """True once everything has been read."""
        return self.content.at_eof()

    # --- all that is left ---

    async def text(self) -> str:
        """All that is left as text; as Response.text, never raising for what is
        malformed."""
        return decode_text(await self.read(), self.header("Content-Type"))

    async def json(self, *, loads: Callable[[bytes], Any] | None = None) -> Any:
        """All that is left parsed as JSON. ValueError (json.JSONDecodeError)."""
        if loads is None:
            import json

            loads = json.loads
        return loads(await self.read())

    # --- the end ---

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.release()


# A stream may be as long as it likes, but not silent for as long.
STREAM_TIMEOUT = ClientTimeout(total=None, sock_connect=30.0, sock_read=300.0)

_streams = OptionsCache(
    _core.Options(NATIVE, response_class=StreamResponse, stream=True, **limits_from(STREAM_TIMEOUT))
)


def stream(method: str, url: StrOrURL, **kwargs: Unpack[VerbOptions]) -> Fetch[StreamResponse]:
    """One HTTP request whose body is read as it comes:

        async with aiofast.stream("GET", url) as response:
            async for piece in response.iter_any(): ...

    Awaited, or entered, it gives the StreamResponse when its head is there.
    Parameters and errors as fetch(); but by default there is no limit for the
    whole, 30 s to connect, and 300 s between two reads. Who does not use `async
    with` calls release() or close() at the end.
    """
    return _fetch_with(url, method=method, _cache=_streams, **kwargs)  # type: ignore[return-value]
