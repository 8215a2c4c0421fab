"""An HTTP/1 parser with the surface of httptools 0.9, on the code that reads our own responses.

`from aiofast import parser as httptools` is meant to work for a server or a client that was
written for httptools. It needs no event loop. What differs, always towards RFC 9110 and 9112:

- Events do not depend on how the bytes were cut: `on_url` and `on_status` come once for each
  message, with the whole text; blanks around a header's value are not part of it.
- Ceilings: a line of 256 KiB, a head of 1 MiB with 4,096 fields, 16 KiB of trailers, 4 KiB for a
  chunk's extensions. Going past one is an `HttpParserError`.
- Bytes that two readers could understand differently are refused whatever llhttp is installed;
  each message names the RFC's section.
- A callback may feed its own parser: that data is read after the data at hand.
- `KeyboardInterrupt`, `SystemExit` and whatever else is no `Exception` leave `feed_data()` as
  they are instead of inside an `HttpParserCallbackError`.
"""

from __future__ import annotations

from typing import Protocol

from aiofast._core import URL, HttpRequestParser, HttpResponseParser, parse_url

__all__ = (
    "URL",
    "HTTPProtocol",
    "HttpParserCallbackError",
    "HttpParserError",
    "HttpParserInvalidMethodError",
    "HttpParserInvalidStatusError",
    "HttpParserInvalidURLError",
    "HttpParserUpgrade",
    "HttpRequestParser",
    "HttpResponseParser",
    "parse_url",
)


class HTTPProtocol(Protocol):
    """What a parser calls, in this order, for each message; each method is optional. What one
    of them raises leaves `feed_data()` as the context of an `HttpParserCallbackError`."""

    def on_message_begin(self) -> None:
        """The first byte of a message is there."""

    def on_url(self, url: bytes) -> None:
        """The request target (RFC 9112 3.2) of a request, as it was sent."""

    def on_status(self, status: bytes) -> None:
        """The reason phrase of a response, b"" without one."""

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field of the head or of the trailer section, its name as it was sent."""

    def on_headers_complete(self) -> None:
        """The head is whole; the parser's getters tell what it says."""

    def on_body(self, body: bytes) -> None:
        """Some bytes of the content, without framing, at least one."""

    def on_message_complete(self) -> None:
        """The message is whole."""

    def on_chunk_header(self) -> None:
        """A chunk begins (RFC 9112 7.1), the last one, which is empty, too."""

    def on_chunk_complete(self) -> None:
        """A chunk is whole, the last one with its trailer section."""


class HttpParserError(Exception):
    """The bytes are not HTTP/1, or go past a ceiling. The parser is of no further use."""


class HttpParserCallbackError(HttpParserError):
    """A method of the protocol has raised; what it raised is the `__context__`."""


class HttpParserInvalidStatusError(HttpParserError):
    """The status of a response is not 100 to 999 (RFC 9112 4)."""


class HttpParserInvalidMethodError(HttpParserError):
    """The method of a request is not known (RFC 9110 9)."""


class HttpParserInvalidURLError(HttpParserError):
    """The target of a request, or what was given to `parse_url()`, is no URL."""


class HttpParserUpgrade(Exception):
    """The message asks for another protocol (RFC 9110 7.8) or has changed to it. The argument is
    the offset in the data that was fed at which that protocol's bytes begin."""
