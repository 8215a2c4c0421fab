"""Arguments that no server needs to see to be wrong."""

from __future__ import annotations

import pathlib
import re

import aiofast
import pytest
from servers import Scripted, answer, forever

URL = "http://127.0.0.1:9/"


@pytest.mark.parametrize(
    "url",
    [
        "http://\u2028.com/",
        "http://\u2603.\u2603..x/",
        "http://a\u200db.invalid/",
        "http://" + "\u00fc" * 80 + "/",
    ],
)
async def test_a_host_that_idna_refuses_is_a_bad_url(url):
    with pytest.raises(aiofast.InvalidUrlClientError) as caught:
        await aiofast.fetch(url)
    assert caught.value.url == url
    assert "internationalized" in caught.value.description
    async with aiofast.ClientSession() as session:
        with pytest.raises(aiofast.InvalidUrlClientError):
            await session.get(url)


async def test_a_bad_header_of_a_host_beyond_ascii_is_not_a_bad_url():
    with pytest.raises(ValueError, match="header") as caught:
        await aiofast.fetch("http://b\u00fccher.invalid/", headers={"X-A": "\r\n"})
    assert not isinstance(caught.value, aiofast.InvalidURL)


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({"method": None}, TypeError, "method must be str"),
        ({"method": 5}, TypeError, "method must be str"),
        ({"method": "g\u0131"}, ValueError, "method"),
        ({"cookies": "a=b"}, TypeError, "cookies must be"),
        ({"cookies": 5}, TypeError, "cookies must be"),
        ({"params": 5}, TypeError, "params must be"),
        ({"trace": 5}, TypeError, "trace must be"),
        ({"max_redirects": -3}, ValueError, "max_redirects"),
        ({"max_redirects": "3"}, TypeError, "max_redirects"),
        ({"server_hostname": "a.example\0b"}, ValueError, "server_hostname"),
        ({"server_hostname": 5}, TypeError, "server_hostname"),
        ({"headers": {5: "a"}}, TypeError, "header"),
        ({"headers": {b"Cookie": b"\xff"}, "cookies": {"a": "b"}}, TypeError, "Cookie"),
    ],
)
async def test_arguments(arguments, kind, words):
    with pytest.raises(kind, match=re.escape(words)):
        await aiofast.fetch(URL, **arguments)
    async with aiofast.ClientSession() as session:
        with pytest.raises(kind, match=re.escape(words)):
            await session.request(arguments.pop("method", "GET"), URL, **arguments)


async def test_a_unix_socket_as_a_path(tmp_path):
    path = pathlib.Path(tmp_path, "s")
    Scripted([forever(answer(b"here"))], path=str(path))
    connector = aiofast.UnixConnector(path)
    assert connector.path == str(path)
    async with aiofast.ClientSession(connector=connector) as session:
        async with session.get("http://x/") as found:
            assert await found.text() == "here"


# As unknown ones, which leave UTF-8. Two of them are quadratic.
CHARSETS = ["punycode", "idna", "unicode_escape", "raw-unicode-escape", "hex", "rot13", "x" * 5000]


@pytest.mark.parametrize("charset", [*CHARSETS, "nonsense", "undefined"])
@pytest.mark.seconds(5)
async def test_codecs_that_a_server_may_not_choose(charset):
    body = b"a" * 300_000 + b"-" + b"b" * 300_000
    server = Scripted([forever(answer(body, f"Content-Type: text/plain; charset={charset}"))])
    assert (await aiofast.fetch(f"{server.url}/")).text == body.decode()
    async with aiofast.ClientSession() as session, session.get(f"{server.url}/") as found:
        assert await found.text() == body.decode()
        assert found.get_encoding() == "utf-8"
