"""ClientSession and connectors as far as no request is needed."""

from __future__ import annotations

import gc
import warnings

import aiofast
import pytest
from aiofast import ClientSession, ClientTimeout, TCPConnector, UnixConnector
from yarl import URL


async def test_defaults():
    async with ClientSession() as session:
        assert not session.closed
        assert session.timeout == ClientTimeout(total=300, sock_connect=30)
        assert session.headers == {}
        assert session.auth is None
        assert session.connector_owner
        assert session.auto_decompress
        assert not session.raise_for_status
        assert not session.trust_env
        assert session.skip_auto_headers == frozenset()
        assert session.json_serialize([1]) == "[1]"
        assert session.version == (1, 1)
        assert len(session.cookie_jar) == 0
        assert isinstance(session.connector, TCPConnector)
        assert session.connector is session.connector
    assert session.closed
    assert session.connector is None


async def test_closing_twice_is_harmless_and_ends_requests():
    session = ClientSession()
    await session.close()
    await session.close()
    with pytest.raises(RuntimeError, match="Session is closed"):
        await session.get("http://h/")
    with pytest.raises(RuntimeError, match="Session is closed"):
        await session.post("http://h/", data=b"x")


def test_sync_with_is_refused():
    session = ClientSession()
    with pytest.raises(TypeError, match="async with"), session:
        pass


def test_a_session_that_was_never_used_goes_silently():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ClientSession()
        gc.collect()


@pytest.mark.parametrize("name", ["nonsense", "header"])
def test_unknown_parameters(name):
    with pytest.raises(TypeError, match=name):
        ClientSession(**{name: 1})
    with pytest.raises(TypeError, match=name):
        ClientSession().get("http://h/", **{name: 1})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("proxy", "http://p/"),
    ],
)
def test_parameters_for_later(name, value):
    with pytest.raises(NotImplementedError, match=name):
        ClientSession(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("proxy", "http://p/")],
)
async def test_request_parameters_for_later(name, value):
    async with ClientSession() as session:
        with pytest.raises(NotImplementedError, match=name):
            await session.get("http://h/", **{name: value})


def test_parameters_that_mean_nothing_are_taken():
    ClientSession(proxy=None, trace_configs=None, middlewares=(), read_bufsize=1, loop=None)
    with pytest.raises(NotImplementedError):
        ClientSession().ws_connect("http://h/")


@pytest.mark.parametrize("base", ["relative/", "http://h/no-slash", "http://"])
def test_bad_base_urls(base):
    with pytest.raises(ValueError, match=r".+"):
        ClientSession(base)


@pytest.fixture
def make():
    """ClientSession, for sessions that are done with when the test ends."""
    made: list[ClientSession] = []

    def make(*args, **kwargs):
        made.append(ClientSession(*args, **kwargs))
        return made[-1]

    yield make
    for session in made:
        session.detach()


def asked(fetch):
    """A request that is looked at but never sent."""
    fetch.close()
    return fetch


@pytest.mark.parametrize(
    ("base", "reference", "url"),
    [
        ("http://h/api/", "x", "http://h/api/x"),
        ("http://h/api/", "/x", "http://h/x"),
        (URL("http://h/api/"), URL("x?q=1"), "http://h/api/x?q=1"),
        ("http://h/api/", "http://other/", "http://other/"),
        ("http://h", "x", "http://h/x"),
    ],
)
def test_base_urls(make, base, reference, url):
    assert asked(make(base).get(reference)).url == url


def sent(session: ClientSession, url: str = "http://h.example/", **arguments):
    fetch = asked(session.get(url, **arguments))
    return fetch.url, [tuple(pair) for pair in fetch.headers or ()]


def test_secret_defaults_go_with_the_request_where_redirects_see_them(make):
    session = make(headers={"Authorization": "x", "X-Own": "1"}, cookies={"a": "1"})
    assert sent(session) == ("http://h.example/", [("Authorization", "x"), ("Cookie", "a=1")])


def test_a_request_wins_over_its_session(make):
    session = make(headers={"authorization": "x"}, cookies={"a": "1", "b": "1"})
    _, headers = sent(session, headers={"Authorization": "y"}, cookies={"a": "2"})
    assert headers == [("Authorization", "y"), ("Cookie", "b=1; a=2")]
    session = make()
    with pytest.deprecated_call(match="auth"):
        _, headers = sent(session, auth=aiofast.BasicAuth("me", "pw"))
    assert ("Authorization", "Basic bWU6cHc=") in headers


