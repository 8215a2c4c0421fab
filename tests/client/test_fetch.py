"""One request, one whole response: `aiofast.fetch` and its shortcuts."""

from __future__ import annotations

import asyncio
import base64
import collections.abc
import json

import aiofast
import multidict
import pytest
import yarl
from servers import Scripted, answer, chunked, drip, fin, free_port, request, response, send

PHASES = {"queued", "dns", "connect", "tls", "send", "wait", "receive", "total"}


def sent(found) -> dict[str, str]:
    """The headers that /echo has seen; names in lower case, the last wins."""
    return {name.lower(): value for name, value in found.json()["headers"]}


# --- the response ---------------------------------------------------------------


async def test_fetch_returns_a_complete_response(web):
    found = await aiofast.fetch(f"{web.url}/json?id=7")
    assert found.status == 200
    assert found.reason == "OK"
    assert found.ok is True
    assert tuple(found.version) == (1, 1)
    assert found.method == "GET"
    assert found.body == b'{"hello": "world", "id": "7"}'
    assert type(found.body) is bytes
    assert found.text == '{"hello": "world", "id": "7"}'
    assert found.json() == {"hello": "world", "id": "7"}
    assert found.history == ()
    assert found.raise_for_status() is found
    assert found.reused is False
    assert found.peer == f"127.0.0.1:{web.port}"


async def test_headers_are_a_case_insensitive_multidict_proxy():
    server = Scripted([answer(b"", "X-Two: one", "x-two: two", "Content-Type: text/plain")])
    found = await aiofast.fetch(f"{server.url}/")
    assert isinstance(found.headers, multidict.CIMultiDictProxy)
    assert found.headers["CONTENT-TYPE"] == "text/plain"
    assert found.headers.getall("X-TWO") == ["one", "two"]
    assert [value for _, value in found.headers.items()] == ["one", "two", "text/plain", "0"]
    assert found.headers is found.headers


async def test_raw_headers_are_the_bytes_that_came():
    server = Scripted([answer(b"", "X-Bytes: caf\xe9")])
    found = await aiofast.fetch(f"{server.url}/")
    assert found.raw_headers[0] == (b"X-Bytes", b"caf\xe9")


async def test_url_is_a_yarl_url_with_its_fragment(web):
    found = await aiofast.fetch(f"{web.url}/json?id=1#part")
    assert isinstance(found.url, yarl.URL)
    assert str(found.url) == f"{web.url}/json?id=1#part"
    assert web.targets == ["/json?id=1"]


async def test_a_yarl_url_is_taken_as_well(web):
    found = await aiofast.fetch(yarl.URL(web.url) / "json")
    assert found.status == 200


async def test_timings_hold_every_phase_in_seconds(web):
    found = await aiofast.fetch(f"{web.url}/delay/50")
    timings = found.timings
    assert set(timings) == PHASES
    assert all(isinstance(value, float) and value >= 0 for value in timings.values())
    assert timings["wait"] >= 0.045
    assert timings["total"] >= timings["wait"]
    assert timings["connect"] > 0
    assert timings["tls"] == 0
    parts = sum(value for name, value in timings.items() if name != "total")
    assert parts == pytest.approx(timings["total"], rel=0.2, abs=0.02)


async def test_timings_of_a_reused_connection_have_no_connect(web):
    await aiofast.fetch(f"{web.url}/json")
    found = await aiofast.fetch(f"{web.url}/json")
    assert found.reused is True
    assert found.timings["connect"] == found.timings["dns"] == found.timings["tls"] == 0
    assert found.timings["total"] > 0


async def test_a_slow_body_counts_as_receive(web):
    found = await aiofast.fetch(f"{web.url}/slow-body?pause=0.02")
    assert found.body == b"s" * 10
    assert found.timings["receive"] >= 0.15


async def test_trace_tells_each_phase_as_it_ends(web):
    seen = []
    await aiofast.fetch(f"{web.url}/json", trace=lambda phase, at: seen.append((phase, at)))
    phases = [phase for phase, _ in seen]
    for phase in ("connect", "send", "wait", "receive"):
        assert phases.count(phase) == 1
    assert phases.index("connect") < phases.index("send") < phases.index("wait")
    assert [at for _, at in seen] == sorted(at for _, at in seen)


async def test_request_headers_are_what_was_sent(web):
    found = await aiofast.fetch(f"{web.url}/echo", headers={"X-Mine": "1"})
    assert dict(found.request_headers)["X-Mine"] == "1"
    assert found.request_headers["host"] == f"127.0.0.1:{web.port}"
    assert {k.lower(): v for k, v in found.request_headers.items()} == sent(found)


