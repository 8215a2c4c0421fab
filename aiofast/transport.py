"""Streams over plain connections, in asyncio's words."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ("open_connection",)


async def open_connection(
    host: str | None = None, port: int | str | None = None, **kwargs: Any
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A reader and a writer connected to |host| and |port|, in the running
    loop: asyncio.open_connection() with its parameters (ssl, server_hostname,
    limit, local_addr, ...) and errors (OSError, ssl.SSLError)."""
    return await asyncio.open_connection(host, port, **kwargs)
