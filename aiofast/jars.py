"""How a session sees the jar it was given: ours as it is, another through the
methods that aiohttp's AbstractCookieJar has."""

from __future__ import annotations

from http.cookies import Morsel
from typing import TYPE_CHECKING, Any

from .cookies import CookieJar, DummyCookieJar
from .setcookie import as_morsel, cookie_pairs, sent_as

if TYPE_CHECKING:
    from ._core import ResponseBase


class ForeignJar:
    """A jar that is not ours: asked on each request, told of each Set-Cookie."""

    __slots__ = ("jar", "quote_cookie")

    by_domain = True  # never known to be empty

    def __init__(self, jar: Any) -> None:
        self.jar = jar
        self.quote_cookie = getattr(jar, "quote_cookie", True)

    def cookies_for(self, url: str) -> list[tuple[str, str]]:
        """Names and values to send to |url|."""
        from yarl import URL

        found = self.jar.filter_cookies(URL(url))
        return [(morsel.key, morsel.coded_value) for morsel in found.values()]

    def header_for(self, url: str) -> str:
        """The same as a Cookie field."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies_for(url))

    def learn(self, response: ResponseBase) -> None:
        """Gives the jar what |response| sets."""
        headers = response.headers.getall("Set-Cookie", ())
        update = getattr(self.jar, "update_cookies_from_headers", None)
        if update is not None:
            update(headers, response.url)
            return
        from .cookies import simple_cookie

        self.jar.update_cookies(simple_cookie(headers), response.url)


def own_cookies(cookies: Any, jar: Any, url: str) -> list[tuple[str, str]]:
    """Names and values of what a request was given as `cookies`: a mapping or
    pairs of names to values (str or Morsel). What a Morsel says about where it
    goes counts. ValueError, TypeError."""
    quote = getattr(jar, "quote_cookie", True)
    pairs = cookie_pairs(cookies)
    if not any(isinstance(value, Morsel) for _, value in pairs):
        found: dict[str, str] = {}
        for name, value in pairs:
            morsel = as_morsel(name, value, quote)
            found[morsel.key] = sent_as(morsel, quote).coded_value
        return list(found.items())
    trusted = getattr(getattr(jar, "jar", jar), "treat_as_secure_origin", None)
    mine = CookieJar(unsafe=True, quote_cookie=quote, treat_as_secure_origin=trusted)
    mine.update_cookies(pairs, strict=True)
    return mine.cookies_for(url)


def cookie_field(
    own: str | None, kept: list[tuple[str, str]], given: list[tuple[str, str]]
) -> str | None:
    """The Cookie of a request: the field |own| that a program wrote, in which
    what the jar has |kept| replaces what has the same name, and what the request
    was |given| replaces both. Two that were kept for different paths both go."""
    if not kept and not given:
        return own
    over = {name for name, _ in given}
    kept = [pair for pair in kept if pair[0] not in over]
    over.update(name for name, _ in kept)
    pairs = [pair for pair in _pairs(own) if pair[0] not in over] + kept + given
    return "; ".join(f"{name}={value}" for name, value in pairs) or None


def _pairs(cookie: str | None) -> list[tuple[str, str]]:
    parts = (part.strip().partition("=") for part in (cookie or "").split(";"))
    return [(name, value) for name, _, value in parts if name]


def face_of(jar: Any) -> Any:
    """What a session asks for cookies. TypeError if |jar| is no jar."""
    if isinstance(jar, (CookieJar, DummyCookieJar)) and _is_ours(type(jar)):
        return jar
    if not hasattr(jar, "filter_cookies") or not hasattr(jar, "update_cookies"):
        raise TypeError(f"cookie_jar must be an AbstractCookieJar, not {jar!r}")
    return ForeignJar(jar)


def _is_ours(kind: Any) -> bool:
    """False for a subclass that has ways of its own."""
    base = DummyCookieJar if issubclass(kind, DummyCookieJar) else CookieJar
    names = ("filter_cookies", "update_cookies", "update_cookies_from_headers")
    return all(getattr(kind, name) is getattr(base, name) for name in names)
