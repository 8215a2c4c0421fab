"""A call goes a short way (Caller) or a long one: what is sent is the same, and
what is wrong with a call is said in the same words."""

from __future__ import annotations

import asyncio
import gc
import re
import ssl
import sys
import warnings
import weakref

import aiofast
import pytest
from aiofast import _core
from aiofast.fetch import SHARED, _fetch_with
from aiofast.query import encode_query
from hypothesis import given
from hypothesis import strategies as st
from servers import Scripted, answer, forever

CONTEXT = ssl.create_default_context()
TIMEOUT = aiofast.ClientTimeout(total=9, sock_read=8)

# What the short way takes ...
PLAIN = [
    {},
    {"headers": None},
    {"headers": {}},
    {"headers": {"X-A": "1", "accept": "text/plain", "X-B": "ä\u20ac"}},
    {"headers": {"Authorization": "Bearer x"}},
    {"headers": {"HOST": "other.example"}},
    {"data": b"bytes"},
    {"data": b""},
    {"data": "text ä"},
    {"data": b"x", "headers": {"content-TYPE": "text/x"}},
    {"json": {"a": [1, 2.5, None, "ä"]}},
    {"json": {"a": 1}, "headers": {"Content-Type": "application/x"}},
    {"json": []},
    {"json": 0, "data": None},
    {"params": None},
    {"params": {}},
    {"params": {"a": "1", "b c": "ä&=+/?", "n": 5}},
    {"timeout": 5},
    {"timeout": 2.5},
    {"timeout": None},
    {"timeout": TIMEOUT, "ssl": CONTEXT},
    {"ssl": True},
    {"ssl": False},
    {"ssl": CONTEXT},
    {"allow_redirects": True},
    {"allow_redirects": False},
    {"params": {"a": "b"}, "json": {"c": 1}, "headers": {"X": "y"}, "timeout": 7},
]
# ... and what it leaves to the long one.
RARE = [
    {"headers": [("X-A", "1"), ("X-A", "2")]},
    {"headers": {"X-A": b"bytes"}},
    {"headers": {"Cookie": "own=1"}},
    {"headers": {"Content-Length": "3"}, "data": b"abc"},
    {"data": bytearray(b"abc")},
    {"data": {"field": "value"}},
    {"data": [("field", "value")]},
    {"params": [("a", "1"), ("a", "2")]},
    {"params": {"a": ["1", "2"]}},
    {"params": {"a": 1.5}},
    {"params": "a=b c"},
    {"cookies": {"a": "b"}},
    {"ssl": None},
    {"max_redirects": 3},
    {"raise_for_status": True},
    {"auto_decompress": False},
]
WRONG = [
    {"headers": {"X-A": "a\r\nb"}},
    {"headers": {"X-A": "a\0b"}},
    {"headers": {"X A": "b"}},
    {"headers": {"": "b"}},
    {"headers": {5: "b"}},
    {"headers": 5},
    {"data": "\ud800"},
    {"data": 5},
    {"data": b"", "json": {}},
    {"json": {1, 2}},
    {"params": 5},
    {"params": {"a": None}},
    {"params": {5: "a"}},
    {"params": {"\ud800": "a"}},
    {"timeout": "5"},
    {"timeout": -1},
    {"ssl": 5},
    {"no_such_argument": 1},
    {"method": "GET"},
]
SETTINGS = {
    "none": {},
    "secrets": {"headers": {"X-Own": "1", "Authorization": "Basic abc"}},
    "typed": {"headers": {"Content-Type": "text/own", "HOST": "own.example"}},
    "two of a name": {"headers": [("Authorization", "a"), ("Authorization", "b")]},
    "skipping": {"skip_auto_headers": ["Content-Type", "User-Agent"]},
    "base": {"base_url": "http://base.invalid/v1/"},
    "own JSON": {"json_serialize": lambda value: f"<{value}>"},
    "own bytes": {"json_serialize_bytes": lambda value: f"({value})".encode()},
    "timeout": {"timeout": 3},
}


def ids(arguments):
    """Without addresses: processes that share the tests have to agree."""
    return ", ".join(f"{name}={type(value).__name__}" for name, value in arguments.items())


def given_by(fetch):
    """All that a Fetch was made of and shows."""
    return fetch.method, fetch.url, fetch.headers, fetch.body, fetch.redirects


async def sent(server, request):
    """What |request| puts on the wire."""
    response = await request
    if isinstance(response, aiofast.ClientResponse):
        await response.read()
    return server.requests[-1].raw


async def failure(make):
    """What a request that |make| begins fails with."""
    with pytest.raises(Exception) as caught:
        await make()
    return type(caught.value), str(caught.value)


