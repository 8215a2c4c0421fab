"""The surface of httptools: the same tests for aiofast.parser and, where it is installed, for
httptools itself, which so holds the tests to what they are about."""

from __future__ import annotations

import array
import gc
import weakref
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from aiofast import parser as ours
from events import NAMES, Recorder, joined

try:
    import httptools as theirs
except ImportError:
    theirs = None

REQUEST = (
    b"POST /a/b?c=d HTTP/1.1\r\nHost: example.org\r\nX-Empty: \r\nContent-Length: 5\r\n\r\nhello"
)
RESPONSE = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\nx-sum: 2\r\n\r\n"
)
UPGRADE = b"GET /chat HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"


@pytest.fixture(params=["aiofast", "httptools"])
def http(request: pytest.FixtureRequest) -> ModuleType:
    if request.param == "httptools" and theirs is None:
        pytest.skip("httptools is not installed")
    return theirs if request.param == "httptools" else ours


def test_names(http: ModuleType) -> None:
    for error in ("Callback", "InvalidStatus", "InvalidMethod", "InvalidURL"):
        kind = getattr(http, f"HttpParser{error}Error")
        assert issubclass(kind, http.HttpParserError), error
    assert issubclass(http.HttpParserError, Exception)
    assert not issubclass(http.HttpParserUpgrade, http.HttpParserError)
    assert callable(http.parse_url)
    assert isinstance(http.HTTPProtocol, type)


def test_request(http: ModuleType) -> None:
    m = Recorder()
    p = http.HttpRequestParser(m)
    assert p.feed_data(REQUEST) is None
    assert m.events == [
        ("message_begin",),
        ("url", b"/a/b?c=d"),
        ("header", b"Host", b"example.org"),
        ("header", b"X-Empty", b""),
        ("header", b"Content-Length", b"5"),
        ("headers_complete",),
        ("body", b"hello"),
        ("message_complete",),
    ]
    assert p.get_method() == b"POST"
    assert p.get_http_version() == "1.1"
    assert p.should_keep_alive() is True
    assert p.should_upgrade() is False


def test_response(http: ModuleType) -> None:
    m = Recorder()
    p = http.HttpResponseParser(m)
    p.feed_data(RESPONSE)
    assert m.events == [
        ("message_begin",),
        ("status", b"OK"),
        ("header", b"Server", b"x"),
        ("header", b"Content-Length", b"5"),
        ("headers_complete",),
        ("body", b"hello"),
        ("message_complete",),
    ]
    assert p.get_status_code() == 200
    assert p.get_http_version() == "1.1"


def test_getters_in_callbacks(http: ModuleType) -> None:
    """What servers ask for in on_headers_complete, for one message after the other."""
    seen: list[Any] = []

    class Protocol:
        def on_headers_complete(self) -> None:
            seen.append((p.get_method(), p.get_http_version(), p.should_keep_alive()))

    p = http.HttpRequestParser(Protocol())
    p.feed_data(b"GET / HTTP/1.1\r\n\r\nDELETE / HTTP/1.1\r\nConnection: x, close\r\n\r\n")
    p = http.HttpRequestParser(Protocol())
    p.feed_data(b"PUT / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\nHEAD / HTTP/1.0\r\n\r\n")
    assert seen == [
        (b"GET", "1.1", True),
        (b"DELETE", "1.1", False),
        (b"PUT", "1.0", True),
        (b"HEAD", "1.0", False),
    ]


def test_chunks(http: ModuleType) -> None:
    m = Recorder()
    http.HttpRequestParser(m).feed_data(CHUNKED)
    assert m.events[3:] == [
        ("headers_complete",),
        ("chunk_header",),
        ("body", b"hello"),
        ("chunk_complete",),
        ("chunk_header",),
        ("body", b" world"),
        ("chunk_complete",),
        ("chunk_header",),
        ("header", b"X-Sum", b"1"),
        ("header", b"x-sum", b"2"),
        ("chunk_complete",),
        ("message_complete",),
    ]


@pytest.mark.parametrize("data", [REQUEST, CHUNKED, CHUNKED + REQUEST])
def test_cuts_change_nothing(http: ModuleType, data: bytes) -> None:
    whole = Recorder()
    http.HttpRequestParser(whole).feed_data(data)
    for step in range(1, len(data)):
        m = Recorder()
        p = http.HttpRequestParser(m)
        for at in range(0, len(data), step):
            p.feed_data(data[at : at + step])
        assert joined(m.events) == whole.events


