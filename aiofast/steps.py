"""A session's request step by step: for those that have trace signals,
middlewares, a resolver or a request class of their own, which may all wait
between two steps. Each hop is a request of its own to the engine."""

from __future__ import annotations

import time
from asyncio import get_running_loop
from typing import TYPE_CHECKING, Any

from . import _core
from .auth import split_userinfo
from .errors import (
    SECRETS,
    ClientPayloadError,
    InvalidUrlClientError,
    TooManyRedirects,
    url_error,
)
from .outgoing import url_text
from .redirects import STATUSES, becomes_get, same_origin, target
from .settings import derive
from .timeouts import timeout_from
from .watching import watched

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from multidict import CIMultiDict
    from yarl import URL

    from .clientrequest import ClientRequest
    from .clientresponse import ClientResponse
    from .tracing import Trace
    from .tracker import UploadTracker

    Handler = Callable[[ClientRequest], Awaitable[ClientResponse]]

_FOR_SENDING = ("compress", "chunked", "expect100", "trailers", "progress")


class Steps:
    """One request from its start to the head of its last response."""

    def __init__(self, session: Any, method: str, url: Any, arguments: dict[str, Any]) -> None:
        self.session = session
        self.method = method.upper()
        self.given_url = url
        self.arguments = arguments
        self.settings: dict[str, Any] = arguments["settings"]
        self.sending = {n: self.settings.pop(n) for n in _FOR_SENDING if n in self.settings}
        self.tracker: UploadTracker | None = self.settings.pop("upload_tracker", None)
        self.cookies = arguments["cookies"]
        self.auth = arguments["auth"]
        self.params = arguments["query"]
        self.traces: list[Trace] = []
        self.history: list[ClientResponse] = []
        self.request: ClientRequest | None = None
        self.response: ClientResponse | None = None
        self.due: float | None = None
        self.url: URL
        self.headers: CIMultiDict[str]

    async def run(self) -> ClientResponse:
        """The last response. What a request raises."""
        if self.tracker is None:
            return await self._run()
        response: ClientResponse = await self.tracker.guard(self._run)
        return response

    async def _run(self) -> ClientResponse:
        session = self.session
        if session.closed:
            raise RuntimeError("Session is closed")
        self.headers = session._prepare_headers(self.arguments["headers"])
        self.url = self._first_url()
        self.data, self.kind = self._body()
        timeout = self.settings.get("timeout", session.timeout)
        total = timeout_from(timeout).total
        self.due = None if not total else time.monotonic() + total
        try:
            await self._announce()
            await self._hops()
            response = self.response
            assert response is not None
            await self._check(response)
            response.history = tuple(self.history)
            await self._end(response)
            await self._tell("on_request_end", response)
            return response
        except BaseException as error:
            if self.response is not None:
                self.response.close()
            await self._end(None)
            await self._tell("on_request_exception", error)
            raise

    def _first_url(self) -> URL:
        """The URL without user information, which becomes the auth."""
        text = url_text(self.given_url)
        try:
            url: URL = self.session._build_url(self.given_url)
        except ValueError as error:
            raise url_error(text, str(error)) from error
        if url.scheme not in ("http", "https"):
            raise url_error(text, None)
        if not url.raw_host:
            raise InvalidUrlClientError(text)
        bare, login = split_userinfo(str(url))
        if login is not None and self.auth is not None:
            raise ValueError("Cannot combine AUTH argument with credentials encoded in URL")
        self.auth = self.auth if login is None else login
        return type(url)(bare, encoded=True)

    def _body(self) -> tuple[Any, str | None]:
        """The body as the engine takes it, and its Content-Type."""
        data, json = self.arguments["content"]
        if data is not None and json is not None:
            raise ValueError("data and json parameters can not be used at the same time")
        if json is None:
            return data, None
        from .body import encode_json

        session = self.session
        dumps = session._json_serialize_bytes or session._json_serialize
        return encode_json(json, dumps), "application/json"

    async def _announce(self) -> None:
        from .tracing import Trace

        for config in self.session.trace_configs:
            context = config.trace_config_ctx(trace_request_ctx=self.arguments["context"])
            trace = Trace(self.session, config, context)
            await trace.send("on_request_start", self.method, self._shown_url(), self.headers)
            self.traces.append(trace)

    def _shown_url(self) -> URL:
        return self.url.update_query(self.params) if self.params else self.url

    async def _tell(self, name: str, last: Any) -> None:
        for trace in self.traces:
            await trace.send(name, self.method, self._shown_url(), self.headers, last)

    # --- hops ---

    async def _hops(self) -> None:
        arguments = self.arguments
        follow = arguments["follow"]
        handler = self._handler()
        while True:
            self.request = request = self._request()
            self.response = response = await handler(request)
            if follow < 0 or response.status not in STATUSES:
                return
            location = response.headers.get("Location") or response.headers.get("URI")
            await self._tell("on_request_redirect", response)
            self.history.append(response)
            if len(self.history) > follow:
                raise TooManyRedirects(
                    self.history[0].request_info,
                    tuple(self.history),
                    status=response.status,
                    message=response.reason or "",
                    headers=response.headers,
                )
            if not location:
                self.history.pop()
                return
            self._turn(request, response, location)
            if self.data is None:
                await self._end(response)
            response.release()

    def _turn(self, request: ClientRequest, response: ClientResponse, location: str) -> None:
        """Makes the next hop ready, which leads to |location|."""
        if becomes_get(response.status, self.method):
            self.method, self.data, self.kind = "GET", None, None
            for name in ("Content-Length", "Content-Type", "Content-Encoding", "Expect"):
                self.headers.popall(name, None)
            self.sending.clear()
        elif getattr(request._body, "used_up", False):
            raise ClientPayloadError(
                "Cannot follow redirect with a consumed request body. Use bytes, a seekable "
                "file-like object, or set allow_redirects=False."
            )
        before = str(self.url)
        url, login = target(str(response.real_url), location)
        if not same_origin(before, url):
            self.auth = self.cookies = None
            for name in (*SECRETS, "host"):
                self.headers.popall(name, None)
        if login is not None:
            self.auth = login
            self.headers.popall("Authorization", None)
        self.url = type(self.url)(url, encoded=True)
        self.params = None

    def _request(self) -> ClientRequest:
        """The next hop as middlewares see it."""
        session, url = self.session, self.url
        auth = self.auth
        if auth is None and "Authorization" not in self.headers:
            auth = session._auth_for(str(url))
            if auth is None and session.trust_env:
                auth = session._login_for(str(url))
        if auth is not None and "Authorization" in self.headers:
            raise ValueError(
                "Cannot combine AUTHORIZATION header with AUTH argument or credentials "
                "encoded in URL"
            )
        headers = self.headers.copy()
        if self.kind is not None and "Content-Type" not in headers:
            headers["Content-Type"] = self.kind
        skip = {*session.skip_auto_headers, *(self.arguments["skip"] or ())}
        request: ClientRequest = session._request_class(
            self.method,
            url,
            params=self.params,
            headers=headers,
            skip_auto_headers=skip or None,
            data=self.data,
            cookies=self._cookies_for(str(url)),
            auth=auth,
            version=session.version,
            compress=self.sending.get("compress"),
            chunked=self.sending.get("chunked"),
            expect100=self.sending.get("expect100", False),
            loop=get_running_loop(),
            response_class=session._response_class,
            session=session,
            ssl=self.settings.get("ssl", True),
            traces=self.traces,
            trust_env=session.trust_env,
            server_hostname=self.settings.get("server_hostname"),
        )
        if request._body is not None:  # which the next hop sends again
            self.data, self.kind = request._body, request.headers.get("Content-Type")
        return request

    def _cookies_for(self, url: str) -> list[tuple[str, str]]:
        from .jars import own_cookies

        jar = self.session._jar
        kept = jar.cookies_for(url)
        mine = own_cookies(self.cookies, jar, url) if self.cookies else []
        over = {name for name, _ in mine}
        return [pair for pair in kept if pair[0] not in over] + mine

    def _handler(self) -> Handler:
        middlewares = self.arguments["middlewares"]
        if middlewares is None:
            middlewares = self.session._middlewares
        return chained(self._send, middlewares)

    async def _send(self, request: ClientRequest) -> ClientResponse:
        """One exchange: the innermost handler."""
        if self.tracker is None:
            return await self._exchange(request)
        response: ClientResponse = await self.tracker.attempt(lambda: self._exchange(request))
        return response

    async def _exchange(self, request: ClientRequest) -> ClientResponse:
        session = self.session
        if session.closed:
            raise RuntimeError("Session is closed")
        pairs = list(request.headers.items())
        body = request._body
        settings = self.settings | self._ssl(request) | {"raise_for_status": False}
        options = session._override(settings, None)
        changes: dict[str, Any] = {"defaults": (), **await self._dialer(request)}
        if self.due is not None:
            changes["total"] = max(self.due - time.monotonic(), 0.001)
        options = derive(options, **changes)
        sending = {**self.sending, "chunked": request.chunked, "compress": request.compress}
        if body is not None and self.tracker is not None:
            sending["upload_tracker"] = self.tracker
        from .body import settle_body

        body = settle_body(pairs, body, sending, wrapping=True)
        url = str(request.original_url)
        if request.original_url.with_fragment(None) != request.url:
            url = str(request.url)
        response = await watched(
            lambda trace: _core.fetch(
                options, session._pool, request.method, url, None, pairs, body, -1, trace
            ),
            request,
            self.traces,
            session._pool,
        )
        if self.traces:
            response._traces = self.traces
        return response

    def _ssl(self, request: ClientRequest) -> dict[str, Any]:
        connector = self.session._made
        if connector is not None and request.is_ssl():
            from .dialing import OWN

            if OWN.replaced(connector, "_get_ssl_context") and request.ssl is True:
                return {"ssl": connector._get_ssl_context(request)}
        return {} if request.ssl is True else {"ssl": request.ssl}

    async def _dialer(self, request: ClientRequest) -> dict[str, Any]:
        """Who makes a new connection, if it is not the engine; asks the connector."""
        connector = self.session._made
        if connector is None or not connector.dials:
            return {}
        from .dialing import OWN, asked, dialer_for

        timeout = timeout_from(self.settings.get("timeout", self.session.timeout))
        if OWN.replaced(connector, "connect"):
            await asked(connector, request, self.traces, timeout)
        dialer = dialer_for(connector, request, self.traces, timeout)
        return {} if dialer is None else {"dialer": dialer}

    # --- the end ---

    async def _end(self, response: ClientResponse | None) -> None:
        """Closes the body of the latest hop, as closing() does."""
        body: Any = None if self.request is None else self.request._body
        if hasattr(body, "holds"):
            await (body.close() if response is None else body.release())

    async def _check(self, response: ClientResponse) -> None:
        check = self.arguments["check"]
        if callable(check):
            await check(response)
        elif check:
            response.raise_for_status()


def chained(handler: Handler, middlewares: Iterable[Any]) -> Handler:
    """|handler| inside of |middlewares|, of which the first is the outermost."""
    for middleware in reversed(tuple(middlewares)):
        handler = _bound(middleware, handler)
    return handler


def _bound(middleware: Any, handler: Handler) -> Handler:
    async def call(request: ClientRequest) -> ClientResponse:
        response: ClientResponse = await middleware(request, handler)
        return response

    return call
