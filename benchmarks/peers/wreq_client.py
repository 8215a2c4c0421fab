"""wreq: a fork of Rust's reqwest under asyncio, without its impersonation."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import wreq
from wreq import redirect, tls

from peers import One, Target

PACKAGE = "wreq"
IMPORT = "from wreq import Client"


def _client(target: Target) -> wreq.Client:
    """As many connections kept as there are requests in flight."""
    options: dict[str, Any] = {}
    if target.ca:
        options["tls_verify"] = tls.CertStore.from_pem_certs([Path(target.ca).read_text()])
    return wreq.Client(
        http1_only=True,
        no_proxy=True,
        redirect=redirect.Policy.limited(10),
        gzip=True,
        pool_max_idle_per_host=target.in_flight,
        **options,
    )


@contextlib.asynccontextmanager
async def caller(target: Target) -> AsyncIterator[One]:
    """One client, which is what keeps the connections."""
    url, length, sent = target.url, target.length, target.body
    client = _client(target)

    async def plain() -> None:
        response = await client.get(url)
        body = await response.bytes()
        if response.status.as_int() != 200 or len(body) != length:
            target.refuse(response.status.as_int(), len(body))

    async def post() -> None:
        response = await client.post(url, body=target.stream() if sent is None else sent)
        body = await response.bytes()
        if response.status.as_int() != 200 or len(body) != length:
            target.refuse(response.status.as_int(), len(body))

    yield post if target.sent else plain
