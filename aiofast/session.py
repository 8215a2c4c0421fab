"""ClientSession: aiohttp's way to make requests, over the engine.

A session holds defaults, a cookie jar and a pool of connections. A plain
`session.get(url)` goes to the engine without a detour; what changes some of the
session's prepared options goes through `_plain()`, and what must be able to
wait between two steps (trace signals, middlewares, resolvers) through steps.py.
"""

from __future__ import annotations

import sys
import traceback
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

from . import _core
from .body import encode_json
from .clientresponse import ClientResponse
from .context import RequestContextManager, as_coroutine_function, raising, tracked
from .cookies import CookieJar, DummyCookieJar
from .errors import OF_ORIGIN
from .hops import SessionPolicy, kept_cookies
from .jars import face_of
from .outgoing import header_pairs, is_named, take_cookie
from .parameters import (
    LATER_IN_SESSION,
    UNSET,
    ceilings,
    checked_base,
    checked_bufsize,
    expect_known,
    hops,
    is_http10,
    merged_ssl,
    refuse,
    refuse_proxies_of_environment,
    session_timeout,
    warn_auth,
    warn_shutdown,
)
from .response import HttpVersion, HttpVersion11
from .session_request import SessionRequests
from .sessionresponse import SessionResponse, engine_class
from .settings import MAX_REDIRECTS, NATIVE, NO_REDIRECTS, OptionsCache, default_headers

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType
    from typing import NoReturn, Self

    from ._core import Fetch
    from .clientrequest import ClientRequest
    from .connector import BaseConnector
    from .outgoing import Headers, StrOrURL
    from .session_settings import RaiseForStatus
    from .tracing import TraceConfig

    Request = Fetch[ClientResponse] | RequestContextManager[ClientResponse]

__all__ = ("ClientSession",)

_BUFSIZE = 2**18
_FOLLOW = MAX_REDIRECTS - 1  # aiohttp counts the first request too
_SESSION = OptionsCache(_core.Options(NATIVE, response_class=SessionResponse, stream=True))


