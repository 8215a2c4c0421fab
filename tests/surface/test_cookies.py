"""The jar beside aiohttp's, which is the oracle: the same calls, the same cookies."""

from __future__ import annotations

import json
import stat
from http.cookies import Morsel, SimpleCookie

import aiofast
import aiohttp
import pytest
from servers import Scripted, answer, forever, request, response, send
from yarl import URL

ORIGINS = [
    "http://example.com/",
    "http://example.com/some/path",
    "http://www.example.com/some/path/deeper",
    "https://example.com/some/",
    "http://other.example.com/",
    "http://example.org/some/path",
    "http://127.0.0.1/",
    "http://localhost/some",
]

HEADERS = [
    "a=1",
    "a=1; Path=/",
    "a=1; Path=/some; Domain=example.com",
    "a=1; Domain=.example.com",
    "a=1; Domain=example.org",
    "a=1; Domain=example.com.",
    "a=1; Path=some",
    "a=1; Path=/some/path/",
    "a=1; Max-Age=0",
    "a=1; Max-Age=100",
    "a=1; Expires=Fri, 01 Jan 1971 00:00:00 GMT",
    "a=1; Expires=Wed, 01 Jan 2200 00:00:00 GMT; HttpOnly",
    'a="quoted value"; Path=/',
    "a=1; SameSite=Lax; Priority=High",
]


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("unsafe", [False, True])
async def test_what_is_kept_and_where_it_goes(header, origin, unsafe):
    ours, theirs = aiofast.CookieJar(unsafe=unsafe), aiohttp.CookieJar(unsafe=unsafe)
    for jar in (ours, theirs):
        jar.update_cookies_from_headers([header], URL(origin))
    assert len(ours) == len(theirs)
    for url in map(URL, ORIGINS):
        found = {n: m.coded_value for n, m in ours.filter_cookies(url).items()}
        wanted = {n: m.coded_value for n, m in theirs.filter_cookies(url).items()}
        assert found == wanted, url
    assert set(ours.cookies) == {key for key, kept in theirs.cookies.items() if kept}
    assert ours.host_only_cookies == theirs.host_only_cookies
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.key, mine.value, mine["domain"], mine["path"]) == (
            other.key,
            other.value,
            other["domain"],
            other["path"],
        )


def morsel(name: str, value: str, **attributes: str) -> Morsel[str]:
    jar = SimpleCookie({name: value})
    for key, text in attributes.items():
        jar[name][key.replace("_", "-")] = text
    return jar[name]


GIVEN = [
    {"a": "1"},
    {"a": "x y"},
    {"a": 'semi;colon"'},
    [("a", "1"), ("a", "2")],
    SimpleCookie('a="q r"; b=2'),
    {"a": morsel("a", "1", domain="example.com", path="/some")},
    {"other": morsel("a", "1")},
    {"a": morsel("a", "1", max_age="0")},
]


@pytest.mark.parametrize("given", GIVEN, ids=range(len(GIVEN)))
@pytest.mark.parametrize("quote", [True, False])
@pytest.mark.parametrize("origin", [None, "http://example.com/some/path"])
async def test_what_a_program_puts_in(given, quote, origin):
    ours, theirs = aiofast.CookieJar(quote_cookie=quote), aiohttp.CookieJar(quote_cookie=quote)
    for jar in (ours, theirs):
        jar.update_cookies(given, *([URL(origin)] if origin else []))
    for url in map(URL, ORIGINS):
        found = sorted((m.key, m.coded_value) for m in ours.filter_cookies(url).values())
        wanted = sorted((m.key, m.coded_value) for m in theirs.filter_cookies(url).values())
        assert found == wanted, url


