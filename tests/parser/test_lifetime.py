"""What a parser is fed with, who feeds it, and what becomes of it meanwhile."""

from __future__ import annotations

import gc
import mmap
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from aiofast import parser as ours
from events import NAMES, Recorder, joined

try:
    import httptools as theirs
except ImportError:
    theirs = None

POST = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
CONNECT = b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\n\r\n"


@pytest.fixture(params=["aiofast", "httptools"])
def http(request: pytest.FixtureRequest) -> ModuleType:
    if request.param == "httptools" and theirs is None:
        pytest.skip("httptools is not installed")
    return theirs if request.param == "httptools" else ours


def events_of(http: ModuleType, *pieces: Any) -> list[Any]:
    m = Recorder()
    p = http.HttpRequestParser(m)
    for piece in pieces:
        p.feed_data(piece)
    return joined(m.events)


def test_a_file_in_memory(http: ModuleType) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(POST)
        file.flush()
        with mmap.mmap(file.fileno(), 0) as mapped:
            assert events_of(http, mapped) == events_of(http, POST)


def test_views(http: ModuleType) -> None:
    wanted = events_of(http, POST)
    padded = memoryview(b"??" + POST + b"??")[2:-2]
    assert events_of(http, padded) == wanted
    assert events_of(http, padded.cast("B")) == wanted
    assert events_of(http, padded[:9], padded[9:40], padded[40:]) == wanted


def test_a_view_with_gaps_is_refused() -> None:
    m = Recorder()
    p = ours.HttpRequestParser(m)
    with pytest.raises(BufferError):
        p.feed_data(memoryview(POST)[::2])
    assert m.events == []
    p.feed_data(POST)
    assert m.events[-1] == ("message_complete",)


def test_nothing_is_nothing(http: ModuleType) -> None:
    m = Recorder()
    p = http.HttpRequestParser(m)
    for piece in (b"", POST[:20], b"", memoryview(b""), POST[20:], b""):
        p.feed_data(piece)
    assert joined(m.events) == events_of(http, POST)


def test_a_buffer_can_be_reused_at_once(http: ModuleType) -> None:
    """What a callback was given is its own."""
    m = Recorder()
    p = http.HttpRequestParser(m)
    room = bytearray(7)
    for at in range(0, len(POST), 7):
        piece = POST[at : at + 7]
        room[: len(piece)] = piece
        p.feed_data(memoryview(room)[: len(piece)])
        room[:] = b"\0" * 7
    assert joined(m.events) == events_of(http, POST)


def test_a_buffer_cannot_be_resized_by_a_callback() -> None:
    data = bytearray(POST)
    m = SimpleNamespace(on_url=lambda url: data.clear())
    with pytest.raises(ours.HttpParserCallbackError) as caught:
        ours.HttpRequestParser(m).feed_data(data)
    assert isinstance(caught.value.__context__, BufferError)
    data.clear()


