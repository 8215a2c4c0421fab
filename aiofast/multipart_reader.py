"""MultipartReader: the parts of a body, one after the other (RFC 2046 5.1).

A boundary is looked for in what came together with what comes next, so that
none is missed between two reads; what was read past one is given back to the
stream.
"""

from __future__ import annotations

import binascii
import sys
import zlib
from collections.abc import Mapping
from json import loads
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from multidict import CIMultiDict, CIMultiDictProxy

from .disposition import (
    content_disposition_filename,
    parse_content_disposition,
    parse_parameters,
)
from .mediatype import parse_media_type
from .payload import Order, payload_type
from .payload_base import Payload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Self

_MAX_BOUNDARY = 70
_MAX_LINE = 8190
_MAX_FIELDS = 128
_STEP = 64 * 1024
_NOT_BASE64 = bytes(
    byte
    for byte in range(256)
    if byte not in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
)


def _unread(content: Any, data: bytes) -> None:
    """Gives |data| back to the stream."""
    getattr(content, "_unread", content.unread_data)(data)


class MultipartResponseWrapper:
    """The parts of a response; its connection is given back after the last."""

    def __init__(self, resp: Any, stream: Any) -> None:
        self.resp = resp
        self.stream = stream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> MultipartReader | BodyPartReader:
        part = await self.next()
        if part is None:
            raise StopAsyncIteration
        return part

    def at_eof(self) -> bool:
        """True when all of the body was read."""
        return bool(self.resp.content.at_eof())

    async def next(self) -> MultipartReader | BodyPartReader | None:
        """The next part, None after the last."""
        part: MultipartReader | BodyPartReader | None = await self.stream.next()
        if self.stream.at_eof():
            await self.release()
        return part

    async def release(self) -> None:
        """Gives the connection back."""
        released = self.resp.release()
        if released is not None:
            await released


