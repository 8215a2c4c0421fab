"""Redirects: methods (RFC 9110 15.4), credentials, fragments, limits."""

from __future__ import annotations

import base64

import aiofast
import pytest
from servers import Scripted, answer, forever, request, response, send


def moved(location: str, status: int = 302, body: bytes = b"") -> bytes:
    return response(body, f"Location: {location}", status=f"{status} Moved")


def to(location: str, status: int = 302):
    """A script that redirects its first request and answers the others."""
    return [request, send(moved(location, status)), forever(answer(b"there"))]


# --- methods --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "GET", "GET"),
        (301, "POST", "GET"),
        (301, "PUT", "PUT"),
        (301, "HEAD", "HEAD"),
        (302, "GET", "GET"),
        (302, "POST", "GET"),
        (302, "DELETE", "DELETE"),
        (303, "GET", "GET"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (307, "GET", "GET"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (308, "PUT", "PUT"),
    ],
)
async def test_the_method_of_the_next_hop(status, method, then):
    server = Scripted(to("/next", status))
    body = b"payload" if method in ("POST", "PUT") else None
    headers = {"Content-Type": "text/x", "X-Kept": "1"} if body else None
    found = await aiofast.fetch(
        f"{server.url}/", method=method, data=body, headers=headers, allow_redirects=True
    )
    assert found.status == 200
    second = server.requests[1]
    assert (second.method, second.target) == (then, "/next")
    if body and then == method:
        assert second.body == body
        assert second.header("Content-Type") == "text/x"
    else:
        assert second.body == b""
        assert second.all("Content-Type") == []
        assert second.all("Content-Length") == []
    if body:
        assert second.header("X-Kept") == "1"


@pytest.mark.parametrize("status", [300, 304, 305, 306, 399])
async def test_other_3xx_are_answers(status):
    data = response(b"", "Location: /next", status=f"{status} X", length=status != 304)
    server = Scripted([request, send(data)])
    found = await aiofast.fetch(f"{server.url}/")
    assert (found.status, len(server.requests)) == (status, 1)


async def test_a_redirect_without_location_is_an_answer():
    server = Scripted([answer(b"where?", status="302 Found")])
    found = await aiofast.fetch(f"{server.url}/")
    assert (found.status, found.body, found.history) == (302, b"where?", ())


async def test_an_empty_location_is_none():
    server = Scripted([answer(b"where?", "Location:", status="302 Found")])
    found = await aiofast.fetch(f"{server.url}/")
    assert (found.status, found.body, found.history) == (302, b"where?", ())


async def test_the_body_of_a_redirect_is_not_an_empty_one():
    server = Scripted([request, send(moved("/next", body=b"moved!")), forever(answer(b"there"))])
    found = await aiofast.fetch(f"{server.url}/")
    assert found.history[0].headers["Content-Length"] == "6"
    for part in ("body", "text"):
        with pytest.raises(RuntimeError, match="not kept"):
            getattr(found.history[0], part)
    async with aiofast.ClientSession() as session, session.get(f"{server.url}/") as found:
        for read in (found.history[0].read, found.history[0].text, found.history[0].content.read):
            with pytest.raises(RuntimeError, match="not kept"):
                await read()


async def test_redirects_may_be_declined(web):
    found = await aiofast.fetch(f"{web.url}/redirect/3", allow_redirects=False)
    assert (found.status, found.headers["Location"]) == (302, "/redirect/2")
    assert found.history == ()
    assert web.count == 1


async def test_head_does_not_follow_by_default(web):
    assert (await aiofast.head(f"{web.url}/redirect/1")).status == 302


async def test_the_history_holds_every_hop(web):
    found = await aiofast.fetch(f"{web.url}/redirect/3")
    assert [each.status for each in found.history] == [302, 302, 302]
    assert [each.url.path for each in found.history] == [
        "/redirect/3",
        "/redirect/2",
        "/redirect/1",
    ]
    assert found.url.path == "/echo"
    assert found.json()["method"] == "GET"


async def test_hops_on_one_origin_share_a_connection():
    server = Scripted(
        [request, send(moved("/2", body=b"a body that nobody reads")), forever(answer(b"end"))]
    )
    assert (await aiofast.fetch(f"{server.url}/1")).body == b"end"
    assert server.connections == 1


