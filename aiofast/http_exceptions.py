"""aiohttp.http_exceptions: what its parsers raise. Programs catch these by
name; of aiofast's own errors they never are the class, only the cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class HttpProcessingError(Exception):
    """A message that is not HTTP. `code`, `message`, `headers` (or None)."""

    code = 0
    message = ""
    headers: Mapping[str, str] | None = None

    def __init__(
        self,
        *,
        code: int | None = None,
        message: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if code is not None:
            self.code = code
        self.headers = headers
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}, message:\n  " + self.message.strip().replace("\n", "\n  ")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.code}, message={self.message!r}>"


class BadHttpMessage(HttpProcessingError):
    """The head is malformed."""

    code = 400
    message = "Bad Request"

    def __init__(self, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message=message, headers=headers)
        self.args = (message,)


class HttpBadRequest(BadHttpMessage):
    """The request is malformed."""


class PayloadEncodingError(BadHttpMessage):
    """The body cannot be read."""


class ContentEncodingError(PayloadEncodingError):
    """Content-Encoding does not hold."""


class TransferEncodingError(PayloadEncodingError):
    """The chunks are malformed."""


class ContentLengthError(PayloadEncodingError):
    """The body is shorter than Content-Length."""


class DecompressSizeError(PayloadEncodingError):
    """The body grows beyond the limit when it is decompressed."""


class LineTooLong(BadHttpMessage):
    """A line is longer than the limit."""

    def __init__(self, line: bytes | str, limit: int | str = "Unknown") -> None:
        super().__init__(f"Got more than {limit} bytes when reading: {line!r}.")
        self.args = (line, limit)


class InvalidHeader(BadHttpMessage):
    """A header field is malformed. `hdr`."""

    def __init__(self, hdr: bytes | str) -> None:
        self.hdr = hdr.decode(errors="backslashreplace") if isinstance(hdr, bytes) else hdr
        super().__init__(f"Invalid HTTP header: {self.hdr!r}")
        self.args = (hdr,)


class BadStatusLine(BadHttpMessage):
    """The first line is malformed. `line`."""

    def __init__(self, line: str = "", error: str | None = None) -> None:
        super().__init__(error or f"Bad status line {line!r}")
        self.args = (line,)
        self.line = line


class BadHttpMethod(BadStatusLine):
    """The method is not a token."""

    def __init__(self, line: str = "", error: str | None = None) -> None:
        super().__init__(line, error or f"Bad HTTP method in status line {line!r}")


class InvalidURLError(BadHttpMessage):
    """The request target is malformed."""
