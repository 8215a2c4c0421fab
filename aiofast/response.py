"""Responses: the complete one of fetch(), and aiohttp's face of a session's."""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any
from warnings import warn

from ._core import ResponseBase, done
from .errors import ContentTypeError, RequestInfo, redact, request_info
from .formats import BodyFormats
from .mediatype import charset_codec, decode_text, is_json, parse_media_type

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.cookies import SimpleCookie
    from types import TracebackType
    from typing import NamedTuple, Self

    from multidict import CIMultiDictProxy, MultiDictProxy
    from yarl import URL

    from ._core import Wait
    from .connection import Connection
    from .fields import ContentDisposition
    from .streams import StreamReader

__all__ = ("ClientResponse", "HttpVersion", "HttpVersion10", "HttpVersion11", "Response")


if TYPE_CHECKING:

    class HttpVersion(NamedTuple):
        """The version of a message."""

        major: int
        minor: int

else:
    HttpVersion = namedtuple("HttpVersion", "major minor", module=__name__)


HttpVersion10 = HttpVersion(1, 0)
HttpVersion11 = HttpVersion(1, 1)


def _version(response: ResponseBase) -> HttpVersion:
    return HttpVersion11 if response.minor else HttpVersion10


class Response(ResponseBase):
    """A complete response: its body is here, its connection is not needed.

    status, reason, method, headers (CIMultiDictProxy), raw_headers, trailers,
    url (yarl.URL), history, body (bytes; RuntimeError for those in history, as the
    body of a redirect that was followed is not kept), peer ("192.0.2.1:443"), reused (the
    connection had been used before), timings (seconds by phase: queued, dns,
    connect, tls, send, wait, receive, total).
    """

    __slots__ = ()

    @property
    def version(self) -> HttpVersion:
        """The version the server answered with."""
        return _version(self)

    @property
    def ok(self) -> bool:
        """True for a status below 400."""
        return self.status < 400

    @property
    def content_type(self) -> str:
        """The media type in lower case without parameters; "" if none is said."""
        return parse_media_type(self.header("Content-Type"))[0]

    @property
    def charset(self) -> str | None:
        """The charset that Content-Type names."""
        return parse_media_type(self.header("Content-Type"))[1]

    @property
    def text(self) -> str:
        """The body as text: by its byte order mark, else the charset of
        Content-Type, else UTF-8. Never raises: what is malformed becomes
        U+FFFD."""
        return decode_text(self.body, self.header("Content-Type"))

    def decode(self, encoding: str | None = None, errors: str = "strict") -> str:
        """As text, but in |encoding| if it is given, and with |errors| for what
        is malformed. UnicodeDecodeError; LookupError for an |encoding| that
        Python does not know."""
        if encoding is not None:
            return self.body.decode(encoding, errors)
        return decode_text(self.body, self.header("Content-Type"), errors)

    def json(self, *, loads: Callable[[bytes], Any] | None = None) -> Any:
        """The body parsed as JSON (RFC 8259), whatever its Content-Type says.
        ValueError (json.JSONDecodeError) if it is not JSON."""
        if loads is None:
            import json

            loads = json.loads
        try:
            return loads(self.body)
        except ValueError as error:
            # The parser knows neither where the text came from nor what it was said to be.
            error.add_note(f"in {self!r} of type {self.content_type or 'unknown'}")
            raise

    def raise_for_status(self) -> Self:
        """ClientResponseError for a status from 400 on; else the response."""
        if self.status >= 400:
            from .redirects import status_error

            raise status_error(self)
        return self

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.status} {self.reason} "
            f"{self.method} {redact(self.url_text)}>"
        )