# --- where to -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/abs?q=1", "/abs?q=1"),
        ("rel", "/dir/rel"),
        ("../up", "/up"),
        ("./x/../y", "/dir/y"),
        ("?only=query", "/dir/page?only=query"),
        ("//{host}/net", "/net"),
        ("http://{host}/full", "/full"),
        ("HTTP://{host}", "/"),
        ("/sp ace", "/sp%20ace"),
        ("/caf\xc3\xa9", "/caf%C3%A9"),
        ("/a%2Fb%20c", "/a%2Fb%20c"),
    ],
)
async def test_locations_are_resolved(location, target):
    server = Scripted([forever(answer(b"there"))])
    first = Scripted(to(location.format(host=f"127.0.0.1:{server.port}")))
    await aiofast.fetch(f"{first.url}/dir/page?old=1")
    reached = (server.requests or first.requests)[-1]
    assert reached.target == target


@pytest.mark.parametrize(
    ("start", "location", "end"),
    [
        ("/a#kept", "/b", "kept"),
        ("/a#old", "/b#new", "new"),
        ("/a", "/b#new", "new"),
        ("/a", "/b", ""),
    ],
)
async def test_fragments_are_kept(start, location, end):
    server = Scripted(to(location))
    found = await aiofast.fetch(server.url + start)
    assert found.url.fragment == end
    assert [each.target for each in server.requests] == ["/a", "/b"]


@pytest.mark.parametrize("location", ["http://", "http://h:99999/", "http://[::1/", "http:///x"])
async def test_a_bad_location_is_an_error(location):
    server = Scripted(to(location))
    with pytest.raises(aiofast.InvalidURL) as caught:
        await aiofast.fetch(f"{server.url}/")
    assert isinstance(caught.value, aiofast.RedirectClientError)
    assert len(server.requests) == 1


@pytest.mark.parametrize("location", ["ftp://h/x", "file:///etc/passwd", "javascript:alert(1)"])
async def test_another_scheme_is_an_error(location):
    server = Scripted(to(location))
    with pytest.raises(aiofast.NonHttpUrlRedirectClientError):
        await aiofast.fetch(f"{server.url}/")
    assert len(server.requests) == 1


# --- limits ---------------------------------------------------------------------


async def test_too_many_redirects_is_an_error_that_says_how_many(web):
    with pytest.raises(aiofast.TooManyRedirects) as caught:
        await aiofast.fetch(f"{web.url}/redirect/11")
    assert isinstance(caught.value, aiofast.ClientResponseError)
    assert len(caught.value.history) >= 10
    found = await aiofast.fetch(f"{web.url}/redirect/10")
    assert (found.status, len(found.history)) == (200, 10)


async def test_max_redirects_is_the_callers(web):
    assert len((await aiofast.fetch(f"{web.url}/redirect/2", max_redirects=2)).history) == 2
    with pytest.raises(aiofast.TooManyRedirects):
        await aiofast.fetch(f"{web.url}/redirect/3", max_redirects=2)


async def test_a_loop_ends():
    server = Scripted([forever(request, send(moved("/loop")))])
    with pytest.raises(aiofast.TooManyRedirects):
        await aiofast.fetch(f"{server.url}/loop")
    assert len(server.requests) <= 12


async def test_the_total_limit_spans_all_hops():
    from servers import pause

    server = Scripted([forever(request, pause(0.1), send(moved("/again")))])
    with pytest.raises(TimeoutError, match="total"):
        await aiofast.fetch(f"{server.url}/", timeout=0.35, max_redirects=100)
    assert 2 <= len(server.requests) <= 4


# --- secrets --------------------------------------------------------------------

SECRETS = [
    ("Authorization", "Bearer 1"),
    ("authorization", "Bearer 2"),
    ("COOKIE", "a=1"),
    ("Cookie", "b=2"),
    ("Proxy-Authorization", "Basic eA=="),
]


def secrets_in(got):
    names = {"authorization", "cookie", "proxy-authorization"}
    return sorted(value for name, value in got.headers if name.lower() in names)


async def test_credentials_stay_on_the_origin():
    server = Scripted(to("/next"))
    await aiofast.fetch(f"{server.url}/", headers=SECRETS)
    assert secrets_in(server.requests[0]) == secrets_in(server.requests[1]) != []


async def test_credentials_do_not_cross_origins():
    """Another port is another origin; every spelling and repeat goes."""
    other = Scripted([forever(answer(b"other"))])
    server = Scripted(to(f"{other.url}/next"))
    await aiofast.fetch(f"{server.url}/", headers=[*SECRETS, ("X-Kept", "1")])
    assert len(secrets_in(server.requests[0])) == len(SECRETS)
    assert secrets_in(other.requests[0]) == []
    assert other.requests[0].header("X-Kept") == "1"