def test_a_header_comes_when_it_is_known_to_be_whole(http: ModuleType) -> None:
    m = Recorder(["on_header"])
    p = http.HttpRequestParser(m)
    p.feed_data(b"GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\n")
    assert m.events == [("header", b"A", b"1")]
    p.feed_data(b"C")
    assert m.events[1:] == [("header", b"B", b"2")]


def test_url_and_status_come_once() -> None:
    m = Recorder(["on_url"])
    p = ours.HttpRequestParser(m)
    for byte in b"GET /some/where HTTP/1.1\r\n":
        p.feed_data(bytes([byte]))
    assert m.events == [("url", b"/some/where")]
    m = Recorder(["on_status"])
    q = ours.HttpResponseParser(m)
    for byte in b"HTTP/1.1 404 Not Found\r\n":
        q.feed_data(bytes([byte]))
    assert m.events == [("status", b"Not Found")]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda b: array.array("B", b)])
def test_bytes_like(http: ModuleType, kind: Any) -> None:
    m = Recorder()
    http.HttpRequestParser(m).feed_data(kind(REQUEST))
    assert m.events[-2:] == [("body", b"hello"), ("message_complete",)]


@pytest.mark.parametrize("wrong", ["GET", None, 1, ["GET"]])
def test_not_bytes_like(http: ModuleType, wrong: Any) -> None:
    p = http.HttpRequestParser(None)
    with pytest.raises(TypeError, match="a bytes-like object"):
        p.feed_data(wrong)
    with pytest.raises(TypeError, match="a bytes-like object"):
        http.parse_url(wrong)


def test_a_buffer_is_released(http: ModuleType) -> None:
    data = bytearray(REQUEST)
    http.HttpRequestParser(None).feed_data(data)
    data.clear()
    data = bytearray(b"NOT / HTTP/1.1\r\n")
    with pytest.raises(http.HttpParserError):
        http.HttpRequestParser(None).feed_data(data)
    data.clear()


@pytest.mark.parametrize("missing", NAMES)
def test_each_callback_is_optional(http: ModuleType, missing: str) -> None:
    m = Recorder()
    for data, make in (
        (CHUNKED, http.HttpRequestParser),
        (RESPONSE, http.HttpResponseParser),
    ):
        full, m = Recorder(), Recorder([name for name in NAMES if name != missing])
        make(full).feed_data(data)
        make(m).feed_data(data)
        expected = [event for event in full.events if f"on_{event[0]}" != missing]
        assert joined(m.events) == joined(expected)
        if missing != "on_message_begin":  # httptools calls that one even if it is None
            setattr(m, missing, None)
            m.events.clear()
            make(m).feed_data(data)
            assert joined(m.events) == joined(expected)


@pytest.mark.parametrize("failing", NAMES)
def test_each_callback_may_raise(http: ModuleType, failing: str) -> None:
    class Broken(Exception):
        pass

    def fail(*arguments: bytes) -> None:
        raise Broken

    m = Recorder()
    setattr(m, failing, fail)
    request = failing != "on_status"
    p = http.HttpRequestParser(m) if request else http.HttpResponseParser(m)
    with pytest.raises(http.HttpParserCallbackError, match="callback error") as caught:
        p.feed_data(CHUNKED if request else RESPONSE)
    assert isinstance(caught.value.__context__, Broken)
    seen = list(m.events)
    with pytest.raises(http.HttpParserError):
        p.feed_data(b"GET / HTTP/1.1\r\n\r\n")
    assert m.events == seen


def test_pipelining(http: ModuleType) -> None:
    m = Recorder(["on_url", "on_body", "on_message_complete"])
    http.HttpRequestParser(m).feed_data(REQUEST + b"\r\n" + CHUNKED + REQUEST)
    assert [event[0] for event in m.events].count("message_complete") == 3


