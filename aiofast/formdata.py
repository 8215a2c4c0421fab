"""FormData: the fields of a form, urlencoded or as multipart/form-data."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from . import payload as payloads
from .multipart_writer import MultipartWriter
from .payload_base import BytesPayload
from .payload_io import guess_filename

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .payload_base import Payload

_URLENCODED = "application/x-www-form-urlencoded"


class FormData:
    """Fields, in the order of their names: a mapping, pairs, or a file.

    It goes out urlencoded unless a field is a file, has a filename or a
    Content-Type, or |default_to_multipart| says so. Names and filenames are
    quoted as browsers do; with |quote_fields| off, or in another |charset| than
    UTF-8, see content_disposition().
    """

    def __init__(
        self,
        fields: Any = (),
        quote_fields: bool = True,
        charset: str | None = None,
        *,
        default_to_multipart: bool = False,
    ) -> None:
        self._boundary: str | None = None
        self._fields: list[tuple[dict[str, str], dict[str, str], Any]] = []
        self._is_multipart = default_to_multipart
        self._quote_fields = quote_fields
        self._charset = charset
        if hasattr(fields, "items"):
            fields = list(fields.items())
        elif not isinstance(fields, (list, tuple)):
            fields = (fields,)
        self.add_fields(*fields)

    @property
    def is_multipart(self) -> bool:
        """True if it goes out as multipart/form-data."""
        return self._is_multipart

    def add_field(
        self,
        name: str,
        value: Any,
        *,
        content_type: str | None = None,
        filename: str | None = None,
        content_transfer_encoding: str | None = None,
    ) -> None:
        """Adds one field: str, bytes-like, a file, a payload, or what there is a
        payload for. bytes without a filename get their name as one. TypeError;
        ValueError for CR, LF or NUL in a name or type."""
        if content_transfer_encoding is not None:
            if not isinstance(content_transfer_encoding, str):
                raise TypeError("content_transfer_encoding must be an instance of str")
            warnings.warn(
                "content_transfer_encoding is deprecated", DeprecationWarning, stacklevel=2
            )
        if isinstance(value, (bytes, bytearray, memoryview)):
            if filename is None and content_transfer_encoding is None:
                warnings.warn(
                    "bytes are sent as a file; name it with filename=, or pass str",
                    DeprecationWarning,
                    stacklevel=2,
                )
                filename = name
        elif isinstance(value, io.IOBase):
            self._is_multipart = True
            if filename is None:
                filename = guess_filename(value, name)
        params = {"name": _checked("name", name)}
        headers = {}
        if filename is not None:
            params["filename"] = _checked("filename", filename)
        if content_type is not None:
            headers["Content-Type"] = _checked("content_type", content_type)
        if filename is not None or content_type is not None or content_transfer_encoding:
            self._is_multipart = True
        self._fields.append((params, headers, value))

    def add_fields(self, *fields: Any) -> None:
        """Adds files, which name themselves, pairs of name and value, and
        multidicts. TypeError for anything else."""
        for field in fields:
            if isinstance(field, io.IOBase):
                self.add_field(guess_filename(field, "unknown") or "unknown", field)
            elif hasattr(field, "items") and hasattr(field, "getall"):
                self.add_fields(*field.items())
            elif isinstance(field, (list, tuple)) and len(field) == 2:
                self.add_field(field[0], field[1])
            else:
                raise TypeError(
                    "Only io.IOBase, multidict and (name, file) pairs allowed, use .add_field() "
                    f"for passing more complex parameters, got {field!r}"
                )

    def __call__(self) -> Payload:
        """What is sent. TypeError for a value that there is no payload for."""
        return self._multipart() if self._is_multipart else self._urlencoded()

    def _urlencoded(self) -> Payload:
        charset = self._charset or "utf-8"
        kind = _URLENCODED if charset == "utf-8" else f"{_URLENCODED}; charset={charset}"
        pairs = [(params["name"], value) for params, _, value in self._fields]
        text = urlencode(pairs, doseq=True, encoding=charset)
        return BytesPayload(text.encode("ascii"), content_type=kind)

    def _multipart(self) -> MultipartWriter:
        writer = MultipartWriter("form-data", boundary=self._boundary)
        self._boundary = writer.boundary
        for params, headers, value in self._fields:
            try:
                part = payloads.get_payload(
                    value,
                    content_type=headers.get("Content-Type", payloads.UNSET)
                    if not isinstance(value, (str, io.TextIOBase))
                    else headers.get("Content-Type"),
                    headers=headers,
                    encoding=self._charset,
                )
            except Exception as error:
                raise TypeError(
                    f"Can not serialize value type: {type(value)!r}\n headers: {headers!r}\n "
                    f"value: {value!r}"
                ) from error
            part.set_content_disposition(
                "form-data", self._quote_fields, self._charset or "utf-8", **params
            )
            part.headers.popall("Content-Length", None)
            writer.append_payload(part)
        return writer


def _checked(what: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{what} must be an instance of str. Got: {value!r}")
    if any(char in value for char in "\r\n\0"):
        raise ValueError(f"CR, LF or NUL in {what}: {value!r}")
    return value


def form_of(fields: Iterable[Any]) -> Payload:
    """The payload of a mapping or pairs of which one holds a file."""
    return FormData(fields)()
