"""The cookie jar (RFC 6265)."""

from __future__ import annotations

import pickle
import re
import sys
from http.cookies import CookieError, Morsel, SimpleCookie

import pytest
from aiofast import cookieplans, cookies
from aiofast.cookies import CookieJar, DummyCookieJar
from aiofast.jars import cookie_field, own_cookies
from aiofast.setcookie import MAX_COOKIE, format_cookies, parse_date
from yarl import URL


def jar_with(*pairs: tuple[str, str], **options) -> CookieJar:
    jar = CookieJar(**options)
    for header, url in pairs:
        jar.set_cookie(header, url)
    return jar


def sent(jar: CookieJar, url: str) -> dict[str, str]:
    return dict(jar.cookies_for(url))


A = "http://www.example.org/dir/page"


@pytest.mark.parametrize(
    ("header", "url", "goes"),
    [
        # host-only
        ("a=1", "http://www.example.org/dir/other", True),
        ("a=1", "http://example.org/dir/", False),
        ("a=1", "http://x.www.example.org/dir/", False),
        ("a=1", "http://www.example.org:8080/dir/", True),
        # domain
        ("a=1; Domain=example.org", "http://example.org/dir/", True),
        ("a=1; Domain=.Example.ORG", "http://x.example.org/dir/", True),
        ("a=1; Domain=example.org", "http://badexample.org/dir/", False),
        ("a=1; Domain=other.org", "http://other.org/dir/", False),
        ("a=1; Domain=www.example.org", "http://x.www.example.org/dir/", True),
        ("a=1; Domain=x.www.example.org", "http://x.www.example.org/dir/", False),
        ("a=1; Domain=org", "http://www.example.org/dir/", False),
        ("a=1; Domain=org", "http://other.org/dir/", False),
        # path
        ("a=1", "http://www.example.org/", False),
        ("a=1", "http://www.example.org/dir", True),
        ("a=1", "http://www.example.org/directory", False),
        ("a=1; Path=/", "http://www.example.org/x", True),
        ("a=1; Path=/x", "http://www.example.org/x/y?z", True),
        ("a=1; Path=/x", "http://www.example.org/xy", False),
        ("a=1; Path=relative", "http://www.example.org/dir/x", True),
        # secure
        ("a=1; Path=/; Secure", "https://www.example.org/", False),  # set over http
        # expiry
        ("a=1; Max-Age=60", "http://www.example.org/dir/", True),
        ("a=1; Max-Age=0", "http://www.example.org/dir/", False),
        ("a=1; Max-Age=-1", "http://www.example.org/dir/", False),
        ("a=1; Max-Age=x", "http://www.example.org/dir/", True),
        ("a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "http://www.example.org/dir/", False),
        ("a=1; Expires=Wed, 01 Jan 2200 00:00:00 GMT", "http://www.example.org/dir/", True),
        (
            "a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=9",
            "http://www.example.org/dir/",
            True,
        ),
        ("a=1; Expires=nonsense", "http://www.example.org/dir/", True),
        # ignored
        ("=1", "http://www.example.org/dir/", False),
        ("a", "http://www.example.org/dir/", False),
        ("", "http://www.example.org/dir/", False),
        ("a=1\x01", "http://www.example.org/dir/", False),
        ("__Secure-a=1", "http://www.example.org/dir/", False),
    ],
)
def test_where_a_cookie_goes(header, url, goes):
    assert bool(sent(jar_with((header, A)), url)) is goes


def test_secure_goes_over_https_alone():
    jar = jar_with(("a=1; Secure; Path=/", "https://example.org/"))
    assert sent(jar, "https://example.org/") == {"a": "1"}
    assert sent(jar, "http://example.org/") == {}


def test_secure_on_this_machine():
    jar = jar_with(("a=1; Secure", "http://localhost:8080/"))
    assert sent(jar, "http://localhost:8080/") == {"a": "1"}


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "10.1", "0x7f.1"])
def test_addresses_only_if_unsafe(host):
    url = f"http://{host}/"
    assert sent(jar_with(("a=1", url)), url) == {}
    assert sent(jar_with(("a=1", url), unsafe=True), url) == {"a": "1"}
    assert sent(jar_with(("a=1; Domain=1", url), unsafe=True), url) == {}


