"""One large file down and up: megabytes a second, CPU, and memory above idle.

    python benchmarks/bulk.py [--size MIB] [--rounds N]

Each way is a process of its own on the second core. The server, on the first,
sends zeros and forgets what it gets. "sent as pieces" is the same file without
sendfile(2): read in libuv's threads, and framed as chunks.
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from processes import captured, cores, running
from worker import cpu, peak_memory, use_tree

MIB = 1 << 20
WAYS = {
    "down": "downloaded to a file",
    "down-sum": "the same with its SHA-256",
    "up": "uploaded from a file (sendfile)",
    "up-pieces": "uploaded from a file, sent as pieces",
}


def serve(size: int) -> None:
    """GET gets |size| zeros, anything else is read to its end."""
    zeros = memoryview(bytes(MIB))
    room = bytearray(MIB)
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        peer, _ = listener.accept()
        head, end = b"", b""
        while not end:
            data = peer.recv(65536)
            if not data:
                break
            head, end, rest = (head + data).partition(b"\r\n\r\n")
            if not end:
                continue
            head = head.lower()
            if head.startswith((b"get", b"head")):
                peer.sendall(b'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: %d\r\n\r\n' % size)
                for _ in range(size // MIB if head.startswith(b"get") else 0):
                    peer.sendall(zeros)
            else:
                swallow(
                    peer, rest, 0 if b"\r\ntransfer-encoding" in head else length_of(head), room
                )
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            head, end = b"", b""


def length_of(head: bytes) -> int:
    """The Content-Length of a head in small letters."""
    return int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0] or 0)


def swallow(peer: socket.socket, rest: bytes, length: int, room: bytearray) -> None:
    """Reads |length| bytes, of which |rest| has come; 0: up to the last chunk."""
    seen, tail = len(rest), rest[-5:]
    while seen < length if length else tail != b"0\r\n\r\n":
        count = peer.recv_into(room)
        if count == 0:
            return
        seen += count
        tail = (tail + room[max(0, count - 5) : count])[-5:]


def settled_memory() -> int:
    """Bytes that this process holds; its peak begins anew here."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_memory()


async def measure(way: str, url: str, folder: Path, size: int) -> dict[str, float]:
    """One round in this process."""
    import aiofast

    source = folder / "source"
    forever = aiofast.ClientTimeout(total=None)

    async def once(path: Path) -> int:
        if way.startswith("down"):
            found = await aiofast.download(
                url, folder / "target", checksum="sha256" if way == "down-sum" else None
            )
            return found.size
        with path.open("rb") as file:
            changes: dict[str, Any] = {"chunked": True} if way == "up-pieces" else {}
            answer = await aiofast.post(url, data=file, timeout=forever, **changes)
            answer.raise_for_status()
        return os.stat(path).st_size

    small = folder / "small"
    small.write_bytes(b"x" * 100_000)
    # What is imported and made at first use is not counted.
    await (once(small) if way.startswith("up") else aiofast.head(url))
    idle = settled_memory()
    used, start = cpu(), time.perf_counter()
    moved = await once(source)
    seconds, used = time.perf_counter() - start, cpu() - used
    assert moved == size
    return {"seconds": seconds, "cpu": used, "grown": peak_memory() - idle}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=1024, help="MiB (1024)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=[*WAYS], action="append")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--way", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    size = options.size * MIB
    if options.serve:
        serve(size)
    if options.way:
        use_tree()
        way, url, folder = options.way
        print(json.dumps(asyncio.run(measure(way, url, Path(folder), size))))
        return
    server_core, client_core = cores()
    me = [sys.executable, __file__, "--size", str(options.size)]
    with tempfile.TemporaryDirectory() as folder:
        with (Path(folder) / "source").open("wb") as file:
            for _ in range(options.size):
                file.write(os.urandom(4096) * 256)
        print(f"{options.size} MiB, median of {options.rounds} rounds\n")
        print("| way | MiB/s | CPU s/GiB | MiB above idle at most |\n|---|--:|--:|--:|")
        for way in options.only or WAYS:
            rounds = []
            for _ in range(options.rounds):
                with running([*me, "--serve"], server_core, stdout=subprocess.PIPE) as server:
                    assert server.stdout is not None
                    url = f"http://127.0.0.1:{int(server.stdout.readline())}/file"
                    status, output, errors = captured(
                        [*me, "--way", way, url, folder], client_core, 300
                    )
                if status:
                    raise SystemExit(f"benchmark: {way} failed: {errors}")
                rounds.append(json.loads(output))
            speed = statistics.median(options.size / each["seconds"] for each in rounds)
            used = statistics.median(each["cpu"] * (1 << 30) / size for each in rounds)
            grown = max(each["grown"] for each in rounds) / MIB
            print(f"| {WAYS[way]} | {speed:,.0f} | {used:.2f} | {grown:.1f} |")


if __name__ == "__main__":
    main()
