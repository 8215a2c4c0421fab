"""fetch() and its verbs: one request, one complete response.

A call with arguments of the plain kinds goes straight to the engine, through a
Caller. All else goes the long way, _fetch_with(), which knows what every argument
means and says what is wrong with one.
"""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any, Final

from . import _core
from .body import encode_data, encode_json, settle_body
from .outgoing import (
    Unset,
    add_login,
    checked_redirects,
    checked_trace,
    header_pairs,
    is_named,
    method_text,
    split_login,
    take_cookie,
    url_text,
)
from .settings import MAX_REDIRECTS, NATIVE, NO_REDIRECTS, OptionsCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from ssl import SSLContext
    from typing import Unpack

    from yarl import URL

    from ._core import Caller, Fetch, Pool
    from .auth import BasicAuth
    from .body import Body, Sending
    from .outgoing import Headers, Pairs, StrOrURL
    from .response import Response
    from .timeouts import ClientTimeout

    Scalar = str | int | float
    Params = (
        str
        | Mapping[str, Scalar | Sequence[Scalar]]
        | Iterable[tuple[str, Scalar | Sequence[Scalar]]]
    )
    Trace = Callable[[str, float], object]
    Informational = Callable[[int, Any], object]

    class VerbOptions(Sending, total=False):
        """What get() and the other verbs take by name."""

        params: Params | None
        headers: Headers
        json: Any
        data: Any
        cookies: Mapping[str, str] | Iterable[tuple[str, str]] | None
        auth: BasicAuth | tuple[str, str] | None
        timeout: float | ClientTimeout | None
        allow_redirects: bool
        max_redirects: int
        ssl: bool | SSLContext
        server_hostname: str | None
        allow_private: bool
        raise_for_status: bool
        max_body: int | None
        max_ratio: int | None
        auto_decompress: bool
        on_informational: Informational | None
        trace: Trace | None

    class FetchOptions(VerbOptions, total=False):
        """What fetch() takes by name."""

        method: str

    class FetchRequest(FetchOptions):
        """A request as a dict, for fetch_many()."""

        url: str | URL


__all__ = ("delete", "fetch", "get", "head", "options", "patch", "post", "put")

_UNSET: Final[Any] = Unset()
_derived = OptionsCache(NATIVE)
_core_fetch = _core.fetch


def caller_over(pool: Pool | None) -> Caller:
    """What makes fetches over the connections of |pool|, None for the loop's own."""
    return _core.Caller(NATIVE, pool, derive=_derived.get, dumps=encode_json)


SHARED = caller_over(None)


def _fetch_with(
    url: StrOrURL,
    *,
    method: str = "GET",
    params: Params | None = None,
    headers: Headers = None,
    json: Any = _UNSET,
    data: Any = None,
    cookies: Any = None,
    auth: BasicAuth | tuple[str, str] | None = None,
    timeout: float | ClientTimeout | None = _UNSET,
    allow_redirects: bool = True,
    max_redirects: int = MAX_REDIRECTS,
    ssl: bool | SSLContext = True,
    server_hostname: str | None = None,
    allow_private: bool = True,
    raise_for_status: bool = False,
    max_body: int | None = None,
    max_ratio: int | None = None,
    auto_decompress: bool = True,
    on_informational: Informational | None = None,
    trace: Trace | None = None,
    _cache: OptionsCache = _derived,
    _pool: Pool | None = None,
    **sending: Unpack[Sending],
) -> Fetch[Response]:
    text, login = split_login(url_text(url))
    pairs = header_pairs(headers)
    add_login(pairs, login, auth)
    if cookies:
        pairs = _with_cookies(pairs, cookies)
    body = None
    if data is not None or json is not _UNSET or sending:
        body = _add_body(pairs, data, json, sending)
    query = None
    if params is not None:
        from .query import encode_query

        query = encode_query(params)
    changes: dict[str, Any] = {}
    if timeout is not _UNSET:
        changes["timeout"] = timeout
    if ssl is not True:
        changes["ssl"] = ssl
    if server_hostname is not None:
        changes["server_hostname"] = server_hostname
    if not allow_private:
        changes["allow_private"] = False
    if raise_for_status:
        changes["on_status"] = True
    if max_body is not None:
        changes["max_body"] = max_body
    if max_ratio is not None:
        changes["max_ratio"] = max_ratio
    if not auto_decompress:
        changes["decompress"] = False
    if on_informational is not None:
        changes["informational"] = on_informational
    return _core_fetch(
        _cache.get(**changes),
        _pool,
        method_text(method),
        text,
        query,
        pairs or None,
        body,
        checked_redirects(max_redirects) if allow_redirects else NO_REDIRECTS,
        checked_trace(trace),
    )


