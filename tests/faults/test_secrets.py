"""No password in anything that a program prints by accident.

A secret goes out by each way there is. Then whatever can go wrong does, and
neither the error nor what hangs on it, nor the repr() of anything that a
program holds, has the secret in it, plain or in base64.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import io
import traceback

import aiofast
import pytest
from servers import (
    Scripted,
    answer,
    fin,
    forever,
    free_port,
    full_backlog,
    request,
    response,
    send,
    silence,
)

# How a session is given its login is not what this is about.
pytestmark = pytest.mark.filterwarnings("ignore:The 'auth' parameter:DeprecationWarning")

SECRET = "hunter2-Zq9"
LOGIN = "gandalf"
COOKIE = f"session={SECRET}"
TOKEN = base64.b64encode(f"{LOGIN}:{SECRET}".encode()).decode()
FORBIDDEN = (SECRET, TOKEN, TOKEN.rstrip("="))

WAYS = {
    "url": lambda url: (url.replace("://", f"://{LOGIN}:{SECRET}@", 1), {}),
    "auth": lambda url: (url, {"auth": aiofast.BasicAuth(LOGIN, SECRET)}),
    "pair": lambda url: (url, {"auth": (LOGIN, SECRET)}),
    "header": lambda url: (url, {"headers": {"Authorization": f"Basic {TOKEN}"}}),
    "bearer": lambda url: (url, {"headers": {"authorization": f"Bearer {SECRET}"}}),
    "cookies": lambda url: (url, {"cookies": {"session": SECRET}}),
    "proxy": lambda url: (url, {"headers": {"Proxy-Authorization": f"Basic {TOKEN}"}}),
}

TOO_MUCH = b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"


def refused():
    return f"http://127.0.0.1:{free_port()}/", {}


def black_hole():
    return f"{full_backlog().url}/", {"timeout": aiofast.ClientTimeout(sock_connect=0.05)}


def unknown_name():
    return "http://no-such-host.invalid/", {}


def scripted(*script, **options):
    def start():
        return f"{Scripted([request, *script]).url}/", options

    return start


def hop(location):
    return send(response(b"", f"Location: {location}", status="302 Found"))


FAILURES = {
    "refused": refused,
    "black hole": black_hole,
    "unknown name": unknown_name,
    "private": scripted(silence, allow_private=False),
    "disconnected": scripted(fin),
    "garbage": scripted(send(b"nonsense\r\n\r\n")),
    "too many fields": scripted(send(TOO_MUCH)),
    "short body": scripted(send(response(b"whole")[:-2]), fin),
    "bad gzip": scripted(send(response(b"no gzip", "Content-Encoding: gzip"))),
    "total": scripted(silence, timeout=0.05),
    "status": scripted(send(response(b"", status="404 Not Found")), raise_for_status=True),
    "redirects": scripted(hop("/again"), max_redirects=0),
    "bad location": scripted(hop("http://[::1")),
    "other scheme": scripted(hop("ftp://example.org/")),
    "too much body": scripted(send(response(b"x" * 100)), max_body=10),
    "bad header": lambda: ("http://127.0.0.1:1/", {"params": "a=\r\n"}),
}


def words_of(error):
    """All that can be printed of |error| and of what led to it."""
    seen, queue, words = set(), [error], []
    while queue:
        one = queue.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        words += [str(one), repr(one), repr(one.args)]
        words += [f"{name}={value!r}" for name, value in vars(one).items()]
        for name in ("history", "request_info", "os_error", "message", "strerror", "url"):
            words.append(repr(getattr(one, name, None)))
        queue += [one.__cause__, one.__context__]
    words += traceback.format_exception(error)
    return "\n".join(words)


def check(text):
    for secret in FORBIDDEN:
        assert secret not in text, text


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("failure", FAILURES)
async def test_no_error_has_it(failure, way):
    url, options = FAILURES[failure]()
    url, secret = WAYS[way](url)
    with pytest.raises((aiofast.ClientError, ValueError)) as caught:
        await aiofast.fetch(url, **options, **secret)
    check(words_of(caught.value))


@pytest.mark.parametrize("failure", ["refused", "garbage", "short body", "status", "redirects"])
async def test_no_error_of_a_session_has_it(failure):
    url, options = FAILURES[failure]()
    if failure == "redirects":
        options = {"max_redirects": 1}  # 0 is no end, as in aiohttp
    async with aiofast.ClientSession(
        auth=aiofast.BasicAuth(LOGIN, SECRET),
        cookies={"session": SECRET},
        headers={"Proxy-Authorization": f"Basic {TOKEN}"},
    ) as session:
        with pytest.raises(aiofast.ClientError) as caught:
            async with session.get(url, **options) as found:
                await found.read()
        check(words_of(caught.value))
        check(repr(session) + repr(session.connector) + repr(vars(session).get("_connector")))


@pytest.mark.parametrize(
    "url",
    [
        f"http://{LOGIN}:{SECRET}@",
        f"http://{LOGIN}:{SECRET}@exa mple.org/",
        f"http://{LOGIN}:{SECRET}@host:port/",
        f"http://{LOGIN}:{SECRET}@host:99999/",
        f"http://{LOGIN}:{SECRET}@[::1/",
        f"http://{LOGIN}:a/{SECRET}@example.org/",
        f"http://{LOGIN}:a?{SECRET}@example.org:x/",
        f"http://{LOGIN}:{SECRET}\r\n@example.org/",
        f"ftp://{LOGIN}:{SECRET}@example.org/",
        f"//{LOGIN}:{SECRET}@example.org/",
        f"http:/{LOGIN}:{SECRET}@example.org/",
        f"http:{LOGIN}:{SECRET}@example.org/",
        f"{LOGIN}:{SECRET}@example.org",
        f"http://{LOGIN}:{SECRET}@\ud800/",
        f"http://{LOGIN}:{SECRET}@127.0.0.1:1/",
    ],
)
async def test_no_bad_url_shows_it(url):
    outcomes = []
    for call in (aiofast.fetch, aiofast.post):
        with pytest.raises((aiofast.ClientError, ValueError)) as caught:
            await call(url)
        outcomes.append(words_of_values(caught.value))
    async with aiofast.ClientSession() as session:
        with pytest.raises((aiofast.ClientError, ValueError)) as caught:
            await session.get(url)
        outcomes.append(words_of_values(caught.value))
    with contextlib.suppress(aiofast.ClientError, ValueError):
        await aiofast.ClientSession(base_url=url).close()
    check("\n".join(outcomes))


def words_of_values(error):
    """Without the lines of source that a traceback quotes."""
    return "\n".join(
        f"{one!s}\n{one!r}\n{one.args!r}"
        for one in (error, error.__cause__, error.__context__)
        if one is not None
    )


async def test_a_location_with_a_password():
    """It becomes the next hop's Authorization; the texts do not have it."""
    port = free_port()
    server = Scripted([request, hop(f"http://{LOGIN}:{SECRET}@127.0.0.1:{port}/")])
    with pytest.raises(aiofast.ClientConnectorError) as caught:
        await aiofast.fetch(f"{server.url}/")
    check(words_of(caught.value))


