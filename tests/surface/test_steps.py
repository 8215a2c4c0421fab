"""Trace signals, middlewares, resolvers, pinned certificates: beside aiohttp,
where it can say what is right."""

from __future__ import annotations

import hashlib
import socket
import ssl

import aiofast
import aiohttp
import pytest
from servers import Scripted, answer, forever, free_port, request, response, send

SIGNALS = [
    "on_request_start",
    "on_request_chunk_sent",
    "on_response_chunk_received",
    "on_request_end",
    "on_request_exception",
    "on_request_redirect",
    "on_connection_queued_start",
    "on_connection_queued_end",
    "on_connection_create_start",
    "on_connection_create_end",
    "on_connection_reuseconn",
    "on_dns_resolvehost_start",
    "on_dns_resolvehost_end",
    "on_dns_cache_hit",
    "on_dns_cache_miss",
    "on_request_headers_sent",
]


def listening(package, log):
    config = package.TraceConfig()
    for name in SIGNALS:

        async def heard(session, context, params, name=name):
            assert isinstance(session, package.ClientSession)
            assert context.trace_request_ctx == "mine"
            fields = {
                field: getattr(params, field)
                for field in ("method", "host", "chunk")
                if hasattr(params, field)
            }
            if hasattr(params, "url"):
                fields["path"] = params.url.path
            if hasattr(params, "exception"):
                fields["exception"] = type(params.exception).__name__
            if hasattr(params, "response"):
                fields["status"] = params.response.status
            assert type(params).__name__.startswith("Trace")
            log.append((name, fields))

        getattr(config, name).append(heard)
    return config


async def traced(package, program):
    log = []
    options = {"trace_configs": [listening(package, log)]}
    async with package.ClientSession(**options) as session:
        await program(package, session)
    return log


async def both(program):
    ours = await traced(aiofast, program)
    theirs = await traced(aiohttp, program)
    assert ours == theirs
    assert ours
    return ours


async def test_signals_of_a_get_over_a_name_and_again():
    server = Scripted([forever(answer(b"ok"))], [forever(answer(b"ok"))])
    url = server.url.replace("127.0.0.1", "localhost")

    async def program(package, session):
        for _ in range(2):
            async with session.get(f"{url}/x", trace_request_ctx="mine") as found:
                assert await found.text() == "ok"

    log = await both(program)
    assert ("on_connection_reuseconn", {}) in log
    assert ("on_dns_cache_miss", {"host": "localhost"}) in log


async def test_signals_of_a_post_and_a_redirect():
    script = [request, send(response(b"", "Location: /y", status="303 X")), forever(answer(b"ok"))]
    server = Scripted(script, script)

    async def program(package, session):
        async with session.post(f"{server.url}/x", data=b"body", trace_request_ctx="mine") as found:
            assert await found.read() == b"ok"

    log = await both(program)
    assert ("on_request_chunk_sent", {"method": "POST", "path": "/x", "chunk": b"body"}) in log


async def test_signals_of_a_failure():
    port = free_port()

    async def program(package, session):
        with pytest.raises(package.ClientConnectorError):
            await session.get(f"http://127.0.0.1:{port}/x", trace_request_ctx="mine")

    log = await both(program)
    assert log[-1][1]["exception"] == "ClientConnectorError"


async def test_signals_of_a_status_that_raises():
    server = Scripted([answer(b"no", status="500 X")], [answer(b"no", status="500 X")])

    async def program(package, session):
        with pytest.raises(package.ClientResponseError):
            await session.get(f"{server.url}/", raise_for_status=True, trace_request_ctx="mine")

    await both(program)


async def test_a_signal_that_raises_ends_the_request():
    server = Scripted([forever(answer(b"ok"))])
    config = aiofast.TraceConfig()

    async def broken(session, context, params):
        raise KeyError("mine")

    config.on_connection_create_start.append(broken)
    async with aiofast.ClientSession(trace_configs=[config]) as session:
        with pytest.raises(RuntimeError):
            config.on_request_end.append(broken)  # it is frozen
        with pytest.raises(KeyError, match="mine"):
            await session.get(server.url)


async def test_a_trace_that_is_added_later_is_heard():
    server = Scripted([forever(answer(b"ok"))])
    async with aiofast.ClientSession() as session:
        await (await session.get(server.url)).read()
        log = []
        config = listening(aiofast, log)
        config.freeze()
        session.trace_configs.append(config)
        await (await session.get(server.url, trace_request_ctx="mine")).read()
    assert [name for name, _ in log] == [
        "on_request_start",
        "on_connection_reuseconn",
        "on_request_headers_sent",
        "on_request_end",
        "on_response_chunk_received",
    ]


# --- middlewares ----------------------------------------------------------------