def test_a_single_label_is_for_itself_alone():
    jar = jar_with(("a=1; Domain=localhost", "http://localhost/"))
    assert sent(jar, "http://localhost/") == {"a": "1"}
    assert sent(jar, "http://x.localhost/") == {}


def test_values_go_as_they_came():
    jar = jar_with(('a="q"; Path=/', A), ("b=x%20y=z", A), ("c=[1] , 2", A), ("d=ü", A))
    assert sent(jar, A) == {"a": '"q"', "b": "x%20y=z", "c": "[1] , 2", "d": "ü"}


def test_longer_paths_go_first_and_the_newest_value_wins():
    jar = jar_with(("a=root; Path=/", A), ("a=dir; Path=/dir", A), ("b=1", A), ("b=2", A))
    assert jar.cookies_for(A) == [("a", "dir"), ("b", "2"), ("a", "root")]
    assert len(jar) == 3


def test_deleting_empties_the_jar():
    jar = jar_with(("a=1", A), ("a=; Max-Age=0", A))
    assert len(jar) == 0
    assert not jar.by_domain


def test_expired_ones_are_dropped_when_they_are_met(monkeypatch):
    jar = jar_with(("a=1; Max-Age=60", A), ("b=1", A))
    now = cookies.time.time()
    monkeypatch.setattr(cookies.time, "time", lambda: now + 61)
    assert [cookie.key for cookie in jar] == ["b"]
    assert sent(jar, A) == {"b": "1"}
    assert len(jar) == 1


def test_the_jar_is_bounded():
    jar = CookieJar()
    jar.set_cookie("kept=1; Secure", A.replace("http:", "https:"))
    for n in range(cookies.MAX_PER_DOMAIN):
        jar.set_cookie(f"n{n}=1", A)
    assert len(jar) == cookies.KEPT_PER_DOMAIN
    assert "n30" not in sent(jar, A)
    assert "n31" in sent(jar, A)
    assert "kept" in sent(jar, A.replace("http:", "https:"))
    for n in range(cookies.MAX_IN_ALL):
        jar.set_cookie("a=1", f"http://h{n}.example/")
    assert cookies.KEPT_IN_ALL <= len(jar) <= cookies.MAX_IN_ALL
    assert len(jar) == sum(map(len, jar.by_domain.values()))
    jar.set_cookie(f"big={'x' * MAX_COOKIE}", "http://big.example/")
    assert sent(jar, "http://big.example/") == {}


def test_a_domain_full_of_secure_ones_takes_no_others():
    jar = CookieJar()
    safe = A.replace("http:", "https:")
    for n in range(cookies.MAX_PER_DOMAIN):
        jar.set_cookie(f"n{n}=1; Secure", safe)
    jar.set_cookie("open=1", A)
    assert len(jar) == cookies.MAX_PER_DOMAIN
    jar.set_cookie("more=1; Secure", safe)
    assert len(jar) == cookies.KEPT_PER_DOMAIN
    assert "more" in sent(jar, safe)


@pytest.mark.parametrize("domain", ["org", "co.uk", "com.au"])
def test_public_suffixes(domain):
    url = f"http://www.example.{domain}/"
    assert sent(jar_with((f"a=1; Domain={domain}", url)), url) == {}
    own = f"http://{domain}/"
    assert sent(jar_with((f"a=1; Domain={domain}", own)), own) == {"a": "1"}
    assert sent(jar_with((f"a=1; Domain={domain}", own)), url) == {}


