"""aiofast as a program written for aiohttp uses it."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiofast

from peers import One, Target

PACKAGE = "aiofast"
IMPORT = "import aiofast; aiofast.ClientSession"


@contextlib.asynccontextmanager
async def caller(target: Target) -> AsyncIterator[One]:
    """One session for all requests, with a connection for each that is in flight."""
    url, length, context = target.url, target.length, target.context()
    options: dict[str, Any] = {"ssl": context} if context else {}
    if target.sent:
        options["data"] = target.body
    limit = max(100, target.in_flight)  # 100 is the default
    async with aiofast.ClientSession(connector=aiofast.TCPConnector(limit=limit)) as session:

        async def plain() -> None:
            async with session.get(url) as response:
                body = await response.read()
                if response.status != 200 or len(body) != length:
                    target.refuse(response.status, len(body))

        async def with_options() -> None:
            if target.streams:
                options["data"] = target.stream()
            async with session.request(
                "POST" if target.sent else "GET", url, **options
            ) as response:
                body = await response.read()
                if response.status != 200 or len(body) != length:
                    target.refuse(response.status, len(body))

        yield with_options if options else plain
