"""What a parser tells its protocol, written down; and cutting bytes in all ways."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from aiofast import parser as ours

NAMES = (
    "on_message_begin",
    "on_url",
    "on_status",
    "on_header",
    "on_headers_complete",
    "on_body",
    "on_message_complete",
    "on_chunk_header",
    "on_chunk_complete",
)
Event = tuple[Any, ...]


class Recorder:
    """A protocol with all callbacks, or with those in |names|, that writes them down."""

    def __init__(self, names: Iterable[str] = NAMES) -> None:
        self.events: list[Event] = []
        for name in names:
            setattr(self, name, self.note(name.removeprefix("on_")))

    def note(self, name: str) -> Any:
        return lambda *arguments: self.events.append((name, *arguments))


def joined(events: Iterable[Event]) -> list[Event]:
    """The events with neighbouring pieces of bodies (and of what httptools cuts) as one."""
    whole: list[Event] = []
    for event in events:
        if whole and event[0] in ("body", "url", "status") and whole[-1][0] == event[0]:
            whole[-1] = (event[0], whole[-1][1] + event[1])
        else:
            whole.append(event)
    return whole


def read(
    pieces: Iterable[bytes],
    request: bool = True,
    module: ModuleType = ours,
    **leniencies: bool,
) -> list[Event]:
    """The events of |pieces|, joined, with the error that ended them, or the upgrade and what
    was left over, as the last one."""
    protocol = Recorder()
    make = module.HttpRequestParser if request else module.HttpResponseParser
    reader = make(protocol)
    reader.set_dangerous_leniencies(**leniencies)
    for piece in pieces:
        try:
            reader.feed_data(piece)
        except module.HttpParserUpgrade as upgrade:
            protocol.events.append(("upgrade", piece[upgrade.args[0] :]))
            break
        except module.HttpParserError as error:
            protocol.events.append(("error", type(error).__name__))
            break
    return joined(protocol.events)


def cuts(data: bytes, most: int = 1500) -> Iterator[list[bytes]]:
    """|data| byte by byte, and cut in two at every place; at 400 places if it is longer than
    |most|."""
    yield [data[i : i + 1] for i in range(len(data))]
    places: Iterable[int] = range(1, len(data))
    if len(data) > most:
        step = len(data) // 400 | 1  # odd, so that it meets all places of a line of even length
        places = range(1, len(data), step)
    for i in places:
        yield [data[:i], data[i:]]