def test_the_cookie_header_is_bounded():
    jar = CookieJar()
    for n in range(100):
        jar.set_cookie(f"n{n}={'x' * 1000}", A)
    header = "; ".join("=".join(pair) for pair in jar.cookies_for(A))
    assert 7000 < len(header) <= cookieplans.MAX_HEADER
    small = CookieJar()
    for n in range(cookies.KEPT_PER_DOMAIN):
        small.set_cookie(f"n{n}=1", A)
        small.set_cookie(f"m{n}=1; Domain=example.org", A)
    assert len(small.cookies_for(A)) == cookieplans.MAX_SENT


def test_a_dummy_keeps_nothing():
    jar = DummyCookieJar()
    jar.set_cookie("a=1", A)
    assert len(jar) == 0


def test_clear():
    jar = jar_with(("a=1", A))
    jar.clear()
    assert len(jar) == 0
    assert sent(jar, A) == {}


def test_something_that_is_no_url_gets_none():
    assert jar_with(("a=1", A)).cookies_for("nonsense") == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784111777.0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 784111777.0),
        ("Sun Nov  6 08:49:37 1994", 784111777.0),
        ("06 nov 1994 8:49:37", 784111777.0),
        ("Sat, 31 Dec 2044 23:59:59 GMT", 2366841599.0),
        ("06 Nov 1500 08:49:37", None),
        ("31 Feb 2020 08:49:37", None),
        ("06 Nov 1994 25:00:00", None),
        ("06 Nov 1994", None),
        ("", None),
    ],
)
def test_dates(text, seconds):
    assert parse_date(text) == seconds


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ({"a": "1", "b": "x y"}, "a=1; b=x y"),
        ([("a", "1"), ("a", "2")], "a=1; a=2"),
        ({"a": "1;2"}, 'a="1\\0732"'),
        (SimpleCookie('a="q r"'), 'a="q r"'),
    ],
)
def test_what_a_caller_gives(given, value):
    assert format_cookies(given) == value


@pytest.fixture(params=["as it is", "of 2026"])
def morsels(request, monkeypatch):
    """http.cookies of this Python, and as later releases of every version have it:
    a Morsel refuses control characters, a tab too."""

    def refuse(*texts):
        if any(re.search("[\x00-\x1f\x7f]", str(text)) for text in texts):
            raise CookieError(f"Control characters are not allowed in cookies {texts!r}")

    def put(morsel, name, value):
        refuse(name, value)
        dict.__setitem__(morsel, name.lower(), value)

    before = Morsel.__setstate__

    def restore(morsel, state):
        refuse(*state.values())
        before(morsel, state)

    if request.param != "as it is":
        monkeypatch.setattr(Morsel, "__setitem__", put)
        monkeypatch.setattr(Morsel, "__setstate__", restore)


@pytest.mark.parametrize("bad", [{"a b": "1"}, {"a": "1\r\nX: y"}, {"": "1"}, {"a=b": "1"}])
def test_what_a_caller_may_not_give(bad, morsels):
    with pytest.raises(ValueError, match="cookie"):
        format_cookies(bad)


@pytest.mark.parametrize(
    ("header", "sent"),
    [
        ("a=1\t2", "1\t2"),
        ("a=1; Path=/; Comment=x\ty", "1"),
        ('a="x\\012y"', '"x\\012y"'),
        ("a=1\r", None),
        ("a=1; Path=/\x01", None),
    ],
)
def test_control_characters_of_a_server(header, sent, morsels, tmp_path):
    jar = CookieJar()
    jar.set_cookie(header, "http://example.org/")
    expected = [] if sent is None else [("a", sent)]
    assert jar.cookies_for("http://example.org/x") == expected
    assert len(jar.filter_cookies(URL("http://example.org/"))) == len(expected)
    jar.save(tmp_path / "jar")
    again = CookieJar()
    again.load(tmp_path / "jar")
    assert len(again) <= len(expected)


def test_a_cookie_is_text():
    with pytest.raises(TypeError):
        format_cookies({"a": 1})


