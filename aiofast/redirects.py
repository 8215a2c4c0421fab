"""Redirects (RFC 9110 15.4), decided when the head of a response is there.

- 301 and 302 turn POST into GET, 303 turns all but HEAD into GET; the body goes,
  and with it the headers that describe it. 307 and 308 repeat the request.
- To another origin (scheme, host, port) no Authorization, Cookie or
  Proxy-Authorization goes along, whatever their case and number, and no later
  hop gets them back; nor does a Host that was set by hand.
- A fragment stays unless the Location brings its own (RFC 9110 10.2.2).
- User information in a Location becomes the Authorization of that hop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._core import url_join, url_origin
from .auth import split_userinfo
from .errors import (
    OF_ORIGIN,
    ClientError,
    ClientPayloadError,
    ClientResponseError,
    InvalidURL,
    TooManyRedirects,
    redact,
    request_info,
    url_error,
    url_scheme,
)
from .outgoing import header_pairs

if TYPE_CHECKING:
    from ._core import Fetch, ResponseBase
    from .outgoing import Pairs

    Hop = tuple[str, str, Pairs, Any]

STATUSES = frozenset((301, 302, 303, 307, 308))

# What describes or frames a body, beside the Content-* headers.
_OF_BODY = frozenset(("transfer-encoding", "expect", "trailer", "digest"))


def policy(fetch: Fetch[Any], response: ResponseBase) -> Hop | None:
    """The next hop of |fetch| after |response|, or None to stay with it.
    ClientResponseError, InvalidURL and its subclasses, TooManyRedirects."""
    if response.status == 417:
        hop = unexpecting(fetch)
        if hop is not None:
            return hop
    if response.status >= 400:
        # Asked only where the caller wants bad statuses raised.
        raise status_error(response)
    return next_hop(fetch, response)


def unexpecting(fetch: Fetch[Any]) -> Hop | None:
    """The request of |fetch|, answered with 417, without its expectation of 100
    (Continue) (RFC 9110 10.1.1); None if it had none."""
    body = fetch.body
    if not getattr(body, "expect", 0) or body.used_up:
        return None
    body.expect = 0.0
    pairs = [pair for pair in header_pairs(fetch.headers) if pair[0].lower() != "expect"]
    return fetch.method, fetch.url, pairs, body


def status_error(response: ResponseBase) -> ClientResponseError:
    """What raise_for_status() raises for |response|."""
    error = ClientResponseError(
        request_info(response),
        response.history,
        status=response.status,
        message=response.reason,
        headers=response.headers,
    )
    error.url, error.method = redact(response.url_text), response.method
    return error


def next_hop(fetch: Fetch[Any], response: ResponseBase) -> Hop | None:
    """As policy(), for redirects alone."""
    if fetch.redirects < 0 or response.status not in STATUSES:
        return None
    location = response.header("Location")
    if not location:
        return None
    if fetch.redirects == 0:
        raise too_many(fetch, response)
    try:
        url, login = target(fetch.url, location)
    except ClientError as error:
        error.add_note(f"in the Location of {redact(fetch.url)}")
        if not isinstance(error, InvalidURL):
            error.url = redact(fetch.url)
        _describe(error, fetch)
        raise
    method, body, headers = fetch.method, fetch.body, header_pairs(fetch.headers)
    if becomes_get(response.status, method):
        method, body = "GET", None
        headers = [pair for pair in headers if not _is_of_body(pair[0])]
    elif getattr(body, "used_up", False):
        raise used_up(fetch, response)
    if not same_origin(fetch.url, url):
        headers = [pair for pair in headers if pair[0].lower() not in OF_ORIGIN]
    if login is not None:
        headers = [pair for pair in headers if pair[0].lower() != "authorization"]
        headers.append(("Authorization", login))
    return method, url, headers, body


def becomes_get(status: int, method: str) -> bool:
    """True where the next request is a GET without a body (RFC 9110 15.4.2 to
    15.4.4)."""
    method = method.upper()
    if status == 303:
        return method != "HEAD"
    return status in (301, 302) and method == "POST"


def target(base: str, location: str) -> tuple[str, str | None]:
    """The absolute URL for |location| seen from |base|, without user
    information, and the Authorization that this stood for or None.
    InvalidUrlRedirectClientError, NonHttpUrlRedirectClientError."""
    scheme = url_scheme(location)
    if scheme not in ("", "http", "https"):
        raise url_error(location, None, redirect=True)
    rest = location[len(scheme) + 1 :]
    if scheme and scheme == url_scheme(base) and rest[:2] != "//" and not url_scheme(rest):
        location = rest  # "http:/path", which RFC 3986 5.2.2 lets stand for "/path"
    try:
        # The base gave up its own user information before it was requested, so
        # what the result has is the Location's.
        return split_userinfo(url_join(base, location))
    except InvalidURL as error:
        raise url_error(location, error.description, redirect=True) from error
    except ValueError as error:
        raise url_error(location, str(error), redirect=True) from error


def same_origin(one: str, other: str) -> bool:
    """RFC 6454 5: scheme, host and port are equal."""
    return url_origin(one) == url_origin(other)


def used_up(fetch: Fetch[Any], response: ResponseBase) -> ClientPayloadError:
    """The error for a redirect that wants the body of |fetch| once more."""
    error = ClientPayloadError(
        f"Cannot follow redirect with a consumed request body (status {response.status}): it "
        "cannot be replayed. Pass bytes, a file that can be read again or an iterable that is "
        "no iterator, or allow_redirects=False"
    )
    error.url, error.method = redact(fetch.url), fetch.method
    return error


def too_many(fetch: Fetch[Any], response: ResponseBase) -> TooManyRedirects:
    """The error for one redirect more than allowed."""
    history = (*fetch.history, response)
    seen = [one.url_text for one in history]
    again = ", in a loop" if len(set(seen)) < len(seen) else ""
    error = TooManyRedirects(
        request_info(history[0]),
        history,
        status=response.status,
        message=f"{len(history)} redirects are more than max_redirects allows{again}",
        headers=response.headers,
    )
    error.url = redact(fetch.url)
    _describe(error, fetch)
    return error


def _describe(error: ClientError, fetch: Fetch[Any]) -> None:
    """Adds what is known when a head has come that leads nowhere."""
    error.method, error.phase, error.elapsed = fetch.method, "wait", fetch.elapsed


def _is_of_body(name: str) -> bool:
    name = name.lower()
    return name.startswith("content-") or name in _OF_BODY
