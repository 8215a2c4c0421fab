"""The exception tree: names, bases, texts, and the engine's facts."""

from __future__ import annotations

import asyncio
import errno
import pickle
import socket
import ssl

import aiofast
import aiohttp
import pytest
from aiofast import errors

FACTS = {
    "code": "UV",
    "sys": 0,
    "text": "something went wrong",
    "phase": "connect",
    "limit": None,
    "limit_value": None,
    "elapsed": 0.25,
    "method": "GET",
    "url": "http://me:secret@example.org/x#y",
    "host": "example.org",
    "port": 80,
    "ssl": False,
    "cause": None,
    "peer": None,
    "reused": False,
    "status": None,
    "history": (),
    "headers": None,
    "partial": None,
}


def made(**changes):
    error = errors.from_core(FACTS | changes)
    assert "secret" not in str(error) + repr(error) + repr(vars(error))
    return error


# --- the tree ---


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in aiohttp.client_exceptions.__all__
        if name not in ("ClientConnectorDNSError",) and hasattr(errors, name)
    ],
)
def test_bases_are_those_of_aiohttp(name):
    theirs = {base.__name__ for base in getattr(aiohttp, name).__mro__}
    ours = {base.__name__ for base in getattr(errors, name).__mro__}
    assert theirs <= ours
    assert getattr(aiofast, name) is getattr(errors, name)


def test_every_exception_of_aiohttps_client_is_here():
    assert not [name for name in aiohttp.client_exceptions.__all__ if not hasattr(errors, name)]


KEY = errors.ConnectionKey("h", 443, True)
INFO = errors.RequestInfo("http://a/b", "GET", {}, "http://a/b#c")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            errors.ClientConnectorError(KEY, OSError(errno.ECONNREFUSED, "refused")),
            "Cannot connect to host h:443 ssl:default [refused]",
        ),
        (
            errors.ClientConnectorDNSError(KEY._replace(ssl=False), socket.gaierror(-2, "no name")),
            "Cannot connect to host h:443 ssl:False [no name]",
        ),
        (
            errors.ClientConnectorCertificateError(KEY, ValueError("bad")),
            "Cannot connect to host h:443 ssl:True [ValueError: ('bad',)]",
        ),
        (
            errors.UnixClientConnectorError("/p", KEY, OSError(errno.ENOENT, "nothing")),
            "Cannot connect to unix socket /p ssl:default [nothing]",
        ),
        (errors.ServerDisconnectedError(), "Server disconnected"),
        (errors.ServerDisconnectedError("gone"), "gone"),
        (
            errors.ClientResponseError(INFO, (), status=404, message="Not Found"),
            "404, message='Not Found', url='http://a/b#c'",
        ),
        (errors.InvalidURL("u"), "u"),
        (errors.InvalidURL("u", "why"), "u - why"),
        (errors.NonHttpUrlClientError("ftp://x"), "ftp://x"),
    ],
)
def test_texts(error, text):
    assert str(error) == text
    assert type(pickle.loads(pickle.dumps(error))) is type(error)
    assert str(pickle.loads(pickle.dumps(error))) == text


def test_attributes():
    reason = OSError(errno.ECONNREFUSED, "refused")
    error = errors.ClientConnectorError(KEY, reason)
    assert (error.host, error.port, error.ssl, error.os_error) == ("h", 443, True, reason)
    assert error.errno == errno.ECONNREFUSED
    assert error.args == (KEY, reason)
    response = errors.ClientResponseError(INFO, (1,), status=500)
    assert (response.status, response.history) == (500, (1,))
    assert response.request_info is INFO
    with pytest.raises(ValueError, match="status"):
        errors.ClientResponseError(INFO, (), code=500, status=500)
    url = errors.InvalidURL("u", "why")
    assert (url.url, url.description, url.args) == ("u", "why", ("u", "why"))
    assert repr(url) == "<InvalidURL u - why>"
    pin = errors.ServerFingerprintMismatch(b"e", b"g", "h", 1)
    assert repr(pin) == "<ServerFingerprintMismatch expected=b'e' got=b'g' host='h' port=1>"


# --- texts without secrets ---


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("http://h/", "http://h/"),
        ("http://me:pw@h/", "http://h/"),
        ("http://me@h/@x?a@b", "http://h/@x?a@b"),
        ("http://a@b@h:1/p", "http://h:1/p"),
        ("//me:pw@h", "//h"),
        ("http://h/@x", "http://h/@x"),
        ("http://h?@x", "http://h?@x"),
    ],
)
def test_redact(url, safe):
    assert errors.redact(url) == safe