class ClientSession(SessionRequests):
    """Requests that share connections, cookies and defaults.

    base_url: absolute, its path ends with a slash; relative URLs are joined to it.
    connector, connector_owner=True: whose connections; close() closes them.
    headers, skip_auto_headers, cookies, auth (old): sent with every request.
    cookie_jar: CookieJar() by default; any AbstractCookieJar, aiohttp's too.
    timeout: ClientTimeout or seconds; 300 in all, 30 to connect.
    raise_for_status=False; True; or a coroutine function called with each response.
    json_serialize=json.dumps, json_serialize_bytes; response_class.
    auto_decompress=True, max_line_size=8190, max_field_size=8190, max_headers=128.
    fallback_charset_resolver: names the encoding of a text that names none.
    version: HttpVersion10 sends HTTP/1.0, once on a connection unless kept by hand.
    read_bufsize=2**18: bytes of a body that may wait for who reads it, before the
    server is held back; also for a request.
    requote_redirect_url, loop, ssl_shutdown_timeout: taken.
    Its own: allow_private=True (False: only public addresses are connected to,
    PrivateAddressError for others; also for a request).

    Belongs to the loop of its first request. TypeError for an unknown
    parameter, ValueError, NotImplementedError for one of aiohttp's that is not
    there yet.
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
        request_class: type[ClientRequest] | None = None,
        response_class: type[ClientResponse] = ClientResponse,
        ws_response_class: type[Any] | None = None,
        version: HttpVersion = HttpVersion11,
        cookie_jar: Any = None,
        connector_owner: bool = True,
        raise_for_status: RaiseForStatus = False,
        read_timeout: Any = UNSET,
        conn_timeout: float | None = None,
        timeout: Any = UNSET,
        auto_decompress: bool = True,
        trust_env: bool = False,
        requote_redirect_url: bool = True,
        trace_configs: list[TraceConfig] | None = None,
        read_bufsize: int = _BUFSIZE,
        max_line_size: int = 8190,
        max_field_size: int = 8190,
        max_headers: int = 128,
        fallback_charset_resolver: Callable[[ClientResponse, bytes], str] | None = None,
        middlewares: Sequence[Any] = (),
        ssl_shutdown_timeout: Any = UNSET,
        allow_private: bool = True,
        **unsupported: Any,
    ) -> None:
        self._closed = True  # until all is well, for __del__
        refuse("ClientSession", unsupported, LATER_IN_SESSION)
        old = is_http10(version)
        if trust_env:
            refuse_proxies_of_environment()
        self._base_url = checked_base(base_url)
        self._base_text = None if self._base_url is None else str(self._base_url)
        self._timeout = session_timeout(timeout, read_timeout, conn_timeout)
        if ssl_shutdown_timeout is not UNSET:
            warn_shutdown()
        self._take_connector(connector, connector_owner, loop)
        self._cookie_jar = CookieJar() if cookie_jar is None else cookie_jar
        self._jar = face_of(self._cookie_jar)
        if cookies:
            self._cookie_jar.update_cookies(cookies)
        if auth is not None:
            warn_auth()
        self._default_auth = auth
        self._header_source = header_pairs(headers)
        self._header_dict = None  # a CIMultiDict once somebody asks
        self._header_seen = -1
        self._skip_auto_headers = frozenset(skip_auto_headers or ())
        self._json_serialize = json_serialize
        self._json_serialize_bytes = json_serialize_bytes
        self._raise_for_status = raise_for_status
        self._auto_decompress = auto_decompress
        self._trust_env = trust_env
        self._requote_redirect_url = requote_redirect_url
        self._read_bufsize = read_bufsize
        self._version = version
        self._response_class = response_class
        self._ws_response_class = ws_response_class  # for programs to read: none is made yet
        self._trace_configs = trace_configs or []
        for config in self._trace_configs:
            config.freeze()
        self._middlewares = middlewares
        self._take_request_class(request_class)
        self._settings = settings = ceilings(max_line_size, max_field_size, max_headers)
        kind = engine_class(response_class)
        if fallback_charset_resolver is not None:
            kind = _resolving(kind, fallback_charset_resolver)
        if kind is not SessionResponse:
            settings["response_class"] = kind
        if old:
            settings["http10"] = True
        if read_bufsize != _BUFSIZE:
            settings["high_water"] = checked_bufsize(read_bufsize)
        if not allow_private:
            settings["allow_private"] = False
        if not auto_decompress:
            settings["decompress"] = False
        if timeout is not UNSET:
            settings["timeout"] = self._timeout
        if self._ssl is not True:
            settings["ssl"] = self._ssl
        self._closed = False
        self._prepare()

    def __init_subclass__(cls) -> None:
        warnings.warn(
            f"Inheritance class {cls.__name__} from ClientSession is discouraged",
            DeprecationWarning,
            stacklevel=2,
        )

    def _take_connector(
        self, connector: BaseConnector | None, owner: bool, loop: AbstractEventLoop | None
    ) -> None:
        self._connector_owner = owner
        self._loop = loop or _running_loop()
        if connector is not None and not _go_together(self._loop, connector):
            raise RuntimeError("Session and connector has to use same event loop")
        if self._loop is not None and self._loop.get_debug():
            self._source_traceback = traceback.extract_stack(sys._getframe(2))
        self._made = connector
        self._pool: _core.Pool | None
        if connector is None and _is_hooked():
            from .connector import TCPConnector

            self._made = connector = TCPConnector()
        if connector is None:
            self._pool, self._ssl = _core.Pool(), True
        elif connector.closed:
            raise RuntimeError("the connector is closed")
        else:
            self._pool, self._ssl = connector.pool, connector.ssl

    def _take_request_class(self, request_class: type[ClientRequest] | None) -> None:
        self._given_request_class = request_class
        # What must be able to wait between two steps goes a way of its own.
        self._in_steps = request_class is not None or (self._made is not None and self._made.dials)

    def _prepare(self) -> None:
        """Builds the options from the settings and the default headers."""
        pairs = self._header_source
        self._skip = frozenset(str(name).lower() for name in self._skip_auto_headers)
        # Defaults are sent to every origin, so what is for one alone goes with
        # each request instead, where redirects can drop it.
        secret = [pair for pair in pairs if pair[0].lower() in OF_ORIGIN]
        self._secret, self._cookie = take_cookie(secret)
        self._seeking = self._default_auth is not None or self._trust_env
        settings = self._settings
        if pairs or self._skip:
            plain = [pair for pair in pairs if pair[0].lower() not in OF_ORIGIN]
            settings = settings | {"defaults": default_headers(plain, self._skip)}
        keeping = not isinstance(self._cookie_jar, DummyCookieJar)
        self._policies = {
            raising: SessionPolicy(self._jar if keeping else None, raising)
            for raising in (False, True)
        }
        raising = self._raise_for_status is True
        self._options = _core.Options(
            _SESSION.get(**settings),
            policy=self._policies[raising],
            on_cookies=keeping,
            on_status=raising,
        )
        self._derived = OptionsCache(self._options)
        self._kept = self._jar.by_domain
        self._caller = _core.Caller(
            self._options,
            self._pool,
            derive=self._derived.get,
            dumps=self._json_serialize_bytes or self._json_serialize or encode_json,
            secret=tuple(self._secret),
            base=self._base_text,
            cookies=partial(kept_cookies, self._jar),
            kept=self._kept,
            types="content-type" not in self._skip and not is_named(pairs, "content-type"),
        )
        self._settle()

    def _settle(self) -> None:
        """Decides whether requests may go the short way."""
        short = (
            not self._closed
            and self._cookie is None
            and not self._seeking
            and not callable(self._raise_for_status)
            and not self._in_steps
            and not self._middlewares
        )
        # Programs replace _request(), in a subclass or while they test.
        self._short = _OURS if short and type(self)._request is _OURS else None

    # --- requests ---

    def _plainly(
        self, method: str, url: StrOrURL, follow: int, data: Any, kwargs: dict[str, Any]
    ) -> Request | None:
        """A request by the short way; None for one that needs _request()."""
        if (
            self._short is not ClientSession._request
            or self._trace_configs
            or (self._header_dict is not None and self._are_headers_changed())
        ):
            return None
        return self._caller.fetch(method, url, follow, data, kwargs)

    def request(self, method: str, url: StrOrURL, **kwargs: Any) -> Request:
        """One request. Awaiting the result gives the response with its head;
        `async with` also gives its connection back at the end.

        params, data, json, cookies, headers, skip_auto_headers, auth (old),
        allow_redirects=True, max_redirects=10 (0: no end), raise_for_status,
        timeout (seconds, ClientTimeout, None for no limit), ssl, server_hostname,
        auto_decompress, max_line_size, max_field_size, max_headers, allow_private;
        for the body compress, chunked, expect100, trailers and progress as in fetch().
        When awaited: ClientError and its subclasses; RuntimeError if the session
        is closed; TypeError, ValueError, NotImplementedError for arguments.
        """
        return self._plainly(method, url, _FOLLOW, None, kwargs) or _given(
            self._request(method, url, **kwargs)
        )

    def get(self, url: StrOrURL, *, allow_redirects: bool = True, **kwargs: Any) -> Request:
        """GET (RFC 9110 9.3.1); as request()."""
        follow = _FOLLOW if allow_redirects else NO_REDIRECTS
        return self._plainly("GET", url, follow, None, kwargs) or _given(
            self._request("GET", url, allow_redirects=allow_redirects, **kwargs)
        )

    def options(self, url: StrOrURL, *, allow_redirects: bool = True, **kwargs: Any) -> Request:
        """OPTIONS (RFC 9110 9.3.7); as request()."""
        follow = _FOLLOW if allow_redirects else NO_REDIRECTS
        return self._plainly("OPTIONS", url, follow, None, kwargs) or _given(
            self._request("OPTIONS", url, allow_redirects=allow_redirects, **kwargs)
        )

    def head(self, url: StrOrURL, *, allow_redirects: bool = False, **kwargs: Any) -> Request:
        """HEAD (RFC 9110 9.3.2), by default without following; as request()."""
        follow = _FOLLOW if allow_redirects else NO_REDIRECTS
        return self._plainly("HEAD", url, follow, None, kwargs) or _given(
            self._request("HEAD", url, allow_redirects=allow_redirects, **kwargs)
        )

    def post(self, url: StrOrURL, *, data: Any = None, **kwargs: Any) -> Request:
        """POST (RFC 9110 9.3.3); as request()."""
        return self._plainly("POST", url, _FOLLOW, data, kwargs) or _given(
            self._request("POST", url, data=data, **kwargs)
        )

    def put(self, url: StrOrURL, *, data: Any = None, **kwargs: Any) -> Request:
        """PUT (RFC 9110 9.3.4); as request()."""
        return self._plainly("PUT", url, _FOLLOW, data, kwargs) or _given(
            self._request("PUT", url, data=data, **kwargs)
        )

    def patch(self, url: StrOrURL, *, data: Any = None, **kwargs: Any) -> Request:
        """PATCH (RFC 5789); as request()."""
        return self._plainly("PATCH", url, _FOLLOW, data, kwargs) or _given(
            self._request("PATCH", url, data=data, **kwargs)
        )

    def delete(self, url: StrOrURL, **kwargs: Any) -> Request:
        """DELETE (RFC 9110 9.3.5); as request()."""
        return self._plainly("DELETE", url, _FOLLOW, None, kwargs) or _given(
            self._request("DELETE", url, **kwargs)
        )

    def ws_connect(self, url: StrOrURL, **kwargs: Any) -> NoReturn:
        """WebSockets are not there yet. NotImplementedError."""
        from .websocket import refuse_websocket

        refuse_websocket()

    @as_coroutine_function
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
        raise_for_status: RaiseForStatus | None = None,
        verify_ssl: bool | None = None,
        fingerprint: bytes | None = None,
        ssl_context: Any = None,
        ssl: Any = True,
        middlewares: Sequence[Any] | None = None,
        trace_request_ctx: Any = None,
        **settings: Any,
    ) -> Request:
        """What all requests but the plainest go through: libraries override it,
        and tests put their own in its place."""
        if settings:
            expect_known(settings)  # TypeError at once, as for any function
        try:
            check = self._raise_for_status if raise_for_status is None else raise_for_status
            if ssl is not True or verify_ssl is not None or fingerprint or ssl_context:
                settings["ssl"] = merged_ssl(ssl, verify_ssl, ssl_context, fingerprint)
            if auth is not None:
                warn_auth()
            if callable(check):
                settings["raise_for_status"] = False
            elif raise_for_status is not None:
                settings["raise_for_status"] = raise_for_status
            follow = _FOLLOW
            if not allow_redirects or max_redirects != MAX_REDIRECTS:
                follow = hops(allow_redirects, max_redirects)
            if (
                self._trace_configs
                or self._in_steps
                or (self._middlewares if middlewares is None else middlewares)
            ):
                from .steps import Steps

                arguments: dict[str, Any] = {
                    "query": params,
                    "content": (data, json),
                    "cookies": cookies,
                    "headers": headers,
                    "skip": skip_auto_headers,
                    "auth": auth,
                    "follow": follow,
                    "settings": settings,
                    "middlewares": middlewares,
                    "check": check,
                    "context": trace_request_ctx,
                }
                return RequestContextManager(Steps(self, method, str_or_url, arguments).run())
            given = method, str_or_url, params, data, json, cookies, headers
            rest = skip_auto_headers, auth, follow, trace, settings
            if not callable(check) and settings.get("upload_tracker") is None:
                return self._plain(*given, *rest)
        except Exception as error:
            # As from aiohttp's coroutine, it comes when the request is awaited.
            return RequestContextManager(
                tracked(partial(_raise, error), settings.get("upload_tracker"))
            )
        send = partial(self._plain, *given, *rest)
        return RequestContextManager(raising(send, check, settings.get("upload_tracker")))

    # --- the end ---

    async def close(self) -> None:
        """Ends every request and closes the connections, unless the connector
        belongs to somebody else. Harmless when closed."""
        if self._closed:
            return
        self._closed = True
        self._settle()
        if self._connector_owner:
            if self._made is not None:
                await self._made.close()
            elif self._pool is not None:
                self._pool.close()
        self._made = None

    def detach(self) -> None:
        """Gives the connector up without closing it; the session is closed."""
        self._closed = True
        self._made = None
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
        if getattr(self, "_closed", True) or self._pool is None or self._pool.closed:
            return
        # One that was made outside of a loop and never used has nothing to lose.
        if self._loop is None and not self._pool.stats()["open"]:
            return
        # The pool goes with the last reference to it, and closes its sockets.
        _warn(f"Unclosed client session {self!r}", _kind, stacklevel=2, source=self)
        if self._loop is not None and not self._loop.is_closed() and self._loop.get_debug():
            context = {"client_session": self, "message": "Unclosed client session"}
            if self._source_traceback is not None:
                context["source_traceback"] = self._source_traceback
            self._loop.call_exception_handler(context)


def _given(request: Any) -> Request:
    """What a verb returns: coroutines of a _request() that was replaced can be
    entered with `async with` too."""
    if request.__class__ is _Fetch or isinstance(request, RequestContextManager):
        return request
    return RequestContextManager(request)


def _raise(error: Exception) -> NoReturn:
    raise error


def _running_loop() -> AbstractEventLoop | None:
    from asyncio import get_running_loop

    try:
        return get_running_loop()
    except RuntimeError:
        return None


def _go_together(loop: AbstractEventLoop | None, connector: Any) -> bool:
    """False if |connector| was made in another loop that is still there."""
    other = getattr(connector, "_given_loop", None)
    return loop is None or other is None or other is loop or other.is_closed()


def _is_hooked() -> bool:
    """True if somebody has put methods of his own into TCPConnector, as tests do."""
    import sys

    module = sys.modules.get("aiofast.connector")
    return module is not None and bool(module.is_hooked())


def _resolving(
    kind: type[SessionResponse], resolver: Callable[[ClientResponse, bytes], str]
) -> type[SessionResponse]:
    """|kind| that asks |resolver| for the encoding of texts that name none."""
    return type(kind.__name__, (kind,), {"_resolve_charset": staticmethod(resolver)})


_Fetch = _core.Fetch
_OURS = ClientSession._request
