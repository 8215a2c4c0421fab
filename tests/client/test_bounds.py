"""Ceilings and strictness: what a server may send, and what a caller may.

Each ceiling has a test at the limit and one past it; what would be endless ends.
Malformed framing is an error, and its connection is not used again. What a
caller may not send is refused before a byte is.
"""

from __future__ import annotations

import aiofast
import pytest
from servers import (
    Scripted,
    answer,
    chunked,
    drip,
    eof,
    flood,
    forever,
    request,
    response,
    send,
)

MAX_HEAD = 65536
MAX_LINE = 8190
MAX_FIELDS = 128
MAX_TRAILER = 16384
MAX_CHUNK_LINE = 4096
MAX_INFORMATIONAL = 16
MAX_CODINGS = 5

CHUNKED = response(b"", "Transfer-Encoding: chunked", length=False)
OK = response(b"ok")


async def verdict(data, *, size=None):
    """The body of the response |data|, or the ClientError that it led to; and
    the connection of a refused one is never used again."""
    step = send(data) if size is None else drip(data, 0.0, size)
    server = Scripted([request, step, eof], [forever(answer(b"next"))])
    try:
        return (await aiofast.fetch(f"{server.url}/", timeout=10)).body
    except aiofast.ClientError as exc:
        assert not isinstance(exc, TimeoutError), "it waited for more"
        after = await aiofast.fetch(f"{server.url}/")
        assert (after.body, after.reused) == (b"next", False)
        return exc


async def holds(at_limit, past_limit):
    assert await verdict(at_limit) == b"ok"
    error = await verdict(past_limit)
    assert isinstance(error, aiofast.ClientResponseError), repr(error)
    return error


# --- ceilings -------------------------------------------------------------------


def field(size, index=0):
    """A header field of |size| bytes with its line end."""
    name = f"X-{index}: "
    return name + "v" * (size - len(name) - 2)


def head_of(size):
    """A response whose head has |size| bytes."""
    base = len(response(b"ok")) - 2
    fields, rest, index = [], size - base, 0
    while rest:
        part = min(rest, 8000) if not 0 < rest - 8000 < 20 else 4000
        fields.append(field(part, index))
        rest -= part
        index += 1
    data = response(b"ok", *fields)
    assert len(data) == size + 2
    return data


async def test_bytes_of_the_head():
    await holds(head_of(MAX_HEAD), head_of(MAX_HEAD + 1))


async def test_bytes_of_the_head_are_counted_across_segments():
    error = await verdict(head_of(MAX_HEAD + 1), size=1000)
    assert isinstance(error, aiofast.ClientResponseError)


async def test_bytes_of_one_field():
    at, past = field(MAX_LINE), field(MAX_LINE + 3)
    await holds(response(b"ok", at), response(b"ok", past))


async def test_bytes_of_the_status_line():
    reason = "r" * (MAX_LINE - len("HTTP/1.1 200 ") - 2)
    await holds(response(b"ok", status=f"200 {reason}"), response(b"ok", status=f"200 {reason}rrr"))


async def test_number_of_fields():
    fields = [f"X-{n}: v" for n in range(MAX_FIELDS - 1)]  # Content-Length is one more
    await holds(response(b"ok", *fields), response(b"ok", *fields, "X-One-More: v"))


async def test_bytes_of_a_chunk_line():
    def of(size):
        return CHUNKED + b"2;" + b"x" * (size - 4) + b"\r\nok\r\n0\r\n\r\n"

    await holds_body(of(MAX_CHUNK_LINE), of(MAX_CHUNK_LINE + 3))


async def holds_body(at_limit, past_limit):
    """As holds(), for what comes behind the head."""
    assert await verdict(at_limit) == b"ok"
    assert isinstance(await verdict(past_limit), aiofast.ClientError)


async def test_bytes_of_trailers():
    def of(size):
        lines, rest = [], size
        while rest:
            part = min(rest, 4000)
            lines.append(field(part, len(lines)))
            rest -= part
        return CHUNKED + chunked(b"ok", trailers=lines)

    await holds_body(of(MAX_TRAILER - 100), of(MAX_TRAILER + 100))


async def test_number_of_trailers():
    def of(count):
        return CHUNKED + chunked(b"ok", trailers=[f"X-{n}: v" for n in range(count)])

    await holds_body(of(MAX_FIELDS), of(MAX_FIELDS + 1))


async def test_number_of_informational_responses():
    hint = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    await holds(hint * MAX_INFORMATIONAL + OK, hint * (MAX_INFORMATIONAL + 1) + OK)


async def test_heads_of_informational_responses_count_as_head():
    hint = b"HTTP/1.1 103 Early Hints\r\n" + (field(8000) + "\r\n").encode() + b"\r\n"
    assert await verdict(hint * 7 + OK) == b"ok"
    assert isinstance(await verdict(hint * 9 + OK), aiofast.ClientResponseError)