@pytest.mark.parametrize("url", ["http://me:pw/x@h/", "http://me:pw?@h", "me:pw@h", "http:me:pw@h"])
def test_a_malformed_url_loses_all_before_its_last_at(url):
    assert "pw" not in errors.redact_malformed(url)
    assert "pw" not in str(errors.url_error(url, "why"))


@pytest.mark.parametrize(
    ("url", "scheme"),
    [
        ("HTTP://x", "http"),
        ("a+b-c.1:x", "a+b-c.1"),
        ("/x", ""),
        ("1a:b", ""),
        ("", ""),
        ("é:x", ""),
    ],
)
def test_url_scheme(url, scheme):
    assert errors.url_scheme(url) == scheme


# --- from the engine's facts ---


@pytest.mark.parametrize(
    ("limit", "kind", "words"),
    [
        ("total", errors.FetchTimeoutError, "total timeout of 10 s"),
        ("acquire", errors.ConnectionTimeoutError, "connect timeout of 10 s"),
        ("dial", errors.ConnectionTimeoutError, "sock_connect timeout of 10 s"),
        ("tls", errors.ConnectionTimeoutError, "sock_connect (TLS) timeout of 10 s"),
        ("wait", errors.SocketTimeoutError, "sock_read (first byte) timeout of 10 s"),
        ("read", errors.SocketTimeoutError, "sock_read timeout of 10 s"),
        ("another", errors.ServerTimeoutError, "another timeout of 10 s"),
    ],
)
def test_timeouts(limit, kind, words):
    error = made(code="AIF_ETIMEOUT", limit=limit, limit_value=10.0, elapsed=10.0021)
    assert type(error) is kind
    assert isinstance(error, asyncio.TimeoutError)
    assert isinstance(error, aiofast.ServerTimeoutError)
    assert str(error) == (
        f"{words} reached after 10.002 s while connecting to example.org:80 (phase: connect)"
    )
    assert (error.phase, error.limit, error.elapsed) == ("connect", limit, 10.0021)
    assert (error.url, error.method) == ("http://example.org/x#y", "GET")


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        ("queued", "waiting for a free connection to example.org:80"),
        ("dns", "resolving example.org:80"),
        ("tls", "in the TLS handshake with example.org:80"),
        ("send", "sending the request to example.org:80"),
        ("wait", "waiting for the response of example.org:80"),
        ("receive", "receiving the response body from example.org:80"),
    ],
)
def test_phases_are_named(phase, words):
    text = str(made(code="AIF_ETIMEOUT", limit="total", limit_value=1.0, phase=phase))
    assert text.endswith(f"{words} (phase: {phase})")


@pytest.mark.parametrize(
    ("phase", "kind"),
    [
        ("connect", errors.ClientConnectorError),
        ("tls", errors.ClientConnectorError),
        ("send", errors.ClientOSError),
        ("wait", errors.ClientOSError),
        ("receive", errors.ClientPayloadError),
    ],
)
def test_system_errors_by_phase(phase, kind):
    error = made(sys=-errno.ECONNRESET, phase=phase, partial=b"abc")
    assert type(error) is kind
    assert "eset" in str(error)
    if phase == "receive":
        assert error.partial == b"abc"
        assert isinstance(error.__cause__, ConnectionResetError)
    else:
        assert error.errno == errno.ECONNRESET


def test_refused_says_all():
    error = made(sys=-errno.ECONNREFUSED, elapsed=0.5)
    assert isinstance(error.os_error, ConnectionRefusedError)
    assert str(error) == (
        "Cannot connect to host example.org:80 ssl:default [Connection refused after 0.5 s "
        "while connecting to example.org:80 (phase: connect)]"
    )


def test_an_ipv6_host_is_bracketed():
    assert "host [::1]:80 ssl" in str(made(sys=-errno.ECONNREFUSED, host="::1"))


def test_a_unix_socket_names_its_path():
    error = made(sys=-errno.ENOENT, unix_path="/run/x")
    assert type(error) is errors.UnixClientConnectorError
    assert error.path == "/run/x"


@pytest.mark.parametrize("code", ["AIF_EDNS", "UV"])
def test_names_that_do_not_resolve(code):
    error = made(code=code, sys=-3008, phase="dns", text="unknown node")
    assert type(error) is errors.ClientConnectorDNSError
    assert isinstance(error.os_error, socket.gaierror)
    assert error.errno == socket.EAI_NONAME
    assert "unknown node" in str(error)
    assert "(phase: dns)" in str(error)