# --- methods and bodies ---------------------------------------------------------


@pytest.mark.parametrize("name", ["get", "options", "post", "put", "patch", "delete"])
async def test_each_method_has_its_function(web, name):
    found = await getattr(aiofast, name)(f"{web.url}/echo")
    assert found.json()["method"] == name.upper()
    assert found.method == name.upper()


@pytest.mark.parametrize("method", ["GET", "POST", "PROPFIND", "M-SEARCH"])
async def test_method_is_sent_as_given(method):
    server = Scripted([answer()])
    await aiofast.fetch(f"{server.url}/", method=method)
    assert server.requests[0].method == method


async def test_head_has_no_body_whatever_its_length_says(web):
    found = await aiofast.head(f"{web.url}/bytes/1000")
    assert (found.status, found.body, found.headers["Content-Length"]) == (200, b"", "1000")
    assert (await aiofast.get(f"{web.url}/json")).reused is True


async def test_json_is_encoded_and_named(web):
    found = await aiofast.post(f"{web.url}/echo", json={"a": [1, "é"]})
    assert json.loads(found.json()["body"].encode("latin-1")) == {"a": [1, "é"]}
    assert sent(found)["content-type"] == "application/json"


async def test_json_none_is_a_json_null(web):
    found = await aiofast.post(f"{web.url}/echo", json=None)
    assert found.json()["body"] == "null"


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_data_takes_bytes_of_any_kind(web, kind):
    found = await aiofast.put(f"{web.url}/echo", data=kind(b"\x00\xff payload"))
    assert found.json()["body"] == "\x00\xff payload"
    assert sent(found)["content-length"] == "10"


async def test_data_text_is_utf_8(web):
    found = await aiofast.post(f"{web.url}/echo", data="héllo")
    assert found.json()["body"].encode("latin-1").decode() == "héllo"


@pytest.mark.parametrize("form", [{"a": "1 2", "b": "&"}, [("a", "1 2"), ("b", "&")]])
async def test_data_pairs_are_a_form(web, form):
    found = await aiofast.post(f"{web.url}/echo", data=form)
    assert found.json()["body"] == "a=1+2&b=%26"
    assert sent(found)["content-type"].startswith("application/x-www-form-urlencoded")


async def test_data_and_json_together_are_refused(web):
    with pytest.raises((ValueError, TypeError)):
        await aiofast.post(f"{web.url}/echo", data=b"x", json={})
    assert web.count == 0


async def test_an_empty_post_says_so():
    server = Scripted([answer()])
    await aiofast.post(f"{server.url}/")
    assert server.requests[0].all("Content-Length") == ["0"]


async def test_a_get_without_body_has_no_length():
    server = Scripted([answer()])
    await aiofast.get(f"{server.url}/")
    assert server.requests[0].all("Content-Length") == []
    assert server.requests[0].all("Transfer-Encoding") == []


async def test_a_large_body_arrives_whole():
    body = bytes(range(256)) * 16384  # 4 MiB
    server = Scripted([answer(b"got it")])
    found = await aiofast.post(f"{server.url}/", data=body)
    assert found.body == b"got it"
    assert server.requests[0].body == body


async def test_a_large_response_arrives_whole(nginx):
    found = await aiofast.fetch(f"{nginx.url}/big.bin")
    assert found.body == nginx.big


# --- query, headers, cookies, credentials ---------------------------------------


@pytest.mark.parametrize(
    ("params", "query"),
    [
        ({"a": "1", "b": "x y"}, ("a=1&b=x+y", "a=1&b=x%20y")),
        ([("a", "1"), ("a", "2")], ("a=1&a=2",)),
        ({"n": 5, "f": 1.5}, ("n=5&f=1.5",)),
        ({"u": "é&="}, ("u=%C3%A9%26%3D",)),
        ("raw=1&b=2", ("raw=1&b=2",)),
    ],
)
async def test_params_become_the_query(params, query):
    server = Scripted([answer()])
    await aiofast.fetch(f"{server.url}/path", params=params)
    path, _, found = server.requests[0].target.partition("?")
    assert path == "/path"
    assert found in query


async def test_params_are_added_to_the_urls_own():
    server = Scripted([answer()])
    await aiofast.fetch(f"{server.url}/path?x=1#f", params={"y": "2"})
    assert server.requests[0].target == "/path?x=1&y=2"


