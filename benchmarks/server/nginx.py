"""nginx with a generated configuration: one worker, no log, endless keep-alive."""

import contextlib
import gzip
import os
import pwd
import resource
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from processes import first_child, running
from scenarios import DELAY, LARGE, SMALL, medium

_CONFIG = """\
{modules}
{user}
daemon off;
worker_processes 1;
worker_rlimit_nofile {files};
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{
    worker_connections {connections};
    multi_accept on;
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
    ssl_certificate {directory}/server.pem;
    ssl_certificate_key {directory}/server.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    server {{
        listen 127.0.0.1:{plain} backlog=4096;
        listen 127.0.0.1:{tls} ssl backlog=4096;
        ssl_session_cache shared:bench:1m;
        location = /small {{
            return 200 '{small}';
        }}
        location = /moved {{
            return 302 /small;
        }}
        location = /json {{
            alias {directory}/medium.json;
        }}
        location = /json-gzip {{
            gzip_static always;
            alias {directory}/medium.json;
        }}
        location = /large {{
            default_type application/octet-stream;
            alias {directory}/large.bin;
        }}
        {slow}
    }}
    server {{
        listen 127.0.0.1:{fresh} ssl backlog=4096;
        ssl_session_cache shared:bench:1m;
        keepalive_timeout 0;
        location = /small {{
            return 200 '{small}';
        }}
    }}
    server {{
        listen 127.0.0.1:{full} ssl backlog=4096;
        ssl_session_cache off;
        ssl_session_tickets off;
        keepalive_timeout 0;
        location = /small {{
            return 200 '{small}';
        }}
    }}
    {more}
}}
"""
_SLOW = """\
location = / {{
            echo_sleep {delay};
            echo_exec /small;
        }}"""
# The module that waits, where Debian and others put it.
_ECHO = [
    Path(directory, "ngx_http_echo_module.so")
    for directory in ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules")
]


@dataclass(frozen=True)
class Server:
    """A running nginx: where it listens, and the process that answers."""

    urls: dict[str, str]  # by the names in scenarios.Server
    pid: int | None
    waits: bool  # whether "/" answers, after 50 ms


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


def echo_module() -> Path | None:
    """The module with which nginx can wait before it answers."""
    return next((path for path in _ECHO if path.exists()), None)


def config(directory: Path, ports: dict[str, int], more: str = "") -> str:
    """The text of nginx.conf; |ports| as in `serving`, |more| in its http block."""
    # Workers of a master that root started become somebody who cannot read
    # the temporary directory, unless they are told to stay.
    user = f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else ""
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = 65536 if files == resource.RLIM_INFINITY else min(files, 65536)
    echo = echo_module()
    return _CONFIG.format(
        modules=f"load_module {echo};" if echo else "",
        user=user,
        directory=directory,
        files=files,
        connections=files * 9 // 10,
        small=SMALL.decode(),
        slow=_SLOW.format(delay=DELAY) if echo else "",
        more=more,
        **ports,
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


def _fill(directory: Path) -> None:
    """The bodies that are files."""
    (directory / "large.bin").write_bytes(os.urandom(LARGE))
    (directory / "medium.json").write_bytes(medium())
    (directory / "medium.json.gz").write_bytes(gzip.compress(medium(), 6, mtime=0))


@contextlib.contextmanager
def serving(directory: Path, core: int | None, more: str = "") -> Iterator[Server]:
    """nginx on |core| while the block lasts; certificates are in |directory|, and
    |more| is added to the configuration's http block."""
    ports = dict(zip(("plain", "tls", "fresh", "full"), free_ports(4), strict=True))
    _fill(directory)
    conf = directory / "nginx.conf"
    conf.write_text(config(directory, ports, more))
    log = directory / "nginx.err"
    with (
        log.open("w") as err,
        running(
            [find(), "-p", str(directory), "-c", str(conf)], core, stdout=err, stderr=err
        ) as process,
    ):
        _wait_until_open(process, ports["plain"], log)
        plain, tls, fresh, full = (f"127.0.0.1:{port}" for port in ports.values())
        urls = {"plain": f"http://{plain}", "tls": f"https://{tls}"}
        urls |= {"tls-fresh": f"https://{fresh}", "tls-full": f"https://{full}"}
        waits = echo_module() is not None
        if waits:
            urls |= {"slow": urls["plain"], "slow-tls": urls["tls"]}
        yield Server(urls, first_child(process.pid), waits)
