"""Resolvers for TCPConnector(resolver=...). Without one the engine looks names
up itself, in libuv's threads."""

from __future__ import annotations

import socket
from asyncio import get_running_loop
from time import monotonic
from typing import TYPE_CHECKING, Any

from .abc import AbstractResolver, ResolveResult

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

__all__ = ("AddressCache", "AsyncResolver", "DefaultResolver", "ThreadedResolver")

_NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class AddressCache:
    """The addresses of hosts, each for |ttl| seconds (None: for ever); of more than
    |max_size| hosts those that were used least lately go. Each look turns the list by
    one, so that connections are spread."""

    def __init__(self, ttl: float | None = None, max_size: int = 1000) -> None:
        self._ttl = ttl
        self._max_size = max_size
        self._kept: dict[tuple[str, int], tuple[float, list[ResolveResult], int]] = {}

    def __contains__(self, key: object) -> bool:
        return key in self._kept

    def add(self, key: tuple[str, int], addrs: list[ResolveResult]) -> None:
        """Keeps |addrs| for a host and port."""
        self._kept.pop(key, None)
        self._kept[key] = monotonic(), list(addrs), 0
        if len(self._kept) > self._max_size:
            del self._kept[next(iter(self._kept))]

    def remove(self, key: tuple[str, int]) -> None:
        """Forgets them."""
        self._kept.pop(key, None)

    def clear(self) -> None:
        """Forgets all."""
        self._kept.clear()

    def next_addrs(self, key: tuple[str, int]) -> list[ResolveResult]:
        """The addresses, from the next one on. KeyError."""
        since, addrs, turn = self._kept.pop(key)
        self._kept[key] = since, addrs, (turn + 1) % (len(addrs) or 1)
        return addrs[turn:] + addrs[:turn]

    def expired(self, key: tuple[str, int]) -> bool:
        """True if they are too old. KeyError."""
        since = self._kept[key][0]
        return self._ttl is not None and since + self._ttl < monotonic()


class ThreadedResolver(AbstractResolver):
    """The system's lookup, in a thread of the loop's executor."""

    def __init__(self, loop: AbstractEventLoop | None = None) -> None:
        self._loop = loop

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of |host|. socket.gaierror."""
        loop = self._loop or get_running_loop()
        infos = await loop.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG
        )
        found: list[ResolveResult] = []
        for kind, _, proto, _, address in infos:
            literal = str(address[0])
            if kind == socket.AF_INET6 and len(address) == 4 and address[3]:
                literal = f"{literal.partition('%')[0]}%{address[3]}"
            found.append(
                ResolveResult(
                    hostname=host,
                    host=literal,
                    port=int(address[1]),
                    family=int(kind),
                    proto=proto,
                    flags=_NUMERIC,
                )
            )
        return found

    async def close(self) -> None:
        """There is nothing to close."""


class AsyncResolver(AbstractResolver):
    """Lookup by the aiodns package, which must be installed. RuntimeError."""

    def __init__(self, loop: AbstractEventLoop | None = None, *args: Any, **kwargs: Any) -> None:
        try:
            import aiodns  # type: ignore[import-not-found]
        except ImportError:
            raise RuntimeError("Resolver requires aiodns library") from None
        self._loop = loop or get_running_loop()
        self._resolver: Any = aiodns.DNSResolver(*args, **{"loop": self._loop, **kwargs})

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of |host|. OSError."""
        try:
            answer = await self._resolver.getaddrinfo(
                host, port=port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG
            )
        except Exception as error:
            text = error.args[1] if len(error.args) > 1 else "DNS lookup failed"
            raise OSError(None, text) from error
        found: list[ResolveResult] = []
        for node in answer.nodes:
            name, number, *rest = node.addr
            literal = name.decode("ascii") if isinstance(name, bytes) else name
            if node.family == socket.AF_INET6 and len(rest) == 2 and rest[1]:
                literal = f"{literal.partition('%')[0]}%{rest[1]}"
            found.append(
                ResolveResult(
                    hostname=host,
                    host=literal,
                    port=number,
                    family=node.family,
                    proto=0,
                    flags=_NUMERIC,
                )
            )
        if not found:
            raise OSError(None, "DNS lookup failed")
        return found

    async def close(self) -> None:
        """Gives the resolver's sockets up; harmless when closed."""
        resolver, self._resolver = self._resolver, None
        if resolver is not None:
            resolver.cancel()


DefaultResolver = ThreadedResolver
