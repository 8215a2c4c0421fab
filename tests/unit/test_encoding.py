"""Queries, forms, bodies, media types, auth: what goes on the wire as text."""

from __future__ import annotations

import pytest
from aiofast.auth import BasicAuth, authorization, encode_basic_auth, split_userinfo
from aiofast.body import encode_data, encode_json
from aiofast.mediatype import decode_text, is_json, parse_media_type
from aiofast.query import encode_form, encode_query
from multidict import MultiDict
from yarl import URL

# --- queries ---


@pytest.mark.parametrize(
    "params",
    [
        {"a": "b c+&=é/?"},
        [("a", 1), ("a", 2.5)],
        {"a": ["x", "y"]},
        {"a;b": "c;d", "é": "#%"},
        MultiDict([("a", "1"), ("a", "2")]),
        (("a", "b"),),
        {"a": ""},
    ],
)
def test_queries_read_as_yarls(params):
    ours = URL(f"http://h/?{encode_query(params)}", encoded=True).query
    assert ours == URL("http://h/").update_query(params).query


@pytest.mark.parametrize(
    ("params", "query"),
    [
        ({"a": "b c+&=é/?"}, "a=b+c%2B%26%3D%C3%A9/?"),
        ("x=1&y=a b", "x=1&y=a+b"),
        ("a=%41&b=é#", "a=%41&b=%C3%A9%23"),
        ({"a": "1\r\nX: y"}, "a=1%0D%0AX:+y"),
        (None, None),
        ("", None),
        ({}, None),
        ([], None),
    ],
)
def test_queries(params, query):
    assert encode_query(params) == query


@pytest.mark.parametrize(
    "params",
    [{"a": True}, {"a": None}, {"a": b"x"}, {1: "x"}, b"ab", b"", 5, ["ab", "c"], [1], {"a": {}}],
)
def test_queries_of_the_wrong_type(params):
    with pytest.raises(TypeError):
        encode_query(params)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_queries_of_the_wrong_value(value):
    with pytest.raises(ValueError, match="finite"):
        encode_query({"a": value})


# --- bodies ---


@pytest.mark.parametrize(
    ("data", "body", "kind"),
    [
        (b"abc", b"abc", "application/octet-stream"),
        (bytearray(b"abc"), b"abc", "application/octet-stream"),
        (memoryview(b"abc"), b"abc", "application/octet-stream"),
        ("é", b"\xc3\xa9", "text/plain; charset=utf-8"),
        ({"a": "b c", "d": "é"}, b"a=b+c&d=%C3%A9", "application/x-www-form-urlencoded"),
        ([("a", "1"), ("a", 2)], b"a=1&a=2", "application/x-www-form-urlencoded"),
        ({"a": ["1", "2"]}, b"a=1&a=2", "application/x-www-form-urlencoded"),
        ({}, b"", "application/x-www-form-urlencoded"),
    ],
)
def test_data(data, body, kind):
    sent, found = encode_data(data)
    assert (bytes(sent), found) == (body, kind)


@pytest.mark.parametrize("data", [5, object(), {"a": None}, {1: "a"}, [1]])
def test_data_of_the_wrong_type(data):
    with pytest.raises(TypeError):
        encode_data(data)


def test_forms_take_bytes():
    assert encode_form({"a": b"\xff &"}) == b"a=%FF+%26"


def test_json():
    assert encode_json({"a": "é"}) == b'{"a": "\\u00e9"}'
    assert encode_json(1, lambda value: b"raw") == b"raw"
    assert encode_json(1, lambda value: "té") == "té".encode()


# --- media types ---


