"""Payload: data with the header fields that describe it, and what is in memory.

The names and behaviour are aiohttp's. A writer is whatever has an asynchronous
`write(chunk)`; the engine's own also takes files.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from mimetypes import guess_type
from typing import TYPE_CHECKING, Any, Final

from multidict import CIMultiDict

from .disposition import content_disposition
from .mediatype import parse_media_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

BINARY = "application/octet-stream"
UNSET: Final[Any] = object()


class Payload(ABC):
    """|value| with headers: those given, and a Content-Type: |content_type|, else
    what |filename| looks like, else that of the kind of payload."""

    _default_content_type = BINARY
    _size: int | None = None
    _consumed = False  # it cannot be written again
    _autoclose = False  # there is nothing to close

    def __init__(
        self,
        value: Any,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        content_type: str | None = UNSET,
        filename: str | None = None,
        encoding: str | None = None,
        **kwargs: Any,
    ) -> None:
        self._value = value
        self._encoding = encoding
        self._filename = filename
        self._headers: CIMultiDict[str] = CIMultiDict()
        if content_type is UNSET or content_type is None:
            found = guess_type(filename)[0] if filename is not None else None
            if (content_type is UNSET and filename is None) or found is None:
                found = self._default_content_type
            content_type = found
        self._headers["Content-Type"] = content_type
        if headers:
            self._headers.update(headers)

    @property
    def size(self) -> int | None:
        """In bytes; None if it is not known before it is written."""
        return self._size

    @property
    def filename(self) -> str | None:
        """What was given."""
        return self._filename

    @property
    def headers(self) -> CIMultiDict[str]:
        """The fields that go with it, to be changed freely."""
        return self._headers

    @property
    def _binary_headers(self) -> bytes:
        lines = []
        for name, value in self.headers.items():
            line = f"{name}: {value}"
            if "\r" in line or "\n" in line or "\0" in line:
                raise ValueError(
                    f"CR, LF or NUL in the header field {name!r}: potential header injection"
                )
            lines.append(line)
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")

    @property
    def encoding(self) -> str | None:
        """The charset of text, if given."""
        return self._encoding

    @property
    def content_type(self) -> str:
        """The Content-Type."""
        return self._headers["Content-Type"]

    @property
    def _replayable(self) -> bool:
        """True if it can be written any number of times."""
        return not self._consumed

    @property
    def consumed(self) -> bool:
        """True if it was written and cannot be again."""
        return self._consumed

    @property
    def autoclose(self) -> bool:
        """True if nothing has to be closed."""
        return self._autoclose

    def set_content_disposition(
        self, disptype: str, quote_fields: bool = True, _charset: str = "utf-8", **params: str
    ) -> None:
        """Sets Content-Disposition; see content_disposition()."""
        self._headers["Content-Disposition"] = content_disposition(
            disptype, params, quote_fields=quote_fields, charset=_charset
        )

    @abstractmethod
    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The content as text, where it is at hand."""

    @abstractmethod
    async def write(self, writer: Any) -> None:
        """Writes all of it to |writer|."""

    async def write_with_length(self, writer: Any, content_length: int | None) -> None:
        """Writes |content_length| bytes at most; None: all."""
        await self.write(writer if content_length is None else Limited(writer, content_length))

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """All of it."""
        return self.decode(self._encoding or encoding, errors).encode(
            self._encoding or encoding, errors
        )

    async def close(self) -> None:
        """Lets go of what it holds; harmless when closed."""
        self._consumed = True


class Limited:
    """A writer that lets through so many bytes and drops the rest."""

    def __init__(self, writer: Any, left: int) -> None:
        self._writer = writer
        self.left = left

    async def write(self, chunk: Any) -> None:
        if self.left > 0:
            view = memoryview(chunk).cast("B")
            part = chunk if view.nbytes <= self.left else bytes(view[: self.left])
            self.left -= min(self.left, view.nbytes)
            await self._writer.write(part)


class BytesPayload(Payload):
    """bytes-likes."""

    _autoclose = True

    def __init__(self, value: Any, *args: Any, **kwargs: Any) -> None:
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise TypeError(f"value argument must be byte-ish, not {type(value)!r}")
        super().__init__(value, *args, **kwargs)
        self._size = memoryview(value).nbytes

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return bytes(self._value).decode(encoding, errors)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return bytes(self._value)

    async def write(self, writer: Any) -> None:
        await writer.write(self._value)

    async def close(self) -> None:
        """There is nothing to close."""


class StringPayload(BytesPayload):
    """Text, in |encoding|, else the charset of |content_type|, else UTF-8."""

    def __init__(
        self,
        value: str,
        *args: Any,
        encoding: str | None = None,
        content_type: str | None = None,
        **kwargs: Any,
    ) -> None:
        encoding, content_type = text_type(encoding, content_type)
        super().__init__(
            value.encode(encoding), *args, encoding=encoding, content_type=content_type, **kwargs
        )


def text_type(encoding: str | None, content_type: str | None) -> tuple[str, str]:
    """The charset and Content-Type of text, from what of them is given."""
    if content_type is None:
        charset = encoding or "utf-8"
        return charset, f"text/plain; charset={charset}"
    return encoding or parse_media_type(content_type)[1] or "utf-8", content_type


class StringIOPayload(StringPayload):
    """What a StringIO holds from where it stands."""

    def __init__(self, value: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(value.read(), *args, **kwargs)


class JsonPayload(BytesPayload):
    """|value| as JSON, by |dumps|, which gives text."""

    def __init__(
        self,
        value: Any,
        encoding: str = "utf-8",
        content_type: str = "application/json",
        dumps: Callable[[Any], str] = json.dumps,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            dumps(value).encode(encoding),
            *args,
            content_type=content_type,
            encoding=encoding,
            **kwargs,
        )


class JsonBytesPayload(BytesPayload):
    """|value| as JSON, by |dumps|, which gives bytes."""

    def __init__(
        self,
        value: Any,
        dumps: Callable[[Any], bytes],
        content_type: str = "application/json",
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(dumps(value), *args, content_type=content_type, encoding="utf-8", **kwargs)
