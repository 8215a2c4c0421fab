"""Puts aiofast's connections where programs already look for them: into the loop."""

from __future__ import annotations

import asyncio
import weakref
from types import TracebackType
from typing import Any

from . import _core, transport

__all__ = ("install", "uninstall")

_NAMES = ("create_connection", "create_unix_connection", "start_tls")
_loops: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()
_policies: list[Any] = []


class Installed:
    """What install() has done; as a context manager it undoes that at the end."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self._loop = loop

    def __enter__(self) -> Installed:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        uninstall(self._loop)


def install(loop: asyncio.AbstractEventLoop | None = None) -> Installed:
    """From here on the client connections of |loop| go through aiofast: its
    create_connection(), create_unix_connection() and start_tls(), and so
    asyncio.open_connection() and every library that uses these. Without |loop|: those
    of the running loop, if any, and of every loop that the present policy makes.
    Installing twice is the same as once. As a context manager, until its end."""
    if loop is not None:
        _install_loop(loop)
    else:
        _install_policy(_policy())
        running = asyncio._get_running_loop()
        if running is not None:
            _install_loop(running)
    return Installed(loop)


def uninstall(loop: asyncio.AbstractEventLoop | None = None) -> None:
    """Undoes install(): for |loop|, or without it for all loops and policies. Open
    connections stay as they are."""
    for one in [loop] if loop is not None else list(_loops):
        if one in _loops:
            _loops.discard(one)
            for name in _NAMES:
                one.__dict__.pop(name, None)
    if loop is None:
        while _policies:
            del _policies.pop().new_event_loop


def _policy() -> Any:
    # Python 3.14 keeps policies under a private name and warns of the public one.
    get = getattr(asyncio.events, "_get_event_loop_policy", None)
    return (get or asyncio.get_event_loop_policy)()


def _install_policy(policy: Any) -> None:
    if policy in _policies:
        return
    make = policy.new_event_loop

    def new_event_loop() -> asyncio.AbstractEventLoop:
        loop: asyncio.AbstractEventLoop = make()
        _install_loop(loop)
        return loop

    policy.new_event_loop = new_event_loop
    _policies.append(policy)


def _install_loop(loop: asyncio.AbstractEventLoop) -> None:
    if loop in _loops:
        return
    others = loop.start_tls

    async def start_tls(
        transport_: Any, protocol: Any, sslcontext: Any, **kwargs: Any
    ) -> asyncio.Transport | None:
        ours = isinstance(transport_, _core.Transport)
        start = transport.start_tls if ours else others
        return await start(transport_, protocol, sslcontext, **kwargs)

    loop.__dict__["create_connection"] = transport.create_connection
    loop.__dict__["create_unix_connection"] = transport.create_unix_connection
    loop.__dict__["start_tls"] = start_tls
    _loops.add(loop)
