"""The transports beside asyncio's, uvloop's and aiofastnet's: messages that come back.

    python benchmarks/echo.py                      # all of it, some minutes
    python benchmarks/echo.py --size 64 --only aiofast --only uvloop --rounds 5
    python benchmarks/echo.py --idle 10000         # memory for each idle connection instead
    python benchmarks/echo.py --out benchmarks/results/echo.md      # and into that file

A client process sends a message on each connection, and the next one when it has come
back whole. The server is uvloop's, in a process and on a core of its own. Where it is the
slower side the rate says little; the client's processor time for each message, which
stands beside it, is what the transport costs.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import machine
from processes import cores, end, pinned
from report import where

HOST = "127.0.0.1"
SIZES = (64, 4096, 262144)
CONNECTIONS = (1, 64)
PEERS = ("asyncio", "uvloop", "aiofast", "aiofast+uvloop", "aiofastnet", "aiofastnet+uvloop")
FIELDS = ("rate", "cpu")


class Client(asyncio.Protocol):
    def __init__(self, message: bytes) -> None:
        self.message = message
        self.left = len(message)
        self.count = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        if self.message:
            transport.write(self.message)

    def data_received(self, data: bytes) -> None:
        self.left -= len(data)
        if self.left == 0:
            self.left = len(self.message)
            self.count += 1
            self.transport.write(self.message)


class Server(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


async def serve(folder: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{folder}/chain.pem", f"{folder}/key.pem")
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(Server, HOST, 0, backlog=4096, ssl=tls) for tls in (None, context)
    ]
    print(*(one.sockets[0].getsockname()[1] for one in servers), flush=True)
    await asyncio.Event().wait()


def connector(name: str) -> Callable[..., Any]:
    loop = asyncio.get_running_loop()
    if name.startswith("aiofastnet"):
        import aiofastnet

        return lambda *args, **kwargs: aiofastnet.create_connection(loop, *args, **kwargs)
    if name.startswith("aiofast"):
        import aiofast

        return aiofast.create_connection
    return loop.create_connection


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def measure(job: dict[str, Any]) -> dict[str, float]:
    context = ssl.create_default_context(cafile=job["ca"]) if job["tls"] else None
    connect = connector(job["peer"])
    message = os.urandom(job["size"])
    clients: list[Client] = []

    async def open_some(count: int) -> None:
        for _ in range(count):
            _, client = await connect(
                lambda: Client(message),
                HOST,
                job["port"],
                ssl=context,
                **({"server_hostname": "localhost"} if context else {}),
            )
            clients.append(client)

    await open_some(2 if job["idle"] else job["connections"])
    if job["idle"]:
        gc.collect()
        before = resident()
        await open_some(job["connections"])
        await asyncio.sleep(0.5)
        gc.collect()
        found = {"memory": (resident() - before) / job["connections"]}
    else:
        await asyncio.sleep(0.1)
        count = sum(client.count for client in clients)
        cpu, wall = time.process_time(), time.perf_counter()
        await asyncio.sleep(job["seconds"])
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        count = sum(client.count for client in clients) - count
        found = {"rate": count / wall, "cpu": cpu / max(count, 1) * 1e6}
    for client in clients:
        client.transport.abort()
    await asyncio.sleep(0.05)
    return found


def in_loop(peer: str, main: Any) -> Any:
    if "uvloop" in peer:
        import uvloop

        return uvloop.run(main)
    return asyncio.run(main)


@contextmanager
def server(core: int | None) -> Iterator[tuple[list[int], str]]:
    """A running server's two ports, and the file of its authority."""
    import trustme

    with tempfile.TemporaryDirectory() as folder, pinned(core):
        authority = trustme.CA()
        certificate = authority.issue_cert("localhost")
        authority.cert_pem.write_to_path(f"{folder}/ca.pem")
        certificate.private_key_pem.write_to_path(f"{folder}/key.pem")
        for index, blob in enumerate(certificate.cert_chain_pems):
            blob.write_to_path(f"{folder}/chain.pem", append=index > 0)
        process = subprocess.Popen(
            [sys.executable, __file__, "--serve", folder], stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            yield [int(port) for port in process.stdout.readline().split()], f"{folder}/ca.pem"
        finally:
            end(process)


def round_of(job: dict[str, Any], core: int | None) -> dict[str, float]:
    with pinned(core):
        done = subprocess.run(
            [sys.executable, __file__, "--job", json.dumps(job)],
            capture_output=True,
            text=True,
            timeout=300,
        )
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip().rpartition("\n")[2])
    result: dict[str, float] = json.loads(done.stdout)
    return result


