"""What programs meet around requests: limits of time, loops, closing, trackers,
proxies, WebSockets' types."""

from __future__ import annotations

import asyncio
import copy
import pickle
from unittest import mock

import aiofast
import aiohttp
import attr
import pytest
from servers import Scripted, answer, forever, request, response, send, silence
from yarl import URL

# --- limits of time -------------------------------------------------------------


@pytest.mark.parametrize("steps", [False, True])
async def test_the_total_limit_is_no_client_error(steps):
    """As with aiohttp: who catches ClientError first gets here what is not that."""

    async def middleware(request, handler):
        return await handler(request)

    server = Scripted([silence])
    more = {"middlewares": (middleware,)} if steps else {}
    async with aiofast.ClientSession(**more) as session:
        with pytest.raises(asyncio.TimeoutError) as caught:
            await session.get(server.url, timeout=aiofast.ClientTimeout(total=0.05))
    error = caught.value
    assert isinstance(error, aiofast.TotalTimeoutError)
    assert not isinstance(error, aiofast.ClientError)
    assert (error.limit, error.method) == ("total", "GET")
    assert pickle.loads(pickle.dumps(error)).args == error.args
    with pytest.raises(aiofast.TotalTimeoutError) as caught:
        await aiofast.fetch(server.url, timeout=0.05)
    assert isinstance(caught.value, aiofast.ClientError)


