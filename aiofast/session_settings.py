"""What a session was made with, for programs to read."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from .outgoing import header_pairs

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Awaitable, Callable

    from multidict import CIMultiDict
    from yarl import URL

    from ._core import Pool
    from .clientrequest import ClientRequest
    from .clientresponse import ClientResponse
    from .connector import BaseConnector
    from .outgoing import StrOrURL
    from .response import HttpVersion
    from .timeouts import ClientTimeout

    RaiseForStatus = bool | Callable[[ClientResponse], Awaitable[None]]


class SessionSettings:
    """The read-only side of ClientSession."""

    _auto_decompress: bool
    _closed: bool
    _connector_owner: bool
    _cookie_jar: Any
    _default_auth: Any
    _header_dict: Any
    _header_seen: int
    _header_source: list[tuple[str, str]]
    _json_serialize: Any
    _loop: AbstractEventLoop | None
    _made: BaseConnector | None
    _pool: Pool | None
    _raise_for_status: RaiseForStatus
    _requote_redirect_url: bool
    _skip_auto_headers: frozenset[str]
    _source_traceback: Any = None  # of who made it, in debug mode
    _timeout: ClientTimeout
    _trace_configs: list[Any]
    _trust_env: bool
    _version: HttpVersion

    _base_url: URL | None
    _given_request_class: Any

    def _build_url(self, str_or_url: StrOrURL) -> URL:
        """The URL that a request for |str_or_url| goes to."""
        from yarl import URL

        url = URL(str_or_url)
        if self._base_url is not None and not url.absolute:
            return self._base_url.join(url)
        return url

    @property
    def _request_class(self) -> type[ClientRequest]:
        from .clientrequest import ClientRequest

        return self._given_request_class or ClientRequest

    @property
    def headers(self) -> CIMultiDict[str]:
        """The default headers; changing them changes the requests to come."""
        if self._header_dict is None:
            from multidict import CIMultiDict, getversion

            self._header_dict = CIMultiDict(self._header_source)
            self._header_seen = getversion(self._header_dict)
        headers: CIMultiDict[str] = self._header_dict
        return headers

    _default_headers = headers  # by which libraries for aiohttp know it

    def _prepare_headers(self, headers: Any) -> CIMultiDict[str]:
        """The default headers and |headers|, which replace those of the same
        name."""
        from multidict import CIMultiDict

        result = CIMultiDict(self.headers)
        added: set[str] = set()
        for name, value in header_pairs(headers):
            if name.lower() in added:
                result.add(name, value)
            else:
                result[name] = value
                added.add(name.lower())
        return result

    @property
    def cookie_jar(self) -> Any:
        """The jar."""
        return self._cookie_jar

    @property
    def connector(self) -> BaseConnector | None:
        """What makes the connections; None once the session is closed."""
        if self._made is None and self._pool is not None and not self._closed:
            from .connector import TCPConnector

            self._made = TCPConnector.over(self._pool, self._loop)
        return self._made

    _connector = connector  # by which libraries for aiohttp know it

    @property
    def connector_owner(self) -> bool:
        """True if closing the session closes the connector."""
        return self._connector_owner

    @property
    def closed(self) -> bool:
        """True once the session or its connector is closed."""
        return self._closed or (self._pool is not None and self._pool.closed)

    @property
    def timeout(self) -> ClientTimeout:
        """The limits of time for each request."""
        return self._timeout

    @property
    def auth(self) -> Any:
        """The default auth."""
        return self._default_auth

    @property
    def skip_auto_headers(self) -> frozenset[str]:
        """Names, in lower case, of automatic headers that are not sent."""
        return self._skip_auto_headers

    @property
    def json_serialize(self) -> Callable[[Any], str]:
        """What turns `json` into text."""
        if self._json_serialize is None:
            from json import dumps

            return dumps
        serialize: Callable[[Any], str] = self._json_serialize
        return serialize

    @property
    def raise_for_status(self) -> RaiseForStatus:
        """True if statuses from 400 on raise ClientResponseError; or the
        coroutine function that is asked about each response."""
        return self._raise_for_status

    @property
    def auto_decompress(self) -> bool:
        """True if content codings are undone."""
        return self._auto_decompress

    @property
    def trust_env(self) -> bool:
        """True if ~/.netrc and the proxies of the environment count."""
        return self._trust_env

    @property
    def trace_configs(self) -> list[Any]:
        """The TraceConfig objects that hear of each request."""
        return self._trace_configs

    @property
    def requote_redirect_url(self) -> bool:
        """What was given: only what a URL may not hold is ever quoted."""
        return self._requote_redirect_url

    @requote_redirect_url.setter
    def requote_redirect_url(self, value: bool) -> None:
        warnings.warn(
            "session.requote_redirect_url modification is deprecated",
            DeprecationWarning,
            stacklevel=2,
        )
        self._requote_redirect_url = value

    @property
    def version(self) -> HttpVersion:
        """The version of HTTP."""
        return self._version

    @property
    def loop(self) -> AbstractEventLoop:
        """The loop that the session was made in, else the running one.
        RuntimeError."""
        from asyncio import get_running_loop

        warnings.warn("client.loop property is deprecated", DeprecationWarning, stacklevel=2)
        return self._loop or get_running_loop()
