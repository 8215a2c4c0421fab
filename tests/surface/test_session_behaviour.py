"""What programs and libraries do with aiohttp's session, on aiofast."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from unittest import mock

import aiofast
import pytest
from aiofast.client import _RequestContextManager
from servers import Scripted, answer, forever, request, response, send
from yarl import URL


async def test_a_request_is_awaitable_a_coroutine_and_a_context():
    server = Scripted([forever(answer(b"ok"))])
    async with aiofast.ClientSession() as session:
        for make in (
            lambda: session.get(server.url),
            lambda: session.get(server.url, raise_for_status=_nothing),
        ):
            found = make()
            assert isinstance(found, Coroutine)
            assert isinstance(found, _RequestContextManager)
            async with found as response:
                assert await response.text() == "ok"
            response = await make()
            assert await response.read() == b"ok"
            response = await asyncio.create_task(make())
            assert await response.read() == b"ok"
            make().close()


async def _nothing(response):
    pass


async def test_overridden_request_is_what_verbs_call():
    server = Scripted([forever(answer(b"ok"))])
    seen = []
    with pytest.warns(DeprecationWarning, match="Inheritance class Mine"):

        class Mine(aiofast.ClientSession):
            async def _request(self, method, str_or_url, **kwargs):
                seen.append((method, str_or_url, kwargs))
                return await super()._request(method, str_or_url, **kwargs)

    async with Mine() as session:
        async with session.get(server.url) as response:
            assert await response.text() == "ok"
        async with session.post(server.url, data=b"x") as response:
            assert await response.text() == "ok"
    assert seen == [
        ("GET", server.url, {"allow_redirects": True}),
        ("POST", server.url, {"data": b"x"}),
    ]


async def test_patched_request_is_what_verbs_call():
    async with aiofast.ClientSession() as session:
        with mock.patch.object(aiofast.ClientSession, "_request") as patched:
            assert isinstance(patched, mock.AsyncMock)
            patched.return_value = "response"
            assert await session.get("http://h/") == "response"
            assert await session.post("http://h/") == "response"
        assert patched.call_args_list == [
            mock.call("GET", "http://h/", allow_redirects=True),
            mock.call("POST", "http://h/", data=None),
        ]


@pytest.mark.parametrize("where", ["session", "request"])
async def test_raise_for_status_as_a_function(where):
    server = Scripted([forever(answer(b"no", status="503 Busy"))])

    async def check(response):
        assert response.status == 503
        raise KeyError(await response.text())

    own = {"raise_for_status": check}
    async with aiofast.ClientSession(**(own if where == "session" else {})) as session:
        with pytest.raises(KeyError, match="no"):
            await session.get(server.url, **(own if where == "request" else {}))
        async with session.get(server.url, raise_for_status=False) as response:
            assert response.status == 503
        with pytest.raises(aiofast.ClientResponseError, match="503"):
            await session.get(server.url, raise_for_status=True)


async def test_a_body_can_be_read_after_raise_for_status_inside_its_context():
    server = Scripted([forever(answer(b"why", status="400 Bad"))])
    async with aiofast.ClientSession() as session:
        async with session.get(server.url) as response:
            with pytest.raises(aiofast.ClientResponseError) as caught:
                response.raise_for_status()
            assert await response.text() == "why"
        assert caught.value.request_info.real_url == URL(server.url)
        response = await session.get(server.url)
        with pytest.raises(aiofast.ClientResponseError):
            response.raise_for_status()
        assert response.closed


async def test_errors_come_when_a_request_is_awaited():
    async with aiofast.ClientSession() as session:
        results = await asyncio.gather(
            session.get("http://h/", data=b"x", json=1),
            session.get("http://[::"),
            session.get("ftp://h/"),
            return_exceptions=True,
        )
    assert isinstance(results[0], ValueError)
    assert isinstance(results[1], aiofast.InvalidURL)
    assert isinstance(results[2], aiofast.NonHttpUrlClientError)


async def test_links():
    server = Scripted(
        [request, send(response(b"", 'Link: </two?p=2>; rel="next"; title=x, <http://o/>; rel=up'))]
    )
    async with aiofast.ClientSession() as session, session.get(server.url) as found:
        assert found.links["next"]["url"] == URL(f"{server.url}/two?p=2")
        assert found.links["next"]["title"] == "x"
        assert found.links["up"]["url"] == URL("http://o/")
        assert len(found.links) == 2


async def test_the_fallback_for_charsets():
    server = Scripted([forever(answer("é".encode("latin-1")))])
    asked = []

    def resolve(response, body):
        asked.append((response.status, body))
        return "latin-1"

    async with aiofast.ClientSession(fallback_charset_resolver=resolve) as session:
        async with session.get(server.url) as response:
            assert await response.text() == "é"
    assert asked == [(200, b"\xe9")]


async def test_the_peer_can_be_read_while_the_connection_is_there():
    server = Scripted(
        [request, send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"), forever(answer())]
    )
    async with aiofast.ClientSession() as session, session.get(server.url) as response:
        peer = response.connection.transport.get_extra_info("peername")
        assert URL(server.url).port == peer[1]
        response.close()
        assert response.connection is None


async def test_unknown_arguments_are_refused_at_once():
    async with aiofast.ClientSession() as session:
        with pytest.raises(TypeError, match="nonsense"):
            session.get("http://h/", nonsense=1)


async def test_old_names_warn():
    with pytest.warns(DeprecationWarning, match="read_timeout"):
        session = aiofast.ClientSession(read_timeout=10)
    assert session.timeout == aiofast.ClientTimeout(total=10, sock_connect=30)
    with pytest.warns(DeprecationWarning, match="conn_timeout"):
        other = aiofast.ClientSession(conn_timeout=10)
    assert other.timeout == aiofast.ClientTimeout(total=300, connect=10, sock_connect=30)
    with pytest.raises(ValueError, match="timeout"):
        aiofast.ClientSession(timeout=object())
    with pytest.raises(ValueError, match="conflict"):
        aiofast.ClientSession(timeout=aiofast.ClientTimeout(), conn_timeout=1)
    with pytest.warns(DeprecationWarning, match="requote"):
        session.requote_redirect_url = False
    with pytest.warns(DeprecationWarning, match="loop"):
        assert session.loop is asyncio.get_running_loop()
    await session.close()
    await other.close()


@pytest.mark.parametrize("first", ["text", "json", "read"])
async def test_a_body_that_was_read_is_there_after_the_stream(first):
    server = Scripted([forever(answer(b"[1]", "Content-Type: application/json"))])
    async with aiofast.ClientSession() as session, session.get(f"{server.url}/") as found:
        await server.reached(lambda: found.complete)  # so that no read has to wait
        await getattr(found, first)()
        assert [piece async for piece in found.content] == []
        assert found.content.at_eof()
        assert await found.text() == "[1]"
        assert await found.json() == [1]
        assert await found.content.read() == b""
        assert await found.read() == b"[1]"


async def test_request_without_a_session():
    from aiofast.clientrequest import ClientRequest

    assert ClientRequest is aiofast.ClientRequest
    server = Scripted([forever(answer(b"ok"))])
    async with aiofast.request("GET", server.url) as found:
        assert await found.text() == "ok"


async def test_http_1_0():
    """The request says so, and its connection is used once unless asked for more."""
    server = Scripted([forever(answer(b"x"))])
    old = aiofast.HttpVersion10
    async with aiofast.ClientSession(version=old) as session:
        assert session.version == (1, 0)
        for headers in (None, None, {"Connection": "keep-alive"}, {"Connection": "keep-alive"}):
            async with session.post(f"{server.url}/", data=b"ab", headers=headers) as found:
                assert await found.read() == b"x"
        with pytest.raises(ValueError, match=r"HTTP/1\.0"):
            await session.post(f"{server.url}/", data=iter([b"a"]))
    assert [each.version for each in server.requests] == ["HTTP/1.0"] * 4
    assert [each.connection for each in server.requests] == [0, 1, 2, 2]
    found = await aiofast.request("GET", f"{server.url}/", version=old)
    found.release()
    assert server.requests[-1].version == "HTTP/1.0"
    with pytest.raises(ValueError, match="version"):
        aiofast.ClientSession(version=(2, 0))