def test_after_close(http: ModuleType) -> None:
    for head in (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"):
        m = Recorder(["on_message_complete"])
        p = http.HttpRequestParser(m)
        p.feed_data(head)
        p.feed_data(b"\r\n\r\n")
        with pytest.raises(http.HttpParserError, match="Data after `Connection: close`"):
            p.feed_data(b"GET")
        assert m.events == [("message_complete",)]


def test_informational(http: ModuleType) -> None:
    m = Recorder(["on_status", "on_message_complete"])
    http.HttpResponseParser(m).feed_data(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + RESPONSE
    )
    assert m.events == [
        ("status", b"Continue"),
        ("message_complete",),
        ("status", b"Early Hints"),
        ("message_complete",),
        ("status", b"OK"),
        ("message_complete",),
    ]


def test_body_until_close(http: ModuleType) -> None:
    m = Recorder(["on_body", "on_message_complete"])
    p = http.HttpResponseParser(m)
    p.feed_data(b"HTTP/1.1 200 OK\r\n\r\none")
    p.feed_data(b"two")
    assert m.events == [("body", b"one"), ("body", b"two")]
    assert p.should_keep_alive() is False


@pytest.mark.parametrize(
    "head",
    [UPGRADE, UPGRADE[:-2] + b"Content-Length: 3\r\n\r\n", b"CONNECT a.b:443 HTTP/1.1\r\n\r\n"],
)
def test_upgrade_of_a_request(http: ModuleType, head: bytes) -> None:
    m = Recorder()
    p = http.HttpRequestParser(m)
    with pytest.raises(http.HttpParserUpgrade) as caught:
        p.feed_data(head + b"\x81\x05")
    assert caught.value.args == (len(head),)
    assert m.events[-2:] == [("headers_complete",), ("message_complete",)]
    assert p.should_upgrade() is True
    # The parser may go on with HTTP.
    p.feed_data(REQUEST)
    assert m.events[-1] == ("message_complete",)
    assert p.should_upgrade() is False


def test_upgrade_of_a_response(http: ModuleType) -> None:
    m = Recorder()
    p = http.HttpResponseParser(m)
    p.feed_data(SWITCHED[:-1])
    with pytest.raises(http.HttpParserUpgrade) as caught:
        p.feed_data(b"\ndata")
    assert caught.value.args == (1,)
    assert p.get_status_code() == 101
    # Upgrade in a response that does not switch is an offer.
    m = Recorder()
    http.HttpResponseParser(m).feed_data(
        b"HTTP/1.1 426 No\r\nUpgrade: x\r\nConnection: upgrade\r\nContent-Length: 1\r\n\r\ny"
    )
    assert m.events[-2:] == [("body", b"y"), ("message_complete",)]


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (b"SPAM / HTTP/1.1", "InvalidMethodError", "Invalid method"),
        (b"get / HTTP/1.1", "InvalidMethodError", "Invalid method"),
        (b"x", "InvalidMethodError", "Invalid method"),
        (b"GETTING", "InvalidMethodError", "method"),
        (b"\x16\x03\x01", "InvalidMethodError", "Invalid method"),
        (b"POST HTTP/1.1", "InvalidURLError", "url"),
        (b"GET ?a HTTP/1.1", "InvalidURLError", "Unexpected start char in url"),
        (b"GET /\x00 HTTP/1.1", "InvalidURLError", "Invalid char in url path"),
        (b"GET /\xff HTTP/1.1", "InvalidURLError", "Invalid char in url path"),
        (b"GET / HTTP/1.2\r\n", "Error", "Invalid HTTP version"),
        (b"GET / HTTP/1.1\r\nA : b\r\n", "Error", "Invalid header token"),
        (b"GET / HTTP/1.1\r\n: b\r\n", "Error", "Invalid header token"),
        (b"GET / HTTP/1.1\r\nA: b\x00", "Error", "Invalid header value char"),
        (b"GET / HTTP/1.1\r\nA: b\x7f", "Error", "Invalid header value char"),
        (b"GET / HTTP/1.1\r\nA: b\nB", "Error", "Missing expected CR"),
        (b"GET / HTTP/1.1\r\nA: b\rB", "Error", "Missing expected LF"),
        (b"GET / HTTP/1.1\r\n A", "Error", "Unexpected space after start line"),
        (b"GET / HTTP/1.1\r\nA: b\r\n c", "Error", "whitespace after header value"),
        (b"HTTP/1.1 1299 X\r\n", "InvalidStatusError", "Invalid response status"),
        (b"HTTP/1.1 2x0 X\r\n", "InvalidStatusError", "Invalid status code"),
        (b"HTTPS/1.1 200", "Error", "Expected HTTP/"),
        (b"12123123", "Error", "Expected HTTP/"),
    ],
)
def test_errors(http: ModuleType, data: bytes, kind: str, words: str) -> None:
    response = data.startswith((b"HTTP", b"1"))
    make = http.HttpResponseParser if response else http.HttpRequestParser
    p = make(Recorder())
    with pytest.raises(getattr(http, f"HttpParser{kind}"), match=words):
        p.feed_data(data)