BYTES = [(name.encode(), value.encode()) for name, value in SECRETS]


async def test_credentials_in_bytes_do_not_cross_origins():
    other = Scripted([forever(answer(b"other"))])
    server = Scripted([request, send(moved(f"{other.url}/next"))])
    await aiofast.fetch(f"{server.url}/", headers=[*BYTES, (b"X-Kept", b"1")])
    async with aiofast.ClientSession() as session:
        async with session.get(f"{server.url}/", headers=BYTES):
            pass
    async with aiofast.ClientSession(headers=dict(BYTES)) as session:
        async with session.get(f"{server.url}/"):
            pass
    assert [len(secrets_in(each)) for each in server.requests] == [5, 4, 4]
    assert [secrets_in(each) for each in other.requests] == [[], [], []]
    assert other.requests[0].header("X-Kept") == "1"


async def test_credentials_do_not_come_back():
    """There and back again: once dropped, they stay dropped."""
    home = Scripted(["filled below"])
    other = Scripted([request, send(moved(f"{home.url}/back"))])
    home.scripts[0] = [request, send(moved(f"{other.url}/away")), forever(answer(b"home"))]
    home.scripts.append([forever(answer(b"home"))])
    await aiofast.fetch(f"{home.url}/", headers=SECRETS)
    assert [each.target for each in home.requests] == ["/", "/back"]
    assert secrets_in(home.requests[1]) == []


async def test_auth_and_cookies_arguments_do_not_cross_origins():
    other = Scripted([forever(answer(b"other"))])
    server = Scripted(to(f"{other.url}/next"))
    await aiofast.fetch(f"{server.url}/", auth=("me", "secret"), cookies={"a": "1"})
    assert len(secrets_in(server.requests[0])) == 2
    assert secrets_in(other.requests[0]) == []


async def test_session_defaults_do_not_cross_origins():
    other = Scripted([forever(answer(b"other"))])
    server = Scripted(to(f"{other.url}/next"))
    async with aiofast.ClientSession(headers={"Authorization": "Bearer 1"}) as session:
        async with session.get(f"{server.url}/") as found:
            assert found.status == 200
        assert secrets_in(other.requests[0]) == []
        async with session.get(f"{other.url}/direct") as found:
            assert found.status == 200
    assert secrets_in(other.requests[1]) == ["Bearer 1"]


async def test_https_to_http_is_another_origin(authority):
    other = Scripted([forever(answer(b"plain"))])
    server = Scripted(to(f"{other.url}/"), tls=authority.server())
    await aiofast.fetch(f"{server.url}/", headers=SECRETS, ssl=authority.client())
    assert secrets_in(other.requests[0]) == []


async def test_the_host_field_follows_the_hop():
    other = Scripted([forever(answer())])
    server = Scripted(to(f"{other.url}/"))
    await aiofast.fetch(f"{server.url}/")
    assert other.requests[0].all("Host") == [f"127.0.0.1:{other.port}"]


@pytest.mark.parametrize("where", ["session", "request", "fetch"])
async def test_a_host_set_by_hand_is_for_its_origin(where):
    other = Scripted([forever(answer())])
    server = Scripted([request, send(moved("/here")), request, send(moved(f"{other.url}/"))])
    own = {"Host": "by.hand.example"}
    if where == "fetch":
        await aiofast.fetch(f"{server.url}/", headers=own)
    else:
        async with aiofast.ClientSession(headers=own if where == "session" else None) as session:
            async with session.get(f"{server.url}/", headers=own if where == "request" else None):
                pass
    assert [each.all("Host") for each in server.requests] == [["by.hand.example"]] * 2
    assert other.requests[0].all("Host") == [f"127.0.0.1:{other.port}"]


async def test_credentials_of_a_location_are_for_that_hop():
    other = Scripted([forever(answer())])
    server = Scripted(to(f"http://you:pass@127.0.0.1:{other.port}/"))
    await aiofast.fetch(f"{server.url}/", auth=("me", "secret"))
    expected = "Basic " + base64.b64encode(b"you:pass").decode()
    assert other.requests[0].all("Authorization") in ([expected], [])


async def test_a_redirects_body_is_not_waited_for():
    """An endless one is cut off, and the next hop is another connection."""
    from servers import silence

    endless = b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 1000000000\r\n\r\nxxx"
    server = Scripted([request, send(endless), silence], [forever(answer(b"next"))])
    assert (await aiofast.fetch(f"{server.url}/", timeout=10)).body == b"next"
    assert server.connections == 2