async def test_number_of_codings():
    assert await verdict(response(b"ok", "Content-Encoding: " + "identity, " * 4)) == b"ok"
    coded = b"ok"
    import gzip

    for _ in range(MAX_CODINGS):
        coded = gzip.compress(coded)
    fields = "Content-Encoding: " + ", ".join(["gzip"] * MAX_CODINGS)
    assert await verdict(response(coded, fields)) == b"ok"
    error = await verdict(response(gzip.compress(coded), fields + ", gzip"))
    assert isinstance(error, aiofast.ClientPayloadError)


@pytest.mark.parametrize("name", ["max_line_size", "max_field_size", "max_headers"])
async def test_ceilings_are_settable_for_a_session(name):
    value = 300 if name == "max_headers" else 20_000
    fields = [f"X-{n}: v" for n in range(250)] if name == "max_headers" else [field(19_000)]
    if name == "max_line_size":
        data = response(b"ok", status="200 " + "r" * 19_000)
    else:
        data = response(b"ok", *fields)
    server = Scripted([forever(request, send(data))])
    async with aiofast.ClientSession() as session:
        with pytest.raises(aiofast.ClientResponseError):
            await session.get(f"{server.url}/")
    options = {name: value}
    if name == "max_field_size":
        options["max_line_size"] = value
    if name == "max_line_size":
        options["max_field_size"] = value
    async with aiofast.ClientSession(**options) as session:
        async with session.get(f"{server.url}/") as found:
            assert await found.read() == b"ok"


# --- what would be endless ------------------------------------------------------

