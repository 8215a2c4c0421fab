"""ClientResponse: what a session's request gives, in aiohttp's words.

The responses of the engine are SessionResponse, below this class. Libraries that
cache or replay responses make their own by hand: the class itself is such a
response, with the attributes that these libraries set.
"""

from __future__ import annotations

import sys
from asyncio import CancelledError, current_task
from typing import TYPE_CHECKING, Any
from warnings import warn

from ._core import done
from .errors import ClientConnectionError, ClientResponseError, ContentTypeError, redact
from .formats import BodyFormats
from .mediatype import charset_codec, is_json, parse_media_type

if TYPE_CHECKING:
    from asyncio import Task
    from collections.abc import Callable
    from http.cookies import SimpleCookie
    from types import TracebackType
    from typing import Self

    from multidict import CIMultiDictProxy, MultiDictProxy
    from yarl import URL

    from ._core import Wait
    from .errors import RequestInfo
    from .fields import ContentDisposition
    from .response import HttpVersion
    from .streams import StreamReader

__all__ = ("ClientResponse",)


class ClientResponse(BodyFormats):
    """The response of a session: its head is here, its body comes when asked
    for. Leaving `async with` gives the connection back.

    Programs may subclass it (`response_class`) and set attributes of their own. One
    that is made by hand has its head in `status`, `reason`, `version`, `_headers`
    and `_raw_headers`, and its body in `content`, a StreamReader, or `_body`.
    """

    # What a response made by hand is given; the engine's has properties here.
    version: HttpVersion | None = None
    status: int = None  # type: ignore[assignment]
    reason: str | None = None
    method: str
    content: StreamReader = None  # type: ignore[assignment]
    _headers: CIMultiDictProxy[str] = None  # type: ignore[assignment]
    _raw_headers: tuple[tuple[bytes, bytes], ...] = None  # type: ignore[assignment]
    _history: tuple[ClientResponse, ...] = ()
    _raw_cookie_headers: tuple[str, ...] | None = None
    _body: bytes | None = None
    _connection: Any = None
    _continue: Any = None
    _session: Any = None
    _source_traceback: Any = None
    _closed = True  # until it has started
    _released = False
    in_context = False  # the engine's knows that its request was entered

    # Both kinds have these.
    _content: StreamReader | None = None
    _cookies: SimpleCookie | None = None
    _rest: bytes | None = None
    _in_context = False
    _traces: Any = ()
    _writing: Task[None] | None = None

    def __init__(
        self,
        method: str,
        url: URL,
        *,
        writer: Task[None] | None,
        continue100: Any,
        timer: Any,
        request_info: RequestInfo,
        traces: Any,
        loop: Any,
        session: Any,
        stream_writer: Any = None,
    ) -> None:
        from .helpers import TimerNoop

        self.method = method
        self._real_url = url
        self._url = url.with_fragment(None) if url.raw_fragment else url
        self._writing = None if writer is None or writer.done() else writer
        self._stream_writer = stream_writer
        if continue100 is not None:
            self._continue = continue100
        self._request_info = request_info
        self._timer = TimerNoop() if timer is None else timer
        self._traces = traces or ()
        self._loop = loop
        self._cache: dict[str, Any] = {}  # that of reify
        if session is not None:
            self._session = session
            self._resolve_charset = session._resolve_charset  # type: ignore[method-assign]
        if loop is not None and loop.get_debug():
            import traceback

            self._source_traceback = traceback.extract_stack(sys._getframe(1))

    @staticmethod
    def _resolve_charset(response: ClientResponse, body: bytes) -> str:
        """The encoding where none is named: a session's
        fallback_charset_resolver takes its place."""
        return "utf-8"

    # --- the head ---

    @property
    def ok(self) -> bool:
        """True for a status below 400."""
        return self.status < 400

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The header fields."""
        return self._headers

    @property
    def raw_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """The header fields as they came."""
        return self._raw_headers

    @property
    def history(self) -> tuple[ClientResponse, ...]:
        """The redirects that led here."""
        return self._history

    @history.setter
    def history(self, history: tuple[ClientResponse, ...]) -> None:
        self._history = history

    def header(self, name: str, /) -> str | None:
        """The first field |name|; None if there is none."""
        return self.headers.get(name)

    @property
    def url(self) -> URL:
        """The URL of the last hop, without fragment."""
        return self._url

    @property
    def real_url(self) -> URL:
        """The URL of the last hop, with its fragment."""
        return self._real_url

    @property
    def url_obj(self) -> URL:
        """The old name of `url`."""
        warn("Deprecated, use .url #1654", DeprecationWarning, stacklevel=2)
        return self.url

    @property
    def host(self) -> str | None:
        """The host of the URL."""
        return self.url.host

    @property
    def request_info(self) -> RequestInfo:
        """What was sent."""
        return self._request_info

    @property
    def content_type(self) -> str:
        """The media type; application/octet-stream if none is said (RFC 9110 8.3)."""
        return parse_media_type(self.header("Content-Type"))[0] or "application/octet-stream"

    @property
    def charset(self) -> str | None:
        """The charset that Content-Type names."""
        return parse_media_type(self.header("Content-Type"))[1]

    @property
    def content_length(self) -> int | None:
        """The Content-Length in bytes as it came on the wire, or None."""
        value = self.header("Content-Length")
        return int(value) if value is not None and value.isdecimal() else None

    @property
    def content_disposition(self) -> ContentDisposition | None:
        """Content-Disposition (RFC 6266): type, parameters, filename; None if
        there is none."""
        value = self.header("Content-Disposition")
        if value is None:
            return None
        from .fields import disposition

        return disposition(value)

    @property
    def links(self) -> MultiDictProxy[MultiDictProxy[str | URL]]:
        """The Link headers (RFC 8288) by relation: the parameters of each, and
        as `url` where it leads."""
        from .fields import parse_links

        return parse_links(self.headers.getall("Link", ()), self.url)

    @property
    def cookies(self) -> SimpleCookie:
        """The cookies of this response's Set-Cookie headers."""
        if self._cookies is None:
            from .cookies import MAX_LEARNED
            from .setcookie import simple_cookie

            self._cookies = simple_cookie((self._raw_cookie_headers or ())[:MAX_LEARNED])
        return self._cookies

    @cookies.setter
    def cookies(self, cookies: SimpleCookie) -> None:
        self._cookies = cookies
        self._raw_cookie_headers = (
            tuple(morsel.OutputString() for morsel in cookies.values()) or None
        )

    @property
    def output_size(self) -> int:
        """Bytes of the request that were sent. Deprecated: UploadTracker."""
        _warn_upload("output_size")
        return self._sent_size()

    def _sent_size(self) -> int:
        return getattr(self._stream_writer, "output_size", 0)

    @property
    def upload_complete(self) -> Any:
        """A future, done once the request was sent. Deprecated: UploadTracker."""
        _warn_upload("upload_complete")
        return self._upload_future()

    def _upload_future(self) -> Any:
        future = self._loop.create_future()
        if self._writing is None:
            future.set_result(None)
        else:
            self._writing.add_done_callback(lambda _: future.done() or future.set_result(None))
        return future

    # --- the body ---

    def read(self) -> Wait[bytes]:
        """Awaited, the whole body. ClientPayloadError if it is cut short or
        broken, a ServerTimeoutError if it takes too long; ClientConnectionError
        once the response was released unread."""
        if self._content is not None or self._rest is not None or self._traces:
            return self._read_rest()  # type: ignore[return-value]
        return self.read_all()

    async def _read_rest(self) -> bytes:
        if self._body is None:
            try:
                self._body = await self.content.read()
                for trace in self._traces:
                    await trace.send_response_chunk_received(self.method, self.url, self._body)
            except BaseException:
                self.close()
                raise
        elif self._released:
            raise ClientConnectionError("Connection closed")
        protocol = self._connection and self._connection.protocol
        if protocol is None or not protocol.upgraded:
            await self._wait_released()
        return self._body

    def read_all(self) -> Wait[bytes]:
        """As read(), of a body that nobody has begun to read."""
        return self._read_rest()  # type: ignore[return-value]

    async def text(self, encoding: str | None = None, errors: str = "strict") -> str:
        """The body as text. LookupError, UnicodeDecodeError; as read()."""
        body = self._body
        if body is None:
            body = await self.read()
        else:
            self._rest = body
        return body.decode(encoding or self.get_encoding(), errors)

    async def json(
        self,
        *,
        encoding: str | None = None,
        loads: Callable[[str], Any] | None = None,
        content_type: str | None = "application/json",
    ) -> Any:
        """The body parsed as JSON; None for an empty one. ContentTypeError if
        the media type is another than |content_type| (None: any will do);
        ValueError; as read()."""
        body = self._body
        if body is None:
            body = await self.read()
        else:
            self._rest = body
        if content_type:
            self._expect(content_type)
        body = body.strip()
        if not body:
            return None
        if loads is None:
            import json

            loads = json.loads
        return loads(body.decode(encoding or self.get_encoding()))

    def _expect(self, content_type: str) -> None:
        found = (self.header("Content-Type") or "").lower()
        if content_type == "application/json":
            kind = found.partition(";")[0].strip()
            if kind.startswith("application/") and is_json(kind):
                return
        elif content_type.lower() in found:
            return
        raise ContentTypeError(
            self.request_info,
            self.history,
            status=self.status,
            message=f"Attempt to decode JSON with unexpected mimetype: {found}",
            headers=self.headers,
        )

    def get_encoding(self) -> str:
        """The name of the body's encoding: Content-Type's charset if Python
        knows it, else UTF-8 for JSON, else what the session's
        fallback_charset_resolver says (UTF-8 if it has none). RuntimeError if
        it would have to be asked about a body that was not read."""
        kind, charset = parse_media_type(self.header("Content-Type"))
        codec = charset_codec(charset)
        if codec is not None:
            return codec
        if kind in ("application/json", "application/rdap"):
            return "utf-8"
        body = self._body
        if body is None:
            raise RuntimeError("Cannot compute fallback encoding of a not yet read body")
        return self._resolve_charset(self, body)

    # --- the end ---

    @property
    def closed(self) -> bool:
        """True once the connection is not this response's any more."""
        return self._closed

    @property
    def connection(self) -> Any:
        """The connection while it is this response's, else None: who the peer
        is can be read from its `transport`."""
        return self._connection

    async def start(self, connection: Any) -> Self:
        """Takes the head from |connection|, whose `protocol` has a read() that
        gives a message and its body; ClientResponseError. The engine's response
        has started when a program gets to see it."""
        from .http_exceptions import HttpProcessingError

        self._closed = False
        self._protocol = connection.protocol
        self._connection = connection
        with self._timer:
            while True:
                try:
                    message, content = await connection.protocol.read()
                except HttpProcessingError as error:
                    raise ClientResponseError(
                        self.request_info,
                        self.history,
                        status=error.code,
                        message=error.message,
                        headers=error.headers,
                    ) from error
                if not 100 <= message.code <= 199 or message.code == 101:
                    break
                if self._continue is not None and not self._continue.done():
                    self._continue.set_result(True)
                self._continue = None
        content.on_eof(self._response_eof)
        self.version, self.status, self.reason = message.version, message.code, message.reason
        self._headers, self._raw_headers = message.headers, message.raw_headers
        self.content = content
        self._raw_cookie_headers = tuple(self.headers.getall("Set-Cookie", ())) or None
        return self

    def _response_eof(self) -> None:
        connection = self._connection
        if self._closed or (connection and connection.protocol and connection.protocol.upgraded):
            return
        self._closed = True
        self._stop_writing()
        self._give_back()

    def release(self) -> Wait[None]:
        """Gives the connection back; awaiting the result is not needed. A body
        that was not read is thrown away."""
        self._let_go()
        return done(None)

    def _let_go(self) -> None:
        self._end_content()
        self._closed = True
        self._stop_writing()
        self._give_back()

    def close(self) -> None:
        """Closes the connection, unless the body is whole."""
        self._end_content()
        self._closed = True
        if self._loop is None or self._loop.is_closed():
            return
        self._stop_writing()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _end_content(self) -> None:
        if not self._released and self.content and self.content.exception() is None:
            self.content.set_exception(ClientConnectionError("Connection closed"))
        self._released = True

    def _stop_writing(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
        self._session = None

    def _give_back(self) -> None:
        if self._connection is None:
            return
        if self._writing is not None and not self._writing.done():
            self._writing.add_done_callback(lambda _: self._give_back())
            return
        self._connection.release()
        self._connection = None

    async def _wait_written(self) -> None:
        if self._writing is None:
            return
        try:
            await self._writing
        except CancelledError:
            task = current_task()
            if task is not None and task.cancelling():
                raise

    async def _wait_released(self) -> None:
        await self._wait_written()
        self._give_back()

    async def wait_for_close(self) -> None:
        """Returns when the connection has been given back."""
        await self._wait_written()
        self.release()

    def raise_for_status(self) -> None:
        """ClientResponseError for a status from 400 on; inside `async with` the
        body can still be read then, elsewhere the response is released."""
        if self.status >= 400:
            error = self._status_error()
            if not (self.in_context or self._in_context):
                self.release()
            raise error

    def _status_error(self) -> ClientResponseError:
        return ClientResponseError(
            self.request_info,
            self.history,
            status=self.status,
            message=self.reason or "",
            headers=self.headers,
        )

    async def __aenter__(self) -> Self:
        self._in_context = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._in_context = False
        self.release()
        if self._writing is not None:
            await self.wait_for_close()

    def __repr__(self) -> str:
        reason = (self.reason or "None").encode("ascii", "backslashreplace").decode("ascii")
        return f"<ClientResponse({self._shown_url()}) [{self.status} {reason}]>\n{self.headers!r}\n"

    def _shown_url(self) -> str:
        return redact(str(self.url))


def _warn_upload(name: str) -> None:
    warn(
        f"ClientResponse.{name} is deprecated, use aiohttp.UploadTracker instead",
        DeprecationWarning,
        stacklevel=3,
    )