@pytest.mark.parametrize("behind", [b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n"])
def test_where_another_protocol_begins(http: ModuleType, behind: bytes) -> None:
    """The offset is one of the data that was fed last."""
    data = CONNECT + behind
    for cut in range(1, len(CONNECT)):
        p = http.HttpRequestParser(Recorder())
        p.feed_data(data[:cut])
        with pytest.raises(http.HttpParserUpgrade) as caught:
            p.feed_data(data[cut:])
        assert data[cut:][caught.value.args[0] :] == behind
        assert p.should_upgrade()
    p = http.HttpRequestParser(Recorder())
    with pytest.raises(http.HttpParserUpgrade) as caught:
        p.feed_data(POST + data)
    assert caught.value.args == (len(POST) + len(CONNECT),)


def test_an_upgrade_that_is_turned_down(http: ModuleType) -> None:
    """Who goes on with HTTP feeds the rest."""
    m = Recorder(["on_url", "on_message_complete"])
    p = http.HttpRequestParser(m)
    head = b"GET /1 HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    data = head + b"GET /2 HTTP/1.1\r\n\r\n"
    with pytest.raises(http.HttpParserUpgrade) as caught:
        p.feed_data(data)
    p.feed_data(data[caught.value.args[0] :])
    assert m.events == [
        ("url", b"/1"),
        ("message_complete",),
        ("url", b"/2"),
        ("message_complete",),
    ]


class Broken(Exception):
    pass


@pytest.mark.parametrize("name", [name for name in NAMES if name != "on_status"])
def test_a_failure_has_its_cause(http: ModuleType, name: str) -> None:
    m = Recorder()
    cause = Broken("why")

    def fail(*arguments: Any) -> None:
        raise cause

    setattr(m, name, fail)
    data = CHUNKED if "chunk" in name else POST
    with pytest.raises(http.HttpParserCallbackError) as caught:
        http.HttpRequestParser(m).feed_data(data)
    assert caught.value.__context__ is cause
    assert caught.value.__cause__ is None
    assert not caught.value.__suppress_context__


def test_a_failure_inside_another_is_handled() -> None:
    """The exception that is being handled where data is fed stays in the chain."""
    cause = Broken("inner")

    def fail(url: bytes) -> None:
        raise cause

    p = ours.HttpRequestParser(SimpleNamespace(on_url=fail))
    with pytest.raises(ours.HttpParserCallbackError) as caught:
        try:
            raise KeyError("outer")
        except KeyError:
            p.feed_data(POST)
    assert caught.value.__context__ is cause
    assert isinstance(cause.__context__, KeyError)


def test_a_failure_leaves_nothing_behind() -> None:
    def fail(*arguments: Any) -> None:
        raise Broken

    for name in NAMES:
        before = sys.getrefcount(fail)
        for _ in range(50):
            p = ours.HttpRequestParser(SimpleNamespace(**{name: fail}))
            try:
                p.feed_data(CHUNKED)
            except ours.HttpParserCallbackError:
                pass
            del p
        gc.collect()
        assert sys.getrefcount(fail) <= before + 1


def test_callbacks_are_found_once(http: ModuleType) -> None:
    """What is set on the protocol later is not called."""
    m = Recorder(["on_url"])
    p = http.HttpRequestParser(m)
    m.on_url = m.on_body = None  # type: ignore[attr-defined]
    p.feed_data(POST)
    assert m.events == [("url", b"/a")]


def test_methods_of_all_kinds(http: ModuleType) -> None:
    seen: list[Any] = []

    class Base:
        def on_url(self, url: bytes) -> None:
            seen.append(("method", self, url))

        @classmethod
        def on_header(cls, name: bytes, value: bytes) -> None:
            seen.append(("class", cls, name))

        @staticmethod
        def on_body(body: bytes) -> None:
            seen.append(("static", None, body))

    class Protocol(Base):
        def __init__(self) -> None:
            self.on_headers_complete = lambda: seen.append(("own", None, b""))

        def __getattr__(self, name: str) -> Callable[..., None]:
            if name != "on_message_complete":
                raise AttributeError(name)
            return lambda: seen.append(("found", None, b""))

    other = Base()
    m = Protocol()
    m.on_message_begin = lambda: None  # type: ignore[attr-defined]
    http.HttpRequestParser(m).feed_data(POST)
    assert seen == [
        ("method", m, b"/a"),
        ("class", Protocol, b"Host"),
        ("class", Protocol, b"Content-Length"),
        ("own", None, b""),
        ("static", None, b"hello"),
        ("found", None, b""),
    ]
    # A method of another object keeps that one.
    seen.clear()
    http.HttpRequestParser(SimpleNamespace(on_url=other.on_url)).feed_data(POST)
    assert seen == [("method", other, b"/a")]


def test_parsers_in_threads() -> None:
    """Each thread has its own; names that are kept are shared."""
    wanted = events_of(ours, *([POST] * 20))
    wrong: list[Any] = []

    def work() -> None:
        for _ in range(50):
            if events_of(ours, *([POST] * 20)) != wanted:
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_one_parser_in_two_threads() -> None:
    """What another thread feeds meanwhile is read behind the data at hand, as what a callback
    feeds is: nothing of a message is lost or torn."""
    inside, go_on = threading.Event(), threading.Event()
    m = Recorder(["on_url", "on_body", "on_message_complete"])

    def wait(name: bytes, value: bytes) -> None:
        inside.set()
        assert go_on.wait(10)

    m.on_header = wait  # type: ignore[attr-defined]
    p = ours.HttpRequestParser(m)
    first = threading.Thread(target=p.feed_data, args=(POST,))
    first.start()
    assert inside.wait(10)
    p.feed_data(POST.replace(b"/a", b"/b"))
    assert m.events == [("url", b"/a")]
    time.sleep(0)
    go_on.set()
    first.join(10)
    assert m.events == [
        *(("url", b"/a"), ("body", b"hello"), ("message_complete",)),
        *(("url", b"/b"), ("body", b"hello"), ("message_complete",)),
    ]


def test_the_last_reference_goes_in_any_callback() -> None:
    for name in NAMES:
        holder: dict[str, Any] = {}
        m = Recorder()
        setattr(m, name, lambda *arguments, holder=holder: (holder.clear(), gc.collect()))
        holder["p"] = ours.HttpRequestParser(m)
        holder["p"].feed_data(CHUNKED)
        assert not holder or name == "on_status"
        assert m.events[-1][0] in ("message_complete", "chunk_complete")
