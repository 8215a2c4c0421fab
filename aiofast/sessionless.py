"""request(): one request without a session of the program's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .cookies import DummyCookieJar
from .response import HttpVersion, HttpVersion11
from .session import ClientSession

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from .connector import BaseConnector
    from .outgoing import StrOrURL
    from .session import Request

__all__ = ("request",)


def request(
    method: str,
    url: StrOrURL,
    *,
    version: HttpVersion = HttpVersion11,
    connector: BaseConnector | None = None,
    loop: AbstractEventLoop | None = None,
    **kwargs: Any,
) -> Request:
    """One request without a session: to be awaited, or entered with `async
    with`. Goes over the connections of the running loop, or of |connector|.
    Parameters and errors as ClientSession.request(). Cookies are not kept."""
    global _sessionless
    if version is not HttpVersion11:
        kwargs["version"] = version
    if connector is not None:
        session = ClientSession(
            connector=connector, connector_owner=False, cookie_jar=DummyCookieJar()
        )
        sent = session._request(method, url, **kwargs)
        session.detach()  # the request has what it needs of it
        return sent
    if _sessionless is None:
        _sessionless = _make_sessionless()
    return _sessionless._request(method, url, **kwargs)


def _make_sessionless() -> ClientSession:
    """The defaults of a session, the pool of whatever loop runs. One serves all
    loops and threads, as it keeps nothing."""
    session = ClientSession(connector_owner=False, cookie_jar=DummyCookieJar())
    session._pool = None  # which the engine takes for the loop's own
    session._loop = None
    return session


_sessionless: ClientSession | None = None
