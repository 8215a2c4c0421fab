"""Query strings and forms: what callers pass as `params` and `data`."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from ._core import quote_query

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# What stands as it is in a query that the caller wrote (RFC 3986 3.4), escapes
# included.
_IN_TEXT = "!$'()*,/:?@%&+;="


def encode_query(params: Any) -> str | None:
    """|params| for the wire; None if there is nothing to add.

    A str stands as it is, but what may not stand in a query is escaped. A
    mapping or pairs: keys are str; values str, int or float (finite), or a list
    or tuple of these for a repeated key. TypeError, ValueError.
    """
    if not params:
        if params is None or isinstance(params, (str, dict, list, tuple)) or _is_mapping(params):
            return None
        raise TypeError(f"params must be a mapping, pairs or str, not {params!r}")
    if isinstance(params, str):
        from urllib.parse import quote

        return quote(params.replace(" ", "+"), safe=_IN_TEXT)
    return "&".join(
        f"{quote_query(key)}={quote_query(_text(value))}" for key, value in _pairs(params, "params")
    )


def encode_form(fields: Any, charset: str = "utf-8") -> bytes:
    """|fields| as application/x-www-form-urlencoded (WHATWG URL 5.2): a mapping
    or pairs, values as for encode_query(), also bytes. TypeError, ValueError."""
    from urllib.parse import quote_plus

    parts = []
    for key, value in _pairs(fields, "data"):
        if hasattr(value, "read"):
            raise TypeError(f"field {key!r} holds a list of files: add each to a FormData")
        if isinstance(value, (bytes, bytearray, memoryview)):
            quoted = quote_plus(bytes(value))
        else:
            text = str(value) if isinstance(value, bool) else _text(value)
            quoted = quote_plus(text, encoding=charset)
        parts.append(f"{quote_plus(key, encoding=charset)}={quoted}")
    return "&".join(parts).encode("ascii")


def _is_mapping(value: Any) -> bool:
    return hasattr(value, "items")


def _pairs(source: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(source, (bytes, bytearray, memoryview)):
        raise TypeError(f"{name} must be a mapping, pairs or str, not bytes")
    items: Iterable[Any] = source.items() if _is_mapping(source) else source
    if not hasattr(items, "__iter__"):
        raise TypeError(f"{name} must be a mapping, pairs or str, not {source!r}")
    for pair in items:
        try:
            key, value = pair
        except (TypeError, ValueError):
            raise TypeError(f"{name} must hold pairs of key and value, not {pair!r}") from None
        if not isinstance(key, str):
            raise TypeError(f"a key of {name} must be str, not {key!r}")
        if isinstance(value, (list, tuple)):
            for one in value:
                yield key, one
        else:
            yield key, value


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        raise TypeError(f"a value must be str, int or float, not {value!r}: say how it is spelt")
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        if not isfinite(value):
            raise ValueError(f"a value must be finite, not {value!r}")
        return str(float(value))
    if hasattr(value, "__int__") and hasattr(value, "__index__"):
        return str(int(value))
    raise TypeError(f"a value must be str, int or float, not {value!r} of {type(value).__name__}")
