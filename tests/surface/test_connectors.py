"""Connectors with means of their own: resolvers, sockets, and methods that a subclass
has in place of aiohttp's. What it makes is what the request goes over, or fails with."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl

import aiofast
import pytest
from aiofast.abc import AbstractResolver
from aiofast.client_proto import ResponseHandler
from servers import Scripted, answer, forever
from yarl import URL

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class")


@pytest.fixture(params=["plain", "tls"])
def origin(request, authority):
    """A server, the host and scheme to ask for it by, and a context for that."""
    secure = request.param == "tls"
    tls = authority.server("example.test") if secure else None
    server = Scripted([forever(answer(b"ok"))] * 8, tls=tls)
    url = f"http{'s' if secure else ''}://example.test:{server.port}/"
    return server, url, authority.client()


async def twice(connector, url, **more):
    """Two requests, of which the second goes over the connection of the first."""
    async with aiofast.ClientSession(connector=connector, **more) as session:
        for _ in range(2):
            async with session.get(url) as found:
                assert await found.read() == b"ok"
        assert connector.stats()["idle"] == 1


class ToHere(aiofast.TCPConnector):
    """Leads every name to 127.0.0.1."""

    calls = 0

    async def _resolve_host(self, host, port, traces=None):
        self.calls += 1
        assert host == "example.test"
        return await super()._resolve_host("127.0.0.1", port, traces)


async def test_resolve_host(origin):
    server, url, context = origin
    connector = ToHere(ssl=context)
    await twice(connector, url)
    assert connector.calls == server.connections == 1


async def test_wrap_create_connection(origin):
    server, url, context = origin
    seen = []

    class Wrapping(ToHere):
        async def _wrap_create_connection(self, *args, **kwargs):
            seen.append(kwargs)
            return await super()._wrap_create_connection(*args, **kwargs)

    await twice(Wrapping(ssl=context), url)
    (kwargs,) = seen
    secure = url.startswith("https")
    assert kwargs["req"].url == URL(url)
    assert kwargs["addr_infos"][0][4] == ("127.0.0.1", server.port)
    assert kwargs["ssl"] is (context if secure else None)
    assert kwargs["server_hostname"] == ("example.test" if secure else None)
    assert kwargs["client_error"] is aiofast.ClientConnectorError
    assert isinstance(kwargs["timeout"], aiofast.ClientTimeout)
    assert server.connections == 1


async def test_a_connection_of_the_programs_own(origin):
    """As aiohttp-socks does it: streams of asyncio, whose transport is handed over."""
    server, url, context = origin

    class Streams(aiofast.TCPConnector):
        async def _wrap_create_connection(self, *args, addr_infos, req, timeout, **kwargs):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1",
                server.port,
                ssl=kwargs["ssl"],
                server_hostname=kwargs["server_hostname"],
            )
            self.kept = reader, writer
            protocol = ResponseHandler(loop=self._loop)
            writer.transport.set_protocol(protocol)
            protocol.connection_made(writer.transport)
            return writer.transport, protocol

    connector = Streams(ssl=context, resolver=Nowhere())
    await twice(connector, url)
    assert server.connections == 1


class Nowhere(AbstractResolver):
    async def resolve(self, host, port=0, family=socket.AF_INET):
        return [
            {"hostname": host, "host": host, "port": port, "family": family, "proto": 0, "flags": 0}
        ]

    async def close(self):
        pass


async def test_create_connection(origin):
    server, url, context = origin
    seen = []

    class Creating(ToHere):
        async def _create_connection(self, req, traces, timeout):
            seen.append((req.url, traces, timeout.sock_connect))
            return await super()._create_connection(req, traces, timeout)

    await twice(Creating(ssl=context), url, timeout=aiofast.ClientTimeout(sock_connect=7))
    assert seen == [(URL(url), [], 7)]
    assert server.connections == 1


async def test_a_large_body_through_a_relay(authority):
    """TLS of asyncio's on one side, the engine on the other, both at their own pace."""
    body = b"0123456789abcdef" * 262_144
    server = Scripted([forever(answer(body))], tls=authority.server("example.test"))

    class Creating(ToHere):
        async def _create_connection(self, req, traces, timeout):
            return await super()._create_connection(req, traces, timeout)

    async with aiofast.ClientSession(connector=Creating(ssl=authority.client())) as session:
        async with session.post(f"https://example.test:{server.port}/", data=body) as found:
            assert await found.read() == body
    assert server.requests[0].body == body


