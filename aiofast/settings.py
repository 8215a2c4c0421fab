"""Settings: the defaults, and what one call changes of them.

The engine takes an `Options` per request. Those with the defaults are built at
import; a call that overrides a setting gets a derived one, and the last few of
these are kept, since programs repeat the same timeout or context.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from . import __version__, _core
from .redirects import policy
from .response import Response
from .timeouts import DEFAULT_TIMEOUT, limits_from, timeout_from
from .tls import default_context, unverified_context

if TYPE_CHECKING:
    from collections.abc import Iterable

USER_AGENT = f"Python/{sys.version_info.major}.{sys.version_info.minor} aiofast/{__version__}"

AUTO_HEADERS: tuple[tuple[str, str], ...] = (
    ("Accept", "*/*"),
    ("Accept-Encoding", _core.ACCEPT_ENCODING),
    ("User-Agent", USER_AGENT),
)

MAX_REDIRECTS = 10
NO_REDIRECTS = -1  # the policy is not asked about them

NATIVE = _core.Options(
    response_class=Response,
    defaults=AUTO_HEADERS,
    policy=policy,
    tls_context=default_context,
    **limits_from(DEFAULT_TIMEOUT),
)

_KEPT = 32


class OptionsCache:
    """Options derived from |base|, by what was overridden."""

    __slots__ = ("_derived", "base")

    def __init__(self, base: _core.Options) -> None:
        self.base = base
        self._derived: dict[Any, _core.Options] = {}

    def get(self, **changes: Any) -> _core.Options:
        """The base with |changes|: `timeout` and `ssl` as callers give them,
        other names as Options has them. TypeError, ValueError."""
        if not changes:
            return self.base
        # The type is part of the key, as 1 and True are equal but not the same.
        key = tuple((name, type(value), value) for name, value in changes.items())
        try:
            options = self._derived.get(key)
        except TypeError:  # a value that is no key, and no setting either
            return derive(self.base, **changes)
        if options is None:
            options = derive(self.base, **changes)
            if len(self._derived) >= _KEPT:
                del self._derived[next(iter(self._derived))]
            self._derived[key] = options
        return options


def derive(base: _core.Options, **changes: Any) -> _core.Options:
    """|base| with |changes|. TypeError, ValueError."""
    if "timeout" in changes:
        changes.update(limits_from(timeout_from(changes.pop("timeout"))))
    if "ssl" in changes:
        changes["tls_context"] = tls_context(changes.pop("ssl"))
    return _core.Options(base, **changes)


def tls_context(value: Any) -> Any:
    """What the engine takes as context for the `ssl` of a caller. TypeError."""
    import ssl

    if value is True or value is None:
        return default_context
    if value is False:
        return unverified_context
    if isinstance(value, ssl.SSLContext):
        return value
    if type(value).__name__ == "Fingerprint":  # ours, or that of aiohttp itself
        from .fingerprint import pinned_context

        return pinned_context(value.fingerprint)
    raise TypeError(f"ssl should be SSLContext, bool, Fingerprint or None, got {value!r} instead.")


def default_headers(
    own: Iterable[tuple[str, str]], skip: Iterable[str] = ()
) -> tuple[tuple[str, str], ...]:
    """The automatic headers, less those named in |own| or |skip|, then |own|."""
    own = tuple(own)
    named = {name.lower() for name, _ in own}
    named.update(str(name).lower() for name in skip)
    return tuple(pair for pair in AUTO_HEADERS if pair[0].lower() not in named) + own