async def test_files_are_read_by_each_other(tmp_path):
    url = URL("https://www.example.com/some/path")
    headers = ["a=1; Max-Age=1000; Secure", "b=2; Domain=example.com; Path=/", 'c="x y"']
    for source, target in ((aiofast, aiohttp), (aiohttp, aiofast), (aiofast, aiofast)):
        jar = source.CookieJar()
        jar.update_cookies_from_headers(headers, url)
        path = tmp_path / f"{source.__name__}-{target.__name__}"
        jar.save(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        other = target.CookieJar()
        other.update_cookies({"old": "1"})
        other.load(path)
        assert {m.key for m in other} == {"a", "b", "c"}
        assert set(other.filter_cookies(url)) == {"a", "b", "c"}
        assert set(other.filter_cookies(URL("https://x.example.com/"))) == {"b"}
        assert other.host_only_cookies == jar.host_only_cookies


async def test_files_that_are_none(tmp_path):
    jar = aiofast.CookieJar()
    jar.update_cookies({"kept": "1"})
    path = tmp_path / "cookies"
    saved = {"example.com|/": {"a": {"key": "a", "value": "1", "coded_value": "1"}}}
    for text in (b"\x80\x04pickle", b"[]", b'{"x": 1}', b'{"x|/": {"a": {}}}'):
        path.write_bytes(text)
        with pytest.raises(ValueError, match="cookies"):
            jar.load(path)
    saved["example.com|/"]["a"]["expires_timestamp"] = "nan"
    path.write_text(json.dumps(saved))
    with pytest.raises(ValueError, match="finite"):
        jar.load(path)
    assert [m.key for m in jar] == ["kept"]


async def test_clear():
    jar = aiofast.CookieJar()
    for host in ("example.com", "www.example.com", "other.org"):
        jar.update_cookies({"a": "1", "b": "2"}, URL(f"http://{host}/"))
    jar.clear(lambda m: m.key == "b")
    assert len(jar) == 3
    jar.clear_domain("example.com")
    assert [m["domain"] for m in jar] == ["other.org"]
    jar.clear()
    assert len(jar) == 0
    assert not jar.by_domain


async def test_secure_origins_of_ones_own():
    url = URL("http://intranet.example:8080/")
    jar = aiofast.CookieJar(treat_as_secure_origin=url)
    assert jar.treat_as_secure_origin == {url.origin()}
    jar.update_cookies_from_headers(["a=1; Secure"], url)
    assert set(jar.filter_cookies(url)) == {"a"}
    assert set(jar.filter_cookies(URL("http://intranet.example/"))) == set()
    jar.update_cookies_from_headers(["b=1; Secure"], URL("http://intranet.example/"))
    assert len(jar) == 1


@pytest.mark.parametrize("kind", [aiohttp.CookieJar, aiofast.CookieJar])
async def test_a_session_with_either_jar(kind):
    server = Scripted(
        [
            request,
            send(response(b"", "Set-Cookie: a=1", "Location: /two", status="302 X")),
            request,
            send(response(b"", "Set-Cookie: b=2; Path=/")),
            forever(request, send(response(b""))),
        ]
    )
    jar = kind(unsafe=True)
    async with aiofast.ClientSession(cookie_jar=jar, cookies={"own": "0"}) as session:
        assert session.cookie_jar is jar
        await (await session.get(f"{server.url}/one")).read()
        await (await session.get(f"{server.url}/three", cookies={"a": "x y"})).read()
        await (await session.get(f"{server.url}/", headers={"Cookie": "z=9; a=8"})).read()
    sent = [sorted((one.header("Cookie") or "").split("; ")) for one in server.requests]
    assert sent == [
        ["own=0"],
        ["a=1", "own=0"],
        ['a="x y"', "b=2", "own=0"],
        ["a=1", "b=2", "own=0", "z=9"],
    ]
    assert {m.key for m in jar} == {"a", "b", "own"}


async def test_a_jar_that_overrides_is_asked():
    class Own(aiofast.CookieJar):
        def filter_cookies(self, request_url=None):
            return SimpleCookie({"mine": request_url.path})

    server = Scripted([forever(request, send(response(b"")))])
    async with aiofast.ClientSession(cookie_jar=Own()) as session:
        await (await session.get(f"{server.url}/x")).read()
    assert server.requests[0].header("Cookie") == 'mine="/x"'


async def test_what_is_no_jar():
    with pytest.raises(TypeError, match="AbstractCookieJar"):
        aiofast.ClientSession(cookie_jar=object())


async def test_the_abstract_jar_is_enough():
    from aiofast.abc import AbstractCookieJar

    assert issubclass(aiofast.CookieJar, AbstractCookieJar)
    assert issubclass(aiofast.DummyCookieJar, AbstractCookieJar)
    dummy = aiofast.DummyCookieJar()
    dummy.update_cookies({"a": "1"})
    assert list(dummy) == []
    assert dummy.filter_cookies(URL("http://h/")) == {}


async def test_a_jar_that_is_loaded_while_a_session_has_it(tmp_path):
    server = Scripted([forever(request, send(response(b"ok")))])
    saved = aiofast.CookieJar(unsafe=True)
    saved.update_cookies_from_headers(["a=1; Path=/"], URL(server.url))
    saved.save(tmp_path / "cookies")
    async with aiofast.ClientSession(cookie_jar=aiofast.CookieJar(unsafe=True)) as session:
        async with session.get(server.url):
            pass
        session.cookie_jar.load(tmp_path / "cookies")
        async with session.get(server.url):
            pass
    assert [one.header("Cookie") for one in server.requests] == [None, "a=1"]


async def test_a_request_s_own_cookies_are_not_limited():
    server = Scripted([answer(), answer()])
    cookies = {f"c{i}": "v" for i in range(200)}
    async with aiofast.ClientSession() as session:
        async with session.get(server.url, cookies=cookies):
            pass
    sent = server.requests[0].header("Cookie")
    assert len(sent.split("; ")) == 200


async def test_a_secure_cookie_of_a_request_goes_to_a_trusted_origin():
    server = Scripted([answer()], [answer()])
    morsel = Morsel()
    morsel.set("auth", "token", "token")
    morsel["secure"] = True
    jar = aiofast.CookieJar(unsafe=True, treat_as_secure_origin=server.url)
    for given, field in ((jar, "auth=token"), (None, None)):
        async with aiofast.ClientSession(cookie_jar=given) as session:
            async with session.get(server.url, cookies={"auth": morsel}):
                pass
        assert server.requests[-1].header("Cookie") == field
