"""How a session sees the jar it was given: ours as it is, another through the
methods that aiohttp's AbstractCookieJar has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .cookies import CookieJar

if TYPE_CHECKING:
    from ._core import ResponseBase


class ForeignJar:
    """A jar that is not ours: asked on each request, told of each Set-Cookie."""

    __slots__ = ("jar",)

    by_domain = True  # never known to be empty

    def __init__(self, jar: Any) -> None:
        self.jar = jar

    def cookies_for(self, url: str) -> list[tuple[str, str]]:
        """Names and values to send to |url|."""
        from yarl import URL

        found = self.jar.filter_cookies(URL(url))
        return [(name, morsel.coded_value) for name, morsel in found.items()]

    def learn(self, response: ResponseBase) -> None:
        """Gives the jar what |response| sets."""
        headers = response.headers.getall("Set-Cookie", ())
        update = getattr(self.jar, "update_cookies_from_headers", None)
        if update is not None:
            update(headers, response.url)
            return
        from .cookies import simple_cookie

        self.jar.update_cookies(simple_cookie(headers), response.url)


def face_of(jar: Any) -> Any:
    """What a session asks for cookies. TypeError if |jar| is no jar."""
    if isinstance(jar, CookieJar):
        return jar
    if not hasattr(jar, "filter_cookies") or not hasattr(jar, "update_cookies"):
        raise TypeError(f"cookie_jar must be an AbstractCookieJar, not {jar!r}")
    return ForeignJar(jar)
