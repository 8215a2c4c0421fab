"""The cases of the *.md beside this file: see README.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import aiofast
import pytest
from events import Event, cuts, read
from servers import Scripted, drip, fin, request, send

HERE = Path(__file__).parent
PARTS = re.compile(
    r"^## (?P<title>.+?)$.*?"
    r"^```(?P<kind>request|response)\n(?P<bytes>.*?)\n?```$.*?"
    r"^```events\n(?P<events>.*?)```$"
    r"(?:\s*^client: (?P<client>accepts|refuses)$)?",
    re.MULTILINE | re.DOTALL,
)
REPEAT = re.compile(rb"\\\*(\d+)\{([^}]*)\}")
ESCAPE = re.compile(rb"\\(r|n|t|\\|x[0-9a-f]{2})")
NAMED = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"\\": b"\\"}


class Case(NamedTuple):
    title: str
    request: bool
    data: bytes
    events: list[Event]
    client: str | None


def unescaped(text: str) -> bytes:
    def one(found: re.Match[bytes]) -> bytes:
        name = found[1]
        return NAMED[name] if name in NAMED else bytes([int(name[1:], 16)])

    data = REPEAT.sub(lambda found: int(found[1]) * found[2], text.replace("\n", "").encode())
    return ESCAPE.sub(one, data)


def events(lines: list[str]) -> Iterator[Event]:
    for line in lines:
        times, found, rest = line.partition(" x ")
        name, *arguments = (rest if found and times.isdigit() else line).split(" |")
        if name == "error":
            yield (name, arguments[0].strip())
        else:
            each = (name, *(unescaped(argument[1:]) for argument in arguments))
            yield from [each] * (int(times) if found and times.isdigit() else 1)


def cases() -> Iterator[pytest.param]:
    for path in sorted(HERE.glob("*.md")):
        if path.name == "README.md":
            continue
        text = path.read_text(encoding="utf-8")
        found = list(PARTS.finditer(text))
        assert len(found) == len(re.findall(r"^## ", text, re.MULTILINE)), path
        for part in found:
            lines = part["events"].splitlines()
            case = Case(
                part["title"],
                part["kind"] == "request",
                unescaped(part["bytes"]),
                list(events(lines)),
                part["client"],
            )
            yield pytest.param(case, id=f"{path.stem}: {case.title}")


CASES = list(cases())
RESPONSES = [each for each in CASES if not each.values[0].request]


def test_there_are_enough() -> None:
    assert len(CASES) >= 350
    assert all(each.values[0].client for each in RESPONSES)


@pytest.mark.parametrize("case", CASES)
def test_parser(case: Case) -> None:
    assert read([case.data], case.request) == case.events
    for pieces in cuts(case.data):
        cut_up = read(pieces, case.request)
        # What is left over is counted within the piece that was fed.
        if case.events and case.events[-1][0] == "upgrade":
            assert cut_up[:-1] == case.events[:-1]
            assert cut_up[-1][0] == "upgrade"
            assert case.events[-1][1].startswith(cut_up[-1][1])
        else:
            assert cut_up == case.events


INTERIM = re.compile(rb"HTTP/1\.1 1\d\d [^\r]*\r\n(?:[^\r]+\r\n)*\r\n")


def final(case: Case) -> tuple[bytes, bytes]:
    """Reason and body of the first response that is not an interim one."""
    messages: list[tuple[bytes, bytes]] = []
    for name, *arguments in case.events:
        if name == "status":
            messages.append((arguments[0], b""))
        elif name == "body":
            messages[-1] = (messages[-1][0], messages[-1][1] + arguments[0])
    data, skipped = case.data, 0
    while found := INTERIM.match(data):
        data, skipped = data[found.end() :], skipped + 1
    return messages[skipped]


@pytest.mark.parametrize("way", ["whole", "dribbled"])
@pytest.mark.parametrize("case", RESPONSES)
async def test_client(case: Case, way: str) -> None:
    # What is long is about bytes that are counted: eight at a time will do.
    size = 1 if len(case.data) < 1500 else 8
    sending = send(case.data) if way == "whole" else drip(case.data, size=size)
    server = Scripted([request, sending, fin])
    if case.client == "refuses":
        with pytest.raises(aiofast.ClientError):
            await aiofast.fetch(server.url, timeout=10)
    else:
        found = await aiofast.fetch(server.url, timeout=10)
        # A size padded with blanks is what a client takes and a parser does not.
        if case.events[-1][0] != "error" or "behind the last" in case.title:
            assert (found.reason.encode("utf-8", "surrogateescape"), found.body) == final(case)
        else:
            assert found.body == b"x"
    assert server.connections == 1
