"""The complete response of fetch()."""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any

from ._core import ResponseBase
from .errors import redact
from .mediatype import decode_text, parse_media_type

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NamedTuple, Self

__all__ = ("HttpVersion", "HttpVersion10", "HttpVersion11", "Response")


if TYPE_CHECKING:

    class HttpVersion(NamedTuple):
        """The version of a message."""

        major: int
        minor: int

else:
    HttpVersion = namedtuple("HttpVersion", "major minor", module=__name__)


HttpVersion10 = HttpVersion(1, 0)
HttpVersion11 = HttpVersion(1, 1)


def version_of(response: ResponseBase) -> HttpVersion:
    """The version that |response| was sent with."""
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
        return version_of(self)

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
