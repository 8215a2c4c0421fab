"""ClientSession: aiohttp's way to make requests, over the engine.

A session holds defaults, a cookie jar and a pool of connections. A plain
`session.get(url)` goes to the engine without a detour; what needs more than
the session's prepared options goes through `_request()`.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from . import _core
from .auth import authorization
from .cookies import CookieJar, DummyCookieJar, format_cookies, merge_cookies, split_cookies
from .errors import SECRETS
from .hops import SessionPolicy, with_cookies
from .outgoing import add_login, header_pairs, is_named, split_login, take_cookie, url_text
from .parameters import (
    LATER_IN_SESSION,
    ceilings,
    changes_of,
    checked_base,
    hops,
    refuse,
    refuse_proxies_of_environment,
)
from .redirects import same_origin
from .response import ClientResponse, HttpVersion, HttpVersion10, HttpVersion11
from .settings import MAX_REDIRECTS, NATIVE, OptionsCache, default_headers
from .timeouts import DEFAULT_TIMEOUT, ClientTimeout, timeout_from

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import NoReturn, Self

    from multidict import CIMultiDict

    from ._core import Fetch
    from .body import Body
    from .connector import BaseConnector
    from .outgoing import Headers, Pairs, StrOrURL

__all__ = ("ClientSession", "request")

_FOLLOW = MAX_REDIRECTS - 1  # aiohttp counts the first request too
_core_fetch = _core.fetch
_SESSION = OptionsCache(_core.Options(NATIVE, response_class=ClientResponse, stream=True))


class ClientSession:
    """Requests that share connections, cookies and defaults.

    Of aiohttp's parameters: base_url (absolute, its path ends with a slash),
    connector, connector_owner=True, headers, skip_auto_headers, cookies, auth,
    cookie_jar, timeout (ClientTimeout or seconds; 300 in all, 30 to connect),
    raise_for_status=False, json_serialize, json_serialize_bytes,
    response_class, auto_decompress=True, max_line_size=8190,
    max_field_size=8190, max_headers=128. Its own: allow_private=True (False:
    only public addresses are connected to, PrivateAddressError for others;
    also for a request). loop, version, read_bufsize,
    requote_redirect_url, trust_env are accepted.

    Belongs to the loop of its first request. TypeError for an unknown
    parameter, NotImplementedError for one of aiohttp's that is not there yet.
    """

    def __init__(
        self,
        base_url: StrOrURL | None = None,
        *,
        connector: BaseConnector | None = None,
        loop: AbstractEventLoop | None = None,
        cookies: Any = None,
        headers: Headers = None,
        skip_auto_headers: Iterable[str] | None = None,
        auth: Any = None,
        json_serialize: Callable[[Any], str] | None = None,
        json_serialize_bytes: Callable[[Any], bytes] | None = None,
        response_class: type[ClientResponse] = ClientResponse,
        version: HttpVersion = HttpVersion11,
        cookie_jar: CookieJar | None = None,
        connector_owner: bool = True,
        raise_for_status: bool = False,
        timeout: Any = None,
        auto_decompress: bool = True,
        trust_env: bool = False,
        requote_redirect_url: bool = True,
        read_bufsize: int = 2**18,
        max_line_size: int = 8190,
        max_field_size: int = 8190,
        max_headers: int = 128,
        allow_private: bool = True,
        **unsupported: Any,
    ) -> None:
        self._closed = True  # until all is well, for __del__
        self._used = False
        refuse("ClientSession", unsupported, LATER_IN_SESSION)
        if version not in (HttpVersion10, HttpVersion11):
            raise ValueError(f"version must be HTTP/1.0 or 1.1, not {version!r}")
        if trust_env:
            refuse_proxies_of_environment()
        if not isinstance(raise_for_status, bool):
            raise NotImplementedError("raise_for_status as a function is not there yet")
        if cookie_jar is not None and not isinstance(cookie_jar, CookieJar):
            raise NotImplementedError("cookie_jar of another kind than aiofast's is not there yet")
        self._base_url = checked_base(base_url)
        self._loop = loop
        self._jar = CookieJar() if cookie_jar is None else cookie_jar
        self._connector = connector
        self._connector_owner = connector_owner
        self._pool: _core.Pool | None
        if connector is None:
            self._pool, self._ssl = _core.Pool(), True
        elif connector.closed:
            raise RuntimeError("the connector is closed")
        else:
            self._pool, self._ssl = connector.pool, connector.ssl
        self._own_cookies = format_cookies(cookies) if cookies else None
        self._auth = auth
        self._authorization = None if auth is None else authorization(auth)
        self._header_source = header_pairs(headers)
        self._header_dict: Any = None  # a CIMultiDict once somebody asks
        self._header_seen = -1
        self._skip = frozenset(str(name).lower() for name in skip_auto_headers or ())
        self._json_serialize = json_serialize
        self._json_bytes = json_serialize_bytes
        self._timeout = DEFAULT_TIMEOUT if timeout is None else timeout_from(timeout)
        self._raise_for_status = raise_for_status
        self._auto_decompress = auto_decompress
        self._trust_env = trust_env
        self._requote_redirect_url = requote_redirect_url
        self._version = version
        self._settings = settings = ceilings(max_line_size, max_field_size, max_headers)
        if response_class is not ClientResponse:
            settings["response_class"] = response_class
        if not allow_private:
            settings["allow_private"] = False
        if not auto_decompress:
            settings["decompress"] = False
        if timeout is not None:
            settings["timeout"] = self._timeout
        if self._ssl is not True:
            settings["ssl"] = self._ssl
        self._closed = False
        self._prepare()

    def _prepare(self) -> None:
        """Builds the options from the settings and the default headers."""
        pairs = self._header_source
        # Defaults are sent to every origin, so what is secret goes with each
        # request instead, where redirects can drop it.
        secret = [pair for pair in pairs if pair[0].lower() in SECRETS]
        if self._authorization is not None:
            secret = [pair for pair in secret if pair[0].lower() != "authorization"]
            secret.append(("Authorization", self._authorization))
        self._secret, cookie = take_cookie(secret)
        self._cookie = "; ".join(filter(None, (cookie, self._own_cookies))) or None
        settings = self._settings
        if pairs or self._skip:
            plain = [pair for pair in pairs if pair[0].lower() not in SECRETS]
            settings = settings | {"defaults": default_headers(plain, self._skip)}
        keeping = not isinstance(self._jar, DummyCookieJar)
        self._policies = {
            raising: SessionPolicy(self._jar if keeping else None, raising)
            for raising in (False, True)
        }
        self._options = _core.Options(
            _SESSION.get(**settings),
            policy=self._policies[self._raise_for_status],
            on_cookies=keeping,
            on_status=self._raise_for_status,
        )
        self._derived: OptionsCache | None = None
        self._kept = self._jar.by_domain
        self._settle()

    def _settle(self) -> None:
        """Decides whether a request without arguments may go the short way."""
        self._short = (
            not self._closed
            and self._base_url is None
            and self._cookie is None
            and not self._secret
            and self._header_dict is None
            and type(self)._request is ClientSession._request
        )

    # --- requests ---

    def request(self, method: str, url: StrOrURL, **kwargs: Any) -> Fetch[ClientResponse]:
        """One request. Awaiting the result gives the response with its head;
        `async with` also gives its connection back at the end.

        params, data, json, cookies, headers, skip_auto_headers, auth,
        allow_redirects=True, max_redirects=10 (0: no end), raise_for_status,
        timeout (seconds, ClientTimeout, None for no limit), ssl, server_hostname,
        auto_decompress, max_line_size, max_field_size, max_headers, allow_private;
        for the body chunked, expect100, trailers, progress as in aiofast.fetch().
        ClientError and its subclasses when awaited; RuntimeError if the session
        is closed; TypeError, ValueError, NotImplementedError for arguments.
        """
        return self._request(method, url, **kwargs)

    def get(
        self, url: StrOrURL, *, allow_redirects: bool = True, **kwargs: Any
    ) -> Fetch[ClientResponse]:
        """GET (RFC 9110 9.3.1); as request()."""
        if (
            self._short
            and not kwargs
            and not self._kept
            and allow_redirects
            and url.__class__ is str
            and "@" not in url
        ):
            self._used = True
            return _core_fetch(
                self._options, self._pool, "GET", url, None, None, None, _FOLLOW, None
            )
        return self._request("GET", url, allow_redirects=allow_redirects, **kwargs)

    def options(
        self, url: StrOrURL, *, allow_redirects: bool = True, **kwargs: Any
    ) -> Fetch[ClientResponse]:
        """OPTIONS (RFC 9110 9.3.7); as request()."""
        return self._request("OPTIONS", url, allow_redirects=allow_redirects, **kwargs)

    def head(
        self, url: StrOrURL, *, allow_redirects: bool = False, **kwargs: Any
    ) -> Fetch[ClientResponse]:
        """HEAD (RFC 9110 9.3.2), by default without following; as request()."""
        return self._request("HEAD", url, allow_redirects=allow_redirects, **kwargs)

    def post(self, url: StrOrURL, *, data: Any = None, **kwargs: Any) -> Fetch[ClientResponse]:
        """POST (RFC 9110 9.3.3); as request()."""
        return self._request("POST", url, data=data, **kwargs)

    def put(self, url: StrOrURL, *, data: Any = None, **kwargs: Any) -> Fetch[ClientResponse]:
        """PUT (RFC 9110 9.3.4); as request()."""
        return self._request("PUT", url, data=data, **kwargs)

    def patch(self, url: StrOrURL, *, data: Any = None, **kwargs: Any) -> Fetch[ClientResponse]:
        """PATCH (RFC 5789); as request()."""
        return self._request("PATCH", url, data=data, **kwargs)

    def delete(self, url: StrOrURL, **kwargs: Any) -> Fetch[ClientResponse]:
        """DELETE (RFC 9110 9.3.5); as request()."""
        return self._request("DELETE", url, **kwargs)

    def ws_connect(self, url: StrOrURL, **kwargs: Any) -> NoReturn:
        """NotImplementedError."""
        raise NotImplementedError("WebSockets are not there yet")

    def _request(
        self,
        method: str,
        str_or_url: StrOrURL,
        *,
        params: Any = None,
        data: Any = None,
        json: Any = None,
        cookies: Any = None,
        headers: Headers = None,
        skip_auto_headers: Iterable[str] | None = None,
        auth: Any = None,
        allow_redirects: bool = True,
        max_redirects: int = MAX_REDIRECTS,
        trace: Callable[[str, float], object] | None = None,
        **settings: Any,
    ) -> Fetch[ClientResponse]:
        if self._closed:
            raise RuntimeError("Session is closed")
        if self._header_dict is not None:
            self._reread_headers()
        url = url_text(str_or_url)
        if self._base_url is not None:
            url = _core.url_join(self._base_url, url)
        url, login = split_login(url)
        pairs = header_pairs(headers)
        add_login(pairs, login, auth)
        self._add_secrets(pairs, url)
        body = None
        if data is not None or json is not None:
            body = self._add_body(pairs, data, json, skip_auto_headers)
        if settings or body is not None:
            from .body import settle_body

            body = settle_body(pairs, body, settings, wrapping=True)
        query = None
        if params is not None:
            from .query import encode_query

            query = encode_query(params)
        pairs = self._add_cookies(pairs, cookies, url)
        options = self._options
        if settings or skip_auto_headers:
            options = self._override(settings, skip_auto_headers)
        self._used = True
        return _core_fetch(
            options,
            self._pool,
            method.upper(),
            url,
            query,
            pairs or None,
            body,
            hops(allow_redirects, max_redirects),
            trace,
        )

    def _add_secrets(self, pairs: Pairs, url: str) -> None:
        """Adds the session's secret headers, unless the request has its own."""
        for name, value in self._secret:
            if is_named(pairs, name.lower()):
                continue
            # The session's auth is for the base URL's origin, if there is one.
            if (
                self._authorization is None
                or self._base_url is None
                or same_origin(self._base_url, url)
            ):
                pairs.append((name, value))

    def _add_body(self, pairs: Pairs, data: Any, json: Any, skip: Iterable[str] | None) -> Body:
        from .body import encode_data, encode_json

        body: Body
        if json is None:
            body, kind = encode_data(data)
        elif data is None:
            body = encode_json(json, self._json_bytes or self._json_serialize)
            kind = "application/json"
        else:
            raise ValueError("data and json parameters can not be used at the same time")
        skipped = {*self._skip, *(str(name).lower() for name in skip or ())}
        if "content-type" not in skipped and not is_named(
            pairs + self._header_source, "content-type"
        ):
            pairs.append(("Content-Type", kind))
        return body

    def _add_cookies(self, pairs: Pairs, cookies: Any, url: str) -> Pairs:
        """Adds the Cookie: the request's own before the session's of the same
        name, and both before the jar's."""
        pairs, own = take_cookie(pairs)
        if own is None:
            own = self._cookie
        if cookies:
            own = merge_cookies(format_cookies(cookies), split_cookies(own))
        if own is None and not self._kept:
            return pairs
        return with_cookies(pairs, own, self._jar, url)

    def _override(self, settings: dict[str, Any], skip: Iterable[str] | None) -> _core.Options:
        """Options for one request that changes some of the session's."""
        changes = changes_of(settings)
        raising = changes.pop("raise_for_status", None)
        if changes.get("ssl") is True and self._ssl is not True:
            del changes["ssl"]  # True is the default, and the connector has one
        if raising is not None and raising is not self._raise_for_status:
            changes["policy"] = self._policies[raising]
            changes["on_status"] = raising
        if skip:
            plain = [p for p in self._header_source if p[0].lower() not in SECRETS]
            changes["defaults"] = default_headers(plain, {*self._skip, *skip})
        if self._derived is None:
            self._derived = OptionsCache(self._options)
        return self._derived.get(**changes)

    def _reread_headers(self) -> None:
        """Takes over what was changed in `headers` since the last request."""
        from multidict import getversion

        version = getversion(self._header_dict)
        if version != self._header_seen:
            self._header_seen = version
            self._header_source = list(self._header_dict.items())
            self._prepare()

    # --- settings ---

    @property
    def headers(self) -> CIMultiDict[str]:
        """The default headers; changing them changes the requests to come."""
        if self._header_dict is None:
            from multidict import CIMultiDict, getversion

            self._header_dict = CIMultiDict(self._header_source)
            self._header_seen = getversion(self._header_dict)
            self._settle()
        headers: CIMultiDict[str] = self._header_dict
        return headers

    @property
    def cookie_jar(self) -> CookieJar:
        """The jar."""
        return self._jar

    @property
    def connector(self) -> BaseConnector | None:
        """What makes the connections; None once the session is closed."""
        if self._connector is None and self._pool is not None and not self._closed:
            from .connector import TCPConnector

            self._connector = TCPConnector.over(self._pool)
        return self._connector

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
        return self._auth

    @property
    def skip_auto_headers(self) -> frozenset[str]:
        """Names, in lower case, of automatic headers that are not sent."""
        return self._skip

    @property
    def json_serialize(self) -> Callable[[Any], str]:
        """What turns `json` into text."""
        if self._json_serialize is None:
            from json import dumps

            return dumps
        return self._json_serialize

    @property
    def raise_for_status(self) -> bool:
        """True if statuses from 400 on raise ClientResponseError."""
        return self._raise_for_status

    @property
    def auto_decompress(self) -> bool:
        """True if content codings are undone."""
        return self._auto_decompress

    @property
    def trust_env(self) -> bool:
        """What was given; proxies of the environment are not used."""
        return self._trust_env

    @property
    def requote_redirect_url(self) -> bool:
        """What was given; URLs are never requoted."""
        return self._requote_redirect_url

    @property
    def version(self) -> HttpVersion:
        """The version of HTTP."""
        return self._version

    @property
    def loop(self) -> AbstractEventLoop:
        """The loop given, else the running one. RuntimeError."""
        from asyncio import get_running_loop

        return self._loop or get_running_loop()

    # --- the end ---

    async def close(self) -> None:
        """Ends every request and closes the connections, unless the connector
        belongs to somebody else. Harmless when closed."""
        if self._closed:
            return
        self._closed = True
        self._settle()
        if self._connector_owner and self._pool is not None:
            self._pool.close()
        self._connector = None

    def detach(self) -> None:
        """Gives the connector up without closing it; the session is closed."""
        self._closed = True
        self._connector = None
        self._settle()

    def __enter__(self) -> NoReturn:
        raise TypeError("Use async with instead")

    def __exit__(self, *exc_info: object) -> None:
        """Never called, since __enter__ raises."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self.close()

    # What is needed at the end is bound here: a session may outlive modules.
    def __del__(self, _warn: Any = warnings.warn, _kind: Any = ResourceWarning) -> None:
        if getattr(self, "_closed", True) or not (self._used and self._connector_owner):
            return
        if self._pool is not None and not self._pool.closed:
            # The pool goes with the last reference to it, and closes its sockets.
            _warn(f"Unclosed client session {self!r}", _kind, stacklevel=2, source=self)


def request(method: str, url: StrOrURL, **kwargs: Any) -> Fetch[ClientResponse]:
    """One request without a session: to be awaited, or entered with `async
    with`. Goes over the connections of the running loop, or of `connector`.
    Parameters and errors as ClientSession.request(). Cookies are not kept."""
    global _sessionless
    connector = kwargs.pop("connector", None)
    if connector is not None:
        session = ClientSession(
            connector=connector, connector_owner=False, cookie_jar=DummyCookieJar()
        )
    else:
        if _sessionless is None:
            _sessionless = _Sessionless()
        session = _sessionless
    return session._request(method, url, **kwargs)


class _Sessionless(ClientSession):
    """The defaults of a session, the pool of whatever loop runs. One serves all
    loops and threads, as it keeps nothing."""

    def __init__(self) -> None:
        super().__init__(connector_owner=False, cookie_jar=DummyCookieJar())
        self._pool = None  # which the engine takes for the loop's own


_sessionless: _Sessionless | None = None
