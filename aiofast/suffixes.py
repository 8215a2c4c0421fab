"""Public suffixes: domains under which everybody can have a name, so that no
cookie may be set for all of them (RFC 6265bis 5.7, step 9).

The list is that of the publicsuffixlist package where that is installed, or of
the system (`/usr/share/publicsuffix`). Without either: single labels, and the
second levels under the domains of countries that are named by custom.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

_SYSTEM = "/usr/share/publicsuffix/public_suffix_list.dat"
_BY_CUSTOM = frozenset(
    "ac asn co com ed edu gen go gob gouv gov gv id ltd me mil mod ne net nhs nic nom or org "
    "plc police sch web".split()
)


@lru_cache(maxsize=1)
def _list() -> Any:
    try:
        from publicsuffixlist import PublicSuffixList  # type: ignore[import-not-found]
    except ImportError:
        return _system_rules()
    return PublicSuffixList()


def _system_rules() -> frozenset[str] | None:
    try:
        with open(_SYSTEM, encoding="utf-8") as file:
            lines = [line.split()[0] for line in file if line.strip()]
    except (OSError, UnicodeError):
        return None
    return frozenset(_ascii(line) for line in lines if not line.startswith("//"))


def _ascii(rule: str) -> str:
    if rule.isascii():
        return rule
    try:
        return rule.encode("idna").decode("ascii")
    except UnicodeError:
        return rule  # which no host equals


@lru_cache(maxsize=1024)
def is_public_suffix(domain: str) -> bool:
    """True if no one owns |domain| (lower case, without leading dot) alone."""
    if "." not in domain:
        return True
    known = _list()
    if known is None:
        first, _, rest = domain.partition(".")
        return "." not in rest and len(rest) == 2 and first in _BY_CUSTOM
    if isinstance(known, frozenset):
        if f"!{domain}" in known:
            return False
        return domain in known or f"*.{domain.partition('.')[2]}" in known
    return bool(known.is_public(domain))
