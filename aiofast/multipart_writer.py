"""MultipartWriter: a body of several parts (RFC 2046 5.1, RFC 7578)."""

from __future__ import annotations

import binascii
import re
import zlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import uuid4

from . import payload as payloads
from .payload_base import JsonPayload, Payload, StringPayload

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Self

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_QUOTABLE = re.compile(rb"[\t\x20-\x7e]+")
_ENCODINGS = ("gzip", "deflate")
_TRANSFER = ("base64", "quoted-printable", "binary")


class MultipartWriter(Payload):
    """Parts behind one another, each with its header fields. It is a payload
    itself, and may be a part of another."""

    def __init__(self, subtype: str = "mixed", boundary: str | None = None) -> None:
        """ValueError for a |boundary| that cannot be sent."""
        boundary = uuid4().hex if boundary is None else boundary
        try:
            self._boundary = boundary.encode("ascii")
        except UnicodeEncodeError:
            raise ValueError("boundary should contain ASCII only chars") from None
        super().__init__(None, content_type=f"multipart/{subtype}; boundary={self._boundary_value}")
        self._is_form_data = subtype == "form-data"
        self._parts: list[tuple[Payload, str, str]] = []

    @property
    def _boundary_value(self) -> str:
        """The boundary as a parameter: a token or a quoted string."""
        value = self._boundary
        if not _TOKEN.fullmatch(value):
            if not _QUOTABLE.fullmatch(value):
                raise ValueError("boundary value contains invalid characters")
            value = b'"%s"' % value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        return value.decode("ascii")

    @property
    def boundary(self) -> str:
        """What stands between the parts."""
        return self._boundary.decode("ascii")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Nothing ends here: the parts are sent later."""

    def __iter__(self) -> Iterator[tuple[Payload, str, str]]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __bool__(self) -> bool:
        return True

    # --- parts ---

    def append(self, obj: Any, headers: Mapping[str, str] | None = None) -> Payload:
        """Adds |obj|, a payload or what there is one for. TypeError."""
        if isinstance(obj, Payload):
            if headers is not None:
                obj.headers.update(headers)
            return self.append_payload(obj)
        try:
            made = payloads.get_payload(obj, headers=headers)
        except payloads.LookupError:
            raise TypeError(f"Cannot create payload from {obj!r}") from None
        return self.append_payload(made)

    def append_payload(self, payload: Payload) -> Payload:
        """Adds |payload|. RuntimeError for a Content-Encoding or
        Content-Transfer-Encoding that there is not, ValueError for one that a
        form may not have (RFC 7578 4.8)."""
        encoding = payload.headers.get("Content-Encoding", "").lower()
        transfer = payload.headers.get("Content-Transfer-Encoding", "").lower()
        if self._is_form_data:
            self._append_field(payload)
            encoding = transfer = ""
        if encoding == "identity":
            encoding = ""
        if encoding and encoding not in _ENCODINGS:
            raise RuntimeError(f"unknown content encoding: {encoding}")
        if transfer and transfer not in _TRANSFER:
            raise RuntimeError(f"unknown content transfer encoding: {transfer}")
        if transfer == "binary":
            transfer = ""
        size = payload.size
        if size is not None and not (encoding or transfer or self._is_form_data):
            payload.headers["Content-Length"] = str(size)
        self._parts.append((payload, encoding, transfer))
        return payload

    def _append_field(self, payload: Payload) -> None:
        unfit = {"Content-Encoding", "Content-Length", "Content-Transfer-Encoding"}
        found = sorted(name for name in unfit if name in payload.headers)
        if found:
            raise ValueError(f"{', '.join(found)} may not be in a part of a form (RFC 7578 4.8)")
        if "Content-Disposition" not in payload.headers:
            payload.set_content_disposition("form-data", name=f"section-{len(self._parts)}")

    def append_json(self, obj: Any, headers: Mapping[str, str] | None = None) -> Payload:
        """Adds |obj| as JSON."""
        return self.append_payload(JsonPayload(obj, headers=headers))

    def append_form(
        self,
        obj: Sequence[tuple[str, str]] | Mapping[str, str],
        headers: Mapping[str, str] | None = None,
    ) -> Payload:
        """Adds |obj| as an urlencoded form."""
        pairs = list(obj.items()) if hasattr(obj, "items") else obj
        return self.append_payload(
            StringPayload(
                urlencode(pairs, doseq=True),
                headers=headers,
                content_type="application/x-www-form-urlencoded",
            )
        )

    # --- as a payload ---

    @property
    def size(self) -> int | None:
        """In bytes with all framing; None if that of a part is not known."""
        total = len(self._boundary) + 6
        for part, encoding, transfer in self._parts:
            size = part.size
            if encoding or transfer or size is None:
                return None
            total += len(self._boundary) + 6 + len(part._binary_headers) + size
        return total

    @property
    def consumed(self) -> bool:
        """True if a part cannot be written again."""
        return any(part.consumed for part, _, _ in self._parts)

    @property
    def _replayable(self) -> bool:
        return all(getattr(part, "_replayable", True) for part, _, _ in self._parts)

    @property
    def autoclose(self) -> bool:
        """True if no part has to be closed."""
        return all(part.autoclose for part, _, _ in self._parts)

    async def write(self, writer: Any, close_boundary: bool = True) -> None:
        """Writes all parts, and the last boundary if |close_boundary|."""
        for part, encoding, transfer in self._parts:
            await writer.write(b"--%s\r\n%s" % (self._boundary, part._binary_headers))
            if encoding or transfer:
                coded = _CodedWriter(writer, encoding, transfer)
                await part.write(coded)
                await coded.finish()
            else:
                await part.write(writer)
            await writer.write(b"\r\n")
        if close_boundary:
            await writer.write(b"--%s--\r\n" % self._boundary)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """All of it."""
        kept = _Kept()
        await self.write(kept)
        return bytes(kept.data)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """As text, for looking at: parts are not encoded."""
        text = []
        for part, _, _ in self._parts:
            head = part._binary_headers.decode(encoding, errors)
            text.append(f"--{self.boundary}\r\n{head}{part.decode(encoding, errors)}\r\n")
        return "".join(text) + f"--{self.boundary}--\r\n"

    async def close(self) -> None:
        """Closes every part; the failure of one keeps no other from it."""
        from logging import getLogger

        if self._consumed:
            return
        self._consumed = True
        for part, _, _ in self._parts:
            if part.autoclose or part.consumed:
                continue
            try:
                await part.close()
            except Exception as error:
                getLogger("aiofast").error("A part of a form cannot be closed: %s", error)


class _Kept:
    """A writer into memory."""

    def __init__(self) -> None:
        self.data = bytearray()

    async def write(self, chunk: Any) -> None:
        self.data += chunk


class _CodedWriter:
    """A writer that encodes on the way to another."""

    def __init__(self, writer: Any, encoding: str, transfer: str) -> None:
        self._writer = writer
        # What is called deflate is sent without zlib's head in mail and forms.
        self._compressor = (
            zlib.compressobj(wbits=31 if encoding == "gzip" else -15) if encoding else None
        )
        self._transfer = transfer
        self._rest = b""

    async def write(self, chunk: Any) -> None:
        data = self._compressor.compress(chunk) if self._compressor else bytes(chunk)
        await self._send(data, False)

    async def finish(self) -> None:
        """Writes what was kept back."""
        await self._send(self._compressor.flush() if self._compressor else b"", True)

    async def _send(self, data: bytes, last: bool) -> None:
        if self._transfer == "base64":
            data = self._rest + data
            whole = len(data) if last else len(data) // 3 * 3
            self._rest = data[whole:]
            data = binascii.b2a_base64(data[:whole], newline=False)
        elif self._transfer == "quoted-printable":
            # A line is encoded as one, or its end would be mistaken.
            data = self._rest + data
            whole = len(data) if last else data.rfind(b"\n") + 1
            self._rest = data[whole:]
            data = binascii.b2a_qp(data[:whole])
        if data:
            await self._writer.write(data)