ENDLESS = {
    "leading line ends": (b"", b"\r\n"),
    "status line": (b"HTTP/1.1 200 ", b"r"),
    "header name": (b"HTTP/1.1 200 OK\r\n", b"n"),
    "header value": (b"HTTP/1.1 200 OK\r\nX: ", b"v"),
    "header fields": (b"HTTP/1.1 200 OK\r\n", b"X-Field: value\r\n"),
    "informational": (b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
    "informational with fields": (b"", b"HTTP/1.1 103 Hints\r\nLink: </x>\r\n\r\n"),
    "zeros in a chunk size": (CHUNKED, b"0"),
    "chunk size": (CHUNKED, b"1"),
    "chunk extension": (CHUNKED + b"1;", b"x"),
    "chunk extensions": (CHUNKED, b"1;" + b"x" * 4000 + b"\r\ny\r\n"),
    "trailer": (CHUNKED + b"0\r\nX: ", b"v"),
    "trailers": (CHUNKED + b"0\r\n", b"X-Field: value\r\n"),
    "content length": (b"HTTP/1.1 200 OK\r\nContent-Length: ", b"1"),
}


@pytest.mark.parametrize("form", ENDLESS)
async def test_what_is_endless_ends(form):
    """Long before the 64 MiB that the server would send, in few bytes."""
    start, again = ENDLESS[form]
    server = Scripted([request, send(start), flood(again)])
    with pytest.raises(aiofast.ClientError) as caught:
        await aiofast.fetch(f"{server.url}/", timeout=20)
    assert not isinstance(caught.value, TimeoutError)
    await server.reached(lambda: server.open == 0)
    assert server.flooded is False


@pytest.mark.slow
@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
async def test_a_bomb_stops_at_max_body(coding):
    from origins import CODERS

    packed = CODERS[coding](bytes(64 << 20))
    if packed is None:
        pytest.skip(f"no encoder for {coding} here")
    server = Scripted([forever(answer(packed, f"Content-Encoding: {coding}"))])
    with pytest.raises(aiofast.ClientPayloadError, match="1048576|1 ?MiB|max_body"):
        await aiofast.fetch(f"{server.url}/", max_body=1 << 20)
    assert len((await aiofast.fetch(f"{server.url}/")).body) == 64 << 20


# --- malformed ------------------------------------------------------------------

MALFORMED = {
    "not HTTP": b"SSH-2.0-OpenSSH\r\n\r\n",
    "HTTP/2.0": response(b"ok", version="HTTP/2.0"),
    "HTTP/0.9": b"ok, says the server\r\n\r\n",
    "no status": b"HTTP/1.1 \r\n\r\n",
    "status of two digits": response(b"ok", status="20 OK"),
    "status of four digits": response(b"ok", status="2000 OK"),
    "status of letters": response(b"ok", status="2x0 OK"),
    "bare LF behind the status line": OK.replace(b"OK\r\n", b"OK\n"),
    "bare CR behind the status line": OK.replace(b"OK\r\n", b"OK\r"),
    "bare LF behind a field": response(b"ok", "A: 1\nB: 2"),
    "bare CR in a value": response(b"ok", "A: 1\rB: 2"),
    "NUL in a value": response(b"ok", "A: 1\x002"),
    "control byte in a value": response(b"ok", "A: 1\x012"),
    "a folded field": response(b"ok", "A: 1\r\n 2"),
    "blank before the colon": response(b"ok", "A : 1"),
    "blank before the name": response(b"ok", " A: 1"),
    "no colon": response(b"ok", "Field"),
    "empty name": response(b"ok", ": 1"),
    "blank in a name": response(b"ok", "A B: 1"),
    "two lengths": response(b"ok", "Content-Length: 3"),
    "two equal lengths": response(b"ok", "Content-Length: 2"),
    "a list of lengths": response(b"ok", "Content-Length: 2, 2", length=False),
    "negative length": response(b"ok", "Content-Length: -2", length=False),
    "signed length": response(b"ok", "Content-Length: +2", length=False),
    "hex length": response(b"ok", "Content-Length: 0x2", length=False),
    "empty length": response(b"ok", "Content-Length: ", length=False),
    "length past 64 bits": response(b"ok", "Content-Length: 18446744073709551618", length=False),
    "length and chunked": response(chunked(b"ok"), "Transfer-Encoding: chunked"),
    "chunked twice": response(chunked(b"ok"), "Transfer-Encoding: chunked, chunked", length=False),
    "chunked in two fields": response(
        chunked(b"ok"), "Transfer-Encoding: chunked", "Transfer-Encoding: chunked", length=False
    ),
    "chunked not last": response(
        chunked(b"ok"), "Transfer-Encoding: chunked, identity", length=False
    ),
    "unknown transfer coding": response(b"ok", "Transfer-Encoding: xchunked", length=False),
    "folded transfer coding": response(
        chunked(b"ok"), "Transfer-Encoding:\r\n chunked", length=False
    ),
    "chunked in HTTP/1.0": response(
        chunked(b"ok"), "Transfer-Encoding: chunked", length=False, version="HTTP/1.0"
    ),
    "chunk size of letters": CHUNKED + b"zz\r\nok\r\n0\r\n\r\n",
    "empty chunk size": CHUNKED + b"\r\nok\r\n0\r\n\r\n",
    "signed chunk size": CHUNKED + b"+2\r\nok\r\n0\r\n\r\n",
    "prefixed chunk size": CHUNKED + b"0x2\r\nok\r\n0\r\n\r\n",
    "chunk size past 64 bits": CHUNKED + b"10000000000000002\r\nok\r\n0\r\n\r\n",
    "bare LF behind a chunk size": CHUNKED + b"2\nok\r\n0\r\n\r\n",
    "bare LF in a chunk extension": CHUNKED + b"2;a\nb\r\nok\r\n0\r\n\r\n",
    "bare LF behind chunk data": CHUNKED + b"2\r\nok\n0\r\n\r\n",
    "junk behind chunk data": CHUNKED + b"2\r\nokXX0\r\n\r\n",
    "bare LF in trailers": CHUNKED + b"2\r\nok\r\n0\r\nA: 1\n\r\n",
    "a folded trailer": CHUNKED + b"2\r\nok\r\n0\r\nA: 1\r\n 2\r\n\r\n",
    "NUL in a trailer": CHUNKED + b"2\r\nok\r\n0\r\nA: \x00\r\n\r\n",
}


@pytest.mark.parametrize("way", ["at once", "byte by byte"])
@pytest.mark.parametrize("form", MALFORMED)
async def test_malformed_responses_are_errors(form, way):
    error = await verdict(MALFORMED[form], size=1 if way == "byte by byte" else None)
    assert isinstance(error, (aiofast.ClientResponseError, aiofast.ClientPayloadError)), error
    assert str(error)
    assert "\r" not in str(error) and "\n" not in str(error) and "\0" not in str(error)


@pytest.mark.parametrize(
    "data",
    [
        response(b"ok", "A:1", "B:  2  ", "C:\t3\t", "D:", "E: caf\xe9", "F: a\tb"),
        response(b"ok", "!#$%&'*+-.^_`|~09: token"),
        response(b"ok", "content-LENGTH: 2", length=False),
        response(b"ok", "Content-Length: 002", length=False),
        response(b"ok", status="299 Custom"),
        response(b"ok", status="599 X"),
        b"\r\n" + OK,
    ],
)
async def test_what_is_odd_but_right_is_accepted(data):
    assert await verdict(data) == b"ok"


# --- what a caller may not send -------------------------------------------------

BAD = ["\r", "\n", "\r\n", "\0"]


async def refused(*, kind=ValueError, **options):
    server = Scripted([forever(answer())])
    url = server.url + options.pop("path", "/")
    with pytest.raises(kind) as caught:
        await aiofast.fetch(url, timeout=5, **options)
    assert server.connections == 0, "a byte may have been sent"
    return caught.value


@pytest.mark.parametrize("bad", [*BAD, " ", "(", "é"])
async def test_a_method_is_a_token(bad):
    await refused(method=f"GE{bad}T")


async def test_a_method_is_not_empty():
    await refused(method="")


@pytest.mark.parametrize("bad", BAD)
async def test_a_url_has_no_line_ends_and_no_nul(bad):
    error = await refused(path=f"/a{bad}b", kind=aiofast.InvalidURL)
    assert isinstance(error, ValueError)
    await refused(path=f"/?a={bad}b", kind=aiofast.InvalidURL)
    await refused(path=f"/#{bad}", kind=aiofast.InvalidURL)


@pytest.mark.parametrize("bad", [*BAD, " ", "\t", "\\", "%41", "<"])
async def test_a_host_has_no_strange_bytes(bad):
    with pytest.raises(ValueError):
        await aiofast.fetch(f"http://local{bad}host:{1}/")


@pytest.mark.parametrize("bad", [*BAD, " ", ":", "(", "é", "\x7f"])
@pytest.mark.parametrize("place", ["X-{}A", "{}X-A", "X-A{}"])
async def test_a_header_name_is_a_token(bad, place):
    await refused(headers={place.format(bad): "1"})


async def test_a_header_name_is_not_empty():
    await refused(headers={"": "1"})


@pytest.mark.parametrize("bad", [*BAD, "\x01", "\x08", "\x0b", "\x1f", "\x7f"])
@pytest.mark.parametrize("place", ["a{}b", "{}a", "a{}"])
async def test_a_header_value_has_no_control_bytes(bad, place):
    await refused(headers={"X-A": place.format(bad)})


@pytest.mark.parametrize("value", ["\u560a", "\u0100", "snow \u2603", "caf\xe9"])
async def test_nothing_is_narrowed_to_a_byte(value):
    """U+560A is no line feed: text goes out in UTF-8, as aiohttp sends it."""
    server = Scripted([answer()])
    await aiofast.fetch(f"{server.url}/", headers={"X-A": value})
    (found,) = server.requests
    assert found.header("X-A").encode("latin-1") == value.encode()
    assert f"X-A: {value}\r\n".encode() in found.raw


async def test_what_is_no_text_is_refused():
    await refused(headers={"X-A": "\ud800"})


@pytest.mark.parametrize("value", ["tab\tin", "a  b", ""])
async def test_what_a_value_may_hold_is_sent(value):
    server = Scripted([answer()])
    await aiofast.fetch(f"{server.url}/", headers={"X-A": value})
    assert server.requests[0].header("X-A") == value


@pytest.mark.parametrize(
    "headers",
    [
        {"Transfer-Encoding": "gzip, chunked"},
        {"Transfer-Encoding": "identity"},
        {"Content-Length": "1"},
        {"Content-Length": "4294967297"},
        {"content-length": "x"},
        [("Content-Length", "4"), ("Content-Length", "5")],
        [("Host", "a"), ("Host", "b")],
    ],
)
async def test_framing_is_ours(headers):
    await refused(method="POST", data=b"four", headers=headers)


async def test_a_content_length_that_fits_is_sent_once():
    server = Scripted([answer()])
    await aiofast.post(f"{server.url}/", data=b"four", headers={"content-length": "4"})
    assert server.requests[0].all("Content-Length") == ["4"]


@pytest.mark.parametrize("bad", BAD)
async def test_cookies_and_credentials_cannot_inject(bad):
    await refused(cookies={"a": f"1{bad}X: y"})
    server = Scripted([forever(answer())])
    found = await aiofast.fetch(f"{server.url}/", auth=(f"me{bad}", "x"))
    assert found.status == 200
    assert len(server.requests[0].headers) == len(found.request_headers)


@pytest.mark.parametrize("bad", BAD)
async def test_params_cannot_inject(bad):
    server = Scripted([answer()])
    await aiofast.fetch(f"{server.url}/", params={"a": f"1{bad}X: y"})
    assert server.requests[0].target.startswith("/?a=1%0")
    assert server.requests[0].all("X") == []


async def test_a_lying_str_subclass_is_read_once():
    class Liar(str):
        def __str__(self):
            return "evil\r\nX-Injected: 1"

        encode = None

    server = Scripted([answer()])
    await aiofast.fetch(f"{server.url}/", headers={"X-A": Liar("good")})
    assert server.requests[0].header("X-A") == "good"
    assert server.requests[0].all("X-Injected") == []


async def test_a_url_of_extreme_length_is_refused_and_a_long_one_sent():
    server = Scripted([forever(answer())])
    target = "/" + "a" * 60_000
    await aiofast.fetch(server.url + target)
    assert server.requests[0].target == target
    await refused(path="/" + "a" * 70_000)
