"""Redirect policy (RFC 9110 15.4), without a server."""

from __future__ import annotations

import pytest
from aiofast import errors
from aiofast.cookies import CookieJar
from aiofast.hops import HopHeaders, SessionPolicy
from aiofast.redirects import policy
from multidict import CIMultiDict, CIMultiDictProxy


class FakeFetch:
    def __init__(
        self, method="GET", url="http://a.example/dir/x", headers=None, body=None, left=10
    ):
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.redirects = left
        self.history = ()
        self.elapsed = 0.25


class FakeResponse:
    def __init__(self, status, location=None, url="http://a.example/dir/x", cookies=()):
        self.status = status
        self.reason = "Reason"
        self.method = "GET"
        self.url_text = url
        self.history = ()
        pairs = [("Set-Cookie", cookie) for cookie in cookies]
        if location is not None:
            pairs.append(("Location", location))
        self.raw_headers = tuple((n.encode(), v.encode()) for n, v in pairs)
        self.headers = CIMultiDictProxy(CIMultiDict(pairs))
        self.request_headers = CIMultiDictProxy(CIMultiDict())

    def header(self, name):
        return self.headers.get(name)


def after(status, location="/y", **fetch):
    return policy(FakeFetch(**fetch), FakeResponse(status, location))


@pytest.mark.parametrize(
    ("status", "before", "then"),
    [
        (301, "GET", "GET"),
        (301, "POST", "GET"),
        (301, "PUT", "PUT"),
        (301, "HEAD", "HEAD"),
        (302, "POST", "GET"),
        (302, "DELETE", "DELETE"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "GET", "GET"),
        (303, "HEAD", "HEAD"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (308, "PATCH", "PATCH"),
    ],
)
def test_methods_and_bodies(status, before, then):
    headers = {
        "Content-Type": "text/plain",
        "content-language": "en",
        "Expect": "100-continue",
        "X-Own": "1",
    }
    body = None if before in ("GET", "HEAD") else b"data"
    method, url, pairs, sent = after(status, method=before, headers=headers, body=body)
    assert (method, url) == (then, "http://a.example/y")
    names = {name.lower() for name, _ in pairs}
    assert "x-own" in names
    if then == before and status != 303:
        assert sent is body
        assert "content-type" in names
    if then == "GET" and before != "GET":
        assert sent is None
        assert names == {"x-own"}


@pytest.mark.parametrize("status", [200, 300, 304, 305, 306])
def test_other_statuses_stay(status):
    assert after(status) is None


def test_no_location_stays():
    assert after(302, location=None) is None
    assert after(302, location="") is None


def test_redirects_that_are_not_wanted_stay():
    assert after(302, left=-1) is None


SECRETS = [
    ("Authorization", "1"),
    ("AUTHORIZATION", "2"),
    ("cookie", "3"),
    ("Cookie", "4"),
    ("Proxy-Authorization", "5"),
    ("Host", "6"),
]


@pytest.mark.parametrize(
    "location",
    [
        "http://b.example/",
        "https://a.example/",
        "http://a.example:81/",
        "//b.example/",
        "http://a.example./",
    ],
)
def test_another_origin_gets_no_secrets(location):
    _, _, pairs, _ = after(302, location, headers=[*SECRETS, ("X-Own", "1")])
    assert pairs == [("X-Own", "1")]


@pytest.mark.parametrize("location", ["/y", "y", "?q", "http://A.EXAMPLE:80/", "//a.example/"])
def test_the_same_origin_gets_them(location):
    _, _, pairs, _ = after(307, location, headers=SECRETS)
    assert pairs == SECRETS


def test_secrets_do_not_come_back_on_the_way_home():
    _, url, pairs, _ = after(302, "http://b.example/", headers=SECRETS)
    back = FakeFetch(url=url, headers=pairs)
    hop = policy(back, FakeResponse(302, "http://a.example/", url))
    assert hop is not None
    assert hop[2] == []


@pytest.mark.parametrize(
    ("base", "location", "url"),
    [
        ("http://a.example/x#frag", "/y", "http://a.example/y#frag"),
        ("http://a.example/x#frag", "/y#own", "http://a.example/y#own"),
        ("http://a.example/d/x", "../y", "http://a.example/y"),
        ("http://a.example/d/x?q", "y", "http://a.example/d/y"),
        ("http://a.example/d/x", "https://b.example", "https://b.example/"),
    ],
)
def test_locations(base, location, url):
    assert after(302, location, url=base)[1] == url


def test_user_information_of_a_location_becomes_authorization():
    _, url, pairs, _ = after(302, "http://me:pw@b.example/", headers={"Authorization": "old"})
    assert url == "http://b.example/"
    assert pairs == [("Authorization", "Basic bWU6cHc=")]


@pytest.mark.parametrize("location", ["ftp://x/", "mailto:a@b", "file:///x", "ws://x/", "data:,x"])
def test_schemes_that_are_not_http(location):
    with pytest.raises(errors.NonHttpUrlRedirectClientError):
        after(302, location)


@pytest.mark.parametrize(
    "location", ["http://", "http://a b/", "http://x:99999/", "http://me:pw@[::1/"]
)
def test_bad_locations(location):
    with pytest.raises(errors.InvalidUrlRedirectClientError) as caught:
        after(302, location)
    assert "pw" not in str(caught.value)


def test_one_too_many():
    fetch = FakeFetch(left=0)
    first, second = FakeResponse(302, "/x", "http://a.example/1"), FakeResponse(302, "/1")
    fetch.history = (first, second)
    with pytest.raises(errors.TooManyRedirects, match="3 redirects are more") as caught:
        policy(fetch, FakeResponse(302, "/1", "http://a.example/1"))
    assert "loop" in str(caught.value)
    assert len(caught.value.history) == 3
    assert caught.value.status == 302


def test_bad_statuses_raise_where_asked():
    with pytest.raises(errors.ClientResponseError, match="404"):
        after(404)


# --- with cookies ---


def test_a_session_keeps_and_sends_cookies_from_hop_to_hop():
    jar = CookieJar()
    ask = SessionPolicy(jar, False)
    sent = HopHeaders([("X-Own", "1"), ("Cookie", "mine=1")])
    sent.own, sent.given = "mine=1", None
    hop = ask(FakeFetch(headers=sent), FakeResponse(302, "/dir/y", cookies=["theirs=2; Path=/"]))
    assert hop[2] == [("X-Own", "1"), ("Cookie", "mine=1; theirs=2")]
    assert hop[2].own == "mine=1"
    # Across origins the caller's own goes; what the jar has for that host stays.
    jar.set_cookie("b=3", "http://b.example/")
    away = ask(FakeFetch(headers=hop[2]), FakeResponse(302, "http://b.example/"))
    assert away[2] == [("X-Own", "1"), ("Cookie", "b=3")]
    assert away[2].own is None
    # And back: the jar's again, the caller's never.
    home = ask(
        FakeFetch(url="http://b.example/", headers=away[2]),
        FakeResponse(302, "http://a.example/", "http://b.example/"),
    )
    assert home[2] == [("X-Own", "1"), ("Cookie", "theirs=2")]


def test_a_session_keeps_cookies_of_the_last_response_too():
    jar = CookieJar()
    assert SessionPolicy(jar, False)(FakeFetch(), FakeResponse(200, cookies=["a=1"])) is None
    assert len(jar) == 1
    with pytest.raises(errors.ClientResponseError):
        SessionPolicy(jar, True)(FakeFetch(), FakeResponse(500, cookies=["b=1"]))
    assert len(jar) == 2
