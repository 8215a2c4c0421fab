"""TLS that goes wrong: certificates, alerts, garbage, cuts, renegotiation.

Stated beforehand: a certificate that is not to be trusted is a
ClientConnectorCertificateError before a byte of the request is sent; any other
failure of the handshake is a ClientConnectorSSLError or, if the connection
simply ends, a ClientConnectorError or ServerDisconnectedError; garbage behind
the handshake is a ClientError, and no body that it cut is taken for whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time

import aiofast
import pytest
from servers import (
    HOST,
    Gone,
    Scripted,
    answer,
    eof,
    fin,
    forever,
    request,
    response,
    send,
    silence,
)

pytestmark = pytest.mark.usefixtures("tls_engine")

SSL_ERRORS = (aiofast.ClientConnectorSSLError, aiofast.ClientConnectorCertificateError)
LOST = (aiofast.ClientConnectorError, aiofast.ServerDisconnectedError)
DAY = datetime.timedelta(days=1)


async def outcome_of(server, context, **options):
    start = time.monotonic()
    try:
        found = await aiofast.fetch(f"{server.url}/", **{"timeout": 10, "ssl": context, **options})
        outcome = found.body
    except aiofast.ClientError as error:
        outcome = error
    return outcome, time.monotonic() - start


# --- certificates ---------------------------------------------------------------


def load(cert_pems, key_pem, folder):
    """A server's context that presents exactly |cert_pems|, in their order."""
    path = folder / "presented.pem"
    path.write_bytes(key_pem + b"".join(cert_pems))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def self_signed(folder):
    """A certificate for the right name that only vouches for itself."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), False
        )
        .sign(key, hashes.SHA256())
    )
    return load(
        [cert.public_bytes(serialization.Encoding.PEM)],
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        ),
        folder,
    )


def issued(authority, folder, *names, ca=None, **options):
    cert = (ca or authority.ca).issue_cert(*names, **options)
    return load(
        [blob.bytes() for blob in cert.cert_chain_pems], cert.private_key_pem.bytes(), folder
    )


def through_a_child(authority, folder, order):
    """A chain of leaf, intermediate, root; those of |order| are presented."""
    child = authority.ca.create_child_ca()
    cert = child.issue_cert(HOST)
    pems = {
        "leaf": cert.cert_chain_pems[0].bytes(),
        "middle": child.cert_pem.bytes(),
        "root": authority.ca.cert_pem.bytes(),
    }
    return load([pems[each] for each in order], cert.private_key_pem.bytes(), folder)


def now():
    return datetime.datetime.now(datetime.UTC)


# The words of OpenSSL are part of what is stated: they say why.
CERTIFICATES = {
    "wrong host": (lambda a, f: issued(a, f, "elsewhere.example"), "IP address mismatch"),
    "wrong address": (lambda a, f: issued(a, f, "127.0.0.2"), "IP address mismatch"),
    "a name where an address is asked": (lambda a, f: issued(a, f, "localhost"), "IP address"),
    "wildcard": (lambda a, f: issued(a, f, "*.example"), "IP address mismatch"),
    "expired": (
        lambda a, f: issued(a, f, HOST, not_before=now() - 9 * DAY, not_after=now() - DAY),
        "expired",
    ),
    "not yet valid": (
        lambda a, f: issued(a, f, HOST, not_before=now() + DAY, not_after=now() + 9 * DAY),
        "not yet valid",
    ),
    "self-signed": (lambda a, f: self_signed(f), "self.signed"),
    "unknown authority": (
        lambda a, f: issued(a, f, HOST, ca=a.other),
        "unable to get local issuer",
    ),
    "no intermediate": (lambda a, f: through_a_child(a, f, ["leaf"]), "unable to get local issuer"),
    "no intermediate, but the root": (
        lambda a, f: through_a_child(a, f, ["leaf", "root"]),
        "unable to get local issuer",
    ),
}


@pytest.mark.parametrize("kind", CERTIFICATES)
async def test_a_certificate_that_is_not_to_be_trusted(kind, authority, tmp_path):
    make, words = CERTIFICATES[kind]
    server = Scripted([forever(answer())], tls=make(authority, tmp_path))
    for _ in range(3):  # a bad certificate in a loop
        outcome, elapsed = await outcome_of(server, authority.client())
        assert isinstance(outcome, aiofast.ClientConnectorCertificateError), repr(outcome)
        assert words.lower().replace(".", " ") in str(outcome).lower().replace("-", " ").replace(
            ".", " "
        )
        assert outcome.phase == "tls"
        assert elapsed < 5
    assert server.requests == []


@pytest.mark.parametrize(
    "order", [["leaf", "middle"], ["leaf", "middle", "root"], ["leaf", "root", "middle"]]
)
async def test_chains_that_lead_to_the_root_in_any_order(order, authority, tmp_path):
    server = Scripted([forever(answer())], tls=through_a_child(authority, tmp_path, order))
    outcome, _ = await outcome_of(server, authority.client())
    assert outcome == b"ok"


async def test_a_revoked_certificate_where_the_context_asks_for_it(authority, tmp_path):
    """CRLs are OpenSSL's; what counts is that the context is honoured."""
    server = Scripted([forever(answer())], tls=authority.server())
    context = authority.client()
    context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF  # and there is none
    outcome, _ = await outcome_of(server, context)
    assert isinstance(outcome, aiofast.ClientConnectorCertificateError)
    assert "CRL" in str(outcome)


