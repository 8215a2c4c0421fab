"""Libraries written for aiohttp, with aiofast in its place: each does its own job
against a server here. Those that cannot work are listed with the reason in
docs/migrating-from-aiohttp.md."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

from servers import Scripted, answer, forever, request, response, send

ALIAS = """
import asyncio, json, sys
import aiofast
sys.modules["aiohttp"] = aiofast
url, *rest = sys.argv[1:]
"""


def run(program: str, url: str = "", *rest: str) -> object:
    """What |program| prints as JSON."""
    source = ALIAS + textwrap.dedent(program)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", source, url, *rest],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_aiohttp_retry() -> None:
    busy = (request, send(response(b"", status="503 Busy")))
    server = Scripted([*busy, *busy, forever(answer(b"third"))])
    found = run(
        """
        from aiohttp_retry import ExponentialRetry, RetryClient

        async def main():
            options = ExponentialRetry(attempts=4, start_timeout=0.01)
            async with RetryClient(retry_options=options) as client:
                async with client.get(url) as response:
                    print(json.dumps([response.status, await response.text()]))

        asyncio.run(main())
        """,
        server.url,
    )
    assert found == [200, "third"]
    assert len(server.requests) == 3


def test_gidgethub() -> None:
    body = b'{"login": "me"}'
    limits = ("X-RateLimit-Limit: 10", "X-RateLimit-Remaining: 9", "X-RateLimit-Reset: 1")
    server = Scripted(
        [forever(request, send(response(body, "Content-Type: application/json", *limits)))]
    )
    found = run(
        """
        import aiohttp
        from gidgethub.aiohttp import GitHubAPI

        async def main():
            async with aiohttp.ClientSession() as session:
                api = GitHubAPI(session, "me", oauth_token="secret", base_url=url)
                user = await api.getitem("/user")
                print(json.dumps([user, api.rate_limit.remaining]))

        asyncio.run(main())
        """,
        server.url,
    )
    assert found == [{"login": "me"}, 9]
    assert server.requests[0].header("Authorization") == "token secret"


def test_slack_sdk() -> None:
    server = Scripted(
        [forever(request, send(response(b'{"ok": true}', "Content-Type: application/json")))]
    )
    found = run(
        """
        from slack_sdk.web.async_client import AsyncWebClient

        async def main():
            client = AsyncWebClient(token="xoxb-1", base_url=url + "/api/")
            posted = await client.chat_postMessage(channel="#x", text="hello there")
            print(json.dumps(posted["ok"]))

        asyncio.run(main())
        """,
        server.url,
    )
    assert found is True
    (sent,) = server.requests
    assert (sent.method, sent.target) == ("POST", "/api/chat.postMessage")
    assert sent.header("Authorization") == "Bearer xoxb-1"
    assert b"hello there" in sent.body


def test_opentelemetry() -> None:
    server = Scripted([forever(answer(b"ok"))])
    found = run(
        """
        import aiohttp
        from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        spans = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(spans))
        AioHttpClientInstrumentor().instrument(tracer_provider=provider)

        async def main():
            async with aiohttp.ClientSession() as session:
                async with session.get(url + "/x") as response:
                    await response.text()
            print(json.dumps([[s.name, dict(s.attributes)] for s in spans.get_finished_spans()]))

        asyncio.run(main())
        """,
        server.url,
    )
    ((name, attributes),) = found
    assert name == "GET"
    assert 200 in attributes.values()
    assert f"{server.url}/x" in attributes.values()
    assert server.requests[0].header("traceparent")


def test_aiobotocore_with_s3() -> None:
    found = run(
        """
        from aiobotocore.session import get_session
        from moto.server import ThreadedMotoServer

        async def main():
            server = ThreadedMotoServer(port=0, verbose=False)
            server.start()
            host, port = server.get_host_and_port()
            client = get_session().create_client(
                "s3",
                region_name="us-east-1",
                endpoint_url=f"http://127.0.0.1:{port}",
                aws_access_key_id="x",
                aws_secret_access_key="y",
            )
            async with client as s3:
                await s3.create_bucket(Bucket="bucket")
                await s3.put_object(Bucket="bucket", Key="key", Body=b"data" * 1000)
                found = await s3.get_object(Bucket="bucket", Key="key")
                async with found["Body"] as stream:
                    data = await stream.read()
                listed = await s3.list_objects_v2(Bucket="bucket")
                await s3.delete_object(Bucket="bucket", Key="key")
                after = await s3.list_objects_v2(Bucket="bucket")
            server.stop()
            keys = [one["Key"] for one in listed["Contents"]]
            print(json.dumps([len(data), keys, after["KeyCount"]]))

        asyncio.run(main())
        """
    )
    assert found == [4000, ["key"], 0]


def test_aioresponses() -> None:
    found = run(
        """
        import aiohttp
        from aioresponses import aioresponses

        async def main():
            found = []
            with aioresponses() as mocked:
                mocked.get("http://h/a", payload={"a": 1}, headers={"Set-Cookie": "k=v"})
                mocked.get("http://h/b", status=503, body=b"one\\ntwo\\n", repeat=True)
                mocked.post("http://h/c", exception=aiohttp.ClientConnectionError("no"))
                async with aiohttp.ClientSession() as session:
                    async with session.get("http://h/a") as response:
                        assert isinstance(response, aiohttp.ClientResponse)
                        found.append(await response.json())
                        found.append([response.status, response.cookies["k"].value])
                    async with session.get("http://h/b") as response:
                        found.append([line.decode() async for line in response.content])
                    response = await session.get("http://h/b")
                    found.append([await response.text(), len(await response.read())])
                    try:
                        response.raise_for_status()
                    except aiohttp.ClientResponseError as error:
                        found.append([error.status, str(error.request_info.url)])
                    try:
                        await session.post("http://h/c", data=b"x")
                    except aiohttp.ClientConnectionError as error:
                        found.append(str(error))
                mocked.assert_called_with("http://h/c", method="POST", data=b"x")
            print(json.dumps(found))

        asyncio.run(main())
        """
    )
    assert found == [
        {"a": 1},
        [200, "v"],
        ["one\n", "two\n"],
        ["one\ntwo\n", 8],
        [503, "http://h/b"],
        "no",
    ]


def test_aiohttp_client_cache(tmp_path) -> None:
    first = answer(b'{"n": 1}', "Content-Type: application/json")
    away = answer(b"", "Location: /there", status="302 Found")
    server = Scripted([first, away, answer(b"one\ntwo\n")])
    found = run(
        """
        from aiohttp_client_cache import CachedSession, SQLiteBackend

        async def main():
            found = []
            for _ in range(2):
                async with CachedSession(cache=SQLiteBackend(rest[0])) as session:
                    async with session.get(url + "/json") as response:
                        found.append([response.from_cache, response.status, await response.json()])
                    async with session.get(url + "/away") as response:
                        lines = [line.decode() async for line in response.content]
                        found.append([response.url.path, len(response.history), lines])
                        found.append(await response.text())
            print(json.dumps(found))

        asyncio.run(main())
        """,
        server.url,
        str(tmp_path / "cache.sqlite"),
    )
    lines = ["/there", 1, ["one\n", "two\n"]]
    assert found[0] == [False, 200, {"n": 1}]
    assert found[3] == [True, 200, {"n": 1}]
    assert found[1] == found[4] == lines
    assert found[2] == found[5] == "one\ntwo\n"
    assert len(server.requests) == 3


def test_vcrpy(tmp_path) -> None:
    server = Scripted([answer(b"a\nb\n"), answer(b"second")])
    found = run(
        """
        import aiohttp
        import vcr

        async def main():
            async with aiohttp.ClientSession() as session:
                async with session.get(url, params={"a": "1"}) as response:
                    lines = [line.decode() async for line in response.content]
                async with session.get(url + "/2") as response:
                    return [lines, await response.text(), response.headers["Content-Length"]]

        found = []
        for _ in range(2):
            with vcr.use_cassette(rest[0]):
                found.append(asyncio.run(main()))
        print(json.dumps(found))
        """,
        server.url,
        str(tmp_path / "cassette.yaml"),
    )
    assert found == [[["a\n", "b\n"], "second", "6"]] * 2
    assert [one.target for one in server.requests] == ["/?a=1", "/2"]
