"""What errors say and carry, where a reader was misled."""

from __future__ import annotations

import pickle
import re
import ssl

import aiofast
import pytest
from servers import Scripted, answer, cut, eof, forever, free_port, request, send, silence


@pytest.mark.parametrize(("limit", "count"), [({}, 11), ({"max_redirects": 1}, 2)])
async def test_too_many_redirects(web, limit, count):
    with pytest.raises(aiofast.TooManyRedirects, match=f"{count} redirects are more") as caught:
        await aiofast.fetch(f"{web.url}/redirect/50", **limit)
    error = caught.value
    assert (error.method, error.phase) == ("GET", "wait")
    assert error.elapsed > 0
    async with aiofast.ClientSession() as session:
        with pytest.raises(aiofast.TooManyRedirects, match="10 redirects are more"):
            await session.get(f"{web.url}/redirect/50")


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ("mailto:a@b", "mailto:a@b - the scheme of the URL is neither http nor https"),
        ("ftp://h/\u202e", "ftp://h/\\u202e - the scheme of the URL is neither http nor https"),
        ("http://", None),
    ],
)
async def test_a_location_that_leads_nowhere(location, text):
    head = f"HTTP/1.1 302 X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    server = Scripted([request, send(head.encode())])
    with pytest.raises(aiofast.RedirectClientError) as caught:
        await aiofast.fetch(f"{server.url}/")
    error = caught.value
    assert text is None or str(error) == text
    assert (error.method, error.phase) == ("GET", "wait")
    assert error.elapsed > 0
    assert f"127.0.0.1:{server.port}" in error.__notes__[0]
    assert error.url == (location if text is None else f"{server.url}/")


@pytest.mark.parametrize("url", ["http://h\r\nX: y/", "ftp://h/\r\n\x1b", "http://h/\u2028\r"])
async def test_a_bad_url_is_one_line(url):
    with pytest.raises(aiofast.ClientError) as caught:
        await aiofast.fetch(url)
    assert str(caught.value).isprintable()
    assert repr(caught.value).isprintable()


@pytest.mark.parametrize("scheme", ["http", "ftp"])
async def test_a_long_url_is_not_repeated(scheme):
    with pytest.raises(aiofast.ClientError) as caught:
        await aiofast.fetch(f"{scheme}://h/{'x' * 70_000}")
    assert len(str(caught.value)) < 500


async def test_a_released_response_says_when():
    server = Scripted([request, send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"), silence])
    async with aiofast.ClientSession() as session:
        found = await session.get(f"{server.url}/")
        found.release()
        with pytest.raises(aiofast.ClientConnectionError) as caught:
            await found.read()
    assert caught.value.elapsed > 0
    assert "after 0 ms" not in str(caught.value)


async def test_nothing_of_a_body():
    server = Scripted([request, send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), cut])
    async with aiofast.ClientSession() as session:
        found = await session.get(f"{server.url}/")
        with pytest.raises(aiofast.ClientPayloadError, match="nothing of the body had come"):
            await found.read()


async def test_a_unix_socket_is_not_resolved(tmp_path):
    path = str(tmp_path / "none")
    async with aiofast.ClientSession(connector=aiofast.UnixConnector(path)) as session:
        with pytest.raises(aiofast.UnixClientConnectorError) as caught:
            await session.get("http://x/")
    assert caught.value.phase == "connect"
    assert f"connecting to {path} (phase: connect)" in str(caught.value)


async def test_ssl_is_what_was_given(authority):
    url = f"https://127.0.0.1:{free_port()}/"
    own = authority.client()
    for given in (True, False, own):
        with pytest.raises(aiofast.ClientConnectorError) as caught:
            await aiofast.fetch(url, ssl=given)
        assert caught.value.ssl is given
    with pytest.raises(aiofast.ClientConnectorError) as caught:
        await aiofast.fetch(url.replace("https", "http"))
    assert caught.value.ssl is True


async def test_advice_about_certificates(authority):
    server = Scripted([forever(answer())], tls=authority.server())
    url = f"https://127.0.0.1:{server.port}/"
    with pytest.raises(aiofast.ClientConnectorCertificateError, match="another CA"):
        await aiofast.fetch(url)
    with pytest.raises(aiofast.ClientConnectorCertificateError) as caught:
        await aiofast.fetch(url, ssl=authority.client(), server_hostname="other.example")
    assert "another name" in str(caught.value)
    assert "another CA" not in str(caught.value)
    with pytest.raises(aiofast.ClientConnectorCertificateError) as caught:
        await aiofast.fetch(url, ssl=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    assert "has loaded" in str(caught.value)


@pytest.mark.parametrize("url", ["htp://h/", "ftp://me:secret@h/", "file:///etc/passwd"])
async def test_a_mistyped_scheme_is_named(url):
    with pytest.raises(aiofast.NonHttpUrlClientError, match="neither http nor https") as caught:
        await aiofast.fetch(url)
    assert caught.value.description in str(caught.value)
    assert "secret" not in str(caught.value)
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)


async def test_https_to_a_port_without_tls():
    server = Scripted([send(b"220 mail.example ESMTP\r\n"), eof])
    with pytest.raises(aiofast.ClientConnectorSSLError, match="no TLS on this port"):
        await aiofast.fetch(f"https://127.0.0.1:{server.port}/")


async def test_a_body_read_too_late():
    server = Scripted([request, send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"), silence])
    async with aiofast.ClientSession() as session:
        found = await session.get(f"{server.url}/")
    with pytest.raises(aiofast.ClientConnectionError, match="read before its session"):
        await found.read()


async def test_what_is_no_json_says_what_it_is():
    server = Scripted([answer(b"<p>down</p>", "Content-Type: text/html")])
    found = await aiofast.fetch(f"{server.url}/")
    with pytest.raises(ValueError, match="Expecting value") as caught:
        found.json()
    (note,) = caught.value.__notes__
    assert f"{server.url}/" in note
    assert "200 OK" in note
    assert "text/html" in note


@pytest.mark.parametrize("name", ["max_body", "max_ratio"])
@pytest.mark.parametrize(
    ("value", "kind"),
    [(-1, ValueError), (1 << 70, ValueError), ("10", TypeError), (1.5, TypeError)],
)
async def test_ceilings_that_make_no_sense(name, value, kind):
    with pytest.raises(kind, match=f"{name} must be .*{re.escape(repr(value))}"):
        await aiofast.fetch("http://127.0.0.1:1/", **{name: value})