async def run_middlewares(package, url):
    seen = []

    async def outer(request, handler):
        seen.append(("outer", request.method, request.url.path, request.headers.get("X-Own")))
        request.headers["X-Own"] = "changed"
        response = await handler(request)
        if response.status == 503:
            seen.append(("again", response.status))
            response.release()
            response = await handler(request)
        return response

    async def inner(request, handler):
        seen.append(
            (
                "inner",
                request.method,
                request.headers["X-Own"],
                bytes(request.headers["Host"], "ascii"),
            )
        )
        await request.update_body(b"new body")
        return await handler(request)

    async with package.ClientSession(middlewares=(outer, inner)) as session:
        async with session.post(f"{url}/x", data=b"old", headers={"X-Own": "1"}) as found:
            seen.append((found.status, await found.text(), found.method))
        async with session.get(f"{url}/y", middlewares=()) as found:
            seen.append(await found.text())
    return seen


async def test_middlewares():
    script = [answer(b"", status="503 X"), forever(answer(b"ok"))]
    server = Scripted(script, script)
    ours = await run_middlewares(aiofast, server.url)
    assert ours == await run_middlewares(aiohttp, server.url)
    sent = [(one.method, one.body, one.header("X-Own")) for one in server.requests]
    assert (
        sent[:3]
        == sent[3:]
        == [
            ("POST", b"new body", "changed"),
            ("POST", b"new body", "changed"),
            ("GET", b"", None),
        ]
    )


async def test_a_redirect_passes_the_middlewares_again():
    seen = []

    async def middleware(request, handler):
        seen.append((request.method, request.url.path, request.headers.get("Authorization")))
        return await handler(request)

    other = Scripted([forever(answer(b"there"))])
    server = Scripted(
        [request, send(response(b"", f"Location: {other.url}/two#part", status="307 X"))]
    )
    async with aiofast.ClientSession(middlewares=[middleware]) as session:
        async with session.post(
            f"{server.url}/one", data=b"body", headers={"Authorization": "secret"}
        ) as found:
            assert await found.text() == "there"
            assert found.real_url.fragment == "part"
            assert [one.status for one in found.history] == [307]
    assert seen == [("POST", "/one", "secret"), ("POST", "/two", None)]
    assert other.requests[0].body == b"body"
    assert other.requests[0].header("Authorization") is None


async def test_too_many_redirects_in_steps():
    server = Scripted([forever(request, send(response(b"", "Location: /", status="302 X")))])

    async def through(request, handler):
        return await handler(request)

    async with aiofast.ClientSession(middlewares=[through]) as session:
        with pytest.raises(aiofast.TooManyRedirects) as caught:
            await session.get(server.url, max_redirects=3)
    assert len(caught.value.history) == 3
    assert len(server.requests) == 3


async def test_the_total_limit_spans_the_steps():
    from servers import silence

    server = Scripted(
        [request, send(response(b"", "Location: /", status="302 X")), request, silence]
    )

    async def through(request, handler):
        return await handler(request)

    async with aiofast.ClientSession(middlewares=[through]) as session:
        with pytest.raises(TimeoutError):
            await session.get(server.url, timeout=aiofast.ClientTimeout(total=0.2))


async def test_a_request_class_of_ones_own():
    class Mine(aiofast.ClientRequest):
        def update_headers(self, headers):
            super().update_headers(headers)
            self.headers["X-Mine"] = self.method

    server = Scripted([forever(answer(b"ok"))])
    async with aiofast.ClientSession(request_class=Mine) as session:
        await (await session.get(server.url)).read()
    assert server.requests[0].header("X-Mine") == "GET"


# --- resolvers ------------------------------------------------------------------