def _with_cookies(pairs: Pairs, cookies: Any) -> Pairs:
    from .setcookie import format_cookies

    pairs, own = take_cookie(pairs)
    text = format_cookies(cookies)
    pairs.append(("Cookie", f"{own}; {text}" if own else text))
    return pairs


def _add_body(pairs: Pairs, data: Any, json: Any, sending: Any) -> Body | None:
    body: Body | None = None
    if json is not _UNSET:
        if data is not None:
            raise ValueError("data and json parameters can not be used at the same time")
        body, kind = encode_json(json), "application/json"
    elif data is not None:
        body, kind = encode_data(data)
    if body is not None and not is_named(pairs, "content-type"):
        pairs.append(("Content-Type", kind))
    body = settle_body(pairs, body, sending)
    for name in sending:
        raise TypeError(f"fetch() got an unexpected keyword argument {name!r}")
    return body


def fetch(url: StrOrURL, *, method: str = "GET", **kwargs: Unpack[VerbOptions]) -> Fetch[Response]:
    """One HTTP request; awaiting the result gives the complete Response.

    url: absolute, str or yarl.URL. User information in it becomes the
        Authorization (RFC 7617) and is not sent.
    method: "GET".
    params: added to the query: a mapping or pairs (values str, int, float, or
        lists of these), or a str.
    headers: a mapping or pairs. These win over the automatic ones: Accept,
        Accept-Encoding, User-Agent.
    json: any value, sent as JSON.
    data: bytes-like; str, sent as UTF-8; a mapping or pairs, sent as a form,
        multipart if a value is a file; FormData; a payload; a file, from where it
        stands; an iterable or asynchronous iterable of bytes, taken as the peer
        takes it. With a Content-Length among the headers that has to have as many
        bytes, else it goes out chunked (RFC 9112 7.1).
    compress: "gzip", "deflate", "br", "zstd" (the last two where their library is
        there) or True for deflate: the content coding of the body.
    chunked: True to send any body chunked.
    expect100: True, or seconds to wait (5), to send the body only once the server
        has said 100 (Continue) (RFC 9110 10.1.1).
    trailers: a mapping or pairs to send behind a chunked body, or a function
        called at its end that gives them (RFC 9110 6.5).
    progress: called with (bytes sent, length or None) as the body leaves.
    cookies: a mapping or pairs.
    auth: (login, password) or BasicAuth.
    timeout: seconds for the whole request, a ClientTimeout, or None for no
        limit. By default 300 s in all and 30 s to connect.
    allow_redirects, max_redirects: follow up to 10 redirects (RFC 9110 15.4).
    ssl: True to verify certificates, False not to, or an ssl.SSLContext.
    server_hostname: the name to verify instead of the URL's host.
    allow_private: False refuses, on every hop and for whatever names resolve to,
        loopback, private, link-local, metadata and all other addresses that are
        not the public Internet's: for URLs that come from others.
    raise_for_status: raise ClientResponseError for a status from 400 on.
    max_body: bytes of decoded body that are too many; no ceiling by default.
    max_ratio: decoded bytes for each coded one that are too many, looked at once
        more than 1 MiB has come; no ceiling by default.
    auto_decompress: undo the content codings; False gives the bytes as they came.
    on_informational: called with (status, headers) as a 1xx response comes, as 103
        Early Hints (RFC 8297); response.informational has them all.
    trace: called with (phase, seconds since the start) as each phase ends.

    Awaiting raises InvalidURL, ClientConnectorError (PrivateAddressError for what
    allow_private=False refuses), ServerTimeoutError,
    ServerDisconnectedError, ClientPayloadError, ClientResponseError,
    TooManyRedirects: all of them ClientError; ValueError for a method or header
    that may not go on the wire. The call raises TypeError, ValueError and
    NotImplementedError for arguments that are wrong whatever the server says.

    The request starts when it is first awaited or given a callback, in the loop
    that runs then. asyncio.create_task(), ensure_future() and gather() take it as
    a coroutine; fetch_all() costs less for many.
    """
    short = SHARED.fetch(method, url, MAX_REDIRECTS, None, kwargs)
    return short or _fetch_with(url, method=method, **kwargs)


