"""Header fields that a response offers parsed: Link, Content-Disposition."""

from __future__ import annotations

import re
from collections import namedtuple
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NamedTuple

    from multidict import MultiDictProxy
    from yarl import URL

    class ContentDisposition(NamedTuple):
        """A Content-Disposition field, parsed (RFC 6266)."""

        type: str | None
        parameters: MappingProxyType[str, str]
        filename: str | None

else:
    ContentDisposition = namedtuple("ContentDisposition", "type parameters filename")


def disposition(value: str) -> ContentDisposition:
    """A Content-Disposition |value| with its parameters and the filename that
    they come to."""
    from .multipart import content_disposition_filename, parse_content_disposition

    kind, parameters = parse_content_disposition(value)
    proxy = MappingProxyType(parameters)
    return ContentDisposition(kind, proxy, content_disposition_filename(proxy))


_NEXT_LINK = re.compile(r",(?=\s*<)")


def parse_links(values: Iterable[str], base: URL) -> MultiDictProxy[MultiDictProxy[str | URL]]:
    """Link fields (RFC 8288 3) by relation type, or by target where none is
    named. What is malformed is left out."""
    from multidict import MultiDict, MultiDictProxy
    from yarl import URL

    links: MultiDict[MultiDictProxy[str | URL]] = MultiDict()
    for value in values:
        for one in _NEXT_LINK.split(value):
            target, end, rest = one.strip().removeprefix("<").rpartition(">")
            if not end or not one.lstrip().startswith("<"):
                continue
            link: MultiDict[str | URL] = MultiDict()
            for parameter in rest.split(";")[1:]:
                name, equals, text = (part.strip() for part in parameter.partition("="))
                if equals and name and " " not in name:
                    link.add(name, _unquoted(text))
            relation = str(link.get("rel", target))
            link.add("url", base.join(URL(target)))
            links.add(relation, MultiDictProxy(link))
    return MultiDictProxy(links)


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] in "\"'" and text[-1] == text[0]:
        return text[1:-1]
    return text