@pytest.mark.parametrize("value", [None, True, object()])
async def test_params_of_a_doubtful_type_are_refused(value):
    server = Scripted([answer()])
    with pytest.raises(TypeError):
        await aiofast.fetch(f"{server.url}/", params={"a": value})
    assert server.connections == 0


async def test_host_and_accept_encoding_are_sent_once():
    server = Scripted([answer()])
    await aiofast.fetch(f"{server.url}/")
    (found,) = server.requests
    assert found.all("Host") == [f"127.0.0.1:{server.port}"]
    assert found.headers[0][0] == "Host"
    codings = {each.strip() for each in found.header("Accept-Encoding").split(",")}
    assert {"gzip", "deflate", "br", "zstd"} <= codings
    assert "aiofast/" in found.header("User-Agent")


async def test_headers_of_the_caller_take_the_place_of_defaults():
    server = Scripted([answer()])
    mine = {"user-agent": "mine", "ACCEPT-ENCODING": "identity", "host": "other.test"}
    await aiofast.fetch(f"{server.url}/", headers=mine)
    (found,) = server.requests
    assert found.all("User-Agent") == ["mine"]
    assert found.all("Accept-Encoding") == ["identity"]
    assert found.all("Host") == ["other.test"]


async def test_repeated_headers_go_out_in_order():
    server = Scripted([answer()])
    pairs = [("X-A", "1"), ("X-B", "2"), ("X-A", "3")]
    await aiofast.fetch(f"{server.url}/", headers=pairs)
    found = [pair for pair in server.requests[0].headers if pair[0].startswith("X-")]
    assert found == pairs


async def test_cookies_are_sent(web):
    found = await aiofast.fetch(f"{web.url}/cookies", cookies={"a": "1", "b": "two"})
    assert found.json() == {"a": "1", "b": "two"}


async def test_auth_is_a_pair(web):
    found = await aiofast.fetch(f"{web.url}/echo", auth=("me", "s:cret"))
    kind, _, value = sent(found)["authorization"].partition(" ")
    assert (kind, base64.b64decode(value)) == ("Basic", b"me:s:cret")


async def test_credentials_of_the_url_become_a_header_and_leave_the_url():
    server = Scripted([answer()])
    url = server.url.replace("//", "//me:secret@")
    found = await aiofast.fetch(f"{url}/x")
    (got,) = server.requests
    assert got.target == "/x"
    assert got.header("Host") == f"127.0.0.1:{server.port}"
    assert got.header("Authorization") == "Basic " + base64.b64encode(b"me:secret").decode()
    assert "secret" not in repr(found)


async def test_the_password_is_in_no_error():
    with pytest.raises(aiofast.ClientConnectorError) as caught:
        await aiofast.fetch(f"http://me:secret@127.0.0.1:{free_port()}/")
    assert "secret" not in str(caught.value) + repr(caught.value)
    with pytest.raises(aiofast.InvalidURL) as caught:
        await aiofast.fetch("http://me:secret@host:99999/")
    assert "secret" not in str(caught.value) + repr(caught.value)


async def test_raise_for_status_raises_what_the_server_said(web):
    with pytest.raises(aiofast.ClientResponseError) as caught:
        await aiofast.fetch(f"{web.url}/status/503", raise_for_status=True)
    assert caught.value.status == 503
    assert caught.value.message == "Service Unavailable"
    found = await aiofast.fetch(f"{web.url}/status/404")
    assert (found.status, found.ok) == (404, False)
    with pytest.raises(aiofast.ClientResponseError, match="404"):
        found.raise_for_status()


# --- URLs -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "/a%2Fb/%7Euser/c",
        "/a/../b/./c",
        "/x?sig=aZ%2b%2B+/=&empty=&=",
        "/semi;colon,comma!$&'()*+",
        "//double//slash",
        "/?a[0]=1&b=a:b@c",
        "/a?b?c",
    ],
)
async def test_urls_go_on_the_wire_as_given(target):
    server = Scripted([answer()])
    await aiofast.fetch(server.url + target)
    assert server.requests[0].target == target


