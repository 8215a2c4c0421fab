"""Content-Type (RFC 9110 8.3) and the text of a body."""

from __future__ import annotations

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, getincrementaldecoder, lookup
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_MARKS = (BOM_UTF8, BOM_UTF16_LE, BOM_UTF16_BE)


def parse_media_type(value: str | None) -> tuple[str, str | None]:
    """The media type in lower case ("" if there is none) and its charset
    parameter, or None. Lenient: what cannot be read is not there."""
    if not value:
        return "", None
    kind, sep, rest = value.partition(";")
    kind = kind.strip().lower()
    if "/" not in kind:
        kind = ""
    while sep:
        name, sep, rest = rest.partition("=")
        if not sep:
            break
        # A parameter without '=' stands before this name, cut off by ';'.
        name = name.rpartition(";")[2].strip().lower()
        rest = rest.lstrip()
        if rest[:1] == '"':
            text, rest = _quoted(rest)
            rest, sep = rest.partition(";")[2], ";"
        else:
            text, sep, rest = rest.partition(";")
            text = text.strip()
        if name == "charset":
            return kind, text.strip("'") or None
    return kind, None


def _quoted(text: str) -> tuple[str, str]:
    """The quoted string at the start of |text|, and what follows it."""
    out = []
    i = 1
    while i < len(text) and text[i] != '"':
        if text[i] == "\\" and i + 1 < len(text):
            i += 1
        out.append(text[i])
        i += 1
    return "".join(out), text[i + 1 :]


def is_json(kind: str) -> bool:
    """True for application/json and the +json types (RFC 6839 3.1)."""
    return kind == "application/json" or kind.endswith("+json")


# Python's codecs that are no charsets, some of them quadratic.
_NO_CHARSETS = frozenset(("idna", "punycode", "raw_unicode_escape", "undefined", "unicode_escape"))
_LONGEST_NAME = 40  # Python remembers each name that it was asked for


def charset_codec(charset: str | None) -> str | None:
    """Python's name of the codec for a |charset| that a peer has named; None if
    there is none, or it is none that a peer may choose."""
    if charset is None or len(charset) > _LONGEST_NAME:
        return None
    try:
        found = lookup(charset)
    except (LookupError, ValueError):
        return None
    if found.name.replace("-", "_") in _NO_CHARSETS or not getattr(
        found, "_is_text_encoding", True
    ):
        return None
    return found.name


def decode_text(body: bytes, content_type: str | None, errors: str = "replace") -> str:
    """|body| as text: its byte order mark decides, else the charset of
    |content_type| if Python knows it as one of text, else UTF-8, as for JSON
    always (RFC 8259 8.1); |errors| says what becomes of what is malformed."""
    if body.startswith(BOM_UTF8):
        return body[3:].decode("utf-8", errors)
    if body.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return body.decode("utf-16", errors)
    charset = parse_media_type(content_type)[1]
    try:
        return body.decode(charset_codec(charset) or "utf-8", errors)
    except UnicodeDecodeError:
        raise
    except ValueError:  # a codec that has errors of its own
        return body.decode("utf-8", errors)


def incremental_decoder(
    content_type: str | None, encoding: str | None = None, errors: str = "replace"
) -> Callable[[bytes, bool], str]:
    """What decodes a body piece by piece (piece, is it the last), by the same
    rules as decode_text(); with |encoding| only that. LookupError."""
    if encoding is not None:
        return getincrementaldecoder(encoding)(errors).decode
    charset = charset_codec(parse_media_type(content_type)[1]) or "utf-8"
    held = b""
    decode: Callable[[bytes, bool], str] | None = None

    def step(data: bytes, final: bool) -> str:
        nonlocal held, decode
        if decode is None:
            held += data
            if not final and any(mark != held and mark.startswith(held) for mark in _MARKS):
                return ""  # it may become a byte order mark
            data, held = held, b""
            name = charset
            if data.startswith(BOM_UTF8):
                name = "utf-8-sig"
            elif data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
                name = "utf-16"
            decode = getincrementaldecoder(name)(errors).decode
        return decode(data, final)

    return step