def test_merging():
    assert cookie_field(None, [], []) is None
    assert cookie_field(None, [("a", "1")], []) == "a=1"
    assert cookie_field("a=0; b=2", [], []) == "a=0; b=2"
    assert cookie_field("a=0; b=2", [("a", "1"), ("c", "3")], []) == "b=2; a=1; c=3"
    assert (
        cookie_field("a=0", [("a", "1"), ("c", "3"), ("c", "4")], [("a", "2")]) == "c=3; c=4; a=2"
    )


def test_cookies_of_a_request():
    jar = CookieJar()
    assert own_cookies({"a": "1", "b": "x y"}, jar, A) == [("a", "1"), ("b", '"x y"')]
    assert own_cookies({"b": "x y"}, CookieJar(quote_cookie=False), A) == [("b", "x y")]
    elsewhere = SimpleCookie("a=1")
    elsewhere["a"]["domain"] = "other.org"
    assert own_cookies(elsewhere, jar, A) == []


def test_simple_cookies():
    found = cookies.simple_cookie(
        ["a=1; Path=/x; Secure; Max-Age=5", 'b="q r"', "bad", "=x", "c[0]=bad name; HttpOnly"]
    )
    assert found["a"]["path"] == "/x"
    assert found["a"]["secure"] is True
    assert found["a"]["max-age"] == "5"
    assert found["b"].value == "q r"
    assert set(found) <= {"a", "b", "c[0]"}


# --- what a request costs --------------------------------------------------------


class Watched(dict):
    """A jar's cookies by domain, which a request may look into but not walk
    through."""

    def __init__(self, cookies):
        super().__init__(cookies)
        self.asked = []

    def get(self, domain, default=None):
        self.asked.append(domain)
        return super().get(domain, default)

    def _refuse(self, *args):
        raise AssertionError("a request walks through the whole jar")

    __iter__ = keys = values = items = _refuse


def lines_run(function, *args) -> int:
    """How many lines of Python run while |function| does."""
    count = 0

    def trace(frame, event, arg):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function(*args)
    finally:
        sys.settrace(before)
    return count


def test_cookies_of_other_hosts_cost_nothing(monkeypatch):
    monkeypatch.setattr(cookies, "MAX_IN_ALL", 20_000)
    small, large = jar_with(), jar_with()
    for jar, hosts in ((small, 1), (large, 1000)):
        for host in range(hosts):
            for n in range(10):
                jar.set_cookie(f"n{n}=1; Path=/dir", f"http://h{host}.example.org/")
        jar.set_cookie("a=1; Domain=example.org; Path=/", "http://h0.example.org/")
        jar.by_domain = Watched(jar.by_domain)
    assert len(large.by_domain) == 1001
    urls = [
        "http://h0.example.org/dir/first",
        "http://h0.example.org/dir/other",
        "http://h0.example.org/",
    ]
    for url in [*urls, *urls]:  # as nothing is known, and as the field is
        assert lines_run(large.header_for, url) == lines_run(small.header_for, url)
    assert large.header_for(urls[0]) == small.header_for(urls[0])
    assert large.header_for(urls[0]).count("=") == 11
    assert set(large.by_domain.asked) <= {"", "h0.example.org", "example.org", "org"}


