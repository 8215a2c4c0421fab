"""TraceConfig: aiohttp's signals about each request."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from aiosignal import Signal

if TYPE_CHECKING:
    from collections.abc import Callable

    from multidict import CIMultiDict
    from yarl import URL

    from .clientresponse import ClientResponse

__all__ = (
    "TraceConfig",
    "TraceConnectionCreateEndParams",
    "TraceConnectionCreateStartParams",
    "TraceConnectionQueuedEndParams",
    "TraceConnectionQueuedStartParams",
    "TraceConnectionReuseconnParams",
    "TraceDnsCacheHitParams",
    "TraceDnsCacheMissParams",
    "TraceDnsResolveHostEndParams",
    "TraceDnsResolveHostStartParams",
    "TraceRequestChunkSentParams",
    "TraceRequestEndParams",
    "TraceRequestExceptionParams",
    "TraceRequestHeadersSentParams",
    "TraceRequestRedirectParams",
    "TraceRequestStartParams",
    "TraceResponseChunkReceivedParams",
)


@dataclass(frozen=True, slots=True)
class TraceRequestStartParams:
    """A request begins."""

    method: str
    url: URL
    headers: CIMultiDict[str]


@dataclass(frozen=True, slots=True)
class TraceRequestChunkSentParams:
    """A part of the request's body was sent."""

    method: str
    url: URL
    chunk: bytes


@dataclass(frozen=True, slots=True)
class TraceResponseChunkReceivedParams:
    """The response's body was read."""

    method: str
    url: URL
    chunk: bytes


@dataclass(frozen=True, slots=True)
class TraceRequestEndParams:
    """The head of the last response is here."""

    method: str
    url: URL
    headers: CIMultiDict[str]
    response: ClientResponse


@dataclass(frozen=True, slots=True)
class TraceRequestExceptionParams:
    """The request has failed."""

    method: str
    url: URL
    headers: CIMultiDict[str]
    exception: BaseException


@dataclass(frozen=True, slots=True)
class TraceRequestRedirectParams:
    """The response is a redirect that is followed."""

    method: str
    url: URL
    headers: CIMultiDict[str]
    response: ClientResponse


@dataclass(frozen=True, slots=True)
class TraceConnectionQueuedStartParams:
    """The limit of connections is reached."""


@dataclass(frozen=True, slots=True)
class TraceConnectionQueuedEndParams:
    """There is room for another connection."""


@dataclass(frozen=True, slots=True)
class TraceConnectionCreateStartParams:
    """A connection is made."""


@dataclass(frozen=True, slots=True)
class TraceConnectionCreateEndParams:
    """It is there."""


@dataclass(frozen=True, slots=True)
class TraceConnectionReuseconnParams:
    """A connection that was kept is used."""


@dataclass(frozen=True, slots=True)
class TraceDnsResolveHostStartParams:
    """A name is looked up."""

    host: str


@dataclass(frozen=True, slots=True)
class TraceDnsResolveHostEndParams:
    """It has been."""

    host: str


@dataclass(frozen=True, slots=True)
class TraceDnsCacheHitParams:
    """The addresses of a name were at hand."""

    host: str


@dataclass(frozen=True, slots=True)
class TraceDnsCacheMissParams:
    """They were not."""

    host: str


@dataclass(frozen=True, slots=True)
class TraceRequestHeadersSentParams:
    """The head of the request was sent."""

    method: str
    url: URL
    headers: CIMultiDict[str]


_SIGNALS: dict[str, type] = {
    "on_request_start": TraceRequestStartParams,
    "on_request_chunk_sent": TraceRequestChunkSentParams,
    "on_response_chunk_received": TraceResponseChunkReceivedParams,
    "on_request_end": TraceRequestEndParams,
    "on_request_exception": TraceRequestExceptionParams,
    "on_request_redirect": TraceRequestRedirectParams,
    "on_connection_queued_start": TraceConnectionQueuedStartParams,
    "on_connection_queued_end": TraceConnectionQueuedEndParams,
    "on_connection_create_start": TraceConnectionCreateStartParams,
    "on_connection_create_end": TraceConnectionCreateEndParams,
    "on_connection_reuseconn": TraceConnectionReuseconnParams,
    "on_dns_resolvehost_start": TraceDnsResolveHostStartParams,
    "on_dns_resolvehost_end": TraceDnsResolveHostEndParams,
    "on_dns_cache_hit": TraceDnsCacheHitParams,
    "on_dns_cache_miss": TraceDnsCacheMissParams,
    "on_request_headers_sent": TraceRequestHeadersSentParams,
}


_HEADERS_SENT = "on_request_headers_sent"


class TraceConfig:
    """Signals for ClientSession(trace_configs=[...]): lists of coroutine
    functions that are awaited with (session, context, params).

    trace_config_ctx_factory: makes the context of each request; called with
        trace_request_ctx=, what the request was given by that name.

    The engine goes on while a signal about its phases (connection, name, what was
    sent) is awaited; the other signals hold the request up, as with aiohttp.
    """

    def __init__(self, trace_config_ctx_factory: Callable[..., Any] = SimpleNamespace) -> None:
        self._signals: dict[str, Signal[Any]] = {name: Signal(self) for name in _SIGNALS}
        self._trace_config_ctx_factory = trace_config_ctx_factory

    def trace_config_ctx(self, trace_request_ctx: Any = None) -> Any:
        """A context for one request."""
        return self._trace_config_ctx_factory(trace_request_ctx=trace_request_ctx)

    def freeze(self) -> None:
        """From here on no function can be added; the session does it."""
        for signal in self._signals.values():
            signal.freeze()

    def __getattr__(self, name: str) -> Signal[Any]:
        # By aiohttp's inner names too, which some programs look at.
        signal: Signal[Any] | None = vars(self).get("_signals", {}).get(name.removeprefix("_"))
        if signal is None:
            raise AttributeError(name)
        return signal

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_SIGNALS})


class Trace:
    """A request as one TraceConfig hears of it."""

    __slots__ = ("_config", "_context", "_session")

    def __init__(self, session: Any, config: TraceConfig, context: Any) -> None:
        self._session = session
        self._config = config
        self._context = context

    async def send(self, name: str, *values: Any) -> None:
        """Awaits the functions of the signal |name| with its params."""
        signal = getattr(self._config, name)
        if signal:
            await signal.send(self._session, self._context, _SIGNALS[name](*values))

    def __getattr__(self, name: str) -> Any:
        # send_request_start(method, url, headers) and its kin, by aiohttp's names.
        signal = _HEADERS_SENT if name == "send_request_headers" else name.replace("send_", "on_")
        if not name.startswith("send_") or signal not in _SIGNALS:
            raise AttributeError(name)
        return partial(self.send, signal)

    async def response_chunk(self, method: str, url: URL, chunk: bytes) -> None:
        """The body of a response was read."""
        await self.send("on_response_chunk_received", method, url, chunk)


async def tell(traces: list[Trace], name: str, *values: Any) -> None:
    """Sends a signal to each of |traces|."""
    for trace in traces:
        await trace.send(name, *values)
