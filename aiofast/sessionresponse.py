"""The engine's response with the face of ClientResponse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._core import ResponseBase
from .clientresponse import ClientResponse
from .errors import RequestInfo, redact, request_info
from .response import HttpVersion, version_of

if TYPE_CHECKING:
    from multidict import CIMultiDictProxy
    from yarl import URL

    from .connection import Connection
    from .errors import ClientResponseError
    from .streams import StreamReader


class SessionResponse(ClientResponse, ResponseBase):  # type: ignore[misc]
    """The response of a session. Its facts are the engine's; the methods are those
    of ClientResponse, so that who replaces one there replaces it here."""

    status = ResponseBase.status
    reason = ResponseBase.reason
    method = ResponseBase.method
    headers = ResponseBase.headers
    raw_headers = ResponseBase.raw_headers
    history = ResponseBase.history
    in_context = ResponseBase.in_context
    header = ResponseBase.header
    read_all = ResponseBase.read_all
    close = ResponseBase.close
    _let_go = ResponseBase.release

    _resolved: tuple[URL, URL] | None = None
    _info: RequestInfo | None = None

    @property
    def version(self) -> HttpVersion:  # type: ignore[override]
        """The version the server answered with."""
        return version_of(self)

    @property
    def url(self) -> URL:
        """The URL of the last hop, without fragment."""
        return self._urls()[0]

    @property
    def real_url(self) -> URL:
        """The URL of the last hop, with its fragment."""
        return self._urls()[1]

    def _urls(self) -> tuple[URL, URL]:
        urls = self._resolved
        if urls is None:
            real: URL = _url_of_base(self)
            self._resolved = urls = (real.with_fragment(None), real)
        return urls

    @property
    def request_info(self) -> RequestInfo:
        """What was sent."""
        if self._info is None:
            self._info = request_info(self)
        return self._info

    def _sent_size(self) -> int:
        raise AttributeError("the engine does not keep it: use UploadTracker")

    def _upload_future(self) -> Any:
        raise AttributeError("the engine does not keep it: use UploadTracker")

    # What libraries for aiohttp look at.

    @property
    def _url(self) -> URL:  # type: ignore[override]
        return self.url

    @property
    def _headers(self) -> CIMultiDictProxy[str]:  # type: ignore[override]
        headers: CIMultiDictProxy[str] = self.headers
        return headers

    @property
    def _raw_headers(self) -> tuple[tuple[bytes, bytes], ...]:  # type: ignore[override]
        return self.raw_headers

    @property
    def _history(self) -> tuple[ClientResponse, ...]:  # type: ignore[override]
        return self.history

    @property
    def _released(self) -> bool:  # type: ignore[override]
        return self.complete and self._body is None

    @property
    def _closed(self) -> bool:  # type: ignore[override]
        return self.complete

    @property
    def _raw_cookie_headers(self) -> tuple[str, ...]:
        return tuple(self.headers.getall("Set-Cookie", ()))

    @_raw_cookie_headers.setter
    def _raw_cookie_headers(self, value: object) -> None:
        pass  # `cookies` was set

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

    @content.setter
    def content(self, stream: StreamReader) -> None:
        self._content = stream

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

    async def _read_rest(self) -> bytes:
        if self._rest is None:
            if self._content is None or self.all_read:
                self._rest = await self.read_all()
            else:
                self._rest = await self._content.read()
            for trace in self._traces:
                await trace.response_chunk(self.method, self.url, self._rest)
        return self._rest

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

    async def start(self, connection: Any) -> SessionResponse:
        """The response: it has started when a program gets to see it."""
        return self

    def _status_error(self) -> ClientResponseError:
        from .redirects import status_error

        return status_error(self)

    def _shown_url(self) -> str:
        return redact(self.url_text.partition("#")[0])


# By the name that programs know: it is shown by their tools.
SessionResponse.__name__ = SessionResponse.__qualname__ = "ClientResponse"

_url_of_base = ResponseBase.url.__get__


def engine_class(given: Any) -> type[SessionResponse]:
    """|given|, a subclass of ClientResponse, as the engine can make it. TypeError."""
    if given is ClientResponse:
        return SessionResponse
    if not isinstance(given, type) or not issubclass(given, ClientResponse):
        raise TypeError(f"response_class must be a subclass of ClientResponse, not {given!r}")
    if issubclass(given, SessionResponse):
        return given
    kind: type[SessionResponse] | None = vars(given).get("_engine_class")
    if kind is None:
        body = {"__module__": given.__module__, "__qualname__": given.__qualname__}
        kind = type(given.__name__, (given, SessionResponse), body)
        given._engine_class = kind  # type: ignore[attr-defined]
    return kind
