"""Cookies in a file: JSON, in the layout of aiohttp's jar, so that each reads
what the other wrote."""

from __future__ import annotations

import json
import math
import os
from typing import TYPE_CHECKING, Any

from .setcookie import deadline, keep_attribute, morsel_of

if TYPE_CHECKING:
    from .cookies import Cookie, CookieJar

# Not kept: they count from when the cookie came, the point of time is.
_RELATIVE = ("expires", "max-age")


def save(jar: CookieJar, path: Any) -> None:
    """Writes |jar| to |path|, which only its owner may read."""
    data: dict[str, dict[str, dict[str, Any]]] = {}
    for (domain, at), cookies in jar.cookies.items():
        kept = data.setdefault(f"{domain}|{at}", {})
        for name, morsel in cookies.items():
            cookie = jar.by_domain[domain][at, name]
            entry: dict[str, Any] = {
                "key": morsel.key,
                "value": morsel.value,
                "coded_value": morsel.coded_value,
            }
            entry |= {k: v for k, v in morsel.items() if v and k not in _RELATIVE}
            if cookie.host_only:
                entry["host_only"] = True
            if cookie.expires is not None:
                entry["expires_timestamp"] = cookie.expires
            kept[name] = entry

    def private(name: str, flags: int) -> int:
        return os.open(name, flags, 0o600)

    with open(path, "w", encoding="utf-8", opener=private) as file:
        json.dump(data, file, indent=2)


def load(jar: CookieJar, path: Any) -> tuple[dict[str, dict[tuple[str, str], Cookie]], int]:
    """What |jar| would hold after load(). ValueError."""
    from .cookies import CookieJar

    with open(path, "rb") as file:
        text = file.read()
    fresh = CookieJar(
        unsafe=jar.unsafe,
        quote_cookie=jar.quote_cookie,
        treat_as_secure_origin=jar.treat_as_secure_origin,
    )
    try:
        data = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{path} is not a file of cookies in JSON: {error}") from error
    try:
        for place, cookies in data.items():
            domain, bar, at = place.partition("|")
            if not bar:
                raise KeyError(place)
            for name, entry in cookies.items():
                fresh.restore(name, *_read(entry, place, domain, at))
    except (AttributeError, KeyError) as error:
        raise ValueError(f"{path} does not hold cookies: {error!r}") from error
    return fresh.by_domain, len(fresh)


def _read(
    entry: dict[str, Any], place: str, domain: str, at: str
) -> tuple[Any, str, bool, float | None]:
    """Morsel, host, whether for it alone, and expiry of one entry."""
    morsel = morsel_of(str(entry["key"]), str(entry["value"]), str(entry["coded_value"]))
    for name, value in entry.items():
        if morsel.isReservedKey(name):
            if not isinstance(value, (str, bool, int)):
                raise TypeError(f"{name} of cookie {morsel.key!r} is {value!r}")
            keep_attribute(morsel, name, value)
    if not isinstance(morsel["path"], str) or not isinstance(morsel["domain"], str):
        raise TypeError(f"path and domain of cookie {morsel.key!r} must be text")
    if not morsel["path"]:
        morsel["path"] = at or "/"
    expires = entry.get("expires_timestamp")
    if expires is None:
        expires = deadline(morsel)  # in files of old versions of aiohttp
    else:
        try:
            expires = float(expires)
            if not math.isfinite(expires):
                raise ValueError(f"{expires} is no point of time")
        except (OverflowError, TypeError, ValueError) as error:
            raise ValueError(
                f"Cookie {morsel.key!r} in {place!r}: expiration timestamp must be a finite number"
            ) from error
    alone = bool(entry.get("host_only"))
    return morsel, domain, alone, expires