@pytest.fixture
def server():
    return Scripted([forever(answer(b"ok"))])


@pytest.mark.parametrize("arguments", PLAIN, ids=ids)
async def test_plain_calls_go_the_short_way(server, arguments):
    for method in ("GET", "POST"):
        short = SHARED.fetch(method, server.url, 10, None, arguments)
        long = _fetch_with(server.url, method=method, **arguments)
        assert short is not None
        assert given_by(short) == given_by(long)
        assert short.options is long.options
        assert await sent(server, short) == await sent(server, long)


@pytest.mark.parametrize("arguments", RARE + WRONG, ids=ids)
async def test_all_else_is_left(arguments):
    short = SHARED.fetch("GET", "http://h.invalid/", 10, None, arguments)
    if short is not None:  # what a field may hold is looked at when it is written
        assert "headers" in arguments
        short.close()


@pytest.mark.parametrize("arguments", PLAIN + RARE, ids=ids)
async def test_fetch_sends_the_same(server, arguments):
    for method in ("GET", "POST", "PUT"):
        long = await sent(server, _fetch_with(server.url, method=method, **arguments))
        verb = getattr(aiofast, method.lower())
        assert await sent(server, aiofast.fetch(server.url, method=method, **arguments)) == long
        assert await sent(server, verb(server.url, **arguments)) == long


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("cookies", [{}, {"kept": "1"}], ids=["", "cookie"])
async def test_a_session_sends_the_same(server, cookies, settings):
    settings = dict(settings)
    url = server.url + "/path"
    if "base_url" in settings:
        settings["base_url"], url = server.url + "/v1/", "path?a=b"
    jar = aiofast.CookieJar(unsafe=True)
    jar.update_cookies(cookies)
    async with aiofast.ClientSession(cookie_jar=jar, **settings) as session:
        for arguments in PLAIN + RARE:
            for method in ("GET", "POST"):
                long = await sent(server, session._request(method, url, **arguments))
                short = await sent(server, session.request(method, url, **arguments))
                assert short == long
                verb = getattr(session, method.lower())
                assert await sent(server, verb(url, **arguments)) == long


@pytest.mark.parametrize("arguments", WRONG, ids=ids)
async def test_what_is_wrong_is_said_alike(arguments):
    url = "http://127.0.0.1:9/"
    assert await failure(lambda: aiofast.post(url, **arguments)) == await failure(
        lambda: _fetch_with(url, method="POST", **arguments)
    )
    async with aiofast.ClientSession() as session:
        assert await failure(lambda: session.post(url, **arguments)) == await failure(
            lambda: session._request("POST", url, **arguments)
        )


@given(st.dictionaries(st.text(), st.text() | st.integers()))
def test_a_query_is_the_same(params):
    caller = _core.Caller(_core.Options())
    fetch = caller.fetch("GET", "http://127.0.0.1:9/", 0, None, {"params": params})
    try:
        assert encode_query(params) == (encode_query(list(params.items())) or None)
    except UnicodeEncodeError:
        assert fetch is None
    if fetch is not None:
        fetch.close()


@pytest.mark.parametrize("method", [None, 5, "", "g\u0131", "A B", "get", "PROPFIND"])
async def test_methods(server, method):
    async with aiofast.ClientSession() as session:
        for short, long in (
            (aiofast.fetch, _fetch_with),
            (
                lambda url, method: session.request(method, url),
                lambda url, method: session._request(method, url),
            ),
        ):
            try:
                wanted = await sent(server, long(server.url, method=method))
            except (TypeError, ValueError) as error:
                with pytest.raises(type(error), match=re.escape(str(error))):
                    await short(server.url, method=method)
            else:
                assert await sent(server, short(server.url, method=method)) == wanted


async def test_a_url_with_a_login_takes_the_long_way(server):
    login = server.url.replace("//", "//me:secret@")
    await aiofast.fetch(login)
    assert ("Authorization", "Basic bWU6c2VjcmV0") in server.requests[-1].headers
    async with aiofast.ClientSession() as session:
        await session.post(login, data=b"x")
    assert ("Authorization", "Basic bWU6c2VjcmV0") in server.requests[-1].headers


async def test_secrets_of_a_session_stay_with_the_origin(server):
    there = Scripted([forever(answer(b"", f"Location: {server.url}/", status="307 There"))])
    async with aiofast.ClientSession(headers={"Authorization": "Bearer x"}) as session:
        async with session.post(there.url, json={"a": 1}, headers={"X-A": "b"}) as response:
            assert len(response.history) == 1
    names = {name for name, _ in server.requests[-1].headers}
    assert "X-A" in names
    assert "Authorization" not in names
    assert ("Authorization", "Bearer x") in there.requests[-1].headers