@pytest.mark.parametrize(
    ("value", "kind", "charset"),
    [
        (None, "", None),
        ("", "", None),
        ("Text/HTML", "text/html", None),
        ("text/html; charset=UTF-8", "text/html", "UTF-8"),
        ('text/html;x="a;charset=b"; charset="iso-8859-1"', "text/html", "iso-8859-1"),
        ("text/html; CHARSET = latin1 ; x=y", "text/html", "latin1"),
        ("text/html; flag; charset=utf-8", "text/html", "utf-8"),
        ("text/html; charset=", "text/html", None),
        ("text/html; charset='utf-8'", "text/html", "utf-8"),
        (r'text/html; charset="a\"b"', "text/html", 'a"b'),
        ('text/html; charset="unclosed', "text/html", "unclosed"),
        ("nonsense; charset=x", "", "x"),
        (";;=;", "", None),
    ],
)
def test_media_types(value, kind, charset):
    assert parse_media_type(value) == (kind, charset)


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        (b"\xe9", "text/plain; charset=latin-1", "é"),
        ("é".encode(), None, "é"),
        ("é".encode(), "application/json", "é"),
        (b"\xef\xbb\xbfx", "text/plain; charset=latin-1", "x"),
        ("é".encode("utf-16"), None, "é"),
        (b"\xff", None, "\ufffd"),
        (b"\xff", "text/plain; charset=utf-8", "\ufffd"),
        (b"abc", "text/plain; charset=nonsense", "abc"),
        (b"abc", "text/plain; charset=hex", "abc"),
        (b"abc", "text/plain; charset=undefined", "abc"),
        (b"abc", 'text/plain; charset="a\x00b"', "abc"),
        (b"", None, ""),
    ],
)
def test_text_never_fails(body, content_type, text):
    assert decode_text(body, content_type) == text


def test_text_may_be_strict():
    assert decode_text(b"\xe9", "text/plain; charset=latin-1", "strict") == "é"
    for body, kind in ((b"\xff", None), (b"\xff", "a/b; charset=ascii"), (b"\xff\xfe\0", None)):
        with pytest.raises(UnicodeDecodeError):
            decode_text(body, kind, "strict")
    for charset in ("punycode", "idna", "undefined"):
        assert decode_text(b"\xff-\xff", f"a/b; charset={charset}") == "\ufffd-\ufffd"


def test_json_types():
    assert is_json("application/json")
    assert is_json("application/problem+json")
    assert not is_json("text/json-ish")


# --- auth ---


def test_basic_auth():
    assert encode_basic_auth("me", "pä") == "Basic bWU6cMOk"
    assert BasicAuth("me", "pw").encode() == "Basic bWU6cHc="
    assert BasicAuth.decode("basic bWU6cHc=") == BasicAuth("me", "pw")
    assert BasicAuth.from_url(URL("http://me:pw@h/")) == BasicAuth("me", "pw")
    assert BasicAuth.from_url(URL("http://h/")) is None
    assert authorization(("me", "pw")) == "Basic bWU6cHc="
    assert authorization(BasicAuth("me", "pw")) == "Basic bWU6cHc="


@pytest.mark.parametrize("value", ["Bearer x", "Basic !", "Basic bWU=", "Basic", ""])
def test_what_is_no_basic_auth(value):
    with pytest.raises(ValueError, match=r".+"):
        BasicAuth.decode(value)


def test_a_login_has_no_colon():
    with pytest.raises(ValueError, match="RFC 7617"):
        BasicAuth("a:b")
    with pytest.raises(ValueError, match="RFC 7617"):
        encode_basic_auth("a:b")
    with pytest.raises(ValueError, match="None"):
        BasicAuth(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("auth", ["me:pw", ("me",), ("me", 1), ["me", "pw"], 5])
def test_auth_of_the_wrong_type(auth):
    with pytest.raises(TypeError):
        authorization(auth)


@pytest.mark.parametrize(
    ("url", "rest", "login"),
    [
        ("http://us%40er:pa:ss@h/p", "http://h/p", "Basic dXNAZXI6cGE6c3M="),
        ("http://me@h", "http://h", "Basic bWU6"),
        ("http://a@b:c@h/", "http://h/", "Basic YUBiOmM="),
        ("http://@h/", "http://h/", None),
        ("http://h/@x", "http://h/@x", None),
        ("http://h?a@b", "http://h?a@b", None),
        ("nonsense@x", "nonsense@x", None),
    ],
)
def test_user_information(url, rest, login):
    assert split_userinfo(url) == (rest, login)