@pytest.mark.parametrize(
    ("given", "wire"),
    [
        ("/a b", "/a%20b"),
        ("/é", "/%C3%A9"),
        ('/"<>\\^`{|}', "/%22%3C%3E%5C%5E%60%7B%7C%7D"),
        ("/100%", "/100%25"),
        ("/%zz", "/%25zz"),
        ("/q?x=ü y", "/q?x=%C3%BC%20y"),
        ("?x=1", "/?x=1"),
        ("", "/"),
    ],
)
async def test_only_what_is_illegal_is_quoted(given, wire):
    server = Scripted([answer()])
    await aiofast.fetch(server.url + given)
    assert server.requests[0].target == wire


async def test_idna_hosts_work(tmp_path):
    path = str(tmp_path / "s")
    server = Scripted([answer(b"idna")], path=path)
    async with aiofast.ClientSession(connector=aiofast.UnixConnector(path)) as session:
        async with session.get("http://BÜCHER.example/x") as found:
            assert await found.read() == b"idna"
            assert found.url.raw_host == "xn--bcher-kva.example"
    assert server.requests[0].header("Host") == "xn--bcher-kva.example"


async def test_ipv6_literals_work():
    try:
        server = Scripted([answer(b"six")], host="::1")
    except OSError:
        pytest.skip("no IPv6 loopback here")
    found = await aiofast.fetch(f"{server.url}/")
    assert found.body == b"six"
    assert server.requests[0].header("Host") == f"[::1]:{server.port}"
    assert found.peer == f"[::1]:{server.port}"


async def test_localhost_is_found_whatever_family_listens(web):
    found = await aiofast.fetch(f"http://localhost:{web.port}/json")
    assert found.status == 200
    assert found.peer == f"127.0.0.1:{web.port}"


@pytest.mark.parametrize(
    "url", ["", "/relative", "no-scheme.example", "http://", "http:///x", "http://h:99999/"]
)
async def test_an_invalid_url_is_a_value_error_too(url):
    with pytest.raises(aiofast.InvalidURL) as caught:
        await aiofast.fetch(url)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, aiofast.ClientError)


@pytest.mark.parametrize("url", ["ftp://example.org/", "file:///etc/passwd", "mailto:x@y"])
async def test_other_schemes_are_refused(url):
    with pytest.raises(aiofast.NonHttpUrlClientError):
        await aiofast.fetch(url)


# --- HTTP/1 as servers speak it -------------------------------------------------


FORMS = {
    "length": (response(b"whole"), b"whole"),
    "chunked": (
        response(b"", "Transfer-Encoding: chunked", length=False) + chunked(b"who", b"le"),
        b"whole",
    ),
    "chunk extensions": (
        response(b"", "Transfer-Encoding: chunked", length=False)
        + b'5;a=1;b="2"\r\nwhole\r\n000;last\r\n\r\n',
        b"whole",
    ),
    "upper-case size": (
        response(b"", "transfer-encoding: Chunked", length=False) + b"A\r\n0123456789\r\n0\r\n\r\n",
        b"0123456789",
    ),
    "empty": (response(b""), b""),
    "empty reason": (response(b"whole", status="200 "), b"whole"),
    "204": (response(b"", status="204 No Content", length=False), b""),
    "304": (response(b"", "Content-Length: 100", status="304 X", length=False), b""),
    "1xx before": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        + response(b"whole"),
        b"whole",
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("way", ["at once", "byte by byte"])
async def test_responses_of_every_form_are_read_and_the_connection_is_kept(form, way):
    data, body = FORMS[form]
    step = send(data) if way == "at once" else drip(data, 0.0005)
    server = Scripted([request, step, request, step])
    for reused in (False, True):
        found = await aiofast.fetch(f"{server.url}/")
        assert found.body == body
        assert found.reused is reused
    assert server.connections == 1


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
async def test_a_body_until_close_is_whole_at_the_end_of_file(version):
    data = response(b"until close", "Connection: close", version=version, length=False)
    server = Scripted([request, drip(data, 0.0005, 7), fin])
    found = await aiofast.fetch(f"{server.url}/")
    assert found.body == b"until close"
    assert tuple(found.version) == (1, int(version[-1]))
    assert (await aiofast.fetch(f"{server.url}/")).reused is False


async def test_trailers_are_kept_apart_from_headers():
    head = response(b"", "Transfer-Encoding: chunked", "Trailer: X-Sum", length=False)
    server = Scripted([request, send(head + chunked(b"body", trailers=["X-Sum: 42"]))])
    found = await aiofast.fetch(f"{server.url}/")
    assert found.body == b"body"
    assert found.trailers["x-sum"] == "42"
    assert "X-Sum" not in found.headers


async def test_an_unasked_101_is_an_error():
    data = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\n"
    server = Scripted([request, send(data)])
    with pytest.raises(aiofast.ClientResponseError, match="101"):
        await aiofast.fetch(f"{server.url}/")


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("text/plain; charset=latin-1", b"caf\xe9", "café"),
        ("text/plain", "café".encode(), "café"),
        ('text/html; charset="utf-16"', "hé".encode("utf-16"), "hé"),
        ("text/plain; charset=no-such", b"plain", "plain"),
        ("application/json", '"é"'.encode(), '"é"'),
    ],
)
async def test_text_follows_the_charset(content_type, body, text):
    server = Scripted([answer(body, f"Content-Type: {content_type}")])
    assert (await aiofast.fetch(f"{server.url}/")).text == text


