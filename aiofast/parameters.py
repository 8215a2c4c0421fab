"""aiohttp's parameters of sessions and requests: what they change in the
engine's options, and which are not there yet."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from ._core import url_origin
from .outgoing import Unset, checked_redirects, url_text
from .settings import NO_REDIRECTS
from .timeouts import DEFAULT_TIMEOUT, ClientTimeout, timeout_from

if TYPE_CHECKING:
    from collections.abc import Mapping

    from yarl import URL

    from .outgoing import StrOrURL

_UNLIMITED = 2**31 - 1
UNSET: Any = Unset()  # for parameters where None means something

LATER_IN_SESSION = frozenset(
    (
        "proxy",
        "proxy_auth",
    )
)

# aiohttp's parameters of a request that are not there yet. Their values there
# that mean nothing are accepted.
_LATER_IN_REQUEST = frozenset(
    (
        "proxy",
        "proxy_auth",
        "proxy_headers",
    )
)


def refuse(who: str, given: Mapping[str, Any], later: frozenset[str]) -> None:
    """TypeError for what is unknown or of a wrong type, InvalidURL for a proxy that is
    none, NotImplementedError for what is right and not there yet."""
    for name, value in given.items():
        if name not in later:
            raise TypeError(f"{who}() got an unexpected keyword argument {name!r}")
        if name == "proxy" and value is not None:
            url_origin(url_text(value))
        elif name == "proxy_auth" and value is not None:
            warn_deprecated("The 'proxy_auth' parameter is deprecated; put it into the proxy's URL")
            if not isinstance(value, tuple):
                raise TypeError(f"proxy_auth must be a BasicAuth, not {value!r}")
            if given.get("proxy") is None:
                continue  # it is for a proxy alone
        if value not in (None, False, (), [], {}):
            raise NotImplementedError(f"{who}: {name} is not there yet")


def is_http10(version: Any) -> bool:
    """True for HTTP/1.0, False for 1.1. ValueError for any other |version|."""
    if version not in ((1, 0), (1, 1)):
        raise ValueError(f"version must be HTTP/1.0 or 1.1, not {version!r}")
    return bool(version == (1, 0))


def changes_of(settings: dict[str, Any]) -> dict[str, Any]:
    """What a request's |settings| change, by the names of OptionsCache."""
    changes: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, value in settings.items():
        if name == "timeout":
            changes[name] = value
        elif name == "raise_for_status":
            changes[name] = bool(value)
        elif name in _SETTINGS:
            if value is not None:
                changes[_SETTINGS[name]] = value
        elif name == "version":
            changes["http10"] = is_http10(value)
        elif name == "read_bufsize":
            if value is not None:
                changes["high_water"] = checked_bufsize(value)
        elif name not in ("read_until_eof", "loop"):
            rest[name] = value
    if not rest.get("proxy"):
        rest.pop("proxy_headers", None)  # they are for a proxy alone
    refuse("ClientSession._request", rest, _LATER_IN_REQUEST)
    return changes


# The rest of what a request may change, and what the options call it.
_SETTINGS = {
    "ssl": "ssl",
    "server_hostname": "server_hostname",
    "auto_decompress": "decompress",
    "max_line_size": "max_line",
    "max_field_size": "max_line",
    "max_headers": "max_fields",
    "max_body": "max_body",
    "allow_private": "allow_private",
    "max_ratio": "max_ratio",
    "on_informational": "informational",
}


# Looked at elsewhere, or taken and not used.
_ACCEPTED = frozenset(
    (
        *("chunked", "compress", "expect100", "progress", "trailers", "upload_tracker"),
        *("loop", "read_bufsize", "read_until_eof", "timeout", "version"),
    )
)


def expect_known(settings: Mapping[str, Any]) -> None:
    """TypeError for a setting that no request has."""
    for name in settings:
        if name not in _SETTINGS and name not in _LATER_IN_REQUEST and name not in _ACCEPTED:
            raise TypeError(f"ClientSession._request() got an unexpected keyword argument {name!r}")


def checked_bufsize(value: int) -> int:
    """Bytes of a body that may wait for their reader. ValueError, TypeError."""
    if value < 1:
        raise ValueError("read_bufsize must be positive")
    return value


