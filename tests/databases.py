"""PostgreSQL and Redis as Debian ships them, each a process of its own with TCP, TLS and a
Unix socket, in a folder that goes with it."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from servers import HOST, free_port


def find(name: str) -> str | None:
    """Debian keeps PostgreSQL's programs outside of PATH."""
    kept = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(kept[-1]) if kept else None)


class Server:
    """What both have in common: a folder, a process, and waiting for its port."""

    def __init__(self, user: str) -> None:
        # Both refuse to run as root, or should not.
        self.user = user if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix=f"aiofast-{user}-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def own(self, *paths: Path) -> None:
        if self.user is not None:
            entry = pwd.getpwnam(self.user)
            for path in paths:
                os.chown(path, entry.pw_uid, entry.pw_gid)

    def certificates(self, authority: Any) -> tuple[Path, Path]:
        chain, key = self.folder / "chain.pem", self.folder / "key.pem"
        shutil.copy(authority.chain_file, chain)
        shutil.copy(authority.key_file, key)
        key.chmod(0o600)
        self.own(self.folder, chain, key)
        return chain, key

    def start(self, *command: str) -> None:
        with open(self.folder / "log", "wb") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, user=self.user
            )
        end = time.monotonic() + 20
        while time.monotonic() < end and self._process.poll() is None:
            try:
                socket.create_connection((HOST, self.port), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        self.close()
        raise RuntimeError(f"{command[0]} did not start")

    def close(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)


class Postgres(Server):
    """Its only user is "tester" with the password "secret"; database "postgres"."""

    def __init__(self, authority: Any) -> None:
        super().__init__("postgres")
        chain, key = self.certificates(authority)
        initdb, postgres = find("initdb"), find("postgres")
        assert initdb is not None and postgres is not None
        data = self.folder / "data"
        password = self.folder / "password"
        password.write_text("secret")
        self.own(password)
        how = ["-A", "scram-sha-256", "-U", "tester", f"--pwfile={password}", "--no-sync"]
        subprocess.run(
            [initdb, "-D", str(data), *how],
            check=True,
            capture_output=True,
            user=self.user,
            cwd=self.folder,
            timeout=60,
        )
        settings = {
            "port": self.port,
            "listen_addresses": HOST,
            "unix_socket_directories": self.folder,
            "ssl": "on",
            "ssl_cert_file": chain,
            "ssl_key_file": key,
            "fsync": "off",
        }
        options = [f"-c{name}={value}" for name, value in settings.items()]
        self.start(postgres, "-D", str(data), *options)


class Redis(Server):
    """Without a password; TLS on |tls_port|, its Unix socket is |path|."""

    def __init__(self, authority: Any) -> None:
        super().__init__("redis")
        chain, key = self.certificates(authority)
        program = find("redis-server")
        assert program is not None
        self.tls_port = free_port()
        self.path = str(self.folder / "redis.sock")
        settings = {
            "port": self.port,
            "bind": HOST,
            "tls-port": self.tls_port,
            "tls-cert-file": chain,
            "tls-key-file": key,
            "tls-auth-clients": "no",
            "unixsocket": self.path,
            "dir": self.folder,
            "save": "",
        }
        self.start(program, *[w for name, v in settings.items() for w in (f"--{name}", str(v))])