async def test_after_each_of_them_the_same_server_can_be_used(authority, tmp_path):
    server = Scripted([forever(answer())], tls=issued(authority, tmp_path, "localhost"))
    outcome, _ = await outcome_of(server, authority.client())
    assert isinstance(outcome, aiofast.ClientConnectorCertificateError)
    found = await aiofast.fetch(f"https://localhost:{server.port}/", ssl=authority.client())
    assert found.body == b"ok"


# --- what a raw peer sends ------------------------------------------------------


def record(kind, payload, version=0x0303):
    return struct.pack("!BHH", kind, version, len(payload)) + payload


def alert(level, description):
    return record(21, bytes((level, description)))


def hello(peer):
    """Reads the ClientHello."""
    head = peer.read(5)
    peer.read(int.from_bytes(head[3:5], "big"))


ALERTS = [0, 10, 20, 21, 22, 30, 40, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 60, 70, 71, 80, 86]
ALERTS += [90, 100, 109, 110, 112, 113, 115, 116, 120, 255]


@pytest.mark.parametrize("description", ALERTS)
async def test_a_fatal_alert_in_the_handshake(description, authority):
    server = Scripted([hello, send(alert(2, description)), eof])
    server.tls = None
    url = f"https://{HOST}:{server.port}/"
    start = time.monotonic()
    with pytest.raises((*SSL_ERRORS, *LOST)) as caught:
        await aiofast.fetch(url, ssl=authority.client(), timeout=10)
    assert time.monotonic() - start < 5
    assert caught.value.phase == "tls"


GARBAGE = {
    "HTTP": response(b"plain"),
    "zeros": b"\0" * 100,
    "ones": b"\xff" * 100,
    "a record of garbage": record(22, b"\xa5" * 200),
    "a record of no type": record(99, b"abc"),
    "an empty record": record(22, b""),
    "a record too large": struct.pack("!BHH", 22, 0x0303, 0xFFFF) + b"x" * 0xFFFF,
    "an old version": record(22, b"\x02\0\0\0", version=0x0200),
    "application data": record(23, b"x" * 64),
    "change cipher spec": record(20, b"\x01"),
    "a hello of length 2^24": record(22, b"\x02\xff\xff\xff" + b"x" * 1000),
    "SSLv2": b"\x80\x2e\x01\x00\x02" + b"\0" * 50,
}


@pytest.mark.parametrize("after", [[eof], [fin]])
@pytest.mark.parametrize("kind", GARBAGE)
async def test_garbage_in_the_handshake(kind, after, authority):
    server = Scripted([hello, send(GARBAGE[kind]), *after])
    start = time.monotonic()
    with pytest.raises((*SSL_ERRORS, *LOST, TimeoutError)) as caught:
        await aiofast.fetch(f"https://{HOST}:{server.port}/", ssl=authority.client(), timeout=2)
    # What OpenSSL still waits for the rest of is the limit's.
    assert time.monotonic() - start < 5
    assert caught.value.phase == "tls"