async def test_the_total_limit_of_a_body():
    server = Scripted([request, send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"), silence])
    async with aiofast.ClientSession() as session:
        async with session.get(server.url, timeout=aiofast.ClientTimeout(total=0.1)) as found:
            with pytest.raises(asyncio.TimeoutError) as caught:
                await found.read()
    assert not isinstance(caught.value, aiofast.ServerTimeoutError)


@pytest.mark.parametrize(
    ("limits", "kind"),
    [
        ({"connect": 0.05}, aiofast.ConnectionTimeoutError),
        ({"sock_read": 0.05}, aiofast.SocketTimeoutError),
    ],
)
async def test_other_limits(limits, kind):
    server = Scripted([silence])
    connector = aiofast.TCPConnector(limit=1)
    async with aiofast.ClientSession(connector=connector) as session:
        first = None
        if "connect" in limits:  # the wait for the only connection counts
            first = asyncio.create_task(session._request("GET", server.url))
            await server.reached(lambda: server.connections == 1)
        with pytest.raises(kind) as caught:
            await session.get(server.url, timeout=aiofast.ClientTimeout(**limits))
        assert isinstance(caught.value, aiofast.ServerTimeoutError)
        if first is not None:
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)


@pytest.mark.parametrize("kind", [aiofast.ClientTimeout, aiofast.ClientWSTimeout])
def test_timeouts_are_values(kind):
    names = kind.__match_args__
    made = kind(1, 2)
    assert attr.evolve(made, **{names[0]: 5}) == kind(5, 2)
    assert attr.asdict(made) == {n: getattr(made, n) for n in names}
    assert pickle.loads(pickle.dumps(made)) == copy.copy(made) == made
    assert hash(made) == hash(kind(1, 2))
    assert repr(made).startswith(f"{kind.__name__}({names[0]}=1, {names[1]}=2")
    with pytest.raises(attr.exceptions.FrozenInstanceError):
        setattr(made, names[0], 3)
    theirs = getattr(aiohttp, kind.__name__)()
    assert [getattr(kind(), n) for n in names] == [getattr(theirs, n) for n in names]


# --- errors ---------------------------------------------------------------------


def test_the_old_name_of_a_status_warns():
    error = aiofast.ClientResponseError(None, (), status=404)
    with pytest.warns(DeprecationWarning, match="status"):
        assert error.code == 404
    with pytest.warns(DeprecationWarning, match="status"):
        error.code = 500
    assert error.status == 500
    with pytest.warns(DeprecationWarning, match="status"):
        assert aiofast.ClientResponseError(None, (), code=404).status == 404


def test_certificate_errors_are_errors_of_the_system():
    key = aiofast.client_reqrep.ConnectionKey("h", 443, True)
    error = aiofast.ClientConnectorCertificateError(key, PermissionError(1, "bad"))
    assert (error.errno, error.strerror, error.ssl) == (1, "bad", True)
    assert str(error) == "Cannot connect to host h:443 ssl:True [PermissionError: (1, 'bad')]"
    again = pickle.loads(pickle.dumps(error))
    assert (again.host, again.port, again.ssl) == ("h", 443, True)


# --- loops and closing ----------------------------------------------------------


def test_a_connector_of_another_loop():
    other = asyncio.new_event_loop()

    async def make():
        return aiofast.TCPConnector()

    async def use(connector):
        aiofast.ClientSession(connector=connector)

    connector = other.run_until_complete(make())
    with pytest.raises(RuntimeError, match="same event loop"):
        asyncio.run(use(connector))
    other.run_until_complete(connector.close())
    other.close()


def test_a_session_of_a_loop_that_does_not_run():
    loop = asyncio.new_event_loop()
    session = aiofast.ClientSession(loop=loop)
    connector = session.connector
    assert connector._loop is loop
    session.detach()
    assert session.connector is None and session.closed and not connector.closed
    loop.run_until_complete(connector.close())
    assert connector.closed
    loop.close()


async def test_what_close_of_a_connector_gives():
    for wait in (
        lambda closing: closing,
        asyncio.ensure_future,
        asyncio.create_task,
        lambda closing: asyncio.wait_for(closing, 5),
    ):
        connector = aiofast.TCPConnector()
        await connector._resolve_host("localhost", 80)  # which makes a resolver
        assert await wait(connector.close()) is None
        assert connector.closed
    aiofast.TCPConnector().close()  # and need not be awaited


async def test_how_full_a_pool_is():
    server = Scripted([request, send(response(b"ok")), silence], [silence])
    connector = aiofast.TCPConnector()
    async with aiofast.ClientSession(connector=connector) as session:
        async with session.get(server.url) as found:
            await found.read()
        (key,) = connector._conns
        assert (key.host, key.port, key.is_ssl) == ("127.0.0.1", server.port, False)
        assert len(connector._conns[key]) == 1
        assert not connector._acquired
        task = asyncio.create_task(session._request("GET", server.url))
        await server.reached(lambda: connector.stats()["busy"] == 1)
        assert len(connector._acquired) == len(connector._acquired_per_host[key]) == 1
        assert not connector._conns
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert not connector._conns and not connector._acquired


# --- uploads --------------------------------------------------------------------


async def passing(request, handler):
    return await handler(request)


async def twice(request, handler):
    (await handler(request)).release()
    return await handler(request)


@pytest.mark.parametrize(("middleware", "attempts"), [(passing, 1), (twice, 2)])
@pytest.mark.parametrize("data", [b"x" * 100, None])
async def test_a_tracker_beside_middlewares(middleware, attempts, data):
    server = Scripted([forever(answer(b"ok"))])
    tracker = aiofast.UploadTracker()
    async with aiofast.ClientSession(middlewares=(middleware,)) as session:
        async with session.post(server.url, data=data, upload_tracker=tracker) as found:
            assert await found.read() == b"ok"
    assert tracker.attempts == attempts
    assert tracker.bytes_written == len(data or b"")
    assert await tracker.upload_complete is None


async def test_a_tracker_of_what_is_not_sent():
    async def never(request, handler):
        raise KeyError("no")

    cases = (
        ({"middlewares": (never,)}, "http://example.test/", KeyError),
        ({}, "ftp://example.test/", aiofast.NonHttpUrlClientError),
        ({"proxy": "http://[bad"}, "http://example.test/", aiofast.InvalidURL),
        ({"json": 1}, "http://example.test/", ValueError),
    )
    async with aiofast.ClientSession() as session:
        for more, url, kind in cases:
            tracker = aiofast.UploadTracker()
            with pytest.raises(kind):
                await session.post(url, data=b"x", upload_tracker=tracker, **more)
            assert tracker.attempts == 0
            assert isinstance(tracker.upload_complete.exception(), aiofast.UploadAbortedError)


async def test_a_middleware_sees_the_length():
    seen = []

    async def note(request, handler):
        seen.append(request.headers.get("Content-Length"))
        return await handler(request)

    server = Scripted([forever(answer(b"ok"))])
    async with aiofast.ClientSession(middlewares=(note,)) as session:
        for method, data in (("POST", None), ("POST", b"abc"), ("GET", None)):
            async with session.request(method, server.url, data=data) as found:
                await found.read()
    assert seen == ["0", "3", None]
    assert [one.all("Content-Length") for one in server.requests] == [["0"], ["3"], []]


async def test_a_request_object_is_sent_by_others():
    made = aiofast.ClientRequest("GET", URL("http://example.test/"))
    with pytest.raises(NotImplementedError, match="session"):
        await made.send(None)
    await made.close()
    made.terminate()


# --- what is not there ----------------------------------------------------------


@pytest.mark.parametrize(
    ("proxy", "kind"),
    [
        (42, TypeError),
        ("nonsense", aiofast.InvalidURL),
        ("http://proxy.test:3128", NotImplementedError),
        (URL("http://proxy.test"), NotImplementedError),
    ],
)
async def test_proxies(proxy, kind):
    async with aiofast.ClientSession() as session:
        with pytest.raises(kind):
            await session.get("http://example.test/", proxy=proxy)
    with pytest.raises(kind):
        aiofast.ClientSession(proxy=proxy)


async def test_the_login_of_no_proxy():
    with pytest.warns(DeprecationWarning, match="proxy_auth"):
        session = aiofast.ClientSession(proxy_auth=aiofast.BasicAuth("a", "b"))
    await session.close()


def test_types_of_websockets():
    for name in ("WSMsgType", "WSCloseCode"):
        ours, theirs = getattr(aiofast, name), getattr(aiohttp, name)
        assert {n: int(v) for n, v in ours.__members__.items()} == {
            n: int(v) for n, v in theirs.__members__.items()
        }
    message = aiofast.WSMessage(aiofast.WSMsgType.TEXT, "[1]", None)
    assert message.json() == [1]
    assert message == aiohttp.WSMessage(aiohttp.WSMsgType.TEXT, "[1]", None)
    error = aiofast.WebSocketError(aiofast.WSCloseCode.PROTOCOL_ERROR, "bad")
    assert (error.code, str(error)) == (1002, "bad")
    assert aiofast.client_ws.DEFAULT_WS_CLIENT_TIMEOUT.ws_close == 10


async def test_a_class_for_websockets():
    class Mine(aiofast.ClientWebSocketResponse):
        async def close(self, *, code=4000, message=b""):
            return await super().close(code=code, message=message)

    async with aiofast.ClientSession(ws_response_class=Mine) as session:
        with pytest.raises(NotImplementedError, match="WebSockets"):
            session.ws_connect("ws://example.test/", heartbeat=1)
    made = Mine(None, None, "chat", None, aiofast.ClientWSTimeout(), True, True, None)
    assert (made.protocol, made.closed, made.close_code, made.compress) == ("chat", False, None, 0)
    with pytest.raises(NotImplementedError):
        await made.send_str("x")
    with pytest.raises(NotImplementedError):
        async for _ in made:
            pass
    async with made:
        pass
    assert made.closed


async def test_readinto_of_a_stream_that_is_fed():
    protocol = mock.Mock(connected=True)
    stream = aiofast.StreamReader(protocol, 2**16, loop=asyncio.get_running_loop())
    room = bytearray(3)
    stream.feed_data(b"abcde")
    assert await stream.readinto(room) == 3 and room == b"abc"
    assert await stream.readinto(room) == 2 and room[:2] == b"de"
    task = asyncio.create_task(stream.readinto(room))
    await asyncio.sleep(0)
    stream.feed_data(b"wxyz")
    assert await task == 3 and room == b"wxy"
    stream.feed_eof()
    assert await stream.readinto(room) == 1
    assert await stream.readinto(room) == 0
