"""Set-Cookie (RFC 6265bis 5.6): from the text of a field to a cookie, and the
dates in it."""

from __future__ import annotations

import re
import time
from datetime import UTC
from http.cookies import BaseCookie, CookieError, Morsel, _unquote
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from http.cookies import SimpleCookie

MAX_COOKIE = 8192  # bytes of name, value and attributes
LATEST = 253402300798.0  # the last second that a date can name: end of 9999

# HTAB may stand in a value (RFC 6265bis 5.6).
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
_MAX_AGE = re.compile("-?[0-9]+")
_FLAGS = frozenset(("secure", "httponly", "partitioned"))


def morsel_of(name: str, value: str, coded: str) -> Morsel[str]:
    """A Morsel of any name: set() would refuse what servers do send."""
    morsel: Morsel[str] = Morsel()
    state = {"key": name, "value": value, "coded_value": coded}
    try:
        morsel.__setstate__(state)  # type: ignore[attr-defined]
    except CookieError:
        # Later Pythons refuse control characters: also a tab, which may be in a value,
        # and those that are quoted. What may be sent is for us to say.
        for part, text in state.items():
            setattr(morsel, f"_{part}", text)
    return morsel


def keep_attribute(morsel: Morsel[str], name: str, value: Any) -> None:
    """An attribute of |morsel| as it came; those Pythons refuse a tab here too."""
    dict.__setitem__(morsel, name, value)


def parse_set_cookie(header: str) -> Morsel[str] | None:
    """One Set-Cookie value; None if it is to be ignored: without a name, too
    long, with control characters. Attributes are kept as text, unknown ones are
    left out, of equal ones the last counts."""
    if len(header) > MAX_COOKIE or _CONTROL.search(header):
        return None
    pair, _, rest = header.partition(";")
    name, sep, value = pair.partition("=")
    name, value = name.strip(" \t"), value.strip(" \t")
    if not sep or not name:
        return None
    if _NOT_IN_NAME.search(name):
        from logging import getLogger

        getLogger("aiofast").warning("Can not load cookies: Illegal cookie name %r", name)
        return None
    morsel = morsel_of(name, _unquote(value), value)
    for attribute in rest.split(";") if rest else ():
        key, _, text = attribute.partition("=")
        key, text = key.strip(" \t").lower(), text.strip(" \t")
        if text[:1] == '"' and text[-1:] == '"':
            text = text[1:-1]
        if key in _FLAGS:
            if morsel.isReservedKey(key):
                morsel[key] = True
        elif morsel.isReservedKey(key) and _counts(key, text):
            keep_attribute(morsel, key, text)
    return morsel


def _counts(key: str, text: str) -> bool:
    """Whether a value that cannot be read leaves an earlier one in its place."""
    if key == "expires":
        return parse_date(text) is not None
    if key == "max-age":
        return _MAX_AGE.fullmatch(text) is not None
    return True


def deadline(morsel: Morsel[str]) -> float | None:
    """When |morsel| expires, in seconds of time.time(); None for never, 0 for
    at once. Max-Age wins over Expires (RFC 6265bis 5.7)."""
    age = str(morsel["max-age"])
    if _MAX_AGE.fullmatch(age):
        seconds = float(age[:16])
        return min(time.time() + seconds, LATEST) if seconds > 0 else 0.0
    return parse_date(morsel["expires"])


def prefix_holds(morsel: Morsel[str], secure_origin: bool) -> bool:
    """The promises that names make (RFC 6265bis 4.1.3)."""
    name = morsel.key.lower()
    if name.startswith("__secure-"):
        return bool(morsel["secure"]) and secure_origin
    if name.startswith("__host-"):
        sealed = not morsel["domain"] and morsel["path"] == "/"
        return bool(morsel["secure"]) and sealed and secure_origin
    return True


