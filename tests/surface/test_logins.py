"""Digest authentication and netrc."""

from __future__ import annotations

import hashlib
import re

import aiofast
import pytest
from servers import Scripted, answer, forever, request, response, send

HASHES = {
    "MD5": "md5",
    "SHA": "sha1",
    "SHA-256": "sha256",
    "SHA-512-256": "sha512_256",
}


def fields_of(header):
    assert header.startswith("Digest ")
    return {
        name: quoted or bare
        for name, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^,\s]+))', header)
    }


def right(fields, method, body):
    """RFC 7616 3.4, by the book, for me and secret."""

    def h(text):
        name = fields["algorithm"].upper().removesuffix("-SESS")
        return hashlib.new(HASHES[name], text.encode()).hexdigest()

    one = h(f"me:{fields['realm']}:secret")
    if fields["algorithm"].upper().endswith("-SESS"):
        one = h(f"{one}:{fields['nonce']}:{fields['cnonce']}")
    two = f"{method}:{fields['uri']}"
    if fields.get("qop") == "auth-int":
        two += f":{h(body.decode())}"
    if "qop" in fields:
        middle = ":".join(fields[n] for n in ("nonce", "nc", "cnonce", "qop"))
        return h(f"{one}:{middle}:{h(two)}")
    return h(f"{one}:{fields['nonce']}:{h(two)}")


def challenge(parameters):
    return response(b"no", f"WWW-Authenticate: Digest {parameters}", status="401 No")


@pytest.mark.parametrize("qop", ["auth", "auth-int", "auth,auth-int", None])
@pytest.mark.parametrize("algorithm", [*HASHES, *(f"{name}-sess" for name in HASHES)])
async def test_digest(algorithm, qop):
    if algorithm.endswith("-sess") and qop is None:
        qop = "auth"
    asked = f'realm="r s", nonce="n1", algorithm={algorithm}, opaque="o"'
    if qop:
        asked += f', qop="{qop}"'
    server = Scripted([request, send(challenge(asked)), forever(answer(b"in"))])
    digest = aiofast.DigestAuthMiddleware("me", "secret")
    async with aiofast.ClientSession(middlewares=[digest]) as session:
        async with session.post(f"{server.url}/a?b=c", data=b"body") as found:
            assert await found.text() == "in"
        async with session.get(f"{server.url}/d") as found:
            assert await found.text() == "in"
    first, second, third = server.requests
    assert first.header("Authorization") is None
    for count, one in enumerate((second, third), 1):
        fields = fields_of(one.header("Authorization"))
        assert fields["response"] == right(fields, one.method, one.body)
        assert (fields["username"], fields["opaque"], fields["uri"]) == ("me", "o", one.target)
        if qop:
            assert int(fields["nc"], 16) == count  # the second answers unasked
    assert second.body == b"body"


async def test_a_stale_nonce_and_wrong_credentials():
    old, new = 'realm="r", nonce="n1", qop="auth"', 'realm="r", nonce="n2", qop="auth", stale=true'
    wrong = 'realm="r", nonce="n2", qop="auth"'
    server = Scripted(
        [
            *(request, send(challenge(old)), answer(b"one")),
            *(request, send(challenge(new)), answer(b"two")),
            forever(request, send(challenge(wrong))),
        ]
    )
    digest = aiofast.DigestAuthMiddleware("me", "secret")
    async with aiofast.ClientSession(middlewares=[digest]) as session:
        for text in ("one", "two"):
            async with session.get(server.url) as found:
                assert await found.text() == text
        async with session.get(server.url) as found:
            assert found.status == 401
    nonces = [fields_of(r.header("Authorization"))["nonce"] for r in server.requests[1:]]
    assert nonces == ["n1", "n1", "n2", "n2"]


async def test_another_origin_learns_nothing():
    other = Scripted([forever(request, send(challenge('realm="r", nonce="n", qop="auth"')))])
    asked = challenge('realm="r", nonce="n", qop="auth"')
    moved = response(b"", f"Location: {other.url}/", status="302 X")
    server = Scripted([request, send(asked), request, send(moved)])
    digest = aiofast.DigestAuthMiddleware("me", "secret")
    async with aiofast.ClientSession(middlewares=[digest]) as session:
        async with session.get(server.url) as found:
            assert found.status == 401
    assert [one.header("Authorization") for one in other.requests] == [None]


@pytest.mark.parametrize(
    "parameters", ['realm="r", nonce="n", algorithm=XYZ', 'realm="r", nonce="n", qop="other"']
)
async def test_challenges_that_cannot_be_answered(parameters):
    server = Scripted([forever(request, send(challenge(parameters)))])
    digest = aiofast.DigestAuthMiddleware("me", "secret")
    async with aiofast.ClientSession(middlewares=[digest]) as session:
        with pytest.raises(aiofast.ClientError, match="Unsupported"):
            await session.get(server.url)


@pytest.mark.parametrize(
    "header", ["Basic realm=x", "Digest", 'Digest realm="r"', 'Digest nonce="n"']
)
async def test_challenges_of_another_kind(header):
    server = Scripted(
        [request, send(response(b"", f"WWW-Authenticate: {header}", status="401 No"))]
    )
    digest = aiofast.DigestAuthMiddleware("me", "secret")
    async with aiofast.ClientSession(middlewares=[digest]) as session:
        async with session.get(server.url) as found:
            assert found.status == 401
    assert len(server.requests) == 1


def test_logins_that_are_none():
    for login, password in ((None, "x"), ("x", None), ("a:b", "x")):
        with pytest.raises(ValueError, match="not allowed"):
            aiofast.DigestAuthMiddleware(login, password)


async def test_netrc(tmp_path, monkeypatch):
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(path))
    server = Scripted([forever(answer(b"ok"))])
    async with aiofast.ClientSession(trust_env=True) as session:
        await (await session.get(server.url)).read()  # no such file
        path.write_text("machine 127.0.0.1 login me password secret\n")
        await (await session.get(server.url)).read()
        await (await session.get(server.url, headers={"Authorization": "own"})).read()
        path.write_text("nonsense in here: not a netrc at all\n")
        await (await session.get(server.url)).read()
    async with aiofast.ClientSession() as session:
        path.write_text("machine 127.0.0.1 login me password secret\n")
        await (await session.get(server.url)).read()
    sent = [one.header("Authorization") for one in server.requests]
    basic = aiofast.encode_basic_auth("me", "secret")
    assert sent == [None, basic, "own", None, None]
