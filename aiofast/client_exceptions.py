"""aiohttp.client_exceptions: the tree of errors.py by aiohttp's module name."""

from __future__ import annotations

from .errors import *  # noqa: F403
