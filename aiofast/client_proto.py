"""aiohttp.client_proto: its protocol by name. The engine reads and parses; the
class is there for programs that import or name it."""

from __future__ import annotations

from typing import Any

__all__ = ("ResponseHandler",)


class ResponseHandler:
    """What libraries for aiohttp hand to a StreamReader of their own making."""

    def __init__(self, loop: Any = None) -> None:
        self._loop = loop
        self.transport = None

    @property
    def connected(self) -> bool:
        """False: it has no transport."""
        return False

    def pause_reading(self) -> None:
        """Does nothing."""

    def resume_reading(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing."""