def test_auth_of_a_session_stays_with_its_base_url(make):
    with pytest.deprecated_call(match="auth"):
        session = make("http://h.example/", auth=aiofast.BasicAuth("me", "pw"))
    assert sent(session)[1] == [("Authorization", "Basic bWU6cHc=")]
    assert sent(session, "http://other.example/")[1] == []


def test_changed_headers_count_from_the_next_request_on(make):
    session = make(headers={"Authorization": "old"})
    assert sent(session)[1] == [("Authorization", "old")]
    session.headers["Authorization"] = "new"
    assert sent(session)[1] == [("Authorization", "new")]
    del session.headers["Authorization"]
    assert sent(session)[1] == []


def test_cookies_of_the_jar_are_sent(make):
    session = make()
    assert sent(session)[1] == []
    session.cookie_jar.set_cookie("a=1", "http://h.example/")
    assert sent(session)[1] == [("Cookie", "a=1")]
    assert sent(session, "http://other.example/")[1] == []
    assert sent(session, headers={"Cookie": "a=0; b=2"})[1] == [("Cookie", "b=2; a=1")]


def test_user_information_of_the_url(make):
    assert sent(make(), "http://me:pw@h/") == (
        "http://h/",
        [("Authorization", "Basic bWU6cHc=")],
    )


async def test_content_types(make):
    session = make(skip_auto_headers=["Content-Type"])
    assert asked(session.post("http://h/", json=1)).headers is None
    session = make(headers={"Content-Type": "text/x"})
    assert asked(session.post("http://h/", data=b"x")).headers is None
    session = make(json_serialize=lambda value: "mine")
    fetch = asked(session.post("http://h/", json=1))
    assert fetch.body == b"mine"
    assert list(fetch.headers) == [("Content-Type", "application/json")]
    with pytest.raises(ValueError, match="data and json"):
        await session.post("http://h/", json=1, data=b"x")


def test_redirects_are_counted_as_by_aiohttp(make):
    session = make()
    assert asked(session.get("http://h/")).redirects == 9
    assert asked(session.get("http://h/", max_redirects=3)).redirects == 2
    assert asked(session.get("http://h/", max_redirects=0)).redirects > 1000
    assert asked(session.get("http://h/", allow_redirects=False)).redirects < 0
    assert asked(session.head("http://h/")).redirects < 0


def test_settings_of_a_request_share_options(make):
    session = make()
    one = asked(session.get("http://h/", timeout=5)).options
    assert asked(session.get("http://h/", timeout=5)).options is one
    assert asked(session.get("http://h/", raise_for_status=True)).options is not one
    assert (
        asked(session.get("http://h/", raise_for_status=True)).options
        is asked(session.get("http://h/", raise_for_status=True)).options
    )
    assert (
        asked(session.get("http://h/")).options
        is asked(session.get("http://h/", params={"a": 1})).options
    )


def test_trust_env_is_refused_only_where_it_would_matter(make, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert make(trust_env=True).trust_env
    monkeypatch.setenv("http_proxy", "http://p:1/")
    with pytest.raises(NotImplementedError, match="http"):
        make(trust_env=True)


# --- connectors ---


async def test_connectors():
    async with TCPConnector(limit=5, limit_per_host=2, force_close=True, ssl=False) as connector:
        assert (connector.limit, connector.limit_per_host) == (5, 2)
        assert connector.force_close
        assert connector.ssl is False
        assert not connector.closed
        session = ClientSession(connector=connector, connector_owner=False)
        assert session.connector is connector
        await session.close()
        assert not connector.closed
    assert connector.closed
    with pytest.raises(RuntimeError, match="closed"):
        ClientSession(connector=connector)


async def test_closing_a_connector_can_be_awaited():
    connector = UnixConnector(path="/nowhere")
    assert connector.path == "/nowhere"
    await connector.close()
    connector.close()
    assert connector.closed


async def test_detached_connectors_stay_open():
    connector = TCPConnector(ttl_dns_cache=None, use_dns_cache=False, keepalive_timeout=None)
    session = ClientSession(connector=connector)
    session.detach()
    assert session.closed
    assert not connector.closed
    await connector.close()


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"limit": -1}, ValueError),
        ({"limit": "5"}, TypeError),
        ({"limit_per_host": True}, TypeError),
        ({"force_close": True, "keepalive_timeout": 5}, ValueError),
        ({"ssl": 5}, TypeError),
        ({"nonsense": 5}, TypeError),
        ({"resolver": object()}, TypeError),
    ],
)
def test_wrong_arguments_of_connectors(arguments, kind):
    with pytest.raises(kind):
        TCPConnector(**arguments)
