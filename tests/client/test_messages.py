"""What errors say and carry, where a reader was misled."""

from __future__ import annotations

import ssl

import aiofast
import pytest
from servers import Scripted, answer, cut, forever, free_port, request, send, silence


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
        ("mailto:a@b", "mailto:a@b"),
        ("ftp://h/\u202e", "ftp://h/\\u202e"),
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
