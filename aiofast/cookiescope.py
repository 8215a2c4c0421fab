"""Where a cookie came from and where it may go: origins, domains and paths
(RFC 6265bis 5.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yarl import URL


def origin_of(url: str) -> tuple[str, str, str]:
    """Scheme, host (without a trailing dot) and path of an absolute URL.
    ValueError."""
    from ._core import url_origin

    scheme, host, _ = url_origin(url)
    return scheme, host.removesuffix("."), path_of(url)


def path_of(url: str) -> str:
    """The path of an absolute URL."""
    rest = url.partition("//")[2]
    for mark in "?#":
        rest = rest.partition(mark)[0]
    return "/" + rest.partition("/")[2]


def origins(given: Any) -> frozenset[URL]:
    """The origins of |given|: a URL, several, or None for none."""
    if given is None:
        return frozenset()
    from yarl import URL

    several = [given] if isinstance(given, (str, URL)) else given
    return frozenset(URL(url).origin() for url in several)


def default_path(path: str) -> str:
    """The path of a cookie that names none (RFC 6265bis 5.1.4)."""
    directory = path.rpartition("/")[0]
    return directory if directory.startswith("/") else "/"


def path_matches(path: str, of_cookie: str) -> bool:
    """RFC 6265bis 5.1.4."""
    if path == of_cookie:
        return True
    return path.startswith(of_cookie) and (
        of_cookie.endswith("/") or path[len(of_cookie) : len(of_cookie) + 1] == "/"
    )


def domain_matches(domain: str, host: str) -> bool:
    """RFC 6265bis 5.1.3."""
    return host == domain or (host.endswith(f".{domain}") and not is_address(host))


def domains_of(host: str) -> Iterator[str]:
    """Whose cookies may go to |host|: everybody's, its own, its parents'."""
    yield ""
    if is_address(host):
        yield host
        return
    while host:
        yield host
        host = host.partition(".")[2]


def is_address(host: str) -> bool:
    """True for an IPv4 or IPv6 address, however it is spelt."""
    if ":" in host:
        return True
    last = host.rpartition(".")[2]
    # A host whose last label is a number can only be an IPv4 address (WHATWG
    # URL 3.5).
    return last.isdecimal() or last.startswith("0x")


def is_local(host: str) -> bool:
    """Secure cookies are kept and sent here over http too: nothing leaves the
    machine, and development servers need it."""
    return host == "localhost" or host.endswith(".localhost")
