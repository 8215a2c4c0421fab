"""Fingerprint: a server is known by its certificate alone."""

from __future__ import annotations

import ssl
from hashlib import sha256
from typing import Any

from .errors import ServerFingerprintMismatch

_FORMER = (16, 20)  # bytes of MD5 and SHA-1


class Fingerprint:
    """The SHA-256 digest of the server's certificate in DER, 32 bytes: as `ssl`
    of a request or connector, it is checked instead of the chain and the name.
    ValueError for another length, or a weaker digest."""

    def __init__(self, fingerprint: bytes) -> None:
        if len(fingerprint) in _FORMER:
            raise ValueError("md5 and sha1 are insecure and not supported. Use sha256.")
        if len(fingerprint) != sha256().digest_size:
            raise ValueError("fingerprint has invalid length")
        self._fingerprint = bytes(fingerprint)

    @property
    def fingerprint(self) -> bytes:
        """The digest."""
        return self._fingerprint

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Fingerprint):
            return NotImplemented
        return other._fingerprint == self._fingerprint

    def __hash__(self) -> int:
        return hash(self._fingerprint)

    def check(self, transport: Any) -> None:
        """Of an open transport of asyncio. ServerFingerprintMismatch."""
        if not transport.get_extra_info("sslcontext"):
            return
        host, port, *_ = transport.get_extra_info("peername")
        check_digest(self._fingerprint, transport.get_extra_info("ssl_object"), host, port)


def check_digest(expected: bytes, connection: Any, host: str, port: int) -> None:
    """ServerFingerprintMismatch unless the peer of the TLS |connection| shows
    the certificate whose digest is |expected|."""
    got = sha256(connection.getpeercert(binary_form=True) or b"").digest()
    if got != expected:
        raise ServerFingerprintMismatch(expected, got, host, port)


_contexts: dict[bytes, ssl.SSLContext] = {}


def pinned_context(expected: bytes) -> ssl.SSLContext:
    """A context whose handshakes end with check_digest(). One for each digest,
    so that connections made with equal fingerprints are shared."""
    context = _contexts.get(expected)
    if context is None:

        class Pinned(ssl.SSLObject):
            def do_handshake(self) -> None:
                super().do_handshake()
                # Who is at the other end is known to the engine, which adds it.
                check_digest(expected, self, self.server_hostname or "", 0)

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["http/1.1"])
        context.sslobject_class = Pinned
        if len(_contexts) >= _KEPT:
            del _contexts[next(iter(_contexts))]
        _contexts[expected] = context
    return context


_KEPT = 64