class ClientResponse(BodyFormats, ResponseBase):
    """The response of a session: its head is here, its body comes when asked
    for. Leaving `async with` gives the connection back.

    Programs may subclass it (`response_class`) and set attributes of their own.
    """

    _content: StreamReader | None = None
    _cookies: SimpleCookie | None = None
    _rest: bytes | None = None
    _resolved: tuple[URL, URL] | None = None
    _in_context = False
    _info: RequestInfo | None = None
    _traces: Any = ()

    @staticmethod
    def _resolve_charset(response: ClientResponse, body: bytes) -> str:
        """The encoding where none is named: a session's
        fallback_charset_resolver takes its place."""
        return "utf-8"

    # --- the head ---

    @property
    def version(self) -> HttpVersion:
        """The version the server answered with."""
        return _version(self)

    @property
    def ok(self) -> bool:
        """True for a status below 400."""
        return self.status < 400

    @property
    def url(self) -> URL:
        """The URL of the last hop, without fragment."""
        return self._urls()[0]

    @property
    def real_url(self) -> URL:
        """The URL of the last hop, with its fragment."""
        return self._urls()[1]

    @property
    def url_obj(self) -> URL:
        """The old name of `url`."""
        warn("Deprecated, use .url", DeprecationWarning, stacklevel=2)
        return self.url

    def _urls(self) -> tuple[URL, URL]:
        urls = self._resolved
        if urls is None:
            real: URL = _url_of_base(self)
            self._resolved = urls = (real.with_fragment(None), real)
        return urls

    @property
    def host(self) -> str | None:
        """The host of the URL."""
        return self.url.host

    @property
    def request_info(self) -> RequestInfo:
        """What was sent."""
        if self._info is None:
            self._info = request_info(self)
        return self._info

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
            from .cookies import simple_cookie

            self._cookies = simple_cookie(self.headers.getall("Set-Cookie", ()))
        return self._cookies

    # What libraries for aiohttp look at.

    @property
    def _headers(self) -> CIMultiDictProxy[str]:
        headers: CIMultiDictProxy[str] = self.headers
        return headers

    @property
    def _raw_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return self.raw_headers

    @property
    def _history(self) -> tuple[ClientResponse, ...]:
        return self.history

    @property
    def _released(self) -> bool:
        return self.complete and self._body is None

    @property
    def _raw_cookie_headers(self) -> tuple[str, ...]:
        return tuple(self.headers.getall("Set-Cookie", ()))

    # --- the body ---

    @property
    def content(self) -> StreamReader:
        """The body as a stream. What is read here, read() does not give again."""
        if self._content is None:
            from .streams import StreamReader

            if self._rest is not None and self.complete and not self.all_read:
                self.read_all()  # it was read from here, so the stream has nothing
            self._content = StreamReader(self)
        return self._content

    @property
    def _body(self) -> bytes | None:
        """The whole body if it is here."""
        if self._rest is None and not self._traces and (self._content is None or self.all_read):
            try:
                return self.body
            except RuntimeError:
                return None
        return self._rest

    @_body.setter
    def _body(self, body: bytes | None) -> None:
        self._rest = body

    def read(self) -> Wait[bytes]:
        """Awaited, the whole body. ClientPayloadError if it is cut short or
        broken, a ServerTimeoutError if it takes too long; ClientConnectionError
        once the response was released unread."""
        if self._content is not None or self._rest is not None or self._traces:
            return self._read_rest()  # type: ignore[return-value]
        return self.read_all()

    async def _read_rest(self) -> bytes:
        if self._rest is None:
            if self._content is None or self.all_read:
                self._rest = await self.read_all()
            else:
                self._rest = await self._content.read()
            for trace in self._traces:
                await trace.response_chunk(self.method, self.url, self._rest)
        return self._rest

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
        return self.complete

    @property
    def connection(self) -> Connection | None:
        """The connection while it is this response's, else None: who the peer
        is can be read from its `transport`."""
        if self.complete:
            return None
        from .connection import Connection

        return Connection(self)

    _connection = connection

    async def start(self, connection: Any) -> Self:
        """The response: it has started when a program gets to see it."""
        return self

    def release(self) -> Wait[None]:  # type: ignore[override]
        """Gives the connection back; awaiting the result is not needed. A body
        that was not read is thrown away."""
        ResponseBase.release(self)
        return done(None)

    async def wait_for_close(self) -> None:
        """Returns when the connection has been given back."""
        self.release()

    def raise_for_status(self) -> None:
        """ClientResponseError for a status from 400 on; inside `async with` the
        body can still be read then, elsewhere the response is released."""
        if self.status >= 400:
            from .redirects import status_error

            error = status_error(self)
            if not (self.in_context or self._in_context):
                self.release()
            raise error

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

    def __repr__(self) -> str:
        reason = self.reason.encode("ascii", "backslashreplace").decode("ascii")
        return (
            f"<{type(self).__name__}({redact(self.url_text.partition('#')[0])}) "
            f"[{self.status} {reason}]>\n{self.headers!r}\n"
        )


_url_of_base = ResponseBase.url.__get__
