"""The body of a request: from what the caller passed to bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .query import encode_form

if TYPE_CHECKING:
    from collections.abc import Callable

    Body = bytes | bytearray | memoryview

FORM = "application/x-www-form-urlencoded"


def encode_json(value: Any, dumps: Callable[[Any], Any] | None = None) -> bytes:
    """|value| as JSON in UTF-8 (RFC 8259 8.1). What |dumps| raises."""
    if dumps is None:
        import json

        dumps = json.dumps
    text = dumps(value)
    return text if isinstance(text, bytes) else text.encode("utf-8")


def encode_data(data: Any) -> tuple[Body, str]:
    """|data| as bytes, and the Content-Type that fits it.

    bytes-like goes as it is, str as UTF-8, a mapping or a sequence of pairs as
    an urlencoded form. TypeError; NotImplementedError for files, iterators and
    multipart forms.
    """
    if isinstance(data, (bytes, bytearray, memoryview)):
        return data, "application/octet-stream"
    if isinstance(data, str):
        return data.encode("utf-8"), "text/plain; charset=utf-8"
    if hasattr(data, "items") or isinstance(data, (list, tuple)):
        return encode_form(data), FORM
    if hasattr(data, "read") or hasattr(data, "__aiter__") or hasattr(data, "__next__"):
        raise NotImplementedError(
            f"data={type(data).__name__}: bodies from files and iterators are not there yet; "
            "pass their bytes"
        )
    if callable(data) and hasattr(data, "add_field"):
        raise NotImplementedError("data=FormData: multipart forms are not there yet")
    raise TypeError(
        "data must be bytes, str, a mapping or a list of pairs, "
        f"not {type(data).__name__}; for JSON use json="
    )
