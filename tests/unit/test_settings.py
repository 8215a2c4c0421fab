"""Timeouts, TLS contexts, options, and the arguments of calls."""

from __future__ import annotations

import inspect
import os
import pickle
import ssl
import subprocess
import sys

import aiofast
import attr
import pytest
from aiofast import settings, tls
from aiofast.timeouts import DEFAULT_TIMEOUT, ClientTimeout, limits_from, timeout_from

# --- timeouts ---


def test_client_timeout_is_a_value():
    one = ClientTimeout(total=5, sock_read=1.5)
    assert one == ClientTimeout(5, None, 1.5)
    assert one != ClientTimeout(6)
    assert one != 5
    assert hash(one) == hash(ClientTimeout(5, None, 1.5))
    assert repr(one) == (
        "ClientTimeout(total=5, connect=None, sock_read=1.5, sock_connect=None, ceil_threshold=5)"
    )
    assert pickle.loads(pickle.dumps(one)) == one
    with pytest.raises(AttributeError):
        one.total = 6
    with pytest.raises(AttributeError):
        del one.total
    with pytest.raises(AttributeError):
        one.other = 6  # type: ignore[attr-defined]


def test_attrs_sees_its_fields():
    one = ClientTimeout(total=5)
    assert attr.evolve(one, connect=2) == ClientTimeout(total=5, connect=2)
    assert attr.asdict(one)["total"] == 5
    assert [field.name for field in attr.fields(ClientTimeout)] == list(ClientTimeout.__slots__)

    class Mine(ClientTimeout):
        pass

    assert type(attr.evolve(Mine(total=1), total=2)) is Mine


def test_what_the_engine_is_told():
    assert limits_from(DEFAULT_TIMEOUT) == {
        "total": 300.0,
        "acquire": None,
        "dial": 30.0,
        "tls": 30.0,
        "wait": None,
        "read": None,
    }
    assert limits_from(ClientTimeout(0, 1, 2, 3)) == {
        "total": None,
        "acquire": 1.0,
        "dial": 3.0,
        "tls": 3.0,
        "wait": 2.0,
        "read": 2.0,
    }


def test_what_a_caller_may_give():
    assert timeout_from(5) == ClientTimeout(total=5)
    assert timeout_from(None) == ClientTimeout()
    assert timeout_from(DEFAULT_TIMEOUT) is DEFAULT_TIMEOUT
    assert limits_from(ClientTimeout(total=float("inf")))["total"] is None


@pytest.mark.parametrize("value", ["5", True, [5], object()])
def test_timeouts_of_the_wrong_type(value):
    with pytest.raises(TypeError):
        aiofast.fetch("http://h/", timeout=value)


@pytest.mark.parametrize("value", [-1, float("nan"), -0.5])
def test_timeouts_of_the_wrong_value(value):
    with pytest.raises(ValueError, match="negative"):
        aiofast.fetch("http://h/", timeout=value)


# --- TLS ---


def test_the_default_context_verifies_and_is_made_once():
    context = tls.default_context()
    assert context is tls.default_context()
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_the_unverified_context_does_not():
    context = tls.unverified_context()
    assert context is tls.unverified_context()
    assert not context.check_hostname
    assert context.verify_mode is ssl.CERT_NONE


def test_a_context_is_taken_as_it_is():
    own = ssl.create_default_context()
    assert settings.tls_context(own) is own
    assert settings.tls_context(True) is tls.default_context
    assert settings.tls_context(False) is tls.unverified_context


@pytest.mark.parametrize("value", ["x", 5, 0, 1, object()])
def test_ssl_of_the_wrong_type(value):
    with pytest.raises(TypeError):
        aiofast.fetch("https://h/", ssl=value)


def in_process(code: str, **environment: str) -> str:
    """What |code| prints in a fresh interpreter."""
    names = ("SSL_CERT_FILE", "SSL_CERT_DIR")
    inherited = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


COUNT = (
    "from aiofast import tls; import certifi; tls.default_context();"
    "print(tls.default_context().cert_store_stats()['x509_ca'], tls.ca_source(), sep='|')"
)


def test_the_environment_names_the_store(tmp_path):
    import trustme

    bundle = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(bundle))
    count, source = in_process(COUNT, SSL_CERT_FILE=str(bundle), SSL_CERT_DIR=str(tmp_path)).split(
        "|"
    )
    assert count == "1"
    assert f"SSL_CERT_FILE={bundle}" in source