class BodyPartReader:
    """One part. |boundary| with its two dashes; |content| the stream, at the
    part's first byte. ValueError for a Content-Length that is none."""

    chunk_size = 8192

    def __init__(
        self,
        boundary: bytes,
        headers: Mapping[str, str],
        content: Any,
        *,
        subtype: str = "mixed",
        default_charset: str | None = None,
        max_decompress_size: int = 256 * 1024,
        client_max_size: int = sys.maxsize,
        max_size_error_cls: Callable[..., Exception] = ValueError,
    ) -> None:
        self.headers = headers
        self._boundary = boundary
        self._needle = b"\r\n" + boundary
        self._boundary_len = len(self._needle)
        self._content = content
        self._default_charset = default_charset
        self._is_form = subtype == "form-data"
        self._left = self._length_of(headers)
        self._max_step = max_decompress_size
        self._max_size = client_max_size
        self._size_error = max_size_error_cls
        self._at_eof = False
        self._found = False  # the boundary is behind what is held
        self._ended = False  # the stream has ended without one
        self._prev_chunk: bytes | None = None  # read and not given
        self._b64_carry = b""  # characters of a group of four that is not whole

    def _length_of(self, headers: Mapping[str, str]) -> int | None:
        value = None
        if not self._is_form:  # there it may not be (RFC 7578 4.8)
            value = next((v for k, v in headers.items() if k.lower() == "content-length"), None)
        if value is None:
            return None
        text = str(value)
        if not (text.isascii() and text.isdigit()):
            raise ValueError(f"invalid Content-Length: {value!r}")
        return int(text)

    def _field(self, name: str) -> str:
        name = name.lower()
        return next((v.lower() for k, v in self.headers.items() if k.lower() == name), "")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        part = await self.next()
        if part is None:
            raise StopAsyncIteration
        return part

    async def next(self) -> Any:
        """All of the part; None if it was read."""
        return await self.read() or None

    # --- bytes ---

    async def read(self, *, decode: bool = False) -> Any:
        """What is left of the part, decoded if |decode| says so."""
        data = bytearray()
        while not self._at_eof:
            self._extend(data, await self.read_chunk(self.chunk_size))
        if not decode or not data:
            return data or b""
        decoded = bytearray()
        async for piece in self.decode_iter(data):
            self._extend(decoded, piece)
        return decoded

    def _extend(self, data: bytearray, piece: bytes) -> None:
        data += piece
        if len(data) > self._max_size:
            raise self._size_error(self._max_size)

    async def read_chunk(self, size: int = chunk_size) -> bytes:
        """About |size| bytes at most, b"" at the end. Of base64 whole groups, so
        that each chunk can be decoded by itself. ValueError if the body ends
        within the part."""
        if self._at_eof:
            return b""
        want = size
        carry, self._b64_carry = self._b64_carry, b""
        if carry:
            want = max(size - len(carry), self._boundary_len)
        if self._left is not None:
            chunk = await self._read_counted(want)
        else:
            chunk = await self._read_searched(want)
        chunk = carry + chunk
        if self._field("content-transfer-encoding") == "base64":
            chunk = self._whole_groups(chunk, max(size, len(carry) + want))
        if self.at_eof():
            await self._end_of_data()
        return chunk

    async def _end_of_data(self) -> None:
        if self._left is not None and await self._content.readline() != b"\r\n":
            raise ValueError("the part is longer than its Content-Length or malformed")

    async def _read_counted(self, size: int) -> bytes:
        assert self._left is not None
        if self._left == 0:
            self._at_eof = True
            return b""
        chunk: bytes = await self._content.read(min(size, self._left))
        if not chunk:
            raise ValueError("the body ends within a part")
        self._left -= len(chunk)
        self._at_eof = self._left == 0
        return chunk

    async def _fill(self, size: int, before: bytes = b"") -> bytes:
        """At least as much as the boundary needs, unless that is there already,
        behind |before|, or the stream ends."""
        data = b""
        while len(data) < self._boundary_len and self._needle not in before + data:
            more = await self._content.read(max(size, self._boundary_len))
            if not more:
                break
            data += more
        return data

    async def _read_searched(self, size: int) -> bytes:
        if self._found:
            chunk, self._prev_chunk = self._prev_chunk or b"", None
            self._at_eof = True
            return chunk
        if self._prev_chunk is None:
            self._prev_chunk = await self._fill(size)
            if self._prev_chunk.startswith(self._boundary):  # nothing in it
                _unread(self._content, self._prev_chunk)
                self._at_eof = True
                return b""
        elif self._ended and not self._prev_chunk:
            raise ValueError("Could not find the boundary: the body ends within a part")
        before = self._prev_chunk
        after = await self._fill(size, before)
        return self._give(before, after)

    def _give(self, before: bytes, after: bytes) -> bytes:
        """|before|, or what of it stands before the boundary."""
        window = before + after
        at = window.find(self._needle)
        if at < 0:
            self._prev_chunk = after
            self._ended = not after
            return before
        self._found = True
        _unread(self._content, window[at + 2 :])
        if at <= len(before):
            self._prev_chunk = None
            self._at_eof = True
            return before[:at]
        self._prev_chunk = window[len(before) : at]
        return before

    def _whole_groups(self, chunk: bytes, size: int) -> bytes:
        """|chunk| up to its last whole group of four characters and |size|; the
        rest is carried on. All of it where it holds no group, or at the end."""
        if self._at_eof:
            return chunk
        cut = min(len(chunk), size)
        over = len(chunk[:cut].translate(None, _NOT_BASE64)) % 4
        end = cut
        while over:
            end -= 1
            over -= chunk[end] not in _NOT_BASE64
        if end == 0:
            end = cut
        self._b64_carry = chunk[end:]
        return chunk[:end]

    async def readline(self) -> bytes:
        """The next line with its end; b"" at the end of the part."""
        if self._at_eof:
            return b""
        line: bytes = await self._next_line()
        if line.startswith(self._boundary):
            text = line.rstrip(b"\r\n")
            if text in (self._boundary, self._boundary + b"--"):
                self._at_eof = True
                _unread(self._content, line)
                return b""
        following = await self._next_line()
        if following.startswith(self._boundary):
            line = line.removesuffix(b"\n").removesuffix(b"\r")
        _unread(self._content, following)
        return line

    async def _next_line(self) -> bytes:
        if self._prev_chunk:
            _unread(self._content, self._prev_chunk)
            self._prev_chunk = None
        line: bytes = await self._content.readline()
        return line

    async def release(self) -> None:
        """Reads the rest of the part and throws it away."""
        while not self._at_eof:
            await self.read_chunk(_STEP)

    def at_eof(self) -> bool:
        """True when all of the part was read."""
        return self._at_eof

    # --- decoded ---

    async def text(self, *, encoding: str | None = None) -> str:
        """The rest as text, in |encoding|, else the part's charset, else UTF-8."""
        data = await self.read(decode=True)
        return bytes(data).decode(encoding or self.get_charset(default="utf-8"))

    async def json(self, *, encoding: str | None = None) -> Any:
        """The rest as JSON; None if there is nothing."""
        data = await self.read(decode=True)
        if not data:
            return None
        return loads(bytes(data).decode(encoding or self.get_charset(default="utf-8")))

    async def form(self, *, encoding: str | None = None) -> list[tuple[str, str]]:
        """The rest as an urlencoded form. ValueError."""
        data = await self.read(decode=True)
        if not data:
            return []
        charset = encoding or self.get_charset(default="utf-8")
        try:
            text = bytes(data).rstrip().decode(charset)
        except UnicodeDecodeError:
            raise ValueError(f"data cannot be decoded with {charset} encoding") from None
        return parse_qsl(text, keep_blank_values=True, encoding=charset)

    def decode(self, data: Any) -> bytes:
        """|data|, a chunk of the part, without its transfer encoding and content
        coding. RuntimeError for one that is unknown."""
        data = self._untransfer(data)
        return b"".join(self._uncoded(data))

    async def decode_iter(self, data: Any) -> AsyncIterator[bytes]:
        """The same, in pieces of bounded size."""
        for piece in self._uncoded(self._untransfer(data)):
            yield piece

    def _untransfer(self, data: Any) -> Any:
        encoding = self._field("content-transfer-encoding")
        if encoding == "base64":
            clean = bytes(data).translate(None, _NOT_BASE64)
            return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))
        if encoding == "quoted-printable":
            return binascii.a2b_qp(bytes(data))
        if encoding not in ("", "binary", "8bit", "7bit"):
            raise RuntimeError(f"unknown content transfer encoding: {encoding}")
        return data

    def _uncoded(self, data: Any) -> Any:
        coding = "" if self._is_form else self._field("content-encoding")
        if coding in ("", "identity"):
            return (bytes(data),)
        if coding not in ("deflate", "gzip"):
            raise RuntimeError(f"unknown content encoding: {coding}")
        return self._inflated(bytes(data), coding)

    def _inflated(self, data: bytes, coding: str) -> Any:
        wrapped = len(data) > 1 and data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
        inflater = zlib.decompressobj(wbits=31 if coding == "gzip" else 15 if wrapped else -15)
        while data:
            piece = inflater.decompress(data, self._max_step)
            data = inflater.unconsumed_tail
            if piece:
                yield piece
            elif inflater.eof or not data:
                break
        yield inflater.flush()

    # --- what it says of itself ---

    def get_charset(self, default: str) -> str:
        """The charset of Content-Type, else the form's, else |default|."""
        found = parse_media_type(self._header("content-type"))[1]
        return found or self._default_charset or default

    def _header(self, name: str) -> str | None:
        return next((v for k, v in self.headers.items() if k.lower() == name), None)

    @property
    def name(self) -> str | None:
        """The name of the field."""
        _, params = parse_content_disposition(self._header("content-disposition"))
        return content_disposition_filename(params, "name")

    @property
    def filename(self) -> str | None:
        """The filename that was given along."""
        _, params = parse_content_disposition(self._header("content-disposition"))
        return content_disposition_filename(params, "filename")