FRAMED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", "Content-Length"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n", "Invalid character in Content-Length"),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", "Content-Length"),
        (FRAMED[:-2] + b"Content-Length: 1\r\n\r\n", "can't be present"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", "invalid `Transfer-Encoding`"),
        (FRAMED + b"x\r\n", "Invalid character in chunk size"),
        (FRAMED + b"1 \r\nx\r\n", "Invalid character in chunk size"),
        (FRAMED + b"11111111111111111\r\n", "Chunk size overflow"),
        (FRAMED + b"1\r\nxx\r\n", "Expected LF after chunk data"),
    ],
)
def test_errors_of_framing(http: ModuleType, data: bytes, words: str) -> None:
    p = http.HttpRequestParser(Recorder())
    with pytest.raises(http.HttpParserError, match=words):
        p.feed_data(data)


@pytest.mark.parametrize(
    ("leniency", "data", "last"),
    [
        (
            "lenient_headers",
            b"GET / HTTP/1.1\r\nA: b\r\n  c\r\n\r\n",
            [("header", b"A", b"b  c"), ("headers_complete",), ("message_complete",)],
        ),
        (
            "lenient_chunked_length",
            FRAMED[:-2] + b"Content-Length: 7\r\n\r\n1\r\nx\r\n0\r\n\r\n",
            [("chunk_complete",), ("message_complete",)],
        ),
        (
            "lenient_keep_alive",
            b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n" + REQUEST,
            [("message_complete",)],
        ),
        (
            "lenient_transfer_encoding",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nabc",
            [("headers_complete",), ("body", b"abc")],
        ),
        ("lenient_version", b"GET / HTTP/1.2\r\n\r\n", [("message_complete",)]),
        (
            "lenient_data_after_close",
            b"GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n",
            [("message_complete",)],
        ),
        (
            "lenient_optional_lf_after_cr",
            b"GET / HTTP/1.1\rA: b\r\n\r\n",
            [("header", b"A", b"b"), ("headers_complete",), ("message_complete",)],
        ),
        (
            "lenient_optional_cr_before_lf",
            b"GET / HTTP/1.1\r\nA: b\n\n",
            [("header", b"A", b"b"), ("headers_complete",), ("message_complete",)],
        ),
        (
            "lenient_optional_crlf_after_chunk",
            FRAMED + b"1\r\nx0\r\n\r\n",
            [("chunk_complete",), ("message_complete",)],
        ),
        (
            "lenient_spaces_after_chunk_size",
            FRAMED + b"1 \r\nx\r\n0\r\n\r\n",
            [("chunk_complete",), ("message_complete",)],
        ),
    ],
)
def test_leniencies(http: ModuleType, leniency: str, data: bytes, last: list[Any]) -> None:
    m = Recorder()
    p = http.HttpRequestParser(m)
    p.set_dangerous_leniencies(**{leniency: True})
    p.set_dangerous_leniencies()
    p.feed_data(data)
    assert m.events[-len(last) :] == last
    # Taken back, it is an error again.
    p = http.HttpRequestParser(Recorder())
    p.set_dangerous_leniencies(**{leniency: True})
    p.set_dangerous_leniencies(**{leniency: False})
    with pytest.raises(http.HttpParserError):
        p.feed_data(data)
        p.feed_data(b"!")


def test_leniencies_by_place(http: ModuleType) -> None:
    p = http.HttpRequestParser(None)
    p.set_dangerous_leniencies(*[None] * 10)
    with pytest.raises(TypeError):
        p.set_dangerous_leniencies(*[None] * 11)
    with pytest.raises(TypeError):
        p.set_dangerous_leniencies(lenient_everything=True)


def test_a_protocol_that_holds_its_parser_is_collected(http: ModuleType) -> None:
    class Protocol:
        def __init__(self) -> None:
            self.parser = http.HttpRequestParser(self)

        def on_url(self, url: bytes) -> None:
            pass

    reference = weakref.ref(Protocol())
    gc.collect()
    assert reference() is None


def test_a_callback_may_drop_the_parser() -> None:
    holder = SimpleNamespace()
    seen: list[bytes] = []

    def drop() -> None:
        del holder.parser
        gc.collect()

    protocol = SimpleNamespace(on_message_begin=drop, on_url=seen.append)
    holder.parser = ours.HttpRequestParser(protocol)
    holder.parser.feed_data(REQUEST)
    assert seen == [b"/a/b?c=d"]