async def test_a_server_that_goes_ends_a_relayed_request(authority):
    from servers import cut, request, send

    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
    server = Scripted([request, send(head), cut], tls=authority.server("example.test"))

    class Creating(ToHere):
        async def _create_connection(self, req, traces, timeout):
            return await super()._create_connection(req, traces, timeout)

    async with aiofast.ClientSession(connector=Creating(ssl=authority.client())) as session:
        async with session.get(f"https://example.test:{server.port}/") as found:
            with pytest.raises(aiofast.ClientPayloadError):
                await found.read()


async def test_a_subclass_of_the_base(origin):
    server, url, context = origin

    class Own(aiofast.BaseConnector):
        async def _create_connection(self, req, traces, timeout):
            _, protocol = await self._loop.create_connection(
                self._factory,
                "127.0.0.1",
                server.port,
                ssl=context if req.is_ssl() else None,
                server_hostname=req.host if req.is_ssl() else None,
            )
            return protocol

    await twice(Own(), url)


async def test_unix_connector(tmp_path):
    path = str(tmp_path / "socket")

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        writer.close()

    created = []

    class Own(aiofast.UnixConnector):
        async def _create_connection(self, req, traces, timeout):
            created.append(req.url.host)
            return await super()._create_connection(req, traces, timeout)

    async with aiofast.ClientSession(connector=Own(path)) as session:
        with pytest.raises(aiofast.UnixClientConnectorError) as caught:
            await session.get("http://here/")
        assert caught.value.path == path
        async with await asyncio.start_unix_server(serve, path):
            async with session.get("http://here/") as found:
                assert await found.text() == "ok"
    assert created == ["here", "here"]


async def test_get_ssl_context(authority):
    server = Scripted([forever(answer())], tls=authority.server("example.test"))

    context = authority.client()

    class Own(ToHere):
        def _get_ssl_context(self, req):
            return context

    await twice(Own(), f"https://example.test:{server.port}/")


async def test_connect_is_asked_for_every_request(origin):
    _, url, context = origin
    seen = []

    class Counting(ToHere):
        async def connect(self, req, traces, timeout):
            seen.append("before")
            connection = await super().connect(req, traces, timeout)
            seen.append("after")
            return connection

    await twice(Counting(ssl=context), url)
    assert seen == ["before", "after"] * 2

    class Refusing(aiofast.TCPConnector):
        async def connect(self, req, traces, timeout):
            raise aiofast.ClientConnectionError("not today")

    async with aiofast.ClientSession(connector=Refusing()) as session:
        with pytest.raises(aiofast.ClientConnectionError, match="not today"):
            await session.get(url)

    class Foreign(aiofast.TCPConnector):
        async def connect(self, req, traces, timeout):
            return object()

    async with aiofast.ClientSession(connector=Foreign()) as session:
        with pytest.raises(TypeError, match="super"):
            await session.get(url)


async def test_connect_by_hand(origin):
    _, url, context = origin
    async with ToHere(ssl=context) as connector:
        request = aiofast.ClientRequest("GET", URL(url))
        connection = await connector.connect(request, [], aiofast.ClientTimeout())
        assert connection.transport.get_extra_info("peername")[0] == "127.0.0.1"
        assert not connection.closed
        gone = connection.protocol.closed
        connection.close()
        assert connection.closed and connection.transport is None
        await asyncio.wait_for(gone, 5)
        for _ in range(3):  # and the socket below TLS
            await asyncio.sleep(0)