async def test_no_repr_has_it():
    server = Scripted([forever(answer(b"ok"))])
    url = server.url.replace("://", f"://{LOGIN}:{SECRET}@")
    fetch = aiofast.fetch(f"{url}/")
    check(repr(fetch) + str(fetch))
    found = await fetch
    check(repr(found) + str(found) + repr(found.url) + repr(fetch))
    async with aiofast.ClientSession(cookies={"session": SECRET}) as session:
        waiting = session.get(f"{url}/")
        check(repr(waiting))
        async with waiting as found:
            check(repr(found) + repr(found.url) + repr(found.real_url) + repr(found.request_info))
            check(repr(found.history))
            await found.read()
        check(repr(session) + repr(session.cookie_jar) + repr(session.auth))
    check(repr(aiofast.BasicAuth(LOGIN, SECRET)) + str(aiofast.BasicAuth(LOGIN, SECRET)))


async def test_no_log_of_asyncios_debug_mode_has_it(caplog):
    """A task that fails unseen, and a callback that is slow, are logged by repr."""
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0
    said = io.StringIO()
    handler = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: print(context, file=said))
    url = f"http://{LOGIN}:{SECRET}@127.0.0.1:{free_port()}/"

    async def lost():
        await aiofast.fetch(url, cookies={"session": SECRET})

    task = asyncio.create_task(lost())
    await asyncio.wait([task])
    del task
    gc.collect()
    await asyncio.sleep(0)
    loop.set_exception_handler(handler)
    loop.set_debug(False)
    assert "never retrieved" in said.getvalue()
    check(said.getvalue() + caplog.text)