def test_a_field_is_worked_out_once():
    jar = jar_with(("a=1; Path=/", A), ("b=2", A), ("c=3; Path=/other", A))
    assert jar.header_for(A) == "b=2; a=1"
    jar.by_domain = Watched(jar.by_domain)
    assert jar.header_for(A) == "b=2; a=1"
    assert jar.by_domain.asked == []
    assert jar.header_for("http://www.example.org/other") == "c=3; a=1"
    assert jar.by_domain.asked == []  # the origin was known


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda jar: jar.set_cookie("a=2; Path=/", A), "b=2; a=2"),
        (lambda jar: jar.set_cookie("a=; Path=/; Max-Age=0", A), "b=2"),
        (lambda jar: jar.set_cookie("c=3; Domain=example.org; Path=/", A), "b=2; c=3; a=1"),
        (lambda jar: jar.update_cookies({"everywhere": "1"}), "b=2; everywhere=1; a=1"),
        (lambda jar: jar.clear(), ""),
        (lambda jar: jar.clear(lambda morsel: morsel.key == "b"), "a=1"),
        (lambda jar: jar.clear_domain("example.org"), ""),
        (lambda jar: None, "b=2; a=1"),
    ],
)
def test_a_field_follows_the_jar(change, field):
    jar = jar_with(("a=1; Path=/", A), ("b=2", A))
    assert jar.header_for(A) == "b=2; a=1"
    change(jar)
    assert jar.header_for(A) == field
    assert jar.header_for(A) == field


def test_a_field_ends_with_its_cookies(monkeypatch):
    jar = jar_with(("a=1; Max-Age=60", A), ("b=1", A))
    now = cookies.time.time()
    assert jar.header_for(A) == "a=1; b=1"
    monkeypatch.setattr(cookies.time, "time", lambda: now + 61)
    assert jar.header_for(A) == "b=1"
    assert len(jar) == 1


def test_fields_are_for_their_own_origin_and_path():
    jar = CookieJar(unsafe=True)
    jar.set_cookie("a=1; Secure; Path=/", "https://one.example/")
    jar.set_cookie("b=1; Path=/x", "http://two.example/")
    jar.set_cookie("c=1; Path=/", "http://[::1]/")
    for url, field in (
        ("https://one.example", "a=1"),
        ("https://one.example/", "a=1"),
        ("https://one.example:8443/x?/y", "a=1"),
        ("HTTPS://ONE.EXAMPLE./x", "a=1"),
        ("http://one.example/", ""),
        ("https://one.example?/", "a=1"),
        ("https://one.example.two.example/", ""),
        ("https://two.example/x/y", "b=1"),
        ("http://two.example/x#/", "b=1"),
        ("http://two.example/xy", ""),
        ("http://two.example/?/x", ""),
        ("http://[::1]:80/", "c=1"),
        ("https:///two.example/x", ""),
        ("http:/two.example/x", ""),
    ):
        for _ in range(2):
            assert jar.header_for(url) == field, url
            assert dict(jar.cookies_for(url)) == dict(p.split("=") for p in field.split("; ") if p)


def test_what_is_kept_for_urls_is_bounded():
    jar = jar_with(("a=1; Domain=example.org; Path=/", A))
    for n in range(1000):
        assert jar.header_for(f"http://h{n}.example.org/") == "a=1"
    assert len(jar._plans.fields) == len(jar._plans._kept) == 256


def test_at_most_fifty_of_one_response():
    jar = CookieJar()
    headers = ["bad", *(f"n{n}=1" for n in range(60))]
    jar.update_cookies_from_headers(headers, URL(A))
    assert [cookie.key for cookie in jar] == [f"n{n}" for n in range(49)]


def test_what_aiohttp_s_programs_look_at(tmp_path):
    jar = jar_with(("a=1; Max-Age=60; Path=/x/", A), ("b=2; Domain=example.org", A))
    view = jar.cookies
    assert set(jar._cookies) == {("www.example.org", "/x"), ("example.org", "/dir")} == set(view)
    assert pickle.loads(pickle.dumps(jar._cookies)) == jar._cookies
    ((place, when),) = jar._expirations.items()
    assert place == ("www.example.org", "/x", "a")
    assert when > cookies.time.time()
    assert jar._host_only_cookies == {place}
    assert "1" not in repr(view)
    jar.clear()
    assert len(view) == 0
    jar.set_cookie("c=3", A)
    assert view["www.example.org", "/dir"]["c"].value == "3"
    with pytest.raises(TypeError):
        view["x", ""] = SimpleCookie()