def fetch_over(caller: Caller, url: StrOrURL, kwargs: FetchOptions) -> Fetch[Response]:
    """fetch() by |caller|."""
    named: dict[str, Any] = {**kwargs}
    method = named.pop("method", "GET")
    short = caller.fetch(method, url, MAX_REDIRECTS, None, named)
    return short or _fetch_with(url, method=method, _pool=caller.pool, **named)


def _sent(method: str, url: StrOrURL, kwargs: VerbOptions) -> Fetch[Response]:
    short = SHARED.fetch(method, url, MAX_REDIRECTS, None, kwargs)
    return short or _fetch_with(url, method=method, **kwargs)


def get(url: StrOrURL, **kwargs: Unpack[VerbOptions]) -> Fetch[Response]:
    """fetch() with GET (RFC 9110 9.3.1)."""
    return _sent("GET", url, kwargs)


def head(url: StrOrURL, **kwargs: Unpack[VerbOptions]) -> Fetch[Response]:
    """fetch() with HEAD (RFC 9110 9.3.2), by default without following."""
    kwargs.setdefault("allow_redirects", False)
    return _sent("HEAD", url, kwargs)


def options(url: StrOrURL, **kwargs: Unpack[VerbOptions]) -> Fetch[Response]:
    """fetch() with OPTIONS (RFC 9110 9.3.7)."""
    return _sent("OPTIONS", url, kwargs)


def post(url: StrOrURL, **kwargs: Unpack[VerbOptions]) -> Fetch[Response]:
    """fetch() with POST (RFC 9110 9.3.3)."""
    return _sent("POST", url, kwargs)


def put(url: StrOrURL, **kwargs: Unpack[VerbOptions]) -> Fetch[Response]:
    """fetch() with PUT (RFC 9110 9.3.4)."""
    return _sent("PUT", url, kwargs)


def patch(url: StrOrURL, **kwargs: Unpack[VerbOptions]) -> Fetch[Response]:
    """fetch() with PATCH (RFC 5789)."""
    return _sent("PATCH", url, kwargs)


def delete(url: StrOrURL, **kwargs: Unpack[VerbOptions]) -> Fetch[Response]:
    """fetch() with DELETE (RFC 9110 9.3.5)."""
    return _sent("DELETE", url, kwargs)


# What help(), inspect.signature() and a TypeError show: the verbs take no method.
_fetch_with.__qualname__ = "fetch"
fetch.__wrapped__ = _fetch_with  # type: ignore[attr-defined]
_signature = signature(_fetch_with)
_signature = _signature.replace(
    parameters=[p for p in _signature.parameters.values() if p.name[0] != "_"]
)
fetch.__signature__ = _signature  # type: ignore[attr-defined]
_signature = _signature.replace(
    parameters=[p for p in _signature.parameters.values() if p.name != "method"]
)
for _verb in (get, head, options, post, put, patch, delete):
    _verb.__signature__ = _signature  # type: ignore[attr-defined]
del _verb, _signature
