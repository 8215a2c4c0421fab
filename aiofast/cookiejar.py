"""aiohttp.cookiejar: the jars by aiohttp's module name."""

from __future__ import annotations

from .cookies import CookieJar, DummyCookieJar

__all__ = ("CookieJar", "DummyCookieJar")