@pytest.mark.parametrize(
    "flood",
    [alert(1, 90), record(20, b"\x01"), record(22, b""), record(22, b"\0\0\0\0")],
    ids=["warnings", "change cipher spec", "empty", "hello requests"],
)
async def test_a_flood_in_the_handshake_ends(flood, authority):
    from servers import flood as flooding

    server = Scripted([hello, flooding(flood, 256 << 20)])
    start = time.monotonic()
    with pytest.raises((*SSL_ERRORS, *LOST)) as caught:
        await aiofast.fetch(f"https://{HOST}:{server.port}/", ssl=authority.client(), timeout=20)
    assert not isinstance(caught.value, TimeoutError)
    assert time.monotonic() - start < 10
    assert server.flooded is False


# --- cuts in the handshake ------------------------------------------------------


class Between:
    """Stands between the client and a TLS server: passes on all that the client
    sends, and of what the server sends the first |allowed| bytes; then acts."""

    def __init__(self, target, allowed, act):
        self.target, self.allowed, self.act = target, allowed, act
        self.passed = 0

    def __call__(self, peer):
        upstream = socket.create_connection((HOST, self.target))
        closing = threading.Event()

        def forward():
            with contextlib.suppress(Gone, OSError):
                while not closing.is_set():
                    upstream.sendall(peer.buffer)
                    peer.buffer = b""
                    peer.more()

        thread = threading.Thread(target=forward, daemon=True)
        thread.start()
        try:
            upstream.settimeout(5)
            while self.passed < self.allowed:
                try:
                    data = upstream.recv(min(65536, self.allowed - self.passed))
                except OSError:
                    break
                if not data:
                    break
                self.change(peer, data)
                self.passed += len(data)
            self.act(peer)
        finally:
            closing.set()
            with contextlib.suppress(OSError):
                peer.sock.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            upstream.close()

    def change(self, peer, data):
        peer.write(data)


def close_now(peer):
    raise Gone("script")


def reset(peer):
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise Gone("script")


def context_of(authority, version):
    context = authority.client()
    context.minimum_version = context.maximum_version = version
    return context


@pytest.mark.slow
@pytest.mark.seconds(120)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("act", [close_now, reset])
async def test_cut_at_the_bytes_of_a_handshake_and_a_response(version, act, authority):
    """From the first byte of the ServerHello to the last of the response."""
    real = Scripted([forever(answer(b"x" * 200))], tls=authority.server())
    whole = Between(real.port, 1 << 30, close_now)
    server = Scripted([whole])
    context = context_of(authority, version)
    url = f"https://{HOST}:{server.port}/"
    connector = aiofast.TCPConnector(force_close=True)
    async with aiofast.ClientSession(connector=connector) as session:
        async with session.get(url, ssl=context) as found:
            assert await found.read() == b"x" * 200
    await server.reached(lambda: server.open == 0)
    total = whole.passed
    assert total > 500
    wrong = []
    for allowed in range(0, total, 7):
        server.scripts.append([Between(real.port, allowed, act)])
        try:
            async with asyncio.timeout(8):
                found = await aiofast.fetch(url, ssl=context_of(authority, version))
                if found.body != b"x" * 200:
                    wrong.append((allowed, found.body))
        except TimeoutError:
            wrong.append((allowed, "hangs"))
        except aiofast.ClientError:
            pass
    assert wrong == []


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_byte_of_a_record_that_is_changed(version, authority):
    """Whichever it is, in the handshake or behind it, nothing false is delivered."""

    class Changer(Between):
        def change(self, peer, data):
            if self.passed <= self.at < self.passed + len(data):
                changed = bytearray(data)
                changed[self.at - self.passed] ^= 0x40
                data = bytes(changed)
            peer.write(data)

    real = Scripted([forever(answer(b"x" * 200))], tls=authority.server())
    server = Scripted()
    url = f"https://{HOST}:{server.port}/"
    wrong = []
    for at in range(0, 1400, 41):
        changer = Changer(real.port, 1 << 30, close_now)
        changer.at = at
        server.scripts.append([changer])
        try:
            found = await aiofast.fetch(url, ssl=context_of(authority, version), timeout=0.7)
            if found.body != b"x" * 200:
                wrong.append((at, found.body))
            aiofast._core.close_loop()
        except aiofast.ClientError:
            pass  # or a timeout, where a length has grown
    assert wrong == []


