"""What goes to an origin, worked out once and kept until the jar changes.

Programs send many requests to few origins, between which the jar stays as it
is. So a request costs a look into a dict, whatever the jar holds for others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from .cookiescope import path_matches

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .cookies import Cookie

MAX_SENT = 150  # cookies in one request
MAX_HEADER = 8190  # bytes of the Cookie field
_KEPT = 256  # plans, and fields
_T = TypeVar("_T")


class Plan:
    """The cookies that may go to one origin, those that fit best last."""

    __slots__ = ("changes", "cookies", "until")

    def __init__(self, cookies: list[Cookie], changes: int) -> None:
        self.cookies = cookies
        self.changes = changes  # the jar's, when it was made
        self.until = _end_of(cookies)

    def for_path(self, path: str) -> list[Cookie]:
        """Those that go to |path|, as many as go into one request."""
        return that_fit([c for c in self.cookies if path_matches(path, c.morsel["path"])])


class Field:
    """The Cookie field for one URL."""

    __slots__ = ("changes", "cookies", "text", "until")

    def __init__(self, cookies: list[Cookie], changes: int) -> None:
        self.cookies = cookies
        self.changes = changes
        self.until = _end_of(cookies)
        self.text = "; ".join([cookie.pair for cookie in header_order(cookies)])


def _end_of(cookies: list[Cookie]) -> float:
    """When the first of them expires."""
    return min((c.expires for c in cookies if c.expires is not None), default=float("inf"))


class Plans:
    """The plans for the origins that were asked for last, by the text of a URL up
    to its path, and the fields for the last URLs."""

    __slots__ = ("_kept", "fields")

    def __init__(self) -> None:
        self._kept: dict[str, Plan] = {}
        self.fields: dict[str, Field] = {}

    def new_field(self, url: str, cookies: list[Cookie], changes: int) -> Field:
        """The field for |url|, which is kept."""
        field = Field(cookies, changes)
        _put(self.fields, url, field)
        return field

    def get(self, url: str) -> Plan | None:
        """The plan for |url|, which may be out of date."""
        end = url.find("/", 8)
        return self._kept.get(url if end < 0 else url[:end])

    def put(self, url: str, origin: Any, plan: Plan) -> None:
        """Keeps |plan| for the URLs that begin as |url| does, if these all have
        its |origin|."""
        from ._core import url_origin

        end = url.find("/", 8)
        prefix = url if end < 0 else url[:end]
        if "?" in prefix or "#" in prefix:
            return
        try:
            if url_origin(prefix) != origin:
                return
        except ValueError:
            return
        _put(self._kept, prefix, plan)


def _put(kept: dict[str, _T], key: str, value: _T) -> None:
    if len(kept) >= _KEPT and key not in kept:
        del kept[next(iter(kept))]
    kept[key] = value


def header_order(cookies: Iterable[Cookie]) -> list[Cookie]:
    """|cookies| as they stand in a Cookie field: longer paths first (RFC 6265bis
    5.8.3)."""
    return sorted(cookies, key=lambda cookie: -len(cookie.morsel["path"]))


def that_fit(cookies: list[Cookie]) -> list[Cookie]:
    """The last of |cookies|, as many as one request may carry."""
    fitting: list[Cookie] = []
    room = MAX_HEADER - len("Cookie: ")
    for cookie in reversed(cookies):
        size = len(cookie.pair.encode("utf-8", "replace")) + (2 if fitting else 0)
        if size <= room and len(fitting) < MAX_SENT:
            room -= size
            fitting.append(cookie)
    return fitting[::-1]