def ceilings(line: int, field: int, count: int) -> dict[str, Any]:
    """A session's ceilings for the head, where they are not aiohttp's."""
    if (line, field, count) == (8190, 8190, 128):
        return {}
    longest = max(line, field)
    return {"max_line": longest, "max_head": max(65536, 2 * longest), "max_fields": count}


def hops(allow_redirects: bool, max_redirects: int) -> int:
    if not allow_redirects:
        return NO_REDIRECTS
    return checked_redirects(max_redirects) - 1 if max_redirects else _UNLIMITED


def checked_base(base_url: StrOrURL | None) -> URL | None:
    """The base URL of a session. ValueError unless it is absolute and its path
    ends with a slash."""
    if base_url is None:
        return None
    from yarl import URL

    text = url_text(base_url)
    url_origin(text)  # InvalidURL, which is a ValueError
    url = URL(text)
    if not url.path.endswith("/"):
        raise ValueError("base_url must have a trailing '/'")
    return url


def session_timeout(timeout: Any, read_timeout: Any, conn_timeout: float | None) -> ClientTimeout:
    """What a session's `timeout` and the two names before it come to. ValueError."""
    if timeout is not UNSET and timeout is not None:
        named = type(timeout).__name__ == "ClientTimeout"  # ours, or that of aiohttp itself
        if not named and not isinstance(timeout, (ClientTimeout, int, float)):
            raise ValueError(
                f"timeout parameter cannot be of {type(timeout)} type, "
                "please use 'timeout=ClientTimeout(...)'"
            )
        if read_timeout is not UNSET:
            raise ValueError("read_timeout and timeout parameters conflict")
        if conn_timeout is not None:
            raise ValueError("conn_timeout and timeout parameters conflict")
        return timeout_from(timeout)
    total, connect = DEFAULT_TIMEOUT.total, None
    if read_timeout is not UNSET:
        warn_deprecated("read_timeout is deprecated, use timeout argument instead")
        total = read_timeout
    if conn_timeout is not None:
        warn_deprecated("conn_timeout is deprecated, use timeout argument instead")
        connect = conn_timeout
    return ClientTimeout(total=total, connect=connect, sock_connect=DEFAULT_TIMEOUT.sock_connect)


def merged_ssl(
    ssl: Any, verify_ssl: bool | None, ssl_context: Any, fingerprint: bytes | None
) -> Any:
    """`ssl` and the three names before it as one. ValueError for two of them,
    TypeError."""
    old: list[Any] = []
    if verify_ssl is not None and not verify_ssl:
        warn_deprecated("verify_ssl is deprecated, use ssl=False instead")
        old.append(False)
    if ssl_context is not None:
        warn_deprecated("ssl_context is deprecated, use ssl=context instead")
        old.append(ssl_context)
    if fingerprint is not None:
        from .fingerprint import Fingerprint

        warn_deprecated("fingerprint is deprecated, use ssl=Fingerprint(fingerprint) instead")
        old.append(Fingerprint(fingerprint))
    if ssl is None:
        ssl = True
    if len(old) + (ssl is not True) > 1:
        raise ValueError(
            "verify_ssl, ssl_context, fingerprint and ssl parameters are mutually exclusive"
        )
    return old[0] if old else ssl


def warn_deprecated(message: str) -> None:
    """Says |message| of the caller of our caller's caller."""
    warnings.warn(message, DeprecationWarning, stacklevel=4)


def warn_shutdown() -> None:
    """For a session's ssl_shutdown_timeout, as aiohttp has it."""
    warn_deprecated("The ssl_shutdown_timeout parameter is deprecated and has no effect")


def warn_auth() -> None:
    """`auth` is an old name for a header."""
    warn_deprecated(
        "The 'auth' parameter is deprecated; pass "
        "headers={'Authorization': encode_basic_auth(login, password)} instead"
    )


def refuse_proxies_of_environment() -> None:
    from urllib.request import getproxies

    named = sorted(set(getproxies()) & {"http", "https", "all"})
    if named:
        raise NotImplementedError(
            f"trust_env: the environment names proxies ({', '.join(named)}), "
            "which are not there yet"
        )
