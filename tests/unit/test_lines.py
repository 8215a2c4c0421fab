"""Bodies line by line, and events: from pieces of every kind."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import pytest
from aiofast.formats import BodyFormats
from aiofast.sse import EventParser, ServerSentEvent
from aiofast.streams import LineTooLong


class Body(BodyFormats):
    """A response of |data| in pieces of |size| bytes."""

    def __init__(self, data: bytes, size: int = 1, kind: str | None = None) -> None:
        self.pieces = deque(data[at : at + size] for at in range(0, len(data), size))
        self.kind = kind

    @property
    def content(self) -> Any:
        return self

    def header(self, name: str) -> str | None:
        return self.kind

    async def readany(self) -> bytes:
        return self.pieces.popleft() if self.pieces else b""


SIZES = [1, 2, 3, 5, 1000]


@pytest.mark.parametrize("size", SIZES)
async def test_lines(size):
    async def of(data, kind=None, **options):
        return [line async for line in Body(data, size, kind).lines(**options)]

    assert await of(b"") == []
    assert await of(b"a") == ["a"]
    assert await of(b"a\nb\r\n\n\r\nlast") == ["a", "b", "", "", "last"]
    assert await of(b"a\rb\n") == ["a\rb"]
    assert await of("ä€😀\nü".encode()) == ["ä€😀", "ü"]
    assert await of("ä\n".encode("latin-1"), "text/plain; charset=latin-1") == ["ä"]
    assert await of("ä\n".encode("latin-1"), encoding="latin-1") == ["ä"]
    assert await of(b"\xef\xbb\xbfa\nb", "text/plain; charset=latin-1") == ["a", "b"]
    assert await of("a€\nb".encode("utf-16")) == ["a€", "b"]
    assert await of(b"a\xff\nb") == ["a\ufffd", "b"]
    assert await of(b"a\xe2\x82") == ["a\ufffd"]
    assert await of(b"a\n", "text/plain; charset=nonsense") == ["a"]
    assert await of(b"a\n", "text/plain; charset=rot13") == ["a"]
    assert await of(b"\xef\xbb") == ["\ufffd"]
    with pytest.raises(UnicodeDecodeError):
        await of(b"a\xff\nb", errors="strict")
    with pytest.raises(LookupError):
        await of(b"a", encoding="nonsense")


@pytest.mark.parametrize("size", SIZES)
async def test_lines_may_be_bounded(size):
    assert [x async for x in Body(b"abcd\nab\r\nabcd", size).lines(max_length=4)]
    for data in (b"abcde", b"abcde\n", b"a\nabcde\nb", b"a\nabcdefgh"):
        lines = Body(data, size).lines(max_length=4)
        with pytest.raises(LineTooLong, match="4"):
            assert len([line async for line in lines]) < 2
        with pytest.raises(StopAsyncIteration):
            await lines.__anext__()


async def test_a_line_of_any_length_costs_linear_time():
    lines = [line async for line in Body(b"x" * 300_000 + b"\ny").lines()]
    assert list(map(len, lines)) == [300_000, 1]


@pytest.mark.parametrize("size", SIZES)
async def test_ndjson(size):
    data = b'\xef\xbb\xbf{"a": "\xc3\xa4"}\n\n  \r\n[1]\r\n"last"'
    assert [x async for x in Body(data, size).ndjson()] == [{"a": "ä"}, [1], "last"]
    values = Body(b"1\n{\n3", size).ndjson()
    assert await values.__anext__() == 1
    with pytest.raises(json.JSONDecodeError) as caught:
        await values.__anext__()
    assert caught.value.__notes__ == ["in line 2 of the body"]
    assert await values.__anext__() == 3
    assert [x async for x in Body(b"1\n2", size).ndjson(loads=bytes)] == [b"1", b"2"]
    with pytest.raises(LineTooLong):
        [x async for x in Body(b"[1, 2, 3]", size).ndjson(max_length=5)]


def events(data, size=1000, parser=None):
    parser = parser or EventParser()
    for at in range(0, len(data), size):
        parser.feed(data[at : at + size])
    found = list(parser.events)
    parser.events.clear()
    return found


E = ServerSentEvent


@pytest.mark.parametrize("newline", [b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        # The examples of the standard.
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [E(data="YHOO\n+2\n10")]),
        (
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\n"
            b"data:  third event\n\n",
            [
                E(data="first event", id="1"),
                E(data="second event"),
                E(data=" third event"),
            ],
        ),
        (b"data\n\ndata\ndata\n\ndata:", [E(data=""), E(data="\n")]),
        (b"data:test\n\ndata: test\n\n", [E(data="test"), E(data="test")]),
        # Types, ids, times.
        (b"event: add\ndata: 1\n\ndata: 2\n\n", [E("add", "1"), E(data="2")]),
        (b"event: lost\n\ndata: 2\n\n", [E(data="2")]),
        (b"id: 7\n\ndata: 2\n\n", [E(data="2", id="7")]),
        (b"id: a\0b\ndata: 2\n\n", [E(data="2")]),
        (b"retry: 250\ndata: 1\n\ndata: 2\n\n", [E(data="1", retry=250), E(data="2")]),
        (b"retry: 2s\ndata: 1\n\n", [E(data="1")]),
        (b"retry: \xd9\xa3\ndata: 1\n\n", [E(data="1")]),
        (b"other: x\nDATA: y\n data: z\ndata: 1\n\n", [E(data="1")]),
        (b"\xef\xbb\xbfdata: 1\n\n", [E(data="1")]),
        (b"data: \xef\xbb\xbf1\n\n", [E(data="\ufeff1")]),
        (b"data: \xff\n\n", [E(data="\ufffd")]),
        (b"data: a: b: c\n\n", [E(data="a: b: c")]),
        (b"\n\n\ndata: not whole\n", []),
    ],
)
def test_events(data, expected, size, newline):
    assert events(data.replace(b"\n", newline), size) == expected


def test_an_event_is_there_with_its_last_byte():
    parser = EventParser()
    parser.feed(b"data: 1\r\r")
    assert len(parser.events) == 1
    parser.feed(b"\ndata: 2\n\n")
    assert [event.data for event in parser.events] == ["1", "2"]


@pytest.mark.parametrize("size", SIZES)
def test_events_may_be_bounded(size):
    assert len(events(b"data: 1\n\n" * 10, size, EventParser(20))) == 10
    for data in (b"data: 123456789", b"data: 1\n" * 5, b": a comment of some length"):
        with pytest.raises(LineTooLong, match="12 characters"):
            events(data, size, EventParser(12))


def test_an_event_as_json():
    assert E(data='{"a": 1}').json() == {"a": 1}
