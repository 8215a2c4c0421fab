"""aiofast by its shortest door: one awaited call for one response."""

import contextlib
import ssl
from collections.abc import AsyncIterator

import aiofast

from peers import One, Target

PACKAGE = "aiofast"
IMPORT = "import aiofast; aiofast.fetch"


@contextlib.asynccontextmanager
async def caller(target: Target) -> AsyncIterator[One]:
    """No session: the loop's own pool."""
    fetch, url, length = aiofast.fetch, target.url, target.length
    context = ssl.create_default_context(cafile=target.ca) if target.ca else None

    async def plain() -> None:
        response = await fetch(url)
        if response.status != 200 or len(response.body) != length:
            target.refuse(response.status, len(response.body))

    async def secure() -> None:
        assert context is not None
        response = await fetch(url, ssl=context)
        if response.status != 200 or len(response.body) != length:
            target.refuse(response.status, len(response.body))

    yield secure if context else plain
