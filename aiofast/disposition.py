"""Content-Disposition: written for forms as browsers do (RFC 7578 4.2, WHATWG
HTML 4.10.21.8), read as RFC 6266 and RFC 2231 have it."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_BROWSER = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


class BadContentDispositionHeader(RuntimeWarning):
    """A Content-Disposition that cannot be read."""


class BadContentDispositionParam(RuntimeWarning):
    """A parameter of one that cannot be read."""


def content_disposition(
    kind: str, params: Mapping[str, str], *, quote_fields: bool = True, charset: str = "utf-8"
) -> str:
    """The field for |kind| with |params|. In UTF-8 the values are quoted as
    browsers do: the quote, CR and LF as %22, %0D and %0A, all else as it is.
    Another |charset| is written in ASCII: a filename in percent-encoding, another
    value with backslashes, or by the rules of RFC 5987. With |quote_fields| off
    only quotes and backslashes are escaped. ValueError for a kind or a name that
    is no token, and for CR, LF or NUL where nothing is encoded."""
    if not _TOKEN.fullmatch(kind):
        raise ValueError(f"bad content disposition type {kind!r}")
    parts = [kind]
    for name, value in params.items():
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"bad content disposition parameter {name!r}={value!r}")
        if not quote_fields:
            if any(char in value for char in "\r\n\0"):
                raise ValueError(f"CR, LF or NUL in {name}")
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            parts.append(f'{name}="{escaped}"')
        elif charset.lower().replace("_", "-") in ("utf-8", "utf8"):
            parts.append(f'{name}="{value.translate(_BROWSER)}"')
        elif name.lower() == "filename":
            parts.append(f'{name}="{quote(value, safe="", encoding=charset)}"')
        elif value.isascii() and value.isprintable():
            escaped = re.sub(r'(["\\ ])', r"\\\1", value)
            parts.append(f'{name}="{escaped}"')
        else:
            parts.append(f"{name}*={charset}''{quote(value, safe='', encoding=charset)}")
    return "; ".join(parts)


def parse_content_disposition(header: str | None) -> tuple[str | None, dict[str, str]]:
    """The kind in lower case and the parameters by name, in lower case; (None,
    {}) with a warning for a field that cannot be read. A parameter that cannot be
    is left out, with a warning."""
    if not header:
        return None, {}
    kind, *parts = _split(header)
    kind = kind.strip()
    found: dict[str, str] = {}
    if not _TOKEN.fullmatch(kind):
        return _bad(header)
    for part in parts:
        if not part:
            warnings.warn(BadContentDispositionHeader(header), stacklevel=2)
            continue
        name, equals, text = part.partition("=")
        name = name.strip().lower()
        if not equals or name in found:
            return _bad(header)
        if not _TOKEN.fullmatch(name):
            warnings.warn(BadContentDispositionParam(part), stacklevel=2)
            continue
        text = text.lstrip(" \t")
        value = _value(name, text.rstrip(" \t") if text[:1] == '"' else text)
        if value is None and "*" not in name:
            return _bad(header)
        if value is None:
            warnings.warn(BadContentDispositionParam(part), stacklevel=2)
            continue
        found[name] = value
    return kind.lower(), found


def _bad(header: str) -> tuple[None, dict[str, str]]:
    warnings.warn(BadContentDispositionHeader(header), stacklevel=3)
    return None, {}


def _split(header: str) -> Iterator[str]:
    """The parts between semicolons that stand in no quoted string. A quote opens
    one only where a value begins; one that is not closed is none."""
    start = at = 0
    while at < len(header):
        char = header[at]
        if char == ";":
            yield header[start:at]
            start = at + 1
        elif char == '"' and header[start:at].rstrip(" \t").endswith("="):
            end = _closing_quote(header, at)
            if end > 0:
                at = end
        at += 1
    yield header[start:]


def _closing_quote(header: str, at: int) -> int:
    """Where the quoted string that opens at |at| ends; 0 if it does not, or not
    before a semicolon or the end."""
    while True:
        at += 1
        if at >= len(header):
            return 0
        if header[at] == "\\":
            at += 1
        elif header[at] == '"':
            return at if header[at + 1 :].lstrip(" \t")[:1] in ("", ";") else 0


def _is_quoted(text: str) -> bool:
    return len(text) >= 2 and text[0] == text[-1] == '"'


def _unescaped(text: str) -> str:
    return re.sub(r"\\([\x00-\x7f])", r"\1", text)


def _value(name: str, text: str) -> str | None:
    """The value of a parameter, or None."""
    star = name.find("*")
    if star >= 0 and name[star + 1 :].rstrip("*").isdigit():  # a section (RFC 2231 3)
        if _is_quoted(text):
            return _unescaped(text[1:-1])
        return text if _TOKEN.fullmatch(text) else None
    if name.endswith("*"):
        return _extended(text) if _TOKEN.fullmatch(text) and text.count("'") == 2 else None
    if _is_quoted(text):
        # A path is a name to nobody but its owner; some send one all the same.
        return _unescaped(text[1:-1].lstrip("\\/"))
    return text if _TOKEN.fullmatch(text) else None


def _extended(text: str) -> str | None:
    """charset'language'value (RFC 5987 3.2)."""
    charset, _, value = text.split("'", 2)
    try:
        return unquote(value, charset or "utf-8", "strict")
    except (LookupError, UnicodeDecodeError):
        return None


def content_disposition_filename(params: Mapping[str, str], name: str = "filename") -> str | None:
    """The value of |name| that |params| come to: the extended one, else the
    plain one, else the joined sections (RFC 2231 3, 4.1)."""
    if f"{name}*" in params:
        return params[f"{name}*"]
    if name in params:
        return params[name]
    sections: list[str] = []
    while True:
        key = f"{name}*{len(sections)}"
        if key not in params and f"{key}*" not in params:
            break
        sections.append(params[key] if key in params else params[f"{key}*"])
    text = "".join(sections)
    if not sections:
        return None
    return _extended(text) if text.count("'") >= 2 else text


def parse_parameters(header: str) -> tuple[str, dict[str, str]]:
    """The first word of |header| in lower case, and its parameters; what cannot
    be read is left out."""
    kind, *parts = _split(header)
    found: dict[str, str] = {}
    for part in parts:
        name, equals, text = part.partition("=")
        text = text.strip(" \t")
        if equals:
            value = _unescaped(text[1:-1]) if _is_quoted(text) else text
            found.setdefault(name.strip().lower(), value)
    return kind.strip().lower(), found