_DELIMITER = re.compile("[\x09\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[^0-9]|$)")
_DAY = re.compile(r"([0-9]{1,2})(?:[^0-9]|$)")
_YEAR = re.compile(r"([0-9]{2,4})(?:[^0-9]|$)")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def parse_date(text: str) -> float | None:
    """A cookie's date (RFC 6265 5.1.1) in seconds since 1970; None if it is
    none."""
    clock = day = month = year = None
    for token in _DELIMITER.split(text):
        if clock is None and (match := _TIME.match(token)):
            clock = int(match[1]), int(match[2]), int(match[3])
        elif day is None and (match := _DAY.match(token)):
            day = int(match[1])
        elif month is None and token[:3].lower() in _MONTHS:
            month = _MONTHS.index(token[:3].lower()) + 1
        elif year is None and (match := _YEAR.match(token)):
            year = int(match[1])
    if clock is None or day is None or month is None or year is None:
        return None
    if year < 100:
        year += 1900 if year >= 70 else 2000
    from datetime import datetime

    try:
        when = datetime(year, month, day, *clock, 0, UTC)
    except ValueError:
        return None
    return when.timestamp() if year >= 1601 else None


def simple_cookie(headers: Iterable[str]) -> SimpleCookie:
    """Set-Cookie values as http.cookies has them, for aiohttp's face."""
    from http.cookies import SimpleCookie

    cookies = SimpleCookie()
    for header in headers:
        morsel = parse_set_cookie(header)
        if morsel is not None:
            dict.__setitem__(cookies, morsel.key, morsel)
    return cookies


def as_morsel(name: str, value: Any, quote: bool) -> Morsel[str]:
    """What a program gives as a cookie |name|: a str, or a Morsel, which is
    copied. ValueError for what cannot stand in a Cookie field; TypeError."""
    if isinstance(value, Morsel):
        morsel = value.copy()
        for attribute in ("expires", "max-age"):
            if not _counts(attribute, str(morsel[attribute])):
                morsel[attribute] = ""
    elif isinstance(name, str) and isinstance(value, (str, int, float, BaseCookie)):
        text = str(value)
        morsel = morsel_of(name, text, _quoted(text) if quote else text)
    else:
        raise TypeError(f"a cookie is a name and a value of str, not {name!r}: {value!r}")
    key = morsel.key
    if not key or _NOT_IN_NAME.search(key):
        raise ValueError(f"{key!r} cannot be the name of a cookie")
    try:
        (key + morsel.value + morsel.coded_value).encode()
    except UnicodeError:
        raise ValueError(f"the value of cookie {key!r} has no encoding in UTF-8") from None
    if _CONTROL.search(morsel.coded_value) or (
        isinstance(value, Morsel) and _CONTROL.search(morsel.value)
    ):
        raise ValueError(f"the value of cookie {key!r} has a control character")
    return morsel


def cookie_pairs(cookies: Any) -> list[tuple[Any, Any]]:
    """Names and values of what a caller passed as `cookies`. TypeError."""
    try:
        items = cookies.items() if hasattr(cookies, "items") else cookies
        return [(name, value) for name, value in items]
    except (TypeError, ValueError):
        raise TypeError("cookies must be a mapping or pairs of name and value") from None


def format_cookies(cookies: Any) -> str:
    """What a caller of fetch() passed as `cookies`, for a Cookie header: a
    mapping or pairs of names to values (str, or a Morsel), as they are. ValueError
    for what cannot stand in one; TypeError."""
    parts = []
    for name, value in cookie_pairs(cookies):
        text = getattr(value, "coded_value", value)
        if not isinstance(name, str) or not isinstance(text, str):
            raise TypeError(f"a cookie is a name and a value of str, not {name!r}: {value!r}")
        text = as_morsel(name, text, quote=False).value
        # A semicolon ends a value; only the quoting of http.cookies, which the
        # server must know, can carry it.
        parts.append(f"{name}={_quoted(text) if ';' in text else text}")
    return "; ".join(parts)


_NOT_IN_NAME = re.compile("[\x00-\x20\x7f;=,]")


def _quoted(text: str) -> str:
    from http.cookies import SimpleCookie

    coded: str = SimpleCookie().value_encode(text)[1]
    return coded


def sent_as(morsel: Morsel[str], quote: bool) -> Morsel[str]:
    """|morsel| as it goes out, without attributes: what a server quoted stays as
    it is, other values are quoted where http.cookies does, if |quote|."""
    if not quote:
        return morsel_of(morsel.key, morsel.value, morsel.value)
    coded = morsel.coded_value
    if coded[:1] != '"':
        coded = _quoted(morsel.value)
    return morsel_of(morsel.key, morsel.value, coded)
