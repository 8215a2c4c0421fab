"""TLS through the user's ssl.SSLContext: verified by default, resumed, honoured."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import sys

import aiofast
import pytest
import trustme
from servers import Scripted, answer, cut, eof, forever, request, response, send, silence

pytestmark = pytest.mark.usefixtures("tls_engine")


def script_of(body: str) -> str:
    """A program for a process of its own; `url` is its first argument."""
    lines = [
        "import sys, asyncio, aiofast",
        "url = sys.argv[1]",
        *body.strip().splitlines(),
    ]
    return "\n".join(lines)


def run(body: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    # In debug mode the loop says how long the certificates held it up.
    unwanted = ("SSL_CERT_FILE", "SSL_CERT_DIR", "PYTHONASYNCIODEBUG")
    env = {k: v for k, v in os.environ.items() if k not in unwanted}
    return subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", script_of(body), *arguments],
        env={**env, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


FETCH = """
async def main():
    return (await aiofast.fetch(url)).text
print(asyncio.run(main()))
"""


# --- verification ---------------------------------------------------------------


async def test_an_unknown_authority_is_refused_by_default(authority):
    server = Scripted([answer()], tls=authority.server())
    with pytest.raises(aiofast.ClientConnectorCertificateError) as caught:
        await aiofast.fetch(f"{server.url}/")
    error = caught.value
    assert isinstance(error, aiofast.ClientSSLError)
    assert isinstance(error, aiofast.ClientConnectorError)
    assert isinstance(error, ssl.CertificateError)
    assert f"127.0.0.1:{server.port}" in str(error)
    assert "certificate verify failed" in str(error).lower()
    assert server.requests == []


async def test_another_authority_is_refused(authority):
    server = Scripted([answer()], tls=authority.server())
    with pytest.raises(aiofast.ClientConnectorCertificateError):
        await aiofast.fetch(f"{server.url}/", ssl=authority.stranger())
    assert server.requests == []


async def test_the_users_context_is_honoured(authority):
    server = Scripted([answer(b"secret")], tls=authority.server())
    found = await aiofast.fetch(f"{server.url}/", ssl=authority.client())
    assert found.body == b"secret"
    assert found.timings["tls"] > 0


async def test_ssl_false_verifies_nothing(authority):
    server = Scripted([answer(b"unverified")], tls=authority.server("else.test"))
    assert (await aiofast.fetch(f"{server.url}/", ssl=False)).body == b"unverified"


async def test_the_name_is_checked(authority):
    server = Scripted([answer()], tls=authority.server("example.test"))
    with pytest.raises(aiofast.ClientConnectorCertificateError, match="127.0.0.1|[Hh]ost"):
        await aiofast.fetch(f"{server.url}/", ssl=authority.client())
    assert server.requests == []


async def test_server_hostname_is_the_name_that_is_checked_and_sent(authority):
    context = authority.server("example.test")
    names = []
    context.sni_callback = lambda sock, name, ctx: names.append(name)
    try:
        server = Scripted([answer(b"named")], tls=context)
        found = await aiofast.fetch(
            f"{server.url}/", ssl=authority.client(), server_hostname="example.test"
        )
    finally:
        context.sni_callback = None
    assert found.body == b"named"
    assert names == ["example.test"]
    assert server.requests[0].header("Host") == f"127.0.0.1:{server.port}"


async def test_a_connection_under_other_settings_is_not_reused(authority):
    """One made without verification is no good to a request that verifies."""
    server = Scripted([forever(answer())], tls=authority.server())
    assert (await aiofast.fetch(f"{server.url}/", ssl=False)).status == 200
    with pytest.raises(aiofast.ClientConnectorCertificateError):
        await aiofast.fetch(f"{server.url}/")
    context = authority.client()
    for reused in (False, True):
        assert (await aiofast.fetch(f"{server.url}/", ssl=context)).reused is reused
    other = await aiofast.fetch(f"{server.url}/", ssl=context, server_hostname="localhost")
    assert other.reused is False
    assert (await aiofast.fetch(f"{server.url}/", ssl=False)).reused is True


async def test_an_expired_certificate_is_refused(authority):
    server = Scripted([answer()], tls=authority.expired())
    with pytest.raises(aiofast.ClientConnectorCertificateError, match="expired"):
        await aiofast.fetch(f"{server.url}/", ssl=authority.client())


async def test_a_client_certificate_is_sent(authority):
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.ca.issue_cert("127.0.0.1").configure_cert(asking)
    authority.ca.configure_trust(asking)
    asking.verify_mode = ssl.CERT_REQUIRED
    subjects = []

    def look(peer):
        subjects.append(peer.sock.getpeercert()["subjectAltName"])

    server = Scripted([look, answer(b"known")], tls=asking)
    mine = authority.client()
    authority.ca.issue_cert("client.test").configure_cert(mine)
    assert (await aiofast.fetch(f"{server.url}/", ssl=mine)).body == b"known"
    assert subjects == [(("DNS", "client.test"),)]


async def test_a_missing_client_certificate_is_an_error(authority):
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.ca.issue_cert("127.0.0.1").configure_cert(asking)
    authority.ca.configure_trust(asking)
    asking.verify_mode = ssl.CERT_REQUIRED
    server = Scripted([answer()], tls=asking)
    with pytest.raises((aiofast.ClientOSError, aiofast.ServerDisconnectedError)):
        await aiofast.fetch(f"{server.url}/", ssl=authority.client())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_both_versions_of_tls_work(authority, version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.ca.issue_cert("127.0.0.1").configure_cert(context)
    context.minimum_version = context.maximum_version = version
    server = Scripted([forever(answer(b"x" * 100_000))], tls=context)
    client = authority.client()
    for reused in (False, True):
        found = await aiofast.fetch(f"{server.url}/", ssl=client)
        assert (len(found.body), found.reused) == (100_000, reused)


async def test_no_common_version_is_a_tls_error(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.ca.issue_cert("127.0.0.1").configure_cert(context)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    client = authority.client()
    client.minimum_version = ssl.TLSVersion.TLSv1_3
    server = Scripted([answer()], tls=context)
    with pytest.raises(aiofast.ClientConnectorSSLError) as caught:
        await aiofast.fetch(f"{server.url}/", ssl=client)
    assert isinstance(caught.value, ssl.SSLError)
    assert not isinstance(caught.value, aiofast.ClientConnectorCertificateError)


async def test_a_server_without_tls_is_a_tls_error():
    server = Scripted([send(b"HTTP/1.1 400 Bad Request\r\n\r\n"), eof])
    with pytest.raises(aiofast.ClientConnectorSSLError, match=f"127.0.0.1:{server.port}"):
        await aiofast.fetch(f"https://127.0.0.1:{server.port}/")


async def test_a_server_that_leaves_in_the_handshake_is_an_error():
    def leave(peer):
        peer.more()
        cut(peer)

    server = Scripted([leave])
    with pytest.raises(aiofast.ClientConnectionError):
        await aiofast.fetch(f"https://127.0.0.1:{server.port}/")


async def test_alpn_offers_http_1_1_alone(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.ca.issue_cert("127.0.0.1").configure_cert(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    chosen = []
    look = lambda peer: chosen.append(peer.sock.selected_alpn_protocol())  # noqa: E731
    server = Scripted([look, answer()], tls=context)
    await aiofast.fetch(f"{server.url}/", ssl=False)
    assert chosen == ["http/1.1"]


# --- bytes ----------------------------------------------------------------------


async def test_large_bodies_in_both_directions(authority):
    body = os.urandom(1 << 20) * 3

    def mirror(peer):
        request(peer)
        peer.write(response(peer.last.body))

    server = Scripted([mirror], tls=authority.server())
    found = await aiofast.post(f"{server.url}/", data=body, ssl=authority.client())
    assert found.body == body


async def test_many_at_once(web_tls, authority):
    context = authority.client()
    urls = [f"{web_tls.url}/json?id={n}" for n in range(64)]
    found = await asyncio.gather(*(aiofast.fetch(url, ssl=context) for url in urls))
    assert [each.json()["id"] for each in found] == [str(n) for n in range(64)]


async def test_http_and_https_of_one_port_are_two_origins(authority):
    server = Scripted([answer()], tls=authority.server())
    await aiofast.fetch(f"{server.url}/", ssl=authority.client())
    with pytest.raises(aiofast.ClientError):
        await aiofast.fetch(f"http://127.0.0.1:{server.port}/")
    assert server.connections == 2


# --- resumption -----------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_sessions_are_resumed(authority, version):
    """Counted at the server: five connections, four of them resumed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.ca.issue_cert("127.0.0.1").configure_cert(context)
    context.minimum_version = context.maximum_version = version
    closing = answer(b"once", "Connection: close")
    server = Scripted([closing, eof], tls=context)
    client = authority.client()
    for _ in range(5):
        assert (await aiofast.fetch(f"{server.url}/", ssl=client)).body == b"once"
    assert server.resumed == [False, True, True, True, True]


