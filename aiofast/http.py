"""aiohttp.http: the versions of HTTP by aiohttp's module name."""

from __future__ import annotations

from .http_exceptions import HttpProcessingError
from .response import HttpVersion, HttpVersion10, HttpVersion11
from .settings import USER_AGENT as SERVER_SOFTWARE

__all__ = (
    "SERVER_SOFTWARE",
    "HttpProcessingError",
    "HttpVersion",
    "HttpVersion10",
    "HttpVersion11",
)