async def test_methods_put_into_the_class(origin, monkeypatch):
    """As test libraries do, for sessions that have no connector of their own."""
    server, url, context = origin

    async def here(self, host, port, traces=None):
        return [
            {"hostname": host, "host": "127.0.0.1", "port": port, "family": 2, "proto": 0}
            | {"flags": 0}
        ]

    monkeypatch.setattr(aiofast.TCPConnector, "_resolve_host", here)
    async with aiofast.ClientSession() as session:
        async with session.get(url, ssl=context) as found:
            assert await found.read() == b"ok"
    assert server.connections == 1


@pytest.mark.parametrize("name", ["_get", "_release"])
def test_what_the_engine_does_itself_cannot_be_replaced(name):
    kind = type("Own", (aiofast.TCPConnector,), {name: lambda self: None})
    with pytest.raises(NotImplementedError, match=name):
        kind()


# --- sockets --------------------------------------------------------------------


async def test_socket_factory(origin):
    server, url, context = origin
    seen = []

    def make(info):
        seen.append(info)
        sock = socket.socket(info[0], info[1], info[2])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20_000)
        return sock

    await twice(ToHere(ssl=context, socket_factory=make), url)
    assert seen == [
        (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", server.port))
    ]


async def test_socket_factory_that_fails(origin):
    _, url, _ = origin

    def make(info):
        raise OSError(24, "no more")

    async with aiofast.ClientSession(connector=ToHere(socket_factory=make)) as session:
        with pytest.raises(aiofast.ClientConnectorError) as caught:
            await session.get(url)
        assert caught.value.os_error.errno == 24
        assert caught.value.port == URL(url).port


async def test_the_local_address_of_a_socket_factory():
    server = Scripted([forever(answer())])
    local = socket.socket()
    local.bind(("127.0.0.1", 0))
    port = local.getsockname()[1]
    local.close()
    connector = aiofast.TCPConnector(
        socket_factory=lambda info: socket.socket(*info[:3]), local_addr=("127.0.0.1", port)
    )
    ports = []
    async with aiofast.ClientSession(connector=connector) as session:
        async with session.get(server.url) as found:
            await found.read()
            ports.append(port)
    assert server.connections == 1 and ports == [port]


@pytest.mark.parametrize("delay", [None, 0.01])
async def test_the_next_address_is_tried(delay):
    server = Scripted([forever(answer(b"ok"))])

    class Two(AbstractResolver):
        async def resolve(self, host, port=0, family=socket.AF_INET):
            return [
                {"hostname": host, "host": to, "port": port, "family": 2, "proto": 0, "flags": 0}
                for to in ("127.0.0.2", "127.0.0.1")
            ]

        async def close(self):
            pass

    for more in ({}, {"interleave": 1}, {"socket_factory": lambda i: socket.socket(*i[:3])}):
        connector = aiofast.TCPConnector(resolver=Two(), happy_eyeballs_delay=delay, **more)
        await twice(connector, f"http://example.test:{server.port}/")


async def test_sockets_of_the_program_are_not_public():
    server = Scripted([forever(answer())])
    with pytest.raises(ValueError, match="allow_private"):
        aiofast.TCPConnector(socket_factory=socket.socket, allow_private=False)
    with pytest.raises(TypeError, match="socket_factory"):
        aiofast.TCPConnector(socket_factory=1)

    class Creating(aiofast.TCPConnector):
        async def _create_connection(self, req, traces, timeout):
            return await super()._create_connection(req, traces, timeout)

    async with aiofast.ClientSession(connector=Creating()) as session:
        with pytest.raises(aiofast.PrivateAddressError, match="loopback"):
            await session.get(server.url, allow_private=False)
    assert server.requests == []


# --- names ----------------------------------------------------------------------


class Counted(AbstractResolver):
    def __init__(self, error=None):
        self.asked = []
        self.closed = 0
        self.error = error
        self.gate = None

    async def resolve(self, host, port=0, family=socket.AF_INET):
        self.asked.append((host, port, family))
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return [
            {"hostname": host, "host": to, "port": port, "family": 2, "proto": 0, "flags": 0}
            for to in ("127.0.0.1", "127.0.0.2")
        ]

    async def close(self):
        self.closed += 1


async def test_a_resolver_is_asked_for_connections_only():
    server = Scripted([forever(answer(b"ok"))] * 9)
    resolver = Counted()
    connector = aiofast.TCPConnector(resolver=resolver, family=socket.AF_INET, use_dns_cache=False)
    await twice(connector, f"http://example.test:{server.port}/")
    assert resolver.asked == [("example.test", server.port, socket.AF_INET)]
    assert resolver.closed == 0  # it is the program's


async def test_one_lookup_for_all_and_the_cache():
    server = Scripted([forever(answer(b"ok"))] * 9)
    resolver = Counted()
    resolver.gate = asyncio.Event()
    connector = aiofast.TCPConnector(resolver=resolver, force_close=True)
    url = f"http://example.test:{server.port}/"
    async with aiofast.ClientSession(connector=connector) as session:
        tasks = [asyncio.create_task(session._request("GET", url)) for _ in range(3)]
        while not resolver.asked:
            await asyncio.sleep(0)
        tasks[0].cancel()  # which leaves the lookup to the others
        await asyncio.sleep(0.01)
        resolver.gate.set()
        first, *others = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(first, asyncio.CancelledError)
        assert [each.status for each in others] == [200, 200]
        assert len(resolver.asked) == 1
        for each in others:
            each.close()
        connector.clear_dns_cache("example.test", server.port)
        async with session.get(url) as found:
            await found.read()
        assert len(resolver.asked) == 2
        with pytest.raises(ValueError, match="both"):
            connector.clear_dns_cache("example.test")


async def test_addresses_take_turns():
    connector = aiofast.TCPConnector(resolver=Counted())
    found = [(await connector._resolve_host("a.test", 80))[0]["host"] for _ in range(3)]
    assert found == ["127.0.0.1", "127.0.0.2", "127.0.0.1"]
    literal = await connector._resolve_host("127.0.0.9", 80)
    assert [one["host"] for one in literal] == ["127.0.0.9"]
    await connector.close()


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (OSError(None, "no such host"), aiofast.ClientConnectorDNSError),
        (TimeoutError(), aiofast.ConnectionTimeoutError),
        (KeyError("bug"), KeyError),
    ],
)
async def test_what_a_resolver_raises(raised, kind):
    connector = aiofast.TCPConnector(resolver=Counted(raised))
    async with aiofast.ClientSession(connector=connector) as session:
        with pytest.raises(kind) as caught:
            await session.get("http://example.test/")
    if kind is aiofast.ClientConnectorDNSError:
        assert caught.value.os_error is raised
        assert caught.value.host == "example.test"


