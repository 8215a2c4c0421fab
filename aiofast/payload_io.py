"""Payloads that are read as they are written: files and asynchronous iterables."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Any

from .files import plain_file
from .payload_base import Limited, Payload, text_type
from .sending import STEP, Out

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class IOBasePayload(Payload):
    """A binary file, from where it stands when it is first looked at. It can be
    written again if it can be sought in."""

    def __init__(
        self, value: Any, disposition: str = "attachment", *args: Any, **kwargs: Any
    ) -> None:
        if "filename" not in kwargs:
            kwargs["filename"] = guess_filename(value)
        super().__init__(value, *args, **kwargs)
        self._start: int | None = None
        if self._filename is not None and "Content-Disposition" not in self.headers:
            self.set_content_disposition(disposition, filename=self._filename)

    def _rewind(self) -> None:
        """Back to where it stood at first."""
        if self._start is None:
            try:
                self._start = self._value.tell()
            except (OSError, AttributeError, ValueError):
                self._consumed = True  # what is read now is gone
        else:
            self._value.seek(self._start)

    def _place(self) -> tuple[int, int, int] | None:
        """Descriptor, start and length of a regular file; None for others."""
        plain = plain_file(self._value)
        if plain is None or plain.closed:
            return None
        found = os.fstat(plain.fileno())
        if not stat.S_ISREG(found.st_mode):
            return None
        start = plain.tell() if self._start is None else self._start
        return plain.fileno(), start, max(0, found.st_size - start)

    @property
    def size(self) -> int | None:
        place = self._place()
        if place is not None:
            return place[2]
        try:
            found = os.fstat(self._value.fileno()).st_size
            return max(0, int(found - self._value.tell())) if self._counts_bytes() else None
        except (AttributeError, OSError, TypeError, ValueError):
            return None

    def _counts_bytes(self) -> bool:
        """True unless the descriptor's bytes are not what read() gives."""
        return not hasattr(self._value, "mtime") and not hasattr(self._value, "_fp")

    async def _pieces(self, limit: int | None) -> AsyncIterator[Any]:
        self._rewind()
        while limit is None or limit > 0:
            piece = self._value.read(STEP if limit is None else min(STEP, limit))
            if not piece:
                return
            if limit is not None:
                limit -= len(piece)
            yield self._encode(piece)

    def _encode(self, piece: Any) -> Any:
        return piece

    async def write(self, writer: Any) -> None:
        await self.write_with_length(writer, None)

    async def write_with_length(self, writer: Any, content_length: int | None) -> None:
        place = self._place() if isinstance(writer, Out) else None
        if place is None:
            async for piece in self._pieces(content_length):
                await writer.write(piece)
            return
        fd, self._start, length = place
        if content_length is not None:
            length = min(length, content_length)
        await writer.write_file(fd, self._start, length)

    @property
    def _replayable(self) -> bool:
        try:
            return bool(self._value.seekable())
        except (AttributeError, ValueError):
            return False

    async def close(self) -> None:
        """Closes the file."""
        if not self._consumed:
            self._consumed = True
            self._value.close()

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._read_all().decode(encoding, errors)

    def _read_all(self) -> bytes:
        self._rewind()
        return bytes(self._value.read())

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return self._read_all()


class TextIOPayload(IOBasePayload):
    """A text file, sent in |encoding|, else in the charset of |content_type|,
    else in UTF-8."""

    def __init__(
        self,
        value: Any,
        *args: Any,
        encoding: str | None = None,
        content_type: str | None = None,
        **kwargs: Any,
    ) -> None:
        encoding, content_type = text_type(encoding, content_type)
        super().__init__(value, *args, content_type=content_type, encoding=encoding, **kwargs)

    @property
    def size(self) -> int | None:
        """Known only where the file is in the charset that is sent."""
        try:
            if self._same_charset() and self._value.newlines is None and os.linesep == "\n":
                position = self._value.tell() if self._start is None else self._start
                return int(os.fstat(self._value.fileno()).st_size - position)
        except (AttributeError, OSError, TypeError, ValueError):
            pass
        return None

    def _same_charset(self) -> bool:
        from codecs import lookup

        own, sent = self._value.encoding, self._encoding
        return own is not None and sent is not None and lookup(own) == lookup(sent)

    async def write_with_length(self, writer: Any, content_length: int | None) -> None:
        out = writer if content_length is None else Limited(writer, content_length)
        async for piece in self._pieces(None):
            await out.write(piece)
            if content_length is not None and out.left <= 0:
                return

    def _encode(self, piece: Any) -> Any:
        return piece.encode(self._encoding or "utf-8") if isinstance(piece, str) else piece

    def _read_all(self) -> bytes:
        self._rewind()
        encoded: bytes = self._encode(self._value.read())
        return encoded

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        self._rewind()
        text: str = self._value.read()
        return text

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return self.decode().encode(self._encoding or encoding, errors)


class BytesIOPayload(IOBasePayload):
    """What a BytesIO holds from where it stands."""

    _autoclose = True

    @property
    def size(self) -> int:
        position: int = self._value.tell() if self._start is None else self._start
        with self._value.getbuffer() as buffer:
            size: int = buffer.nbytes
        return max(0, size - position)

    async def close(self) -> None:
        """It is the caller's, and holds nothing of the system."""


class BufferedReaderPayload(IOBasePayload):
    """A buffered binary file."""


class AsyncIterablePayload(Payload):
    """The pieces of an asynchronous iterable. They can be written once, or any
    number of times once as_bytes() has kept them."""

    _autoclose = True

    def __init__(self, value: Any, *args: Any, **kwargs: Any) -> None:
        if not isinstance(value, AsyncIterable):
            raise TypeError(
                "value argument must support collections.abc.AsyncIterable interface, "
                f"got {type(value)!r}"
            )
        super().__init__(value, *args, **kwargs)
        self._iter: Any = aiter(value)
        self._cached_chunks: list[bytes] | None = None

    @property
    def _replayable(self) -> bool:
        return self._cached_chunks is not None

    async def write(self, writer: Any) -> None:
        await self.write_with_length(writer, None)

    async def write_with_length(self, writer: Any, content_length: int | None) -> None:
        out = writer if content_length is None else Limited(writer, content_length)
        if self._cached_chunks is not None:
            for chunk in self._cached_chunks:
                await out.write(chunk)
            return
        pieces, self._iter = self._iter, None
        if pieces is None:
            return
        self._consumed = True
        try:
            async for chunk in pieces:
                await out.write(chunk)
                if content_length is not None and out.left <= 0:
                    return
        finally:
            if hasattr(pieces, "aclose"):
                await pieces.aclose()

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        if self._cached_chunks is None:
            raise TypeError("Unable to decode - content not cached. Call as_bytes() first.")
        return b"".join(self._cached_chunks).decode(encoding, errors)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        if self._cached_chunks is None and self._iter is not None:
            pieces, self._iter = self._iter, None
            self._cached_chunks = [bytes(chunk) async for chunk in pieces]
        return b"".join(self._cached_chunks or ())


class StreamReaderPayload(AsyncIterablePayload):
    """What a StreamReader receives, as it comes."""

    def __init__(self, value: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(value.iter_any(), *args, **kwargs)


def guess_filename(file: Any, default: str | None = None) -> str | None:
    """The last part of the name of |file|, if it has one that is a path."""
    name = getattr(file, "name", None)
    if isinstance(name, str) and name and name[0] != "<" and name[-1] != ">":
        return os.path.basename(name)
    return default
