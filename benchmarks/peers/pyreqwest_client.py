"""pyreqwest: Rust's reqwest under asyncio; one client with its own pool."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pyreqwest  # noqa: F401
from pyreqwest.client import ClientBuilder

from peers import One, Target

PACKAGE = "pyreqwest"
IMPORT = "from pyreqwest.client import ClientBuilder"


def _builder(target: Target) -> ClientBuilder:
    """As many connections kept as there are requests in flight."""
    builder = ClientBuilder().no_proxy().http1_only()
    builder = builder.pool_max_idle_per_host(target.in_flight)
    if target.ca:
        builder = builder.add_root_certificate_pem(Path(target.ca).read_bytes())
    return builder


@contextlib.asynccontextmanager
async def caller(target: Target) -> AsyncIterator[One]:
    """One client, which is what keeps the connections."""
    url, length, sent = target.url, target.length, target.body
    async with _builder(target).build() as client:

        async def plain() -> None:
            response = await client.get(url).build().send()
            body = await response.bytes()
            if response.status != 200 or len(body) != length:
                target.refuse(response.status, len(body))

        async def post() -> None:
            request = client.post(url)
            request = (
                request.body_stream(target.stream()) if sent is None else request.body_bytes(sent)
            )
            response = await request.build().send()
            body = await response.bytes()
            if response.status != 200 or len(body) != length:
                target.refuse(response.status, len(body))

        yield post if target.sent else plain