async def test_closing_ends_a_lookup():
    resolver = Counted()
    resolver.gate = asyncio.Event()
    connector = aiofast.TCPConnector(resolver=resolver)
    task = asyncio.create_task(connector._resolve_host("example.test", 80))
    while not resolver.asked:
        await asyncio.sleep(0)
    await connector.close()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_signals_of_a_resolver():
    server = Scripted([forever(answer(b"ok"))])
    config, seen = aiofast.TraceConfig(), []
    names = "on_dns_cache_miss on_dns_cache_hit on_dns_resolvehost_start on_dns_resolvehost_end"

    def noting(name):
        async def note(session, context, params):
            seen.append((name, params.host))

        return note

    for name in names.split():
        getattr(config, name).append(noting(name))
    connector = aiofast.TCPConnector(resolver=Counted(), force_close=True)
    async with aiofast.ClientSession(connector=connector, trace_configs=[config]) as session:
        for _ in range(2):
            async with session.get(f"http://example.test:{server.port}/") as found:
                await found.read()
    order = ["on_dns_cache_miss", "on_dns_resolvehost_start", "on_dns_resolvehost_end"]
    assert [name for name, _ in seen] == [*order, "on_dns_cache_hit"]


# --- the end --------------------------------------------------------------------


class Never(aiofast.TCPConnector):
    """Opens nothing, and notes when nobody waits any more."""

    ended = None

    async def _create_connection(self, req, traces, timeout):
        self.begun = True
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise


async def begun(connector):
    while not getattr(connector, "begun", False):
        await asyncio.sleep(0)


