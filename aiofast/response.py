"""Responses: the complete one of fetch(), and aiohttp's face of a session's."""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any

from ._core import ResponseBase, done
from .errors import ContentTypeError, RequestInfo, redact, request_info
from .mediatype import decode_text, is_json, parse_media_type

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.cookies import SimpleCookie
    from types import TracebackType
    from typing import NamedTuple, Self

    from yarl import URL

    from ._core import Wait
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
    url (yarl.URL), history, body (bytes), peer ("192.0.2.1:443"), reused (the
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

    def json(self, *, loads: Callable[[bytes], Any] | None = None) -> Any:
        """The body parsed as JSON (RFC 8259), whatever its Content-Type says.
        ValueError (json.JSONDecodeError) if it is not JSON."""
        if loads is None:
            import json

            loads = json.loads
        return loads(self.body)

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


class ClientResponse(ResponseBase):
    """The response of a session: its head is here, its body comes when asked
    for. Leaving `async with` gives the connection back."""

    __slots__ = ("_content", "_cookies", "_rest")

    _content: StreamReader
    _cookies: SimpleCookie
    _rest: bytes

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
        return self.real_url.with_fragment(None)

    @property
    def real_url(self) -> URL:
        """The URL of the last hop, with its fragment."""
        url: URL = _url_of_base(self)
        return url

    @property
    def host(self) -> str | None:
        """The host of the URL."""
        return self.real_url.host

    @property
    def request_info(self) -> RequestInfo:
        """What was sent."""
        return request_info(self)

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
    def cookies(self) -> SimpleCookie:
        """The cookies of this response's Set-Cookie headers."""
        try:
            return self._cookies
        except AttributeError:
            from .cookies import simple_cookie

            self._cookies = simple_cookie(self.headers.getall("Set-Cookie", ()))
            return self._cookies

    # --- the body ---

    @property
    def content(self) -> StreamReader:
        """The body as a stream. What is read here, read() does not give again."""
        try:
            return self._content
        except AttributeError:
            from .streams import StreamReader

            self._content = StreamReader(self)
            return self._content

    def read(self) -> Wait[bytes]:
        """Awaited, the whole body. ClientPayloadError if it is cut short or
        broken, a ServerTimeoutError if it takes too long."""
        if hasattr(self, "_content"):
            return self._read_rest()  # type: ignore[return-value]
        return self.read_all()

    async def _read_rest(self) -> bytes:
        try:
            return self._rest
        except AttributeError:
            self._rest = await self._content.read()
            return self._rest

    async def text(self, encoding: str | None = None, errors: str = "strict") -> str:
        """The body as text. LookupError, UnicodeDecodeError; as read()."""
        body = await self.read()
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
        body = await self.read()
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
        found = self.content_type
        wanted = content_type.lower()
        if found == wanted or (wanted == "application/json" and is_json(found)):
            return
        if "/" not in wanted and wanted in found:
            return
        raise ContentTypeError(
            self.request_info,
            self.history,
            status=self.status,
            message=f"expected {content_type}, but the body has an unexpected mimetype: "
            f"{self.header('Content-Type') or 'none'}",
            headers=self.headers,
        )

    def get_encoding(self) -> str:
        """The name of the body's encoding: Content-Type's charset if Python
        knows it, else UTF-8."""
        charset = self.charset
        if charset is not None:
            from codecs import lookup

            try:
                return lookup(charset).name
            except (LookupError, ValueError):
                pass
        return "utf-8"

    # --- the end ---

    @property
    def closed(self) -> bool:
        """True once the connection is not this response's any more."""
        return self.complete

    @property
    def connection(self) -> None:
        """None: connections belong to the engine."""
        return

    def release(self) -> Wait[None]:  # type: ignore[override]
        """Gives the connection back; awaiting the result is not needed. A body
        that was not read is thrown away."""
        ResponseBase.release(self)
        return done(None)

    async def wait_for_close(self) -> None:
        """Returns when the connection has been given back."""
        self.release()

    def raise_for_status(self) -> None:
        """ClientResponseError for a status from 400 on."""
        if self.status >= 400:
            from .redirects import status_error

            error = status_error(self)
            self.release()
            raise error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.release()

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}({redact(self.url_text)}) "
            f"[{self.status} {self.reason}]>\n{self.headers!r}\n"
        )


_url_of_base = ResponseBase.url.__get__
