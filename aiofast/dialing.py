"""How a connector makes connections by means of its own: a resolver, sockets of the
program's, or methods that a subclass has in place of aiohttp's.

The engine dials alone where none of these is there. Else it asks for each connection
that it needs, waits in the request's place, and takes what comes: addresses, a socket,
or a transport that somebody else has opened.
"""

from __future__ import annotations

from asyncio import Task, get_running_loop
from asyncio import timeout as limited
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from .errors import ClientError, ClientOSError, ConnectionTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

    from ._core import Dial
    from .clientrequest import ClientRequest
    from .connector import BaseConnector
    from .timeouts import ClientTimeout
    from .tracing import Trace

# Methods that stand for a way to connect, the one that decides most first.
_OF_PROTOCOL = ("_create_connection",)
_OF_TRANSPORT = (
    "_create_direct_connection",
    "_wrap_create_connection",
    "_convert_hosts_to_addr_infos",
)
_OF_ADDRESSES = ("_resolve_host",)
# Those that the engine does itself, and never asks about.
_OF_THE_ENGINE = (
    "_get",
    "_release",
    "_release_acquired",
    "_release_waiter",
    "_available_connections",
    "_wait_for_available_connection",
)


HOOKS = (
    *_OF_PROTOCOL,
    *_OF_TRANSPORT,
    *_OF_ADDRESSES,
    *("connect", "_get_ssl_context", "_get_fingerprint"),
)


class Own:
    """What the classes of connector.py have under these names, to tell what is not
    theirs: a subclass's, or put there by a test."""

    def __init__(self) -> None:
        self._methods: dict[str, set[Any]] = {}

    def learn(self, *classes: type) -> None:
        """Takes what |classes| have for the engine's own."""
        for name in HOOKS:
            known = self._methods.setdefault(name, set())
            known.update(vars(cls)[name] for cls in classes if name in vars(cls))

    def replaced(self, connector: Any, *names: str) -> bool:
        """True if one of |names| is not ours."""
        return any(name in vars(connector) or self.differs(type(connector), name) for name in names)

    def differs(self, kind: type, name: str) -> bool:
        """The same of a class."""
        method = getattr(kind, name, None)
        return method is not None and method not in self._methods.get(name, ())


OWN = Own()


def refuse_hooks(connector: BaseConnector) -> None:
    """NotImplementedError for a subclass that replaces what the engine does itself."""
    for name in _OF_THE_ENGINE:
        if getattr(type(connector), name, None) is not None:
            raise NotImplementedError(
                f"{type(connector).__name__}.{name}(): the engine keeps the connections and "
                "never calls it; override connect(), _create_connection(), "
                "_wrap_create_connection() or _resolve_host()"
            )


def means_of(connector: Any) -> Callable[..., Any] | None:
    """How |connector| makes a connection by its own means; None: the engine does."""
    if OWN.replaced(connector, *_OF_PROTOCOL):
        return _by_protocol
    if not hasattr(connector, "_create_direct_connection"):
        return None
    if OWN.replaced(connector, *_OF_TRANSPORT):
        return _by_transport
    if connector._socket_factory is not None or connector._interleave is not None:
        return _by_socket
    if connector._resolver_given or OWN.replaced(connector, *_OF_ADDRESSES):
        return _by_addresses
    return None


def dialer_for(
    connector: BaseConnector, request: ClientRequest, traces: list[Trace], timeout: ClientTimeout
) -> Callable[[Dial], Task[None]] | None:
    """What the engine is to ask for a connection for |request|; None: nobody."""
    means = means_of(connector)
    if means is None:
        return None
    request.dns_signals = False  # _resolve_host() sends them
    loop, context = get_running_loop(), copy_context()

    def dialer(dial: Dial) -> Task[None]:
        made = means(connector, dial, request, traces, timeout)
        return loop.create_task(_reported(made, dial, request), context=context)

    return dialer


async def asked(
    connector: Any, request: ClientRequest, traces: list[Trace], timeout: ClientTimeout
) -> None:
    """Has a connector's own connect() say that |request| may go on. TypeError if it
    gives a connection that is not ours."""
    from .connection import Permit

    request.permitted = True
    try:
        given = await within(timeout.connect, connector.connect(request, traces, timeout))
    except TimeoutError as error:
        raise ConnectionTimeoutError(_timeout_text(request)) from error
    if not isinstance(given, Permit):
        raise TypeError(
            f"{type(connector).__name__}.connect() must give what super().connect() gave: "
            "connections of its own belong into _create_connection()"
        )


async def _reported(made: Any, dial: Dial, request: ClientRequest) -> None:
    """Awaits |made|; what it raises is what the request raises."""
    try:
        await made
    except ClientError as error:
        dial.fail(error)
    except TimeoutError as error:
        dial.fail(_caused(ConnectionTimeoutError(_timeout_text(request)), error))
    except OSError as error:
        dial.fail(_caused(ClientOSError(*error.args), error))
    except Exception as error:
        dial.fail(error)


def _timeout_text(request: ClientRequest) -> str:
    return f"Connection timeout to host {request.url}"


def _caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


# --- the means ------------------------------------------------------------------


async def _by_addresses(
    connector: Any, dial: Dial, request: Any, traces: Any, timeout: Any
) -> None:
    host = request.host.rstrip(".") + "." if request.host.endswith("..") else request.host
    found = await connector._hosts_of(request, host, traces)
    literals = [str(one["host"]) for one in connector._of_family(found)]
    if not literals:
        raise connector._no_address(request, host)
    dial.aim(",".join(literals), int(found[0]["port"] or request.port))


async def _by_socket(connector: Any, dial: Dial, request: Any, traces: Any, timeout: Any) -> None:
    host = request.host.rstrip(".") + "." if request.host.endswith("..") else request.host
    found = await connector._hosts_of(request, host, traces)
    infos = connector._convert_hosts_to_addr_infos(found)
    if not infos:
        raise connector._no_address(request, host)
    _hand_over(dial, await connector._connect_socket(infos, request, timeout), False)


async def _by_transport(
    connector: Any, dial: Dial, request: Any, traces: Any, timeout: Any
) -> None:
    transport, _ = await connector._create_direct_connection(request, traces, timeout)
    await _take(connector, dial, transport, request)


async def _by_protocol(connector: Any, dial: Dial, request: Any, traces: Any, timeout: Any) -> None:
    protocol = await connector._create_connection(request, traces, timeout)
    transport = getattr(protocol, "transport", None)
    if transport is None:
        raise TypeError(
            f"{type(connector).__name__}._create_connection() must give a protocol with a "
            f"transport, not {protocol!r}"
        )
    await _take(connector, dial, transport, request)


async def _take(connector: Any, dial: Dial, transport: Any, request: ClientRequest) -> None:
    from .relay import socket_of

    veiled = transport.get_extra_info("sslcontext") is not None
    if request.is_ssl() and not veiled:
        transport.abort()
        raise ClientError("the connector opened a connection without TLS for an https URL")
    if not dial.wanted:
        transport.abort()
        return
    sock, veiled = await socket_of(transport, connector._relayed)
    _hand_over(dial, sock, veiled)


def _hand_over(dial: Dial, sock: socket, veiled: bool) -> None:
    """Gives |sock| to the engine."""
    if dial.connected(sock.fileno(), sock.family, veiled):
        sock.detach()
    else:
        sock.close()


async def within(seconds: float | None, awaitable: Any) -> Any:
    """What |awaitable| gives. TimeoutError after |seconds|; None, 0: no limit."""
    async with limited(seconds or None):
        return await awaitable