async def test_limits_of_time_hold_for_it():
    connector = Never()
    limit = aiofast.ClientTimeout(sock_connect=0.02)
    async with aiofast.ClientSession(connector=connector, timeout=limit) as session:
        with pytest.raises(aiofast.ConnectionTimeoutError):
            await session.get("http://example.test/")
        await asyncio.sleep(0)
        assert connector.ended == "cancelled"
        assert connector.stats()["open"] == 0


@pytest.mark.parametrize("how", ["cancel", "close"])
async def test_who_goes_ends_it(how):
    connector = Never()
    async with aiofast.ClientSession(connector=connector) as session:
        task = asyncio.create_task(session._request("GET", "http://example.test/"))
        await begun(connector)
        if how == "cancel":
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            await connector.close()
            with pytest.raises(aiofast.ClientConnectionError):
                await task
        for _ in range(3):
            await asyncio.sleep(0)
        assert connector.ended == "cancelled"


async def test_a_connection_that_comes_too_late_is_closed():
    server = Scripted([forever(answer())])
    opened = []

    class Late(aiofast.TCPConnector):
        async def _create_connection(self, req, traces, timeout):
            protocol = await super()._create_connection(req, traces, timeout)
            opened.append(protocol)
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                return protocol  # as a program that does not care

    async with aiofast.ClientSession(connector=Late()) as session:
        task = asyncio.create_task(session._request("GET", server.url))
        while not opened:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for _ in range(5):
            await asyncio.sleep(0)
        assert opened[0].transport is None or opened[0].transport.is_closing()
        assert server.requests == []


async def test_limits_count_connections_in_the_making():
    running, most = 0, 0
    server = Scripted([forever(answer(b"ok"))] * 20)

    class Slow(ToHere):
        async def _create_connection(self, req, traces, timeout):
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.002)
            running -= 1
            return await super()._create_connection(req, traces, timeout)

    url = f"http://example.test:{server.port}/"
    connector = Slow(limit=3, force_close=True)
    async with aiofast.ClientSession(connector=connector) as session:

        async def one():
            async with session.get(url) as found:
                return await found.read()

        assert await asyncio.gather(*(one() for _ in range(12))) == [b"ok"] * 12
    assert most <= 3


async def test_a_protocol_without_a_transport():
    class Odd(aiofast.TCPConnector):
        async def _create_connection(self, req, traces, timeout):
            return object()

    async with aiofast.ClientSession(connector=Odd()) as session:
        with pytest.raises(TypeError, match="transport"):
            await session.get("http://example.test/")


async def test_https_needs_tls():
    server = Scripted([forever(answer())])

    class Bare(aiofast.TCPConnector):
        async def _create_connection(self, req, traces, timeout):
            _, protocol = await self._loop.create_connection(
                self._factory, "127.0.0.1", server.port
            )
            return protocol

    async with aiofast.ClientSession(connector=Bare()) as session:
        with pytest.raises(aiofast.ClientError, match="TLS"):
            await session.get("https://example.test/")
    assert server.requests == []


async def test_certificates_are_looked_at(authority):
    server = Scripted([answer()] * 2, tls=authority.server("else.test"))

    class Creating(ToHere):
        async def _create_connection(self, req, traces, timeout):
            return await super()._create_connection(req, traces, timeout)

    url = f"https://example.test:{server.port}/"
    async with aiofast.ClientSession(connector=Creating(ssl=authority.client())) as session:
        with pytest.raises(aiofast.ClientConnectorCertificateError) as caught:
            await session.get(url)
        assert isinstance(caught.value.certificate_error, ssl.SSLCertVerificationError)
        with pytest.raises(aiofast.ServerFingerprintMismatch):
            await session.get(url, ssl=aiofast.Fingerprint(b"x" * 32))
    assert server.requests == []


async def test_a_forgotten_session_takes_a_connection_in_the_making_along():
    connector = Never()
    session = aiofast.ClientSession(connector=connector)
    task = asyncio.create_task(session._request("GET", "http://example.test/"))
    await begun(connector)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await session.close()
    del session, task
    gc.collect()
    await asyncio.sleep(0)
    assert connector.ended == "cancelled"
