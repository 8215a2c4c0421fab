"""Logins of ~/.netrc, for sessions with trust_env."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .auth import encode_basic_auth

if TYPE_CHECKING:
    from netrc import netrc

# Of the file that was read last: where it is, its time and size, what it says.
_read: tuple[str, Any, netrc | None] = ("", None, None)


def netrc_login(host: str) -> str | None:
    """The Authorization for |host| by the file that NETRC names, else ~/.netrc;
    None if there is none, or it cannot be read."""
    known = _current()
    found = None if known is None else known.authenticators(host)
    if found is None:
        return None
    login, account, password = found
    # A login may be missing; the account is what curl takes then.
    return encode_basic_auth(login or account or "", password or "")


def _current() -> netrc | None:
    global _read
    path = os.environ.get("NETRC")
    if not path:
        name = "_netrc" if os.name == "nt" else ".netrc"
        path = os.path.join(os.path.expanduser("~"), name)
    try:
        state = os.stat(path)
    except OSError:
        return None
    seen = (state.st_mtime_ns, state.st_size, state.st_ino)
    if _read[:2] != (path, seen):
        from netrc import NetrcParseError, netrc

        try:
            parsed = netrc(path)
        except (NetrcParseError, OSError, UnicodeError):
            parsed = None
        _read = (path, seen, parsed)
    return _read[2]