async def test_headers_are_taken_when_the_call_is_made(server):
    headers = {"X-A": "before"}
    request = aiofast.fetch(server.url, headers=headers)
    headers["X-A"] = "after"
    await request
    assert ("X-A", "before") in server.requests[-1].headers


async def test_headers_of_a_session_may_change(server):
    async with aiofast.ClientSession(headers={"X-A": "1"}) as session:
        session.headers["X-B"] = "2"
        assert session._plainly("GET", server.url, 10, None, {}) is None
        for _ in range(2):
            await session.post(server.url, data=b"x")
            assert {("X-A", "1"), ("X-B", "2")} <= set(server.requests[-1].headers)
        short = session._plainly("GET", server.url, 10, None, {})
        await sent(server, short)
        assert ("X-B", "2") in server.requests[-1].headers
        session.headers["Authorization"] = "Bearer x"
        session.headers["Content-Type"] = "text/own"
        del session.headers["X-B"]
        for _ in range(2):
            await session.post(server.url, data=b"x")
            names = dict(server.requests[-1].headers)
            assert names["Authorization"] == "Bearer x"
            assert names["Content-Type"] == "text/own"
            assert "X-B" not in names


async def test_data_of_a_registered_kind_is_left(server):
    # In a process of its own, since nobody can take a registration back.
    program = f"""
import asyncio, aiofast
from aiofast.payload import PAYLOAD_REGISTRY, BytesPayload, Order

class Shouting(BytesPayload):
    def __init__(self, value, *args, **kwargs):
        super().__init__(value.upper(), *args, **kwargs)

async def main():
    await aiofast.post({server.url!r}, data=b"quiet")
    PAYLOAD_REGISTRY.register(Shouting, bytes, order=Order.try_first)
    await aiofast.post({server.url!r}, data=b"quiet")

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    assert await process.wait() == 0
    assert [one.body for one in server.requests] == [b"quiet", b"QUIET"]


async def test_settings_are_remembered_by_identity():
    made = []

    def derive(**changes):
        made.append(changes)
        return _core.Options()

    caller = _core.Caller(_core.Options(), derive=derive)

    def options(**arguments):
        fetch = caller.fetch("GET", "http://127.0.0.1:9/", 0, None, arguments)
        fetch.close()
        return fetch.options

    contexts = [ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) for _ in range(6)]
    first = options(ssl=contexts[0])
    assert options(ssl=contexts[0]) is first
    assert options(ssl=contexts[0], timeout=5) is not first
    assert made == [{"ssl": contexts[0]}, {"timeout": 5, "ssl": contexts[0]}]
    for context in contexts:
        options(ssl=context)
    assert options(ssl=contexts[5]) is options(ssl=contexts[5])
    assert len(made) == 7
    gone = weakref.ref(contexts[0])
    del contexts[:], context, made[:]
    gc.collect()
    assert gone() is None, "an old setting is held"


class Interrupted(BaseException):
    """Not an Exception."""


async def test_what_is_no_exception_passes():
    def dumps(value):
        raise Interrupted

    caller = _core.Caller(_core.Options(), dumps=dumps)
    with pytest.raises(Interrupted):
        caller.fetch("GET", "http://127.0.0.1:9/", 0, None, {"json": 1})


async def test_options_outlive_a_call_that_calls():
    """Settings that are remembered may be replaced while a call still needs them."""
    caller = None
    contexts = [ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) for _ in range(5)]

    def dumps(value):
        for context in contexts[1:]:
            caller.fetch("GET", "http://127.0.0.1:9/", 0, None, {"ssl": context}).close()
        return "{}"

    caller = _core.Caller(
        _core.Options(), derive=lambda ssl: _core.Options(tls_context=ssl), dumps=dumps
    )
    arguments = {"ssl": contexts[0], "json": 1}
    fetch = caller.fetch("GET", "http://127.0.0.1:9/", 0, None, arguments)
    assert isinstance(fetch.options, _core.Options)
    fetch.close()


@pytest.mark.parametrize(
    "arguments",
    [
        {"pool": 5},
        {"secret": [("a", "b")]},
        {"secret": ("a",)},
        {"no_such": 1},
    ],
)
def test_a_caller_of_what_is_wrong(arguments):
    with pytest.raises(TypeError):
        _core.Caller(_core.Options(), **arguments)


def test_a_session_goes_with_its_last_reference():
    async def main():
        session = aiofast.ClientSession()
        gone = weakref.ref(session)
        await session.close()
        del session
        return gone() is None

    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert asyncio.run(main()), "a session is part of a circle"
    finally:
        gc.enable()
