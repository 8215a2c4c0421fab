"""parse_url(): by example, and beside httptools on URLs put together at random."""

from __future__ import annotations

import random
from types import ModuleType
from typing import Any

import pytest
from aiofast import parser as ours

try:
    import httptools as theirs
except ImportError:
    theirs = None

FIELDS = ("schema", "host", "port", "path", "query", "fragment", "userinfo")


@pytest.fixture(params=["aiofast", "httptools"])
def http(request: pytest.FixtureRequest) -> ModuleType:
    if request.param == "httptools" and theirs is None:
        pytest.skip("httptools is not installed")
    return theirs if request.param == "httptools" else ours


def parts(url: Any) -> tuple[Any, ...]:
    return tuple(getattr(url, name) for name in FIELDS)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (b"/", (None, None, None, b"/", None, None, None)),
        (b"*", (None, None, None, b"*", None, None, None)),
        (b"//", (None, None, None, b"//", None, None, None)),
        (b"////h/p?q", (None, None, None, b"////h/p", b"q", None, None)),
        (b"/a%20b;c?d=%zz&e[]#f", (None, None, None, b"/a%20b;c", b"d=%zz&e[]", b"f", None)),
        (b"/?", (None, None, None, b"/", None, None, None)),
        (b"/?#", (None, None, None, b"/", None, None, None)),
        (b"/??a?#?b", (None, None, None, b"/", b"?a?", b"?b", None)),
        (b"http://h", (b"http", b"h", None, None, None, None, None)),
        (b"http://h?q", (b"http", b"h", None, None, b"q", None, None)),
        (b"WSS://H.De:8080/p", (b"WSS", b"H.De", 8080, b"/p", None, None, None)),
        (b"http://h:00080/", (b"http", b"h", 80, b"/", None, None, None)),
        (b"http://u:p@h:1/p", (b"http", b"h", 1, b"/p", None, None, b"u:p")),
        (b"http://@h/", (b"http", b"h", None, b"/", None, None, None)),
        (b"http://u%40:;@h", (b"http", b"h", None, None, None, None, b"u%40:;")),
        (b"http://[::1]:8/", (b"http", b"::1", 8, b"/", None, None, None)),
        (b"http://[::1]", (b"http", b"::1", None, None, None, None, None)),
        (b"http://u@[fe80::1%25eth0]/", (b"http", b"fe80::1%25eth0", None, b"/", None, None, b"u")),
        (b"http://h:65535/", (b"http", b"h", 65535, b"/", None, None, None)),
        (
            b"x://a-b.c./" + b"p" * 60_000,
            (b"x", b"a-b.c.", None, b"/" + b"p" * 60_000) + (None,) * 3,
        ),
    ],
)
def test_parts(http: ModuleType, url: bytes, expected: tuple[Any, ...]) -> None:
    assert parts(http.parse_url(url)) == expected
    assert parts(http.parse_url(memoryview(bytearray(url)))) == expected


@pytest.mark.parametrize(
    "url",
    [
        b"",
        b" ",
        b" /",
        b"/ ",
        b"/\t",
        b"/\r\n",
        b"/a\x00b",
        b"/\x7f",
        b"a",
        b"?a",
        b"#a",
        b":///1",
        b"http:",
        b"http:/",
        b"http://",
        b"http:///p",
        b"http://?q",
        b"http:h",
        b"1http://h",
        b"h:80",
        b"http://h:",
        b"http://h:/",
        b"http://h:65536/",
        b"http://h:99999999999999999999/",
        b"http://h:8a/",
        b"http://h:-1/",
        b"http://:80/",
        b"http://a@b@c/",
        b"http://u@/",
        b"http://h\\/",
        b"http://h%41/",
        b"http://h#f",
        b"http://[]/",
        b"http://[::1/",
        b"http://::1/",
        b"http://[::1]x/",
        b"http://[g::]/",
        b"http://a[::1]/",
        b"http://h/\xc3\xa9",
    ],
)
def test_refused(http: ModuleType, url: bytes) -> None:
    with pytest.raises(http.HttpParserInvalidURLError, match="invalid url"):
        http.parse_url(url)


def test_too_long(http: ModuleType) -> None:
    assert http.parse_url(b"/" * 65_535).path == b"/" * 65_535
    with pytest.raises(http.HttpParserInvalidURLError, match="url is too long"):
        http.parse_url(b"/" * 65_536)


def test_message_shows_the_url(http: ModuleType) -> None:
    with pytest.raises(http.HttpParserInvalidURLError, match=r"a\\x00b"):
        http.parse_url(b"/a\x00b")


def test_url(http: ModuleType) -> None:
    url = http.parse_url(b"http://u@h:1/p?q#f")
    assert repr(url) == (
        "<URL schema: b'http', host: b'h', port: 1, path: b'/p', query: b'q', "
        "fragment: b'f', userinfo: b'u'>"
    )
    for name in FIELDS:
        with pytest.raises(AttributeError, match="not writable"):
            setattr(url, name, b"x")


def test_url_by_hand() -> None:
    url = ours.URL(b"a", b"b", 1, None, None, None, None)
    assert parts(url) == (b"a", b"b", 1, None, None, None, None)
    with pytest.raises(TypeError, match="host must be bytes or None"):
        ours.URL(b"a", "b", 1, None, None, None, None)  # type: ignore[arg-type]


PIECES = (
    *(b"http", b"https", b"://", b":", b"/", b"//", b"?", b"#", b"@", b"[", b"]", b"::1", b"h"),
    *(b"example.org", b":80", b":65536", b"%20", b"%", b"a=b", b"&", b";", b"~", b"_", b"-"),
    *(b".", b"\\", b'"', b"<", b"|", b"^", b"`", b"{", b"*", b"!", b"$", b"'", b"(", b"+", b","),
    *(b" ", b"\t", b"\x00", b"\x7f", b"\x80", b"\xff", b"0", b"00", b"G", b"fe80:"),
)  # fmt: skip


def outcome(module: ModuleType, url: bytes) -> Any:
    try:
        return parts(module.parse_url(url))
    except module.HttpParserInvalidURLError:
        return "refused"


def test_beside_httptools() -> None:
    if theirs is None:
        pytest.skip("httptools is not installed")
    chosen = random.Random(8)
    good = 0
    for _ in range(60_000):
        url = b"".join(chosen.choices(PIECES, k=chosen.randrange(1, 5)))
        url = chosen.choice((b"", b"/", b"http://", b"http://h", b"http://h/")) + url
        expected = outcome(theirs, url)
        assert outcome(ours, url) == expected, url
        good += expected != "refused"
    assert good > 3_000