def compare(job: dict[str, Any], peers: list[str], rounds: int, core: int | None) -> list[str]:
    """By turns, so that what slows the machine for a while slows all. Rows of a table."""
    title = f"{'TLS' if job['tls'] else 'TCP'}, {job['size']} B, {job['connections']} connections"
    print(title)
    rows: list[str] = []
    found: dict[str, list[dict[str, float]]] = {peer: [] for peer in peers}
    for _ in range(rounds):
        for peer in peers:
            try:
                found[peer].append(round_of({**job, "peer": peer}, core))
            except RuntimeError as error:
                print(f"  {peer:18} failed: {error}")
    for peer, results in found.items():
        if not results:
            continue
        if job["idle"]:
            memory = statistics.median(one["memory"] for one in results)
            print(f"  {peer:18} {memory / 1024:8.1f} KiB for each connection")
            rows.append(f"| {title} | {peer} | | | {memory / 1024:.1f} |")
            continue
        rate, cpu = (statistics.median(one[field] for one in results) for field in FIELDS)
        print(f"  {peer:18} {rate:9.0f} messages/s {cpu:9.1f} µs of CPU each", flush=True)
        rows.append(f"| {title} | {peer} | {rate:,.0f} | {cpu:.1f} | |")
    return rows


def write(path: Path, rows: list[str], given: Any, facts: dict[str, Any]) -> None:
    """Appends: a run of all sizes may be made in parts."""
    head = [
        "",
        f"## {time.strftime('%Y-%m-%d')}",
        "",
        f"{given.rounds} rounds of {given.seconds} s, the median. {where(facts)}",
        "",
        "| job | client | messages/s | µs of CPU each | KiB for each connection |",
        "|---|---|---:|---:|---:|",
    ]
    new = [] if path.exists() else ["# Echo: transports beside each other"]
    with path.open("a") as file:
        file.write("\n".join([*new, *head, *rows]) + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", choices=PEERS)
    parser.add_argument("--size", action="append", type=int)
    parser.add_argument("--connections", action="append", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--idle", type=int, default=0, metavar="CONNECTIONS")
    parser.add_argument("--out", type=Path, help="a file of Markdown to append the figures to")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--job", help=argparse.SUPPRESS)
    return parser.parse_args()


def allow_files() -> None:
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    socket.setdefaulttimeout(None)


def main() -> None:
    given = arguments()
    allow_files()
    if given.serve:
        in_loop("uvloop", serve(given.serve))
        return
    if given.job:
        job = json.loads(given.job)
        print(json.dumps(in_loop(job["peer"], measure(job))))
        return
    server_core, client_core = cores()
    job = {"seconds": given.seconds, "idle": bool(given.idle), "size": 0}
    sizes = given.size or SIZES
    counts = given.connections or CONNECTIONS
    if given.idle:
        sizes, counts = [0], [given.idle]
    rows: list[str] = []
    with server(server_core) as (ports, ca):
        for tls in (False, True):
            for size in sizes:
                for count in counts:
                    job |= {"tls": tls, "size": size, "connections": count, "ca": ca}
                    job["port"] = ports[tls]
                    rows += compare(job, given.only or list(PEERS), given.rounds, client_core)
    if given.out:
        write(given.out, rows, given, machine.describe(server_core, client_core))


if __name__ == "__main__":
    main()
