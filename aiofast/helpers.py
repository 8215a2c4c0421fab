"""aiohttp.helpers: the few of its tools that libraries import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .auth import BasicAuth
from .mediatype import parse_media_type
from .parameters import UNSET as sentinel

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Generator, Mapping
    from types import TracebackType
    from typing import Self

    from yarl import URL

__all__ = (
    "DEFAULT_CHUNK_SIZE",
    "BasicAuth",
    "HeadersMixin",
    "TimerNoop",
    "is_ip_address",
    "noop",
    "reify",
    "sentinel",
    "set_exception",
    "set_result",
    "strip_auth_from_url",
)

DEFAULT_CHUNK_SIZE = 2**18


class TimerNoop:
    """A limit of time that there is not: enters and leaves."""

    def assert_timeout(self) -> None:
        """Never raises."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Lets everything through."""


class HeadersMixin:
    """Content-Type and Content-Length of an object with `_headers`."""

    _headers: Mapping[str, str]

    @property
    def content_type(self) -> str:
        """The media type; application/octet-stream if none is said."""
        found = parse_media_type(self._headers.get("Content-Type"))[0]
        return found or "application/octet-stream"

    @property
    def charset(self) -> str | None:
        """The charset that Content-Type names."""
        return parse_media_type(self._headers.get("Content-Type"))[1]

    @property
    def content_length(self) -> int | None:
        """The Content-Length in bytes, or None."""
        value = self._headers.get("Content-Length")
        return None if value is None else int(value)


def is_ip_address(host: str | None) -> bool:
    """True for an IPv4 or IPv6 address in text, without brackets."""
    if not host:
        return False
    return ":" in host or host.replace(".", "").isdigit()


class noop:
    """May be awaited, and gives None at once."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


def set_result(future: Future[Any], result: Any) -> None:
    """Gives |future| its result unless it is done."""
    if not future.done():
        future.set_result(result)


def set_exception(future: Any, exc: BaseException, exc_cause: BaseException | None = None) -> None:
    """Makes |future|, or a stream, fail with |exc| unless it is done."""
    if hasattr(future, "done") and future.done():
        return
    if exc_cause is not None and exc_cause is not exc:
        exc.__cause__ = exc_cause
    future.set_exception(exc)


def strip_auth_from_url(url: URL) -> tuple[URL, BasicAuth | None]:
    """|url| without user information, and this as BasicAuth or None."""
    if url.raw_user is None and url.raw_password is None:
        return url, None
    return url.with_user(None), BasicAuth(url.user or "", url.password or "")


class reify:
    """A property that is computed once: the value is kept in the object's
    `_cache`."""

    def __init__(self, wrapped: Any) -> None:
        self.wrapped = wrapped
        self.__doc__ = wrapped.__doc__
        self.name = wrapped.__name__

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        if self.name not in instance._cache:
            instance._cache[self.name] = self.wrapped(instance)
        return instance._cache[self.name]

    def __set__(self, instance: Any, value: Any) -> None:
        raise AttributeError("reified property is read-only")
