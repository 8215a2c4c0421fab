"""A session's policy from hop to hop: which cookies are kept and sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .outgoing import take_cookie
from .redirects import next_hop, status_error, unexpecting

if TYPE_CHECKING:
    from ._core import Fetch, ResponseBase
    from .outgoing import Pairs


class HopHeaders(list[tuple[str, str]]):
    """The headers of one hop. `own` is the Cookie that the caller wrote and
    `given` the cookies of the request: both go along within the origin. What the
    jar added is asked for anew on each hop."""

    __slots__ = ("given", "own")
    own: str | None
    given: Any


def kept_cookies(jar: Any, url: str) -> HopHeaders | None:
    """The Cookie for |url| out of |jar|, and nothing else."""
    cookie = jar.header_for(url)
    if not cookie:
        return None
    headers = HopHeaders((("Cookie", cookie),))
    headers.own = headers.given = None
    return headers


def with_cookies(pairs: Pairs, own: str | None, given: Any, jar: Any, url: str) -> HopHeaders:
    """|pairs| (which hold no Cookie) and the Cookie for |url|."""
    headers = HopHeaders(pairs)
    headers.own, headers.given = own, given
    if own is None and not given:
        cookie = "" if jar is None else jar.header_for(url)
    else:
        from .jars import cookie_field, own_cookies

        mine = own_cookies(given, jar, url) if given else []
        cookie = cookie_field(own, [] if jar is None else jar.cookies_for(url), mine)
    if cookie:
        headers.append(("Cookie", cookie))
    return headers


class SessionPolicy:
    """What the engine asks when a head has come: keeps cookies, raises for bad
    statuses where wanted, follows redirects. Knows the jar but not the session,
    so that a forgotten session goes when its last reference does."""

    __slots__ = ("jar", "raising")

    def __init__(self, jar: Any, raising: bool) -> None:
        self.jar = jar
        self.raising = raising

    def __call__(self, fetch: Fetch[Any], response: ResponseBase) -> Any:
        jar = self.jar
        if jar is not None and response.header("Set-Cookie") is not None:
            jar.learn(response)
        if response.status == 417:
            hop = unexpecting(fetch)
            if hop is not None:
                return hop[0], hop[1], self._again(fetch, hop[2], hop[1]), hop[3]
        if response.status >= 400:
            if self.raising:
                raise status_error(response)
            return None
        hop = next_hop(fetch, response)
        if hop is None:
            return None
        method, url, pairs, body = hop
        return method, url, self._again(fetch, pairs, url), body

    def _again(self, fetch: Fetch[Any], pairs: Pairs, url: str) -> HopHeaders:
        """|pairs| with the Cookie for |url|."""
        pairs, cookie = take_cookie(pairs)
        own = given = None
        if cookie is not None:  # it is still there, so the origin is the same
            sent = fetch.headers
            own, given = (sent.own, sent.given) if isinstance(sent, HopHeaders) else (cookie, None)
        return with_cookies(pairs, own, given, self.jar, url)