async def test_sessions_are_resumed_with_nginx(nginx, authority):
    context = authority.client()
    resumed = []
    for _ in range(5):
        found = await aiofast.fetch(f"{nginx.tls_url}/once", ssl=context)
        assert found.reused is False
        resumed.append(found.headers["X-Resumed"])
    assert resumed == [".", "r", "r", "r", "r"]


async def test_sessions_are_not_shared_between_contexts_or_names(authority):
    server = Scripted([answer(b"", "Connection: close"), eof], tls=authority.server())
    for _ in range(2):
        await aiofast.fetch(f"{server.url}/", ssl=authority.client())
    context = authority.client()
    await aiofast.fetch(f"{server.url}/", ssl=context)
    await aiofast.fetch(f"{server.url}/", ssl=context, server_hostname="localhost")
    assert server.resumed == [False] * 4


async def test_a_session_of_an_unverified_connection_verifies_nothing_else(authority):
    server = Scripted([answer(b"", "Connection: close"), eof], tls=authority.server())
    await aiofast.fetch(f"{server.url}/", ssl=False)
    with pytest.raises(aiofast.ClientConnectorCertificateError):
        await aiofast.fetch(f"{server.url}/")


# --- where the authorities come from ---------------------------------------------


def test_ssl_cert_file_is_honoured(authority):
    """The articles' programs run unchanged against a private CA."""
    server = Scripted([answer(b"by environment")], tls=authority.server())
    done = run(FETCH, f"{server.url}/", SSL_CERT_FILE=authority.ca_file)
    assert (done.returncode, done.stdout, done.stderr) == (0, "by environment\n", "")


