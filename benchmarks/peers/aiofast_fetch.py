"""aiofast by its shortest door: one awaited call for one response."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiofast

from peers import One, Target

PACKAGE = "aiofast"
IMPORT = "import aiofast; aiofast.fetch"
_CONNECTIONS = 100  # of the loop's own pool


def remark(target: Target) -> str | None:
    """fetch() has the loop's own pool, and no setting for its size."""
    if target.in_flight > _CONNECTIONS:
        return f"over {_CONNECTIONS} connections"
    return None


@contextlib.asynccontextmanager
async def caller(target: Target) -> AsyncIterator[One]:
    """No session: the loop's own pool."""
    fetch, url, length = aiofast.fetch, target.url, target.length
    context = target.context()
    options: dict[str, Any] = {"ssl": context} if context else {}
    if target.sent:
        options |= {"method": "POST", "data": target.body}

    async def plain() -> None:
        response = await fetch(url)
        if response.status != 200 or len(response.body) != length:
            target.refuse(response.status, len(response.body))

    async def with_options() -> None:
        if target.streams:
            options["data"] = target.stream()
        response = await fetch(url, **options)
        if response.status != 200 or len(response.body) != length:
            target.refuse(response.status, len(response.body))

    yield with_options if options else plain
