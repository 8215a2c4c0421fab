"""ClientRequest: one hop of a request as middlewares see and change it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .clientresponse import ClientResponse
from .errors import ConnectionKey, InvalidURL, RequestInfo
from .response import HttpVersion, HttpVersion11

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterable

    from multidict import CIMultiDict
    from yarl import URL

_NOT_IN_METHOD = re.compile(r"[^-!#$%&'*+.^_`|~0-9a-zA-Z]")


class BodyBytes(bytes):
    """The body of a request; as aiohttp's payloads it can be awaited."""

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """The bytes."""
        return bytes(self)


class ClientRequest:
    """A request before it is sent: method, url (yarl.URL without fragment),
    original_url, headers (CIMultiDict: all that will be sent), body, version,
    session, ssl, server_hostname, chunked, compress, proxy. A middleware may
    change method, url and headers, and the body by update_body()."""

    GET_METHODS = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))
    POST_METHODS = frozenset(("PATCH", "POST", "PUT"))
    ALL_METHODS = GET_METHODS | POST_METHODS | {"DELETE"}

    def __init__(
        self,
        method: str,
        url: URL,
        *,
        params: Any = None,
        headers: Any = None,
        skip_auto_headers: Iterable[str] | None = None,
        data: Any = None,
        cookies: Any = None,
        auth: Any = None,
        version: HttpVersion = HttpVersion11,
        compress: str | bool | None = None,
        chunked: bool | None = None,
        expect100: bool | float = False,
        loop: AbstractEventLoop | None = None,
        response_class: type[ClientResponse] | None = None,
        proxy: Any = None,
        proxy_auth: Any = None,
        timer: Any = None,
        session: Any = None,
        ssl: Any = True,
        proxy_headers: Any = None,
        traces: Any = None,
        trust_env: bool = False,
        server_hostname: str | None = None,
    ) -> None:
        found = _NOT_IN_METHOD.search(method)
        if found:
            raise ValueError(
                f"Method cannot contain non-token characters {method!r} "
                f"(found at least {found.group()!r})"
            )
        if not url.raw_host:
            raise InvalidURL(url)
        if params:
            url = url.extend_query(params)
        self.original_url = url
        self.url = url.with_fragment(None)
        self.method = method.upper()
        self.version = version
        self.chunked = chunked
        self.compress = compress
        self.expect100 = expect100
        self.loop = loop
        self.response_class = response_class or ClientResponse
        self.proxy, self.proxy_auth, self.proxy_headers = proxy, proxy_auth, proxy_headers
        self.server_hostname = server_hostname
        self.auth = auth
        self._session = session
        self._ssl = ssl
        self._traces = traces or []
        self.dns_signals = True  # a resolver of the connector sends them itself
        self.permitted = False  # the session waits for the connector's leave
        self._body: Any = None
        self._skip = {str(name).lower() for name in skip_auto_headers or ()}
        self.update_headers(headers)
        self.update_auto_headers(skip_auto_headers)
        self.update_cookies(cookies)
        self.update_auth(auth, trust_env)
        self.update_body_from_data(data)
        if self._body is None and self.method in self.POST_METHODS and not chunked:
            # As it will be sent (RFC 9110 8.6); a middleware may want to sign it.
            self.headers.setdefault("Content-Length", "0")

    # --- what it is made of ---

    def update_headers(self, headers: Any) -> None:
        """Host and |headers|."""
        from multidict import CIMultiDict

        from .outgoing import header_pairs

        self.headers: CIMultiDict[str] = CIMultiDict()
        self.headers["Host"] = self.url.host_port_subcomponent or ""
        for name, value in header_pairs(headers):
            if name.lower() == "host":
                self.headers["Host"] = value
            else:
                self.headers.add(name, value)

    def update_auto_headers(self, skip_auto_headers: Iterable[str] | None) -> None:
        """What is sent unless the program sets or skips it."""
        from .settings import AUTO_HEADERS

        for name, value in AUTO_HEADERS:
            if name not in self.headers and name.lower() not in self._skip:
                self.headers[name] = value

    def update_cookies(self, cookies: Any) -> None:
        """The Cookie header: pairs of names and values as they are sent, or
        Morsels, replace what has the same name in it."""
        if not cookies:
            return
        from .jars import cookie_field

        items = cookies.items() if hasattr(cookies, "items") else cookies
        pairs = [
            (getattr(value, "key", name), getattr(value, "coded_value", value))
            for name, value in items
        ]
        field = cookie_field(self.headers.get("Cookie"), [], pairs)
        if field is not None:
            self.headers["Cookie"] = field

    def update_auth(self, auth: Any, trust_env: bool = False) -> None:
        """The Authorization header for |auth|, a BasicAuth."""
        if auth is None:
            return
        from .auth import authorization

        self.headers["Authorization"] = auth if isinstance(auth, str) else authorization(auth)

    def update_body_from_data(self, body: Any) -> None:
        """Takes |body|, as a request's `data`, with the headers that fit it."""
        if body is None:
            self._body = None
            return
        from .body import encode_data
        from .sending import Source

        content, kind = (body, None) if isinstance(body, Source) else encode_data(body)
        length: int | None
        if isinstance(content, (bytes, bytearray, memoryview)):
            content = BodyBytes(content)
            length = len(content)
        else:
            length = content.length
        if not (length is None or self.chunked or self.compress):
            self.headers.setdefault("Content-Length", str(length))
        self._body = content
        if "Content-Type" not in self.headers and "content-type" not in self._skip and kind:
            self.headers["Content-Type"] = kind

    async def update_body(self, body: Any) -> None:
        """Another body, as a request's `data`; None for none. The old one is closed."""
        if hasattr(self._body, "holds"):
            await self._body.close()
        self.headers.popall("Content-Length", None)
        self.headers.popall("Transfer-Encoding", None)
        self.update_body_from_data(body)

    @property
    def body(self) -> Any:
        """The body: bytes (with an as_bytes() to await), b"" for none, or what
        gives it in pieces."""
        return b"" if self._body is None else self._body

    @body.setter
    def body(self, value: Any) -> None:
        self.headers.popall("Content-Length", None)
        self.update_body_from_data(value)

    async def close(self) -> None:
        """Closes a body that holds a file."""
        if hasattr(self._body, "holds"):
            await self._body.close()

    def terminate(self) -> None:
        """There is nothing to end: the engine sends."""

    async def send(self, conn: Any) -> ClientResponse:
        """NotImplementedError: the engine sends, by way of a session; a middleware has
        its handler for that."""
        raise NotImplementedError("a ClientRequest is sent by its session, or by a handler")

    # --- what it says ---

    @property
    def session(self) -> Any:
        """The session that makes the request."""
        return self._session

    @property
    def skip_auto_headers(self) -> CIMultiDict[None]:
        """The automatic headers that are not sent."""
        from multidict import CIMultiDict

        return CIMultiDict((name, None) for name in sorted(self._skip))

    @property
    def host(self) -> str:
        """The host of the URL."""
        return self.url.raw_host or ""

    @property
    def port(self) -> int | None:
        """The port of the URL, or that of its scheme."""
        return self.url.port

    @property
    def ssl(self) -> Any:
        """As given: True, False, an ssl.SSLContext or a Fingerprint."""
        return self._ssl

    def is_ssl(self) -> bool:
        """True for https."""
        return self.url.scheme in ("https", "wss")

    @property
    def request_info(self) -> RequestInfo:
        """What a response to this request says of it."""
        from multidict import CIMultiDictProxy

        return RequestInfo(self.url, self.method, CIMultiDictProxy(self.headers), self.original_url)

    @property
    def connection_key(self) -> ConnectionKey:
        """What decides which connections serve this request."""
        return ConnectionKey(
            self.host,
            self.port,
            self.is_ssl(),
            self._ssl,
            self.proxy,
            self.proxy_auth,
            None,
            self.server_hostname,
        )