# --- over origins ---------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("kind", ["fetch", "session"])
async def test_it_does_not_cross_an_origin_and_does_not_come_back(way, status, kind):
    """home -> home -> away -> home again: the first two have it, the rest not."""
    home, away = Scripted(), Scripted([forever(answer())])

    def to(location):
        def step(peer):
            request(peer)
            peer.write(response(b"", f"Location: {location}", status=f"{status} Moved"))

        return step

    home.scripts = [[to("/second"), to(f"{away.url}/third"), forever(answer(b"end"))]]
    away.scripts = [[to(f"{home.url}/fourth")]]
    url, secret = WAYS[way](f"{home.url}/first")
    if kind == "fetch":
        found = await aiofast.post(url, data=b"body", **secret)
        assert found.body == b"end"
    else:
        async with aiofast.ClientSession() as session:
            async with session.post(url, data=b"body", **secret) as found:
                assert await found.read() == b"end"
    had = [any(word in str(one.headers) for word in FORBIDDEN) for one in home.requests]
    assert had == [True, True, False]
    assert [any(word in str(one.headers) for word in FORBIDDEN) for one in away.requests] == [False]


@pytest.mark.parametrize("spelling", ["AUTHORIZATION", "aUthorization", "cookie", "COOKIE"])
async def test_every_spelling_and_every_repeat_goes(spelling):
    away = Scripted([forever(answer())])
    home = Scripted([request, send(response(b"", f"Location: {away.url}/", status="302 Found"))])
    pairs = [(spelling, SECRET), (spelling.lower(), SECRET), ("X-Kept", "yes")]
    await aiofast.fetch(f"{home.url}/", headers=pairs)
    assert SECRET in str(home.requests[0].headers)
    assert SECRET not in str(away.requests[0].headers)
    assert away.requests[0].header("x-kept") == "yes"


async def test_another_port_scheme_and_name_are_other_origins(authority):
    """The same machine under another port, scheme or name."""
    plain = Scripted([forever(answer())])
    secure = Scripted([forever(answer())], tls=authority.server())
    other = Scripted([forever(answer())])
    home = Scripted()
    targets = [plain, secure, other]
    locations = [
        f"{plain.url}/",
        f"{secure.url}/",
        f"http://localhost:{other.port}/",
        f"http://localhost:{home.port}/same-port",
    ]

    def turn(peer):
        while True:
            request(peer)
            path = peer.last.target
            if path.startswith("/to/"):
                place = locations[int(path[4:])]
                peer.write(response(b"", f"Location: {place}", status="307 Again"))
            else:
                peer.write(response(b"here"))

    home.scripts = [[turn]]
    for index in range(len(locations)):
        await aiofast.fetch(
            f"{home.url}/to/{index}",
            auth=(LOGIN, SECRET),
            ssl=authority.client(),
            cookies={"a": SECRET},
        )
    for server in targets:
        assert len(server.requests) == 1
        check(str(server.requests[0].headers))
    last = home.requests[-1]
    assert last.target == "/same-port"
    check(str(last.headers))


async def test_a_303_does_not_carry_the_body_along():
    away = Scripted([forever(answer())])
    home = Scripted(
        [request, send(response(b"", f"Location: {away.url}/", status="303 See Other"))]
    )
    await aiofast.post(f"{home.url}/", json={"password": SECRET})
    assert away.requests[0].method == "GET"
    assert SECRET.encode() not in away.requests[0].raw


async def test_a_login_of_netrc_is_for_its_host_alone(tmp_path, monkeypatch):
    """Not for a name that only looks like it, not for the user part of a URL, and
    not over a redirect to another origin, in whatever order."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    path = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(path))
    path.write_text(f"machine 127.0.0.1 login {LOGIN} password {SECRET}\n")
    away = Scripted([forever(answer())])
    elsewhere = f"http://localhost:{away.port}"
    home = Scripted(
        [
            forever(
                request,
                send(response(b"", f"Location: {elsewhere}/moved", status="302 Found")),
            )
        ]
    )
    async with aiofast.ClientSession(trust_env=True) as session:
        for url in (f"{home.url}/", f"{elsewhere}/", f"http://127.0.0.1:@localhost:{away.port}/"):
            async with session.get(url) as found:
                await found.read()
    login = base64.b64encode(f"{LOGIN}:{SECRET}".encode()).decode()
    assert home.requests[0].header("Authorization") == f"Basic {login}"
    assert len(away.requests) == 3
    for each in away.requests:
        assert login not in str(each.headers)
        check(str(each.headers))
