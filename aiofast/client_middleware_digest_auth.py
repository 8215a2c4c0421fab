"""aiohttp.client_middleware_digest_auth: DigestAuthMiddleware by its module name."""

from __future__ import annotations

from .digest import DigestAuthMiddleware

__all__ = ("DigestAuthMiddleware",)
