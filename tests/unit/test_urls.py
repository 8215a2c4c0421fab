"""The client's URLs beside yarl, urllib and RFC 3986: properties of what is taken, and where they
differ on purpose (docs/parser.md, "URLs").

AIOFAST_EXAMPLES=20000 tries so many of each property, others each time."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import SplitResult, urlsplit

import pytest
import yarl
from aiofast._core import url_join, url_origin
from aiofast.errors import InvalidURL, NonHttpUrlClientError
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("AIOFAST_EXAMPLES", "0"))
settings.register_profile(
    "urls",
    max_examples=EXAMPLES or 300,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def thorough(test: Any) -> Any:
    return pytest.mark.slow(settings(settings.get_profile("urls"))(test))


# --- URLs as people write them ---------------------------------------------------------------

LETTERS = "abcxyz"
UNRESERVED = "abcxyzABC0189-._~"
SUB_DELIMS = "!$&'()*+,;="
labels = st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,6}[a-zA-Z0-9])?", fullmatch=True)
names = st.lists(labels, min_size=1, max_size=4).map(".".join)
addresses = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
)
# A name whose last label is a number would be an address to some.
hosts = st.one_of(names.filter(lambda name: not name[-1].isdigit()), addresses)
ports = st.one_of(st.none(), st.just(""), st.integers(0, 65535).map(str))
escapes = st.sampled_from(["%20", "%2F", "%2f", "%41", "%c3%a9", "%25", "%00"])


def text_of(alphabet: str) -> st.SearchStrategy[str]:
    return st.lists(st.one_of(st.sampled_from(alphabet), escapes), max_size=8).map("".join)


LEGAL = UNRESERVED + SUB_DELIMS + ":@"
texts = text_of(LEGAL + "/? é日")
userinfo = st.one_of(
    st.just(""),
    st.tuples(st.text(UNRESERVED, min_size=1, max_size=5), st.text(UNRESERVED, max_size=5)).map(
        lambda pair: f"{pair[0]}:{pair[1]}@"
    ),
)
schemes = st.sampled_from(["http", "https", "HTTP", "ws", "wss"])


@st.composite
def urls(draw: st.DrawFn, more: str = " é日") -> str:
    port = draw(ports)
    url = f"{draw(schemes)}://{draw(userinfo)}{draw(hosts)}"
    url += "" if port is None else f":{port}"
    # Dot segments stay in an absolute URL and yarl removes them: see DECIDED.
    segments = text_of(LEGAL + more).filter(lambda text: text not in (".", ".."))
    url += "".join("/" + segment for segment in draw(st.lists(segments, max_size=4)))
    if draw(st.booleans()):
        url += "?" + draw(text_of(LEGAL + "/?" + more))
    if draw(st.booleans()):
        url += "#" + draw(text_of(LEGAL + "/?" + more))
    return url.rstrip(" ")  # one at the end is refused


def from_path(url: str) -> str:
    """Path, query and fragment."""
    tail = url.partition("://")[2]
    return tail[min((tail.find(c) for c in "/?#" if c in tail), default=len(tail)) :]


def normal(url: str) -> str:
    """What aiofast makes of a URL."""
    return url_join(url, "")


@thorough
@given(urls())
@example("http://h")
@example("http://h:/?#")
@example("HTTPS://u:p@[::1]:443/a b?c=é#d e")
def test_the_parts_are_those_of_yarl(url: str) -> None:
    ours = yarl.URL(normal(url), encoded=True)
    theirs = yarl.URL(url)
    assert ours.scheme == theirs.scheme
    assert ours.host == theirs.host
    assert ours.port == theirs.port
    assert ours.user == theirs.user
    assert (ours.password or None) == (theirs.password or None)
    # Compared as they are decoded: yarl also undoes escapes that need not be.
    assert ours.path == theirs.path
    assert dict(ours.query) == dict(theirs.query)
    assert ours.query_string == theirs.query_string
    assert ours.fragment == theirs.fragment
    assert url_origin(url) == (theirs.scheme, theirs.raw_host, theirs.port)


@thorough
@given(urls(more=""))
def test_what_is_legal_stays(url: str) -> None:
    """Nothing is decoded, and no escape changes its case."""
    assert from_path(normal(url)) in (from_path(url), "/" + from_path(url))


@thorough
@given(urls())
def test_a_normal_form_is_its_own(url: str) -> None:
    out = normal(url)
    assert normal(out) == out
    assert out.isascii()
    assert not set(out) & set(' "<>\\^`{|}\x7f') and min(out) > " "


@thorough
@given(urls())
def test_yarl_objects_are_the_same_request(url: str) -> None:
    """A yarl.URL given to aiofast and the text that it is from reach the same resource."""
    given_object = yarl.URL(url)
    again = yarl.URL(normal(str(given_object)), encoded=True)
    assert again.host == given_object.host and again.port == given_object.port
    assert again.path == given_object.path and again.query_string == given_object.query_string


# --- URLs that mean to deceive ---------------------------------------------------------------

NASTY = (
    *"abc:/?#@[]\\%.-_~ \t\r\n\0|^`{}<>\"'&=;,+é、。/@\x7f\xa0",
    *("//", "%2f", "%40", "::1", "127.1", "example.org", "evil.example", "user:pass@", ":80"),
    *(":99999", "xn--"),
)
nasty = st.lists(st.sampled_from(NASTY), max_size=12).map("".join)


def split_or_none(url: str) -> SplitResult | None:
    """What urllib makes of |url|; None where it refuses it (brackets, mostly)."""
    try:
        return urlsplit(url)
    except ValueError:
        return None


@thorough
@given(st.sampled_from(["http://", "https://", "http:", "http:/", "http:\\\\", ""]), nasty)
@example("http://", "a@b@c/")
@example("http://", "evil.example\\@example.org/")
@example("http://", "example.org#@evil.example/")
@example("http://", "example.org%2f@evil.example/")
def test_no_url_has_two_hosts(start: str, rest: str) -> None:
    """What is taken goes to the host that yarl and urllib see in it, or they refuse it."""
    url = start + rest
    try:
        _, host, port = url_origin(url)
    except (InvalidURL, NonHttpUrlClientError):
        return
    assert not set(host) & set("@/\\?#% \t\r\n\0")
    try:
        theirs = yarl.URL(url)
    except ValueError:
        theirs = None
    if theirs is not None:
        assert theirs.raw_host == host
        assert theirs.port == port
    if url.isascii() and (split := split_or_none(url)) is not None:
        assert (split.hostname or "") == host
        assert split.port is None or split.port == port
    # And what is sent is read in the same way by whoever reads it.
    sent = normal(url)
    if (split := split_or_none(sent)) is not None:
        assert split.hostname == host
    assert yarl.URL(sent, encoded=True).raw_host == host


# --- References (RFC 3986 5) -----------------------------------------------------------------

dotted = st.lists(
    st.sampled_from([".", "..", "a", "b;c=1", "...", ".a", "a.", ""]), max_size=5
).map("/".join)
references = st.one_of(
    dotted,
    dotted.map(lambda path: "/" + path),
    st.tuples(dotted, texts).map(lambda pair: f"{pair[0]}?{pair[1]}"),
    texts.map(lambda text: "?" + text),
    texts.map(lambda text: "#" + text),
    urls(),
    urls().map(lambda url: url.partition(":")[2]),
)


SPLIT = re.compile(r"(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)


def without_dots(path: str) -> str:
    """RFC 3986 5.2.4, step by step."""
    out = ""
    while path:
        if path.startswith(("../", "./")):
            path = path.partition("/")[2]
        elif path.startswith("/./") or path == "/.":
            path = "/" + path[3:]
        elif path.startswith("/../") or path == "/..":
            path = "/" + path[4:]
            out = out.rpartition("/")[0]
        elif path in (".", ".."):
            path = ""
        else:
            end = path.find("/", 1)
            end = len(path) if end < 0 else end
            out, path = out + path[:end], path[end:]
    return out


def resolved(base: str, reference: str) -> str:
    """RFC 3986 5.2.2; with the fragment of the base if there is no other (RFC 9110 10.2.2)."""
    scheme, authority, path, query, fragment = SPLIT.fullmatch(reference).groups()
    base_scheme, base_authority, base_path, base_query, base_fragment = SPLIT.fullmatch(
        base
    ).groups()
    # An absolute URL goes out as it is, dots included.
    if scheme is None and authority is None:
        authority = base_authority
        if path == "":
            path = base_path
            query = base_query if query is None else query
        else:
            if not path.startswith("/"):
                path = base_path.rpartition("/")[0] + "/" + path
            path = without_dots(path)
    fragment = base_fragment if fragment is None else fragment
    url = f"{scheme or base_scheme}://{authority}{path}"
    url += "" if query is None else f"?{query}"
    return url + ("" if fragment is None else f"#{fragment}")


@thorough
@given(urls(), references)
@example("http://h//", ".")
@example("http://h?a", "?")
def test_references_are_resolved_as_the_rfc_says(base: str, reference: str) -> None:
    wanted = resolved(normal(base), reference)
    try:
        got = url_join(base, reference)
    except (InvalidURL, NonHttpUrlClientError):
        with pytest.raises((InvalidURL, NonHttpUrlClientError)):
            normal(wanted)
    else:
        assert got == normal(wanted)


@pytest.mark.parametrize(
    ("reference", "target"),
    [
        ("g", "http://a/b/c/g"),
        ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g/"),
        ("?y", "http://a/b/c/d;p?y"),
        ("g?y", "http://a/b/c/g?y"),
        ("#s", "http://a/b/c/d;p?q#s"),
        ("g#s", "http://a/b/c/g#s"),
        (";x", "http://a/b/c/;x"),
        ("", "http://a/b/c/d;p?q"),
        (".", "http://a/b/c/"),
        ("..", "http://a/b/"),
        ("../g", "http://a/b/g"),
        ("../../g", "http://a/g"),
        ("../../../../g", "http://a/g"),
        ("/./g", "http://a/g"),
        ("/../g", "http://a/g"),
        ("g..", "http://a/b/c/g.."),
        ("./g/.", "http://a/b/c/g/"),
        ("g/../h", "http://a/b/c/h"),
        ("g?y/../x", "http://a/b/c/g?y/../x"),
    ],
)
def test_the_examples_of_rfc_3986(reference: str, target: str) -> None:
    assert url_join("http://a/b/c/d;p?q", reference) == target
    joined = yarl.URL("http://a/b/c/d;p?q").join(yarl.URL(reference, encoded=True))
    assert str(joined).removesuffix("/") == target.removesuffix("/")


# --- What is decided -------------------------------------------------------------------------

# What was given, what goes out (None: refused), what a browser would make of it.
DECIDED = [
    ("http://h/a/../b", "http://h/a/../b", "http://h/b"),
    ("http://h/%7Ea", "http://h/%7Ea", "http://h/%7Ea"),
    ("http://h/%zz", "http://h/%25zz", "http://h/%zz"),
    ("http://h/a b", "http://h/a%20b", "http://h/a%20b"),
    ("http://h/|", "http://h/%7C", "http://h/|"),
    ("http://h/^", "http://h/%5E", "http://h/^"),
    ("http://h/?'", "http://h/?'", "http://h/?%27"),
    ("http://h/?a|b", "http://h/?a%7Cb", "http://h/?a|b"),
    ("http://h/\\x", "http://h/%5Cx", "http://h/x"),
    ("http:\\\\h\\x", None, "http://h/x"),
    ("http://h\\@evil/", None, "http://h/@evil/"),
    ("http:h", None, "http://h/"),
    ("http:/h", None, "http://h/"),
    ("http:///h", None, "http://h/"),
    (" http://h/ ", None, "http://h/"),
    ("ht\ntp://h/", None, "http://h/"),
    ("http://h/a\tb", "http://h/a%09b", "http://h/ab"),
    ("http://a@b@c/", None, "http://a%40b@c/"),
    ("http://h%41/", None, "http://ha/"),
    ("http://%68/", None, "http://h/"),
    ("http://h_a/", "http://h_a/", "http://h_a/"),
    ("http://h:/", "http://h/", "http://h/"),
    ("http://h:00080/", "http://h/", "http://h/"),
    ("http://h:65536/", None, None),
    ("http://1.2.3.4./", "http://1.2.3.4./", "http://1.2.3.4/"),
    ("http://[fe80::1%25eth0]/", None, None),
    ("http://[::1", None, None),
    ("http://H.EXAMPLE/", "http://h.example/", "http://h.example/"),
    ("http://h", "http://h/", "http://h/"),
    ("http://h?q", "http://h/?q", "http://h/?q"),
]


@pytest.mark.parametrize(("url", "sent", "browser"), DECIDED)
def test_where_we_stand(url: str, sent: str | None, browser: str | None) -> None:
    if sent is None:
        with pytest.raises(InvalidURL):
            normal(url)
    else:
        assert normal(url) == sent