def test_a_callback_may_feed() -> None:
    m = Recorder(["on_url", "on_message_complete"])
    more = [bytearray(b"GET /2 HTTP/1.1\r\n\r\nGET"), b" /3 HTTP/1.1\r\n\r\n"]

    def feed(url: bytes) -> None:
        m.events.append(("url", url))
        if more:
            data = more.pop(0)
            p.feed_data(data)
            if isinstance(data, bytearray):
                data[:] = b"!" * len(data)

    m.on_url = feed  # type: ignore[attr-defined]
    p = ours.HttpRequestParser(m)
    p.feed_data(b"GET /0 HTTP/1.1\r\n\r\nGET /1 HTTP/1.1\r\n\r\n")
    assert m.events == [
        event for i in range(4) for event in [("url", b"/%d" % i), ("message_complete",)]
    ]


def test_what_is_fed_inside_fails_outside() -> None:
    m = Recorder(["on_message_complete"])
    m.on_url = lambda url: p.feed_data(b"?")  # type: ignore[attr-defined]
    p = ours.HttpRequestParser(m)
    with pytest.raises(ours.HttpParserInvalidMethodError):
        p.feed_data(b"GET / HTTP/1.1\r\n\r\n")
    assert m.events == [("message_complete",)]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_exception_goes_through(kind: type[BaseException]) -> None:
    def fail(*arguments: bytes) -> None:
        raise kind

    p = ours.HttpRequestParser(SimpleNamespace(on_header=fail))
    with pytest.raises(kind):
        p.feed_data(REQUEST)
    with pytest.raises(ours.HttpParserCallbackError):
        p.feed_data(b"GET")


def test_a_parser_without_init() -> None:
    p = ours.HttpRequestParser.__new__(ours.HttpRequestParser)
    with pytest.raises(RuntimeError, match="no protocol"):
        p.feed_data(b"GET")
    assert p.get_method() == b""
    assert p.get_http_version() == "0.0"
    assert not p.should_keep_alive()
    assert not p.should_upgrade()
    p.__init__(None)  # type: ignore[misc]
    p.feed_data(REQUEST)
    assert p.get_method() == b"POST"


def test_init_again_starts_anew() -> None:
    m, n = Recorder(), Recorder()
    p = ours.HttpRequestParser(m)
    p.feed_data(b"GET /half")
    p.__init__(n)  # type: ignore[misc]
    p.feed_data(REQUEST)
    assert m.events == [("message_begin",)]
    assert n.events[-1] == ("message_complete",)
    with pytest.raises(ours.HttpParserCallbackError) as caught:
        ours_again = SimpleNamespace(on_url=lambda url: p.__init__(None))  # type: ignore[misc]
        p.__init__(ours_again)  # type: ignore[misc]
        p.feed_data(REQUEST)
    assert isinstance(caught.value.__context__, RuntimeError)


def test_subclasses(http: ModuleType) -> None:
    class Reader(http.HttpRequestParser):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__(self)
            self.urls: list[bytes] = []

        def on_url(self, url: bytes) -> None:
            self.urls.append(url)

    p = Reader()
    p.feed_data(REQUEST)
    assert p.urls == [b"/a/b?c=d"]


@pytest.mark.parametrize("wrong", [{}, {"on_url": 1}])
def test_protocols_that_are_odd(wrong: dict[str, Any]) -> None:
    p = ours.HttpRequestParser(SimpleNamespace(**wrong))
    if wrong:
        with pytest.raises(ours.HttpParserCallbackError) as caught:
            p.feed_data(REQUEST)
        assert isinstance(caught.value.__context__, TypeError)
    else:
        p.feed_data(REQUEST)
    with pytest.raises(TypeError):
        ours.HttpRequestParser()  # type: ignore[call-arg]


class Hostile:
    @property
    def on_url(self) -> None:
        raise ZeroDivisionError


def test_a_lookup_may_fail() -> None:
    with pytest.raises(ZeroDivisionError):
        ours.HttpRequestParser(Hostile())


@pytest.mark.parametrize(
    "line", [b"GET /" + b"a" * 300_000, b"GET / HTTP/1.1\r\nA: " + b"b" * 300_000]
)
def test_lines_have_a_ceiling(line: bytes) -> None:
    p = ours.HttpRequestParser(None)
    with pytest.raises(ours.HttpParserError, match="too long"):
        p.feed_data(line)


def test_long_lines_are_read() -> None:
    m = Recorder()
    url = b"/" + b"a" * 100_000
    ours.HttpRequestParser(m).feed_data(b"GET %b HTTP/1.1\r\nA: %b\r\n\r\n" % (url, url))
    assert m.events[1:3] == [("url", url), ("header", b"A", url)]
