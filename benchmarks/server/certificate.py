"""A private authority and a certificate for 127.0.0.1, made by the openssl command."""

import subprocess
from pathlib import Path

_MISSING = "benchmark: the openssl command is missing (Debian: apt-get install openssl)"
_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
_CA_REQUEST = """\
[req]
distinguished_name = name
x509_extensions = extensions
prompt = no
[name]
CN = benchmark authority
[extensions]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
"""
_LEAF = """\
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = IP:127.0.0.1, DNS:localhost
"""


def _openssl(directory: Path, command: str) -> None:
    """One openssl command; its complaint becomes the message."""
    argv = ["openssl", *command.split()]
    try:
        done = subprocess.run(argv, cwd=directory, capture_output=True, text=True)
    except FileNotFoundError:
        raise SystemExit(_MISSING) from None
    if done.returncode:
        raise SystemExit(f"benchmark: openssl {argv[1]} failed: {done.stderr.strip()}")


def make(directory: Path) -> Path:
    """Writes ca.pem, server.pem and server.key into |directory|; gives ca.pem.

    Two certificates, because a verifier that follows the letter takes no
    authority as a server's own certificate.
    """
    (directory / "ca.cnf").write_text(_CA_REQUEST)
    (directory / "leaf.cnf").write_text(_LEAF)
    request = f"req -config ca.cnf {_KEY}"
    _openssl(directory, f"{request} -x509 -days 7 -keyout ca.key -out ca.pem")
    _openssl(directory, f"{request} -subj /CN=server -keyout server.key -out server.csr")
    _openssl(
        directory,
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial "
        "-days 7 -extfile leaf.cnf -out server.pem",
    )
    return directory / "ca.pem"
