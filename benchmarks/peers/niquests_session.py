"""niquests: requests continued, with an asynchronous session."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import niquests

from peers import One, Target

PACKAGE = "niquests"
IMPORT = "import niquests"


@contextlib.asynccontextmanager
async def caller(target: Target) -> AsyncIterator[One]:
    """One session, HTTP/1.1 alone, with a connection for each request in flight."""
    url, length = target.url, target.length
    async with niquests.AsyncSession(
        disable_http2=True,
        disable_http3=True,
        pool_connections=max(10, target.in_flight),
        pool_maxsize=max(10, target.in_flight),
    ) as session:
        session.trust_env = False
        if target.ca:
            session.verify = target.ca

        async def one() -> None:
            if target.sent:
                data: Any = target.stream() if target.streams else target.body
                response = await session.post(url, data=data)
            else:
                response = await session.get(url)
            body = response.content or b""
            if response.status_code != 200 or len(body) != length:
                target.refuse(response.status_code or 0, len(body))

        yield one