# --- behind the handshake -------------------------------------------------------


def under_the_records(*data):
    """Writes to the socket below TLS, as somebody on the way would."""

    def step(peer):
        raw = socket.socket(fileno=socket.dup(peer.sock.fileno()))
        with raw:
            for part in data:
                raw.sendall(part)

    return step


HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 50

BEHIND = {
    "a record of garbage": record(23, b"\xa5" * 200),
    "plain HTTP": response(b"y" * 50),
    "a handshake record": record(22, b"\x02\0\0\4abcd"),
    "zeros": b"\0" * 64,
    "a plain fatal alert": alert(2, 80),
    "a plain close_notify": alert(1, 0),
    "a record too large": struct.pack("!BHH", 23, 0x0303, 0xFFFF) + b"x" * 70000,
    "a record of no length": record(23, b""),
}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("kind", BEHIND)
@pytest.mark.parametrize("where", ["before the head", "in the body"])
async def test_garbage_behind_the_handshake(kind, version, where, authority):
    first = [send(HALF)] if where == "in the body" else []
    script = [request, *first, under_the_records(BEHIND[kind]), silence]
    server = Scripted(script, [forever(answer(b"next"))], tls=authority.server())
    context = context_of(authority, version)
    outcome, elapsed = await outcome_of(server, context)
    assert isinstance(outcome, aiofast.ClientError), repr(outcome)
    assert not isinstance(outcome, TimeoutError)
    assert elapsed < 5
    found = await aiofast.fetch(f"{server.url}/", ssl=context)
    assert (found.body, found.reused) == (b"next", False)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_garbage_while_the_connection_is_idle(version, authority):
    script = [request, send(response(b"first")), under_the_records(b"\0" * 64), eof]
    server = Scripted(script, [forever(answer(b"next"))], tls=authority.server())
    context = context_of(authority, version)
    assert (await aiofast.fetch(f"{server.url}/", ssl=context)).body == b"first"
    await server.reached(lambda: server.open == 0)  # it was idle when the garbage came
    found = await aiofast.fetch(f"{server.url}/", ssl=context)
    assert (found.body, found.reused) == (b"next", False)


# --- what only a full TLS server can do -----------------------------------------


class OpenSSLServer:
    """`openssl s_server`, which renegotiates and updates keys on command."""

    def __init__(self, authority, version):
        self.listener = socket.socket()
        self.listener.bind((HOST, 0))
        self.port = self.listener.getsockname()[1]
        self.listener.close()
        self.process = subprocess.Popen(
            ["openssl", "s_server", "-accept", f"{HOST}:{self.port}", "-cert",
             authority.chain_file, "-key", authority.key_file, version, "-nbio"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        while b"ACCEPT" not in self.process.stdout.readline():
            pass

    def command(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.process.kill()
        self.process.communicate()


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")


@needs_openssl
@pytest.mark.parametrize(
    ("version", "letter"),
    [("-tls1_2", b"r"), ("-tls1_2", b"R"), ("-tls1_3", b"k"), ("-tls1_3", b"K")],
    ids=["renegotiation", "renegotiation with a certificate", "key update", "key update asked"],
)
@pytest.mark.parametrize("allowed", [True, False])
async def test_a_server_that_renegotiates_in_the_body(version, letter, allowed, authority):
    """The whole body, or an error if the context forbids it; never a hang."""
    context = authority.client()
    if not allowed:
        context.options |= ssl.OP_NO_RENEGOTIATION
    with OpenSSLServer(authority, version) as server:
        url = f"https://{HOST}:{server.port}/"
        async with aiofast.ClientSession(timeout=aiofast.ClientTimeout(total=10)) as session:
            asking = asyncio.create_task(session.get(url, ssl=context))
            await asyncio.sleep(0.3)
            server.command(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc\n")
            found = await asking
            try:
                reading = asyncio.create_task(found.read())
                await asyncio.sleep(0.1)
                for _ in range(3):
                    server.command(letter + b"\n")
                    await asyncio.sleep(0.05)
                server.command(b"defgh\n")
                assert await reading == b"abc\ndefgh"
            except aiofast.ClientError as error:
                assert not allowed or letter == b"R", repr(error)
                assert not isinstance(error, TimeoutError) or letter in b"rR", repr(error)
