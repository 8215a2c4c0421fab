"""aiohttp's parameters of sessions and requests: what they change in the
engine's options, and which are not there yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._core import url_origin
from .outgoing import url_text
from .settings import NO_REDIRECTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .outgoing import StrOrURL

_UNLIMITED = 2**31 - 1

LATER_IN_SESSION = frozenset(
    (
        "proxy",
        "proxy_auth",
        "request_class",
        "ws_response_class",
        "read_timeout",
        "conn_timeout",
        "trace_configs",
        "fallback_charset_resolver",
        "middlewares",
        "ssl_shutdown_timeout",
    )
)

# aiohttp's parameters of a request that are not there yet. Their values there
# that mean nothing are accepted.
_LATER_IN_REQUEST = frozenset(
    (
        "compress",
        "proxy",
        "proxy_auth",
        "fingerprint",
        "proxy_headers",
        "trace_request_ctx",
        "middlewares",
        "upload_tracker",
    )
)


def refuse(who: str, given: Mapping[str, Any], later: frozenset[str]) -> None:
    for name, value in given.items():
        if name not in later:
            raise TypeError(f"{who}() got an unexpected keyword argument {name!r}")
        if value not in (None, False, (), []):
            raise NotImplementedError(f"{who}: {name} is not there yet")


def changes_of(settings: dict[str, Any]) -> dict[str, Any]:
    """What a request's |settings| change, by the names of OptionsCache."""
    changes: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, value in settings.items():
        if name == "timeout":
            changes[name] = value
        elif name == "raise_for_status":
            if value is not None and not isinstance(value, bool):
                raise NotImplementedError("raise_for_status as a function is not there yet")
            if value is not None:
                changes[name] = value
        elif name in _SETTINGS:
            if value is not None:
                changes[_SETTINGS[name]] = value
        elif name not in ("read_until_eof", "read_bufsize", "version", "loop"):
            rest[name] = value
    refuse("ClientSession._request", rest, _LATER_IN_REQUEST)
    return changes


# The rest of what a request may change, and what the options call it.
_SETTINGS = {
    "ssl": "ssl",
    "verify_ssl": "ssl",  # an old name
    "ssl_context": "ssl",  # an old name
    "server_hostname": "server_hostname",
    "auto_decompress": "decompress",
    "max_line_size": "max_line",
    "max_field_size": "max_line",
    "max_headers": "max_fields",
    "max_body": "max_body",
    "allow_private": "allow_private",
    "max_ratio": "max_ratio",
}


def ceilings(line: int, field: int, count: int) -> dict[str, Any]:
    """A session's ceilings for the head, where they are not aiohttp's."""
    if (line, field, count) == (8190, 8190, 128):
        return {}
    longest = max(line, field)
    return {"max_line": longest, "max_head": max(65536, 2 * longest), "max_fields": count}


def hops(allow_redirects: bool, max_redirects: int) -> int:
    if not allow_redirects:
        return NO_REDIRECTS
    return max_redirects - 1 if max_redirects else _UNLIMITED


def checked_base(base_url: StrOrURL | None) -> str | None:
    if base_url is None:
        return None
    text = url_text(base_url)
    url_origin(text)  # InvalidURL, which is a ValueError
    path = "/" + text.partition("//")[2].partition("?")[0].partition("#")[0].partition("/")[2]
    if not path.endswith("/"):
        raise ValueError("base_url must have a trailing '/'")
    return text


def refuse_proxies_of_environment() -> None:
    from urllib.request import getproxies

    named = sorted(set(getproxies()) & {"http", "https", "all"})
    if named:
        raise NotImplementedError(
            f"trust_env: the environment names proxies ({', '.join(named)}), "
            "which are not there yet"
        )
