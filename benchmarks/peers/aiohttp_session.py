"""aiohttp, on the loop that runs: asyncio or uvloop."""

import contextlib
import ssl
from collections.abc import AsyncIterator

import aiohttp

from peers import One, Target

PACKAGE = "aiohttp"
IMPORT = "import aiohttp"


@contextlib.asynccontextmanager
async def caller(target: Target) -> AsyncIterator[One]:
    """One session for all requests."""
    url, length = target.url, target.length
    context = ssl.create_default_context(cafile=target.ca) if target.ca else None
    async with aiohttp.ClientSession() as session:

        async def plain() -> None:
            async with session.get(url) as response:
                body = await response.read()
                if response.status != 200 or len(body) != length:
                    target.refuse(response.status, len(body))

        async def secure() -> None:
            assert context is not None
            async with session.get(url, ssl=context) as response:
                body = await response.read()
                if response.status != 200 or len(body) != length:
                    target.refuse(response.status, len(body))

        yield secure if context else plain