def test_ssl_cert_dir_is_honoured(authority, tmp_path):
    server = Scripted([answer(b"by folder")], tls=authority.server())
    pem = tmp_path / "ca.pem"
    pem.write_bytes(authority.ca.cert_pem.bytes())
    name = subprocess.run(
        ["openssl", "x509", "-noout", "-hash", "-in", str(pem)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    pem.rename(tmp_path / f"{name}.0")
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    done = run(FETCH, f"{server.url}/", SSL_CERT_DIR=str(tmp_path), SSL_CERT_FILE=str(empty))
    assert (done.returncode, done.stdout) == (0, "by folder\n"), done.stderr


# A Python whose OpenSSL finds no store where it looks for one.
NO_STORE = """
import ssl, types
paths = ssl.DefaultVerifyPaths(None, None, "SSL_CERT_FILE", "/none", "SSL_CERT_DIR", "/none")
ssl.get_default_verify_paths = lambda: paths
ssl.SSLContext.load_default_certs = lambda *_: None
sys.modules["certifi"] = types.SimpleNamespace(where=lambda: sys.argv[2])
"""


def test_certifi_stands_in_for_an_empty_store(authority):
    server = Scripted([answer(b"by certifi")], tls=authority.server())
    done = run(NO_STORE + FETCH, f"{server.url}/", authority.ca_file)
    assert (done.returncode, done.stdout, done.stderr) == (0, "by certifi\n", "")


def test_what_was_trusted_is_in_the_error(authority, tmp_path):
    other = tmp_path / "other.pem"
    other.write_bytes(trustme.CA().cert_pem.bytes())
    server = Scripted([answer()], tls=authority.server())
    done = run(NO_STORE + FETCH, f"{server.url}/", str(other))
    assert f"trusted by default: {other}" in done.stderr
    named = run(NO_STORE + FETCH, f"{server.url}/", authority.ca_file, SSL_CERT_FILE=str(other))
    assert f"trusted by default: SSL_CERT_FILE={other};" in named.stderr


def test_without_it_the_same_program_is_refused(authority):
    server = Scripted([answer()], tls=authority.server())
    done = run(FETCH, f"{server.url}/")
    assert done.returncode == 1
    assert "ClientConnectorCertificateError" in done.stderr


def test_the_default_context_is_built_only_when_first_needed(web):
    """And not at all for plain HTTP."""
    done = run(
        """
import ssl
made = []
new = ssl.SSLContext.__new__
ssl.SSLContext.__new__ = lambda cls, *a, **k: made.append(1) or new(cls, *a, **k)
async def main():
    async with aiofast.ClientSession() as session:
        async with session.get(url) as r:
            await r.read()
    await aiofast.fetch(url)
asyncio.run(main())
print(len(made))
""",
        f"{web.url}/json",
    )
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


def test_the_default_context_is_built_once(authority):
    server = Scripted([forever(answer())], tls=authority.server())
    done = run(
        """
import ssl
made = []
new = ssl.SSLContext.__new__
ssl.SSLContext.__new__ = lambda cls, *a, **k: made.append(1) or new(cls, *a, **k)
async def main():
    for _ in range(3):
        async with aiofast.ClientSession() as session:
            async with session.get(url) as r:
                await r.read()
        await aiofast.fetch(url)
for _ in range(2):
    asyncio.run(main())
print(len(made))
""",
        f"{server.url}/",
        SSL_CERT_FILE=authority.ca_file,
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


async def test_a_redirect_to_https_is_verified(authority):
    secure = Scripted([answer()], tls=authority.server())
    plain = Scripted([answer(b"", f"Location: {secure.url}/", status="302 Found")])
    with pytest.raises(aiofast.ClientConnectorCertificateError):
        await aiofast.fetch(f"{plain.url}/")
    assert secure.requests == []


async def test_what_follows_a_failed_handshake_works(authority):
    """With limit=1: a failed handshake holds no slot."""
    server = Scripted([answer(b"ok")], tls=authority.server())
    connector = aiofast.TCPConnector(limit=1)
    async with aiofast.ClientSession(connector=connector) as session:
        for _ in range(5):
            with pytest.raises(aiofast.ClientConnectorCertificateError):
                await session.get(f"{server.url}/")
        async with session.get(f"{server.url}/", ssl=authority.client()) as found:
            assert await found.read() == b"ok"


async def test_a_silent_server_is_given_up_by_the_total_limit():
    server = Scripted([silence])
    with pytest.raises(TimeoutError, match="tls"):
        await aiofast.fetch(f"https://127.0.0.1:{server.port}/", timeout=0.2)
