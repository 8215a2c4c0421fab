"""The body of a request: from what the caller passed to bytes."""

from __future__ import annotations

from sys import modules
from typing import TYPE_CHECKING, Any

from .query import encode_form

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeAlias, TypedDict

    from .outgoing import Pairs
    from .sending import Source

    Progress = Callable[[int, int | None], object]
    Fields = Mapping[str, str] | Sequence[tuple[str, str]]
    Trailers = Fields | Callable[[], Fields] | None

    class Sending(TypedDict, total=False):
        """How a body is sent."""

        compress: bool | str | None
        chunked: bool | None
        expect100: bool | float
        trailers: Trailers
        progress: Progress | None

    Body: TypeAlias = bytes | bytearray | memoryview | Source

FORM = "application/x-www-form-urlencoded"


def encode_json(value: Any, dumps: Callable[[Any], Any] | None = None) -> bytes:
    """|value| as JSON in UTF-8 (RFC 8259 8.1). What |dumps| raises."""
    if dumps is None:
        import json

        dumps = json.dumps
    text = dumps(value)
    return text if isinstance(text, bytes) else text.encode("utf-8")


def flat(view: memoryview) -> bytes | memoryview:
    """The bytes of |view| in a row: itself where they lie so, else a copy."""
    if view.ndim == 1 and view.itemsize == 1 and view.c_contiguous:
        return view
    return view.cast("B") if view.c_contiguous and view.nbytes else view.tobytes()


def encode_data(data: Any) -> tuple[Body, str]:
    """|data| as bytes or a Source, and the Content-Type that fits it.

    bytes-like goes as it is, str as UTF-8, a mapping or a sequence of pairs as
    an urlencoded form; a file from where it stands, and any other iterable or
    asynchronous iterable of bytes, in pieces. A form with a file in it, a FormData
    and a MultipartWriter are multipart; a payload is sent as it says. What somebody
    has registered a payload for comes first. TypeError.
    """
    registry = getattr(modules.get("aiofast.payload"), "PAYLOAD_REGISTRY", None)
    if registry is not None and registry.changed:
        found = registry.of_others(data)
        if found is not None:
            return _of_payload(found)
    if isinstance(data, (bytes, bytearray)):
        return data, "application/octet-stream"
    if isinstance(data, memoryview):
        return flat(data), "application/octet-stream"
    if isinstance(data, str):
        return data.encode("utf-8"), "text/plain; charset=utf-8"
    if hasattr(data, "items") or isinstance(data, (list, tuple)):
        if _has_file(data):
            from .formdata import form_of

            return _of_payload(form_of(data))
        return encode_form(data), FORM
    if callable(data) and hasattr(data, "add_field"):
        return _of_payload(data())
    if hasattr(data, "content_type") and hasattr(data, "write") and hasattr(data, "headers"):
        return _of_payload(data)
    if hasattr(data, "read"):
        from .files import file_body, file_type

        return file_body(data), file_type(data)
    try:
        return flat(memoryview(data)), "application/octet-stream"
    except TypeError:
        pass  # it is no memory
    if hasattr(data, "__aiter__"):
        from .sending import AsyncIterableSource

        return AsyncIterableSource(data), "application/octet-stream"
    if hasattr(data, "__iter__"):
        from .sending import IterableSource

        return IterableSource(data), "application/octet-stream"
    raise TypeError(
        "data must be bytes, str, a mapping or a list of pairs, a file or an iterable of bytes, "
        f"not {type(data).__name__}; for JSON use json="
    )


def _has_file(fields: Any) -> bool:
    if hasattr(fields, "items"):
        values = list(fields.values())
    else:  # pairs; or files, which name themselves
        values = [f[1] if isinstance(f, (list, tuple)) and len(f) == 2 else f for f in fields]
    return any(hasattr(value, "read") or hasattr(value, "content_type") for value in values)


def _of_payload(payload: Any) -> tuple[Body, str]:
    from .sending import PayloadSource

    return PayloadSource(payload), payload.content_type


_SENDING = ("compress", "chunked", "expect100", "trailers", "progress")
_FRAMING = ("content-length", "transfer-encoding", "expect")
_FRAMING_LENGTHS = frozenset(map(len, _FRAMING))  # spares nearly every lower()


def _names_framing(pairs: Pairs) -> bool:
    for name, _ in pairs:  # noqa: SIM110  (any() costs twice as much)
        if len(name) in _FRAMING_LENGTHS and name.lower() in _FRAMING:
            return True
    return False


def settle_body(pairs: Pairs, body: Any, options: Any, *, wrapping: bool = False) -> Any:
    """Takes what concerns sending out of |options|, and makes |body| and the
    header fields |pairs| fit it. ValueError."""
    names = (*_SENDING, "upload_tracker") if wrapping else _SENDING
    sending = {name: options.pop(name) for name in names if name in options} if options else {}
    if (
        (body is None or body.__class__ is bytes)
        and not (sending and any(sending.values()))
        and not _names_framing(pairs)
    ):
        return body
    from .sending import settle

    return settle(pairs, body, wrapping=wrapping, **sending)