class Table(aiofast.abc.AbstractResolver):
    """Names of a test, at |port| of this machine."""

    def __init__(self, port, *hosts):
        self.port = port
        self.hosts = hosts
        self.asked = []
        self.closed = False

    async def resolve(self, host, port=0, family=socket.AF_INET):
        self.asked.append((host, port, family))
        if host == "nowhere.test":
            raise OSError("no such name")
        return [
            {
                "hostname": host,
                "host": one,
                "port": self.port,
                "family": socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
            for one in self.hosts
        ]

    async def close(self):
        self.closed = True


async def test_a_resolver_says_where_a_host_is():
    server = Scripted([forever(answer(b"ok"))] * 2)
    port = int(server.url.rpartition(":")[2])
    resolver = Table(port, "127.0.0.99", "127.0.0.1")
    connector = aiofast.TCPConnector(resolver=resolver, family=socket.AF_INET)
    async with aiofast.ClientSession(connector=connector) as session:
        for headers in ({}, {}, {"Connection": "close"}):
            async with session.get("http://shop.test/x", headers=headers) as found:
                assert await found.text() == "ok"
        assert resolver.asked == [("shop.test", 80, socket.AF_INET)]
        connector.clear_dns_cache("shop.test", 80)
        async with session.get("http://shop.test/x") as found:
            await found.read()
        assert len(resolver.asked) == 2
        with pytest.raises(aiofast.ClientConnectorDNSError) as caught:
            await session.get("http://nowhere.test/")
        assert caught.value.host == "nowhere.test"
        assert str(caught.value.os_error) == "no such name"
        with pytest.raises(ValueError, match="both"):
            connector.clear_dns_cache("x")
    assert server.requests[0].header("Host") == "shop.test"
    assert not resolver.closed  # it is the program's


async def test_a_connector_that_resolves_by_itself():
    server = Scripted([forever(answer(b"ok"))])
    port = int(server.url.rpartition(":")[2])

    class Mine(aiofast.TCPConnector):
        async def _resolve_host(self, host, port_, traces=None):
            return [
                {
                    "hostname": host,
                    "host": "127.0.0.1",
                    "port": port,
                    "family": 2,
                    "proto": 0,
                    "flags": 0,
                }
            ]

    async with aiofast.ClientSession(connector=Mine()) as session:
        async with session.get("http://any.test/") as found:
            assert await found.text() == "ok"


async def test_the_threaded_resolver_is_aiohttps():
    ours = await aiofast.ThreadedResolver().resolve("localhost", 80)
    theirs = await aiohttp.ThreadedResolver().resolve("localhost", 80)
    assert [dict(one) for one in ours] == [dict(one) for one in theirs]
    assert aiofast.DefaultResolver is aiofast.ThreadedResolver
    with pytest.raises(OSError, match=r".+"):
        await aiofast.ThreadedResolver().resolve("nowhere.invalid", 80)


# --- certificates ---------------------------------------------------------------


async def test_a_pinned_certificate(authority):
    context = authority.server()
    server = Scripted([forever(answer(b"ok"))], [forever(answer(b"ok"))], tls=context)
    port = int(server.url.rpartition(":")[2])
    pem = ssl.get_server_certificate(("127.0.0.1", port))
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest()
    async with aiofast.ClientSession() as session:
        async with session.get(server.url, ssl=aiofast.Fingerprint(digest)) as found:
            assert await found.text() == "ok"
        with pytest.raises(aiofast.ServerFingerprintMismatch) as caught:
            await session.get(server.url, ssl=aiofast.Fingerprint(b"\0" * 32))
    assert caught.value.got == digest
    assert caught.value.expected == b"\0" * 32
    assert caught.value.port == port
    with pytest.raises(ValueError, match="invalid length"):
        aiofast.Fingerprint(b"short")
    with pytest.raises(ValueError, match="insecure"):
        aiofast.Fingerprint(b"x" * 20)


def test_a_trace_config_can_be_copied():
    import copy

    config = aiofast.TraceConfig()
    assert copy.copy(config).on_request_start is config._on_request_start
    with pytest.raises(AttributeError, match="nonsense"):
        _ = config.nonsense


async def test_an_upload_is_followed_through_middlewares():
    server = Scripted([answer(b"", status="401 No"), answer(b"done")])

    async def again(request, handler):
        first = await handler(request)
        assert first.status == 401
        first.release()
        return await handler(request)

    async with aiofast.ClientSession(middlewares=(again,)) as session:
        tracker = aiofast.UploadTracker()
        async with session.post(server.url, data=b"x" * 500, upload_tracker=tracker) as response:
            assert response.status == 200
        assert (tracker.attempts, tracker.bytes_written) == (2, 500)
        assert tracker.upload_complete.result() is None
        with pytest.raises(RuntimeError, match="already bound"):
            await session.get(server.url, upload_tracker=tracker)
    assert [one.body for one in server.requests] == [b"x" * 500] * 2


async def test_an_upload_that_no_middleware_sends():
    server = Scripted([answer(b"kept")])
    async with aiofast.ClientSession() as session:
        kept = await session.get(server.url)

        async def without(request, handler):
            return kept

        tracker = aiofast.UploadTracker()
        sent = session.post(server.url, data=b"x", middlewares=(without,), upload_tracker=tracker)
        assert await sent is kept
        assert tracker.attempts == 0
        assert isinstance(tracker.upload_complete.exception(), aiofast.UploadAbortedError)
        kept.release()


async def test_a_request_that_does_not_start_settles_its_tracker():
    async def fail(session, context, params):
        raise RuntimeError("no")

    config = aiofast.TraceConfig()
    config.on_request_start.append(fail)
    async with aiofast.ClientSession(trace_configs=[config]) as session:
        tracker = aiofast.UploadTracker()
        with pytest.raises(RuntimeError, match="no"):
            await session.post("http://127.0.0.1:1/", data=b"x", upload_tracker=tracker)
    assert isinstance(tracker.upload_complete.exception(), aiofast.UploadAbortedError)


async def test_an_upload_that_is_not_sent_again():
    away = answer(b"", f"Location: http://127.0.0.1:{free_port()}/", status="307 There")
    server = Scripted([away])
    async with aiofast.ClientSession() as session:
        tracker = aiofast.UploadTracker()
        with pytest.raises(aiofast.ClientConnectorError):
            await session.post(server.url, data=b"x" * 100, upload_tracker=tracker)
        assert (tracker.attempts, tracker.bytes_written) == (2, 0)
        assert isinstance(tracker.upload_complete.exception(), aiofast.UploadAbortedError)
        tracker = aiofast.UploadTracker()
        with pytest.raises(aiofast.NonHttpUrlClientError):
            await session.get("ftp://h/", upload_tracker=tracker)
        assert tracker.attempts == 0
        assert isinstance(tracker.upload_complete.exception(), aiofast.UploadAbortedError)