async def test_max_body_is_a_ceiling(web):
    assert len((await aiofast.fetch(f"{web.url}/bytes/1000", max_body=1000)).body) == 1000
    with pytest.raises(aiofast.ClientPayloadError, match="1000"):
        await aiofast.fetch(f"{web.url}/bytes/1001", max_body=1000)


async def test_max_body_holds_without_a_length_too():
    head = response(b"", "Transfer-Encoding: chunked", length=False)
    server = Scripted([request, send(head + chunked(b"x" * 600, b"x" * 401))])
    with pytest.raises(aiofast.ClientPayloadError, match="1000"):
        await aiofast.fetch(f"{server.url}/", max_body=1000)


# --- the awaitable --------------------------------------------------------------


async def test_a_fetch_is_a_coroutine_to_asyncio(web):
    url = f"{web.url}/json"
    pending = aiofast.fetch(url)
    assert isinstance(pending, collections.abc.Coroutine)
    found = await asyncio.create_task(pending)
    both = await asyncio.gather(aiofast.fetch(url), aiofast.fetch(url))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(aiofast.fetch(url))
    waited = await asyncio.wait_for(aiofast.fetch(url), 10)
    shielded = await asyncio.shield(aiofast.fetch(url))
    for each in (found, *both, task.result(), waited, shielded):
        assert each.status == 200


async def test_a_fetch_that_nobody_awaits_sends_nothing(web):
    pending = aiofast.fetch(f"{web.url}/json")
    await asyncio.sleep(0.05)
    pending.close()
    assert web.count == 0


async def test_a_done_fetch_gives_its_response_again(web):
    pending = aiofast.fetch(f"{web.url}/json")
    first = await pending
    assert pending.done() and not pending.cancelled()
    assert pending.result() is first
    assert pending.exception() is None


async def test_a_failed_fetch_keeps_its_exception():
    pending = aiofast.fetch(f"http://127.0.0.1:{free_port()}/")
    with pytest.raises(aiofast.ClientConnectorError) as caught:
        await pending
    assert pending.exception() is caught.value


async def test_callbacks_are_called_once_when_it_is_done(web):
    called = asyncio.get_running_loop().create_future()
    pending = aiofast.fetch(f"{web.url}/json")
    pending.add_done_callback(called.set_result)
    assert await called is pending
    assert pending.result().status == 200


# --- failures to connect --------------------------------------------------------


async def test_a_refused_connection_names_host_and_port():
    port = free_port()
    with pytest.raises(aiofast.ClientConnectorError) as caught:
        await aiofast.fetch(f"http://127.0.0.1:{port}/")
    assert isinstance(caught.value, OSError)
    assert caught.value.errno == 111 or isinstance(caught.value.os_error, ConnectionRefusedError)
    assert (caught.value.host, caught.value.port) == ("127.0.0.1", port)
    assert f"127.0.0.1:{port}" in str(caught.value)


async def test_an_unknown_name_is_a_dns_error():
    with pytest.raises(aiofast.ClientConnectorDNSError) as caught:
        await aiofast.fetch("http://no-such-name.invalid/")
    assert caught.value.host == "no-such-name.invalid"
    assert "no-such-name.invalid" in str(caught.value)


async def test_a_missing_unix_socket_is_an_error(tmp_path):
    path = str(tmp_path / "none")
    async with aiofast.ClientSession(connector=aiofast.UnixConnector(path)) as session:
        with pytest.raises(aiofast.ClientConnectorError) as caught:
            await session.get("http://local/")
    assert path in str(caught.value)


async def test_a_server_that_says_nothing_is_disconnected():
    server = Scripted([request, fin])
    with pytest.raises(aiofast.ServerDisconnectedError):
        await aiofast.fetch(f"{server.url}/")
    assert server.connections == 1
