"""Sockets for aiofast.transport: names to addresses, and which address connects first.

It is the loop's own getaddrinfo() and sock_connect() that are asked: a program that
replaces them is served.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ("connect", "connect_unix", "find")

Info = tuple[Any, Any, int, str, Any]  # one row of getaddrinfo()
Make = Callable[[Info], socket.socket]
Attempts = list[list[OSError]]  # the errors of each address that was tried


async def find(
    host: Any, port: Any, family: int, proto: int, flags: int, local_addr: Any
) -> tuple[Sequence[Info], Sequence[Info] | None]:
    """The addresses of |host|, and those of |local_addr| (None if it is)."""
    infos = await _resolve((host, port), family, proto, flags)
    local = None
    if local_addr is not None:
        local = await _resolve(local_addr, family, proto, flags)
    return infos, local


async def connect(
    infos: Sequence[Info],
    local: Sequence[Info] | None,
    delay: float | None,
    interleave: int | None,
    all_errors: bool,
    make: Make | None = None,
) -> socket.socket:
    """A socket that is connected to one of |infos|; |make| makes the sockets."""
    if interleave:
        infos = _by_turns(infos, interleave)
    attempts: Attempts = []
    make = make or _socket
    if delay is None:
        sock = await _one_by_one(attempts, infos, local, make)
    else:
        sock = await _race(attempts, infos, local, delay, make)
    if sock is not None:
        return sock
    errors = [error for attempt in attempts for error in attempt]
    try:
        if all_errors:
            raise ExceptionGroup("create_connection failed", errors)
        if len({str(error) for error in errors}) == 1:
            raise errors[0]
        raise OSError(f"Multiple exceptions: {', '.join(map(str, errors))}")
    finally:
        # Their tracebacks lead here.
        del errors, attempts


async def connect_unix(path: Any) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, path)
    except BaseException:
        sock.close()
        raise
    return sock


async def _resolve(address: Any, family: int, proto: int, flags: int) -> Sequence[Info]:
    host, port, *rest = address
    literal = _literal(host, port, family, proto, rest)
    if literal is not None:
        return [literal]
    infos = await asyncio.get_running_loop().getaddrinfo(
        host, port, family=family, type=socket.SOCK_STREAM, proto=proto, flags=flags
    )
    if not infos:
        raise OSError("getaddrinfo() returned empty list")
    return infos


def _literal(host: Any, port: Any, family: int, proto: int, rest: list[Any]) -> Info | None:
    """What an address literal stands for, without a thread; None for what
    getaddrinfo() has to judge."""
    if isinstance(host, bytes):
        with contextlib.suppress(UnicodeDecodeError):
            host = host.decode("idna")
    if not isinstance(host, str) or "%" in host or proto not in (0, socket.IPPROTO_TCP):
        return None
    if port is None or port in ("", b""):
        port = 0
    try:
        port = int(port)
    except (TypeError, ValueError):
        return None
    families = (socket.AF_INET, socket.AF_INET6) if family == socket.AF_UNSPEC else (family,)
    for kind in families:
        with contextlib.suppress(OSError, ValueError):
            socket.inet_pton(kind, host)
            address = (host, port) if kind == socket.AF_INET else (host, port, *(rest or (0, 0)))
            return kind, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address
    return None


def _by_turns(infos: Sequence[Info], first: int) -> list[Info]:
    """The families by turns, each in its order; |first| of the first one's lead."""
    queues: dict[int, list[Info]] = {}
    for info in infos:
        queues.setdefault(info[0], []).append(info)
    rows = list(queues.values())
    ordered = rows[0][: first - 1]
    rows[0] = rows[0][first - 1 :]
    for index in range(max(map(len, rows))):
        ordered += [row[index] for row in rows if index < len(row)]
    return ordered


async def _one_by_one(
    attempts: Attempts, infos: Sequence[Info], local: Sequence[Info] | None, make: Make
) -> socket.socket | None:
    for info in infos:
        with contextlib.suppress(OSError):
            return await _try(attempts, info, local, make)
    return None


async def _race(
    attempts: Attempts,
    infos: Sequence[Info],
    local: Sequence[Info] | None,
    delay: float,
    make: Make,
) -> socket.socket | None:
    """Starts an address |delay| seconds after the last one, or once that has failed; the
    first to connect wins (RFC 8305 5)."""
    loop = asyncio.get_running_loop()
    waiting = list(infos)
    running: set[asyncio.Task[socket.socket]] = set()
    try:
        while waiting or running:
            if waiting:
                running.add(loop.create_task(_try(attempts, waiting.pop(0), local, make)))
            done, _ = await asyncio.wait(
                running,
                timeout=delay if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            running -= done
            winner = _winner(done)
            if winner is not None:
                return winner
    finally:
        await _call_off(running)
    return None


def _winner(done: set[asyncio.Task[socket.socket]]) -> socket.socket | None:
    """One that is connected; another that came at the same moment is closed. What is no
    OSError is raised."""
    found: socket.socket | None = None
    for task in done:
        error = task.exception()
        if error is not None and not isinstance(error, OSError):
            if found is not None:
                found.close()
            raise error
        if error is None and found is None:
            found = task.result()
        elif error is None:
            task.result().close()
    return found


async def _call_off(running: set[asyncio.Task[socket.socket]]) -> None:
    for task in running:
        task.cancel()
    if running:
        done = await asyncio.gather(*running, return_exceptions=True)
        for sock in done:
            if isinstance(sock, socket.socket):
                sock.close()


def _socket(info: Info) -> socket.socket:
    return socket.socket(family=info[0], type=info[1], proto=info[2])


async def _try(
    attempts: Attempts, info: Info, local: Sequence[Info] | None, make: Make
) -> socket.socket:
    family, address = info[0], info[4]
    errors: list[OSError] = []
    attempts.append(errors)
    sock = None
    try:
        sock = make(info)
        sock.setblocking(False)
        if local is not None:
            _bind(sock, family, local, errors)
        await asyncio.get_running_loop().sock_connect(sock, address)
        return sock
    except OSError as error:
        errors.append(error)
        if sock is not None:
            sock.close()
        raise
    except BaseException:
        if sock is not None:
            sock.close()
        raise
    finally:
        del errors


def _bind(sock: socket.socket, family: int, local: Sequence[Info], errors: list[OSError]) -> None:
    for kind, _, _, _, address in local:
        if kind != family:
            continue
        try:
            sock.bind(address)
            return
        except OSError as error:
            text = _reason(error)
            errors.append(
                OSError(
                    error.errno,
                    f"error while attempting to bind on address {address!r}: {text}",
                )
            )
    if errors:
        raise errors.pop()
    raise OSError(f"no matching local address with family={family!r} found")


def _reason(error: OSError) -> str:
    """In the words of the running Python's loop."""
    words = error.strerror or "" if sys.version_info < (3, 13) else str(error)
    return words.lower()