def test_end_of_file_before_the_response_is_a_disconnection():
    assert type(made(sys=-4095, phase="wait")) is errors.ServerDisconnectedError
    assert type(made(code="AIF_EDISCONNECTED")) is errors.ServerDisconnectedError


@pytest.mark.parametrize("code", ["AIF_ETRUNCATED", "AIF_EDECODE"])
def test_broken_bodies(code):
    error = made(code=code, phase="receive", partial=b"12345")
    assert type(error) is errors.ClientPayloadError
    assert error.partial == b"12345"
    assert "something went wrong" in str(error)
    assert "5 bytes" in str(error)
    assert made(code=code, phase="receive").partial is None


def test_what_is_too_big():
    body = made(code="AIF_ETOOBIG", limit="max_body", limit_value=1000.0, phase="receive")
    assert type(body) is errors.ClientPayloadError
    assert "1000 bytes (max_body)" in str(body)
    head = made(code="AIF_ETOOBIG", phase="wait")
    assert type(head) is errors.ClientResponseError
    assert head.status == 400
    url = made(code="AIF_ETOOBIG", host="", limit="url", phase="queued")
    assert isinstance(url, errors.InvalidUrlClientError)


def test_what_is_not_http():
    error = made(code="AIF_EPARSE", phase="wait")
    assert type(error) is errors.ClientResponseError
    assert error.status == 400
    assert "something went wrong" in error.message
    assert str(error.request_info.real_url) == "http://example.org/x#y"


def test_bad_input():
    assert type(made(code="AIF_EINVAL")) is ValueError
    assert type(made(code="AIF_EINVAL", host="", method="G T")) is ValueError
    idna = made(code="AIF_EINVAL", host="ü..x", limit="url")  # the URL parses, its host is bad
    assert type(idna) is errors.InvalidUrlClientError
    url = made(code="AIF_EINVAL", host="", limit="url", url="http://me:secret/x@h")
    assert type(url) is errors.InvalidUrlClientError
    assert isinstance(url, ValueError)
    assert url.description == "something went wrong"
    other = made(code="AIF_EINVAL", host="", limit="url", url="ftp://me:secret@h")
    assert type(other) is errors.NonHttpUrlClientError


def test_certificates():
    cause = ssl.SSLCertVerificationError(1, "unable to get local issuer certificate")
    error = made(code="AIF_ETLS", phase="tls", cause=cause, ssl=True, port=443)
    assert type(error) is errors.ClientConnectorCertificateError
    assert isinstance(error, ssl.SSLCertVerificationError)
    assert error.certificate_error is cause
    assert error.__cause__ is cause
    for words in ("unable to get local issuer", "ssl=", "trusted by default", "(phase: tls)"):
        assert words in str(error)


def test_other_failures_of_tls():
    cause = ssl.SSLError(1, "wrong version number")
    shaking = made(code="AIF_ETLS", phase="tls", cause=cause)
    assert type(shaking) is errors.ClientConnectorSSLError
    assert isinstance(shaking, ssl.SSLError)
    assert "wrong version number" in str(shaking)
    assert type(made(code="AIF_ETLS", phase="receive")) is errors.ClientPayloadError
    assert type(made(code="AIF_ETLS", phase="wait")) is errors.ClientOSError


def test_the_rest():
    assert type(made(code="AIF_ECLOSED")) is errors.ClientConnectionError
    assert type(made(code="AIF_ENOMEM")) is MemoryError
    assert type(made(code="AIF_ENEW")) is errors.ClientConnectionError
    raised = KeyError("mine")
    assert made(code="AIF_ECALLBACK", cause=raised) is raised


@pytest.mark.parametrize(
    "facts", [{}, {"code": None}, {"code": "UV", "sys": "x"}, {"code": "AIF_EPARSE", "url": 5}]
)
def test_from_core_never_raises(facts):
    assert isinstance(errors.from_core(facts), Exception)


@pytest.mark.parametrize(
    ("value", "text"),
    [(10.0021, "10.002 s"), (0.1, "0.1 s"), (10.0, "10 s"), (0.085, "85 ms"), (7.9e-5, "0.079 ms")],
)
def test_seconds(value, text):
    from aiofast.failures import seconds

    assert seconds(value) == text