def test_a_store_that_is_not_there_is_named(tmp_path):
    missing = tmp_path / "none.pem"
    count, source = in_process(COUNT, SSL_CERT_FILE=str(missing), SSL_CERT_DIR=str(tmp_path)).split(
        "|"
    )
    assert count == "0"
    assert f"{missing} (which does not exist)" in source


def test_an_empty_system_store_gives_way_to_certifi():
    code = (
        "import ssl; paths = ssl.get_default_verify_paths()._replace(cafile=None, capath=None);"
        "ssl.get_default_verify_paths = lambda: paths;"
        "make = ssl.create_default_context;"
        "ssl.create_default_context = lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT);" + COUNT
    )
    count, source = in_process(code).split("|")
    assert int(count) > 50
    assert "certifi" in source


# --- options ---


def test_repeated_settings_share_their_options():
    cache = settings.OptionsCache(settings.NATIVE)
    assert cache.get() is settings.NATIVE
    one = cache.get(timeout=5)
    assert cache.get(timeout=5) is one
    assert cache.get(timeout=ClientTimeout(total=5)) is not settings.NATIVE
    assert cache.get(timeout=6) is not one
    with pytest.raises(TypeError):
        cache.get(ssl=1)  # is equal to True, but not the same


def test_the_cache_is_bounded():
    cache = settings.OptionsCache(settings.NATIVE)
    first = cache.get(timeout=1)
    for seconds in range(2, 100):
        cache.get(timeout=seconds)
    assert len(cache._derived) <= settings._KEPT
    assert cache.get(timeout=1) is not first


def test_default_headers_give_way():
    names = [name for name, _ in settings.default_headers([("user-agent", "me")], ["ACCEPT"])]
    assert names == ["Accept-Encoding", "user-agent"]


# --- arguments ---


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"nonsense": 1}, TypeError),
        ({"json": 1, "data": b"x"}, ValueError),
        ({"auth": ("a", "b"), "headers": {"AUTHORIZATION": "x"}}, ValueError),
        ({"auth": "x"}, TypeError),
        ({"headers": 5}, TypeError),
        ({"headers": "abc"}, TypeError),
        ({"data": 5}, TypeError),
        ({"params": b"x"}, TypeError),
        ({"cookies": {"a": 1}}, TypeError),
    ],
)
def test_wrong_arguments_raise_at_the_call(arguments, kind):
    with pytest.raises(kind):
        aiofast.fetch("http://h/", **arguments)


@pytest.mark.parametrize("url", [5, None, b"http://h/", ["http://h/"]])
def test_urls_of_the_wrong_type(url):
    with pytest.raises(TypeError):
        aiofast.fetch(url, timeout=5)


def test_user_information_and_auth_do_not_go_together():
    with pytest.raises(ValueError, match="AUTH") as caught:
        aiofast.fetch("http://me:secret@h/", auth=("a", "b"))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["fetch", "get", "head", "options", "post", "put", "patch", "delete"]
)
def test_help_shows_the_parameters(name):
    parameters = inspect.signature(getattr(aiofast, name)).parameters
    assert {"params", "headers", "json", "data", "timeout", "ssl", "max_body"} <= set(parameters)
    assert ("method" in parameters) is (name == "fetch")
    assert "RFC" in getattr(aiofast, name).__doc__


# --- the package ---


def test_all_names_are_there():
    assert sorted(aiofast.__all__) == list(dict.fromkeys(sorted(aiofast.__all__)))
    assert set(aiofast.__all__) <= set(dir(aiofast))
    for name in aiofast.__all__:
        assert getattr(aiofast, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        _ = aiofast.nonsense


def test_the_import_is_light():
    code = (
        "import sys, asyncio; before = set(sys.modules); import aiofast;"
        "print(' '.join(sorted(set(sys.modules) - before)))"
    )
    loaded = set(in_process(code).split())
    heavy = {
        "attr",
        "yarl",
        "json",
        "dataclasses",
        "argparse",
        "http.cookies",
        "certifi",
        "urllib.parse",
        "aiofast.session",
        "aiofast.cookies",
        "aiofast.failures",
    }
    assert not loaded & heavy
