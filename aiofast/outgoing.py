"""What fetch() and a session share when they put a request together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .auth import authorization, split_userinfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from yarl import URL

    StrOrURL = str | URL
    Headers = Mapping[str, str] | Iterable[tuple[str, str]] | None
    Pairs = list[tuple[str, str]]


class Unset:
    """Stands for a parameter that was not given, where None means something."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<unset>"


def url_text(url: Any) -> str:
    """The text of a str or yarl.URL. TypeError for anything else."""
    if isinstance(url, str):
        return url
    if hasattr(url, "human_repr"):
        return str(url)
    raise TypeError(f"a URL must be str or yarl.URL, not {type(url).__name__}")


def method_text(method: Any) -> str:
    """|method| in upper case. TypeError. What is not ASCII stays as it is, to be
    refused: some of it has an upper case that is."""
    if not isinstance(method, str):
        raise TypeError(f"method must be str, not {type(method).__name__}")
    return method.upper() if method.isascii() else method


def checked_trace(trace: Any) -> Any:
    """|trace|. TypeError unless it is None or can be called."""
    if trace is not None and not callable(trace):
        raise TypeError(f"trace must be a function, not {type(trace).__name__}")
    return trace


def checked_redirects(count: Any) -> int:
    """How many redirects a caller allows. TypeError, ValueError."""
    if isinstance(count, bool) or not isinstance(count, int):
        raise TypeError(f"max_redirects must be an int, not {count!r}")
    if count < 0:
        raise ValueError(f"max_redirects must not be negative: {count}")
    return count


def split_login(url: str) -> tuple[str, str | None]:
    """|url| without user information, and the Authorization for that or None."""
    return split_userinfo(url) if "@" in url else (url, None)


def header_pairs(headers: Any) -> Pairs:
    """|headers| as a caller gave them, as a list of pairs of our own: bytes in
    them are text, but for values that are not UTF-8. TypeError."""
    if not headers and (headers is None or headers == {}):
        return []
    if headers.__class__ is dict:
        pairs = list(headers.items())
    else:
        items = headers.items() if hasattr(headers, "items") else headers
        try:
            pairs = [(name, value) for name, value in items]
        except (TypeError, ValueError):
            raise TypeError("headers must be a mapping or pairs of name and value") from None
    # All that is decided by a header compares it with str.
    for name, value in pairs:
        if name.__class__ is not str or value.__class__ is not str:
            return [(_name_text(name), _value_text(value)) for name, value in pairs]
    return pairs


def _name_text(name: Any) -> str:
    if isinstance(name, str):
        return name
    if isinstance(name, bytes):
        return name.decode("latin-1")
    raise TypeError(f"a header's name must be str or bytes, not {type(name).__name__}")


def _value_text(value: Any) -> Any:
    try:
        return value.decode("utf-8") if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        return value  # goes as it is


def is_named(pairs: Pairs, name: str) -> bool:
    """True if |pairs| hold the header |name|, which is in lower case."""
    for given, _ in pairs:
        if isinstance(given, str) and len(given) == len(name) and given.lower() == name:
            return True
    return False


def add_login(pairs: Pairs, login: str | None, auth: Any) -> None:
    """Adds the Authorization of a request: |auth| of the caller, or |login| of
    the URL. ValueError if more than one is given; TypeError."""
    if auth is not None:
        if login is not None:
            raise ValueError("Cannot combine AUTH argument with credentials encoded in URL")
        login = authorization(auth)
    if login is None:
        return
    if is_named(pairs, "authorization"):
        raise ValueError(
            "Cannot combine AUTHORIZATION header with AUTH argument or credentials encoded in URL"
        )
    pairs.append(("Authorization", login))


def take_cookie(pairs: Pairs) -> tuple[Pairs, str | None]:
    """|pairs| without their Cookie fields, and these as one. TypeError."""
    for name, _ in pairs:
        if len(name) == 6 and name.lower() == "cookie":
            break
    else:
        return pairs, None
    values = [value for name, value in pairs if name.lower() == "cookie"]
    if not all(isinstance(value, str) for value in values):
        raise TypeError("a Cookie must be str, or bytes in UTF-8")
    return [pair for pair in pairs if pair[0].lower() != "cookie"], "; ".join(values)
