"""Libraries written for aiohttp, with aiofast in its place: each does its own job
against a server here. Those that are not installed are skipped; those that cannot
work are listed with the reason in docs/migrating-from-aiohttp.md."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import textwrap

import pytest
from servers import Scripted, answer, forever, request, response, send

ALIAS = """
import asyncio, json, sys
import aiofast
sys.modules["aiohttp"] = aiofast
url = sys.argv[1]
"""


def needs(*names: str) -> None:
    for name in names:
        try:
            found = importlib.util.find_spec(name)
        except ModuleNotFoundError:
            found = None
        if found is None:
            pytest.skip(f"{name} is not installed")


def run(program: str, url: str = "") -> object:
    """What |program| prints as JSON."""
    source = ALIAS + textwrap.dedent(program)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", source, url],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_aiohttp_retry() -> None:
    needs("aiohttp_retry")
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
    needs("gidgethub")
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
    needs("slack_sdk")
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
    needs("opentelemetry.instrumentation.aiohttp_client", "opentelemetry.sdk")
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
    needs("aiobotocore", "moto", "flask")
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
