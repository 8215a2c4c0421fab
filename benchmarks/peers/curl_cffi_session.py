"""curl_cffi: libcurl under asyncio through cffi, without its impersonation."""

import contextlib
from collections.abc import AsyncIterator

import curl_cffi
from curl_cffi import CurlHttpVersion

from peers import Cannot, One, Target

PACKAGE = "curl_cffi"
IMPORT = "from curl_cffi import AsyncSession"


@contextlib.asynccontextmanager
async def caller(target: Target) -> AsyncIterator[One]:
    """One session with a handle for each request in flight."""
    url, length = target.url, target.length
    if target.streams:
        raise Cannot("it takes no body in pieces under asyncio")
    method, sent = ("POST" if target.sent else "GET"), target.body
    async with curl_cffi.AsyncSession(
        max_clients=target.in_flight,
        verify=target.ca or True,
        http_version=CurlHttpVersion.V1_1,
        trust_env=False,
    ) as session:

        async def one() -> None:
            response = await session.request(method, url, data=sent)
            if response.status_code != 200 or len(response.content) != length:
                target.refuse(response.status_code, len(response.content))

        yield one