@payload_type(BodyPartReader, order=Order.try_first)
class BodyPartReaderPayload(Payload):
    """A part that is read, to be sent on."""

    _autoclose = True

    def __init__(self, value: BodyPartReader, *args: Any, **kwargs: Any) -> None:
        super().__init__(value, *args, **kwargs)
        params = {
            key: text for key in ("name", "filename") if (text := getattr(value, key)) is not None
        }
        if params:
            self.set_content_disposition("attachment", True, **params)

    @property
    def _replayable(self) -> bool:
        return False

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError("Unable to decode.")

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """TypeError: a part can be read once."""
        raise TypeError("Unable to read body part as bytes. Use write() to consume the payload.")

    async def write(self, writer: Any) -> None:
        self._consumed = True
        while chunk := await self._value.read_chunk(size=_STEP):
            async for piece in self._value.decode_iter(chunk):
                await writer.write(piece)


class MultipartReader:
    """The parts of |content|, a stream whose Content-Type is in |headers|.
    ValueError for one that is not multipart or has no usable boundary."""

    response_wrapper_cls = MultipartResponseWrapper
    multipart_reader_cls: Any = None
    part_reader_cls = BodyPartReader

    def __init__(
        self,
        headers: Mapping[str, str],
        content: Any,
        *,
        client_max_size: int = sys.maxsize,
        max_field_size: int = _MAX_LINE,
        max_headers: int = _MAX_FIELDS,
        max_size_error_cls: Callable[..., Exception] = ValueError,
    ) -> None:
        kind, params = parse_parameters(
            next((v for k, v in headers.items() if k.lower() == "content-type"), "")
        )
        if not kind.startswith("multipart/"):
            raise ValueError(f"multipart/* content type expected, not {kind!r}")
        boundary = params.get("boundary")
        if not boundary:
            raise ValueError("boundary missed for Content-Type: " + kind)
        if len(boundary) > _MAX_BOUNDARY:
            raise ValueError(f"boundary {boundary!r} is too long ({_MAX_BOUNDARY} chars max)")
        self.headers = headers
        self._kind = kind
        self._boundary = b"--" + boundary.encode()
        self._content = content
        self._default_charset: str | None = None
        self._last_part: MultipartReader | BodyPartReader | None = None
        self._at_eof = False
        self._at_bof = True
        self._nested = False
        self._limits = (max_field_size, max_headers)
        self._max_size = client_max_size
        self._size_error = max_size_error_cls

    @classmethod
    def from_response(cls, response: Any) -> MultipartResponseWrapper:
        """The parts of the body of |response|."""
        return cls.response_wrapper_cls(response, cls(response.headers, response.content))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> MultipartReader | BodyPartReader:
        part = await self.next()
        if part is None:
            raise StopAsyncIteration
        return part

    def at_eof(self) -> bool:
        """True after the last part."""
        return self._at_eof

    async def next(self) -> MultipartReader | BodyPartReader | None:
        """The next part, None after the last; the rest of the one before is thrown
        away. ValueError for a body that is not multipart."""
        if self._at_eof:
            return None
        if self._last_part is not None:
            await self._last_part.release()
            self._last_part = None
        await (self._skip_preamble() if self._at_bof else self._read_boundary())
        self._at_bof = False
        if self.at_eof():
            return None
        part = await self.fetch_next_part()
        if self._is_charset(part):
            charset = bytes(await part.read_chunk(32))
            if len(charset) > 31 or not charset.isascii():
                raise RuntimeError("Invalid default charset")
            self._default_charset = charset.strip().decode()
            await part.release()
            await self._read_boundary()
            if self.at_eof():
                return None
            part = await self.fetch_next_part()
        self._last_part = part
        return self._last_part

    def _is_charset(self, part: Any) -> bool:
        """The part of a form that says how the others are encoded (RFC 7578 4.6)."""
        return (
            self._default_charset is None
            and self._kind == "multipart/form-data"
            and isinstance(part, BodyPartReader)
            and part.name == "_charset_"
        )

    async def release(self) -> None:
        """Reads all parts and throws them away."""
        while not self._at_eof:
            await self.next()

    async def fetch_next_part(self) -> Any:
        """The part that begins here."""
        return self._get_part_reader(await self._read_headers())

    def _get_part_reader(self, headers: Mapping[str, str]) -> Any:
        kind, _ = parse_parameters(
            next((v for k, v in headers.items() if k.lower() == "content-type"), "")
        )
        limits: dict[str, Any] = {
            "client_max_size": self._max_size,
            "max_size_error_cls": self._size_error,
        }
        if kind.startswith("multipart/"):
            made = (self.multipart_reader_cls or type(self))(
                headers,
                self._content,
                max_field_size=self._limits[0],
                max_headers=self._limits[1],
                **limits,
            )
            made._nested = True
            return made
        return self.part_reader_cls(
            self._boundary,
            headers,
            self._content,
            subtype=self._kind.partition("/")[2],
            default_charset=self._default_charset,
            **limits,
        )

    # --- lines ---

    async def _line(self) -> bytes:
        line: bytes = await self._content.readline(max_line_length=self._limits[0])
        return line

    async def _skip_preamble(self) -> None:
        while True:
            line = await self._line()
            if not line:
                raise ValueError(f"Could not find starting boundary {self._boundary!r}")
            line = line.rstrip()
            if line == self._boundary:
                return
            if line == self._boundary + b"--":
                await self._finish()
                return

    async def _read_boundary(self) -> None:
        line = (await self._line()).rstrip()
        if line == self._boundary + b"--":
            await self._finish()
        elif line != self._boundary:
            raise ValueError(f"Invalid boundary {line!r}, expected {self._boundary!r}")

    async def _finish(self) -> None:
        """After the last boundary. An epilogue says nothing; in a nested body it
        ends where the outer boundary begins."""
        self._at_eof = True
        while self._nested:
            line = await self._line()
            if line.startswith(b"--") or not line:
                if line:
                    _unread(self._content, line)
                return

    async def _read_headers(self) -> CIMultiDictProxy[str]:
        fields: CIMultiDict[str] = CIMultiDict()
        while True:
            line = (await self._line()).rstrip(b"\r\n")
            if not line:
                return CIMultiDictProxy(fields)
            if len(fields) >= self._limits[1]:
                raise ValueError("too many header fields in a part")
            name, colon, value = line.decode("utf-8", "surrogateescape").partition(":")
            if not colon or not name or name != name.strip():
                raise ValueError(f"invalid header field in a part: {line[:64]!r}")
            fields.add(name, value.strip(" \t"))
