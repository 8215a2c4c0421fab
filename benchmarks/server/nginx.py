"""nginx with a generated configuration: one worker, no log, endless keep-alive."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from processes import first_child, running
from scenarios import LARGE, SMALL

_CONFIG = """\
{user}
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{
    worker_connections 8192;
}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_timeout 3600s;
    keepalive_requests 1000000000;
    open_file_cache max=16;
    default_type application/json;
    server {{
        listen 127.0.0.1:{plain} backlog=4096;
        listen 127.0.0.1:{tls} ssl backlog=4096;
        ssl_certificate {directory}/server.pem;
        ssl_certificate_key {directory}/server.key;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache shared:bench:1m;
        location = /small {{
            return 200 '{small}';
        }}
        location = /large {{
            default_type application/octet-stream;
            alias {directory}/large.bin;
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Server:
    """A running nginx: where it listens, and the process that answers."""

    plain: str
    tls: str
    pid: int | None


def find() -> str:
    """The nginx program, also where Debian keeps it out of a user's PATH."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
    found = shutil.which("nginx", path=path)
    if found is None:
        raise SystemExit("benchmark: nginx is missing (Debian: apt-get install nginx-light)")
    return found


def version() -> str:
    """As nginx tells it: "nginx/1.22.1"."""
    done = subprocess.run([find(), "-v"], capture_output=True, text=True)
    return done.stderr.rpartition(":")[2].strip()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now; all held at once so that they differ."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def config(directory: Path, plain: int, tls: int) -> str:
    """The text of nginx.conf."""
    # Workers of a master that root started become somebody who cannot read
    # the temporary directory, unless they are told to stay.
    user = f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else ""
    return _CONFIG.format(
        user=user, directory=directory, plain=plain, tls=tls, small=SMALL.decode()
    )


def _wait_until_open(process: subprocess.Popen[str], port: int, log: Path) -> None:
    """Returns when the port answers; raises with nginx's own words if it ended."""
    end = time.monotonic() + 10
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    words = log.read_text() if log.exists() else ""
    raise SystemExit(f"benchmark: nginx did not start: {words.strip() or process.returncode}")


@contextlib.contextmanager
def serving(directory: Path, core: int | None) -> Iterator[Server]:
    """nginx on |core| while the block lasts; certificates are in |directory|."""
    plain, tls = free_ports(2)
    (directory / "large.bin").write_bytes(os.urandom(LARGE))
    conf = directory / "nginx.conf"
    conf.write_text(config(directory, plain, tls))
    log = directory / "nginx.err"
    with (
        log.open("w") as err,
        running(
            [find(), "-p", str(directory), "-c", str(conf)], core, stdout=err, stderr=err
        ) as process,
    ):
        _wait_until_open(process, plain, log)
        yield Server(
            f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{tls}", first_child(process.pid)
        )
