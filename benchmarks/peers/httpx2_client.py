"""httpx2, HTTPX continued; HTTPX itself where only that is installed."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

try:
    import httpx2 as httpx
except ModuleNotFoundError as missing:
    try:
        import httpx
    except ModuleNotFoundError:
        raise missing from None

from peers import One, Target

PACKAGE = httpx.__name__
IMPORT = f"import {PACKAGE}"


@contextlib.asynccontextmanager
async def caller(target: Target) -> AsyncIterator[One]:
    """One client with a connection for each request in flight and no limit of time."""
    url, length, context = target.url, target.length, target.context()
    limit = max(100, target.in_flight)
    async with httpx.AsyncClient(
        limits=httpx.Limits(max_connections=limit, max_keepalive_connections=limit),
        verify=context if context else True,
        follow_redirects=True,
        trust_env=False,
        timeout=300.0,
    ) as client:

        async def one() -> None:
            if target.sent:
                content: Any = target.stream() if target.streams else target.body
                response = await client.post(url, content=content)
            else:
                response = await client.get(url)
            if response.status_code != 200 or len(response.content) != length:
                target.refuse(response.status_code, len(response.content))

        yield one
