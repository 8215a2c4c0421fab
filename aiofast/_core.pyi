"""The C engine. Private: everything a program needs is in `aiofast` itself."""

from asyncio import AbstractEventLoop, BaseProtocol, Future
from asyncio.transports import _FlowControlMixin
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextvars import Context
from types import GenericAlias, TracebackType
from typing import Any, Generic, Self, TypeVar, final

from typing_extensions import Buffer, disjoint_base

_T = TypeVar("_T")
_Headers = Mapping[str, str] | Iterable[tuple[str, str]] | None

ACCEPT_ENCODING: str  # what this build can decode: "gzip, deflate, br, zstd"
VERSIONS: dict[str, str]  # libuv, llhttp: as linked

@disjoint_base
class Wait(Generic[_T]):
    """A result to come: awaitable; before its start a coroutine to asyncio, from
    then on a future. Starts when it is first awaited or given a callback, never
    before."""

    _asyncio_future_blocking: bool | None  # None before the start
    @property
    def _cancel_message(self) -> Any: ...  # this and the next are gather()'s
    def _make_cancelled_error(self) -> BaseException: ...
    @classmethod
    def __class_getitem__(cls, item: Any, /) -> GenericAlias: ...
    def __await__(self) -> Generator[Any, None, _T]: ...
    def __iter__(self) -> Generator[Any, None, _T]: ...
    def __next__(self) -> Any: ...
    def send(self, value: None, /) -> Any: ...
    def throw(self, typ: Any, val: Any = ..., tb: TracebackType | None = ..., /) -> Any: ...
    def close(self) -> None: ...
    def get_loop(self) -> AbstractEventLoop: ...
    def add_done_callback(
        self, fn: Callable[[Self], object], /, *, context: Context | None = None
    ) -> None: ...
    def remove_done_callback(self, fn: Callable[[Self], object], /) -> int: ...
    def cancel(self, msg: Any | None = None) -> bool: ...
    def cancelled(self) -> bool: ...
    def done(self) -> bool: ...
    def result(self) -> _T: ...
    def exception(self) -> BaseException | None: ...

@final
class Fetch(Wait[_T]):
    """One request with its redirects; awaiting it gives the response."""

    method: str  # of the current hop
    url: str  # of the current hop, as it goes on the wire (with fragment)
    headers: Any  # what the caller passed for this hop
    body: Any
    redirects: int  # hops still allowed
    history: tuple[Any, ...]
    elapsed: float  # seconds since the start
    options: Options
    phase: str  # under way now, or "done"
    dns_cached: bool  # with a trace: the name had been looked up before
    # An async context manager: entering awaits the response, leaving releases it.
    async def __aenter__(self) -> _T: ...
    async def __aexit__(self, typ: Any, val: Any, tb: Any) -> None: ...

@final
class Upload:
    """The body of one request on its way, for who sends it in pieces: an object
    with `length` (None: chunked), `replayable`, `expect` (seconds to wait for
    100 (Continue)) and `start(upload, context)`, which gives the sending task.
    Each method raises ValueError for too much or too little,
    ClientConnectionResetError where nobody takes any more."""

    sent: int  # bytes of body handed to the socket
    attempt: int  # 1 from the first start on
    def write(self, data: Any, /) -> Wait[None]: ...  # bytes-like; done when it has left
    def send_file(self, fd: int, offset: int, length: int, /) -> Wait[None]: ...
    def end(self, trailers: _Headers, /) -> Wait[None]: ...  # the body is whole
    def fail(self, exc: BaseException, /) -> None: ...  # the request fails with it

@final
class Dial:
    """A connection that the program makes. One of the methods, once: what they do
    when nobody wants the connection any more is nothing."""

    wanted: bool
    # A connected, non-blocking socket, which from here on is the engine's: True.
    # False: it was not taken. |veiled|: who is behind it speaks TLS for us.
    def connected(self, fd: int, family: int, veiled: bool, /) -> bool: ...
    # Dials these address literals, with commas between them.
    def aim(self, addresses: str, port: int, /) -> bool: ...
    def fail(self, exc: BaseException, /) -> None: ...  # the request fails with it

@final
class FileRead(Wait[bytes]):
    """A part of a file to come."""

@final
class Options:
    """How requests are made: built once, shared by many fetches. Unnamed
    settings come from |base|, else from the defaults shown."""

    defaults: Any  # multidict.CIMultiDictProxy[str]

    def __new__(
        cls,
        base: Options | None = None,
        *,
        response_class: type[ResponseBase] = ...,  # a subclass without __init__ of its own
        stream: bool = False,  # True: the result is there when the head is; False: when the body is
        defaults: Sequence[tuple[str, str]] = (),  # headers sent unless the caller names them
        decompress: bool = True,
        # A synchronous function called with (fetch, response) where a response asks
        # for policy: a redirect status with Location while redirects are left, a
        # Set-Cookie if on_cookies, a status >= 400 if on_status. It may raise (the
        # fetch fails with that), return None (the response is the result), or return
        # (method, url, headers, body): the next hop.
        policy: Callable[[Any, Any], tuple[str, str, _Headers, Any] | None] | None = None,
        on_cookies: bool = False,
        on_status: bool = False,
        # Limits in seconds, None for no limit.
        total: float | None = 300.0,  # start to end, redirects included
        acquire: float | None = None,  # until a connection is ready: queue, DNS, connect, TLS
        dial: float | None = 30.0,  # DNS and connect of one connection
        tls: float | None = None,  # the handshake
        wait: float | None = None,  # request sent to the head of the response
        read: float | None = None,  # between two reads
        # Ceilings, None for no ceiling.
        max_body: int | None = None,  # bytes of body, decoded
        max_head: int = 65536,
        max_line: int = 8190,
        max_fields: int = 128,
        # TLS for https URLs: a function that gives the ssl.SSLContext, called once
        # when first needed, or the context itself.
        tls_context: Any = None,
        server_hostname: str | None = None,
        # Called with a Dial where a request needs a new connection; it gives the
        # task that makes one, which is cancelled when nobody wants it any more.
        dialer: Callable[[Dial], Any] | None = None,
        # False: connect to public addresses alone, whatever names resolve to.
        allow_private: bool = True,
        http10: bool = False,
        # Bytes of a streamed body that may wait for their reader; 0: 256 KiB.
        high_water: int = 0,
        # Decoded bytes for each coded one, once more than 1 MiB has come.
        max_ratio: int | None = None,
        # Called with (status, headers) as a 1xx response comes.
        informational: Callable[[int, Any], object] | None = None,
    ) -> Self: ...

@final
class Pool:
    """Connections of one loop, kept alive per origin. Binds to the running loop
    at the first fetch."""

    def __new__(
        cls,
        *,
        limit: int = 100,  # 0: no limit
        limit_per_host: int = 0,  # 0: no limit
        keepalive_timeout: float = 15.0,
        force_close: bool = False,
        dns_ttl: float = 10.0,  # 0: no cache
        family: int = 0,
        local_addr: tuple[str, int] | None = None,
        unix_path: str | None = None,
        race_delay: float | None = 0.25,  # RFC 8305; None: no race
        allow_private: bool = True,  # False: for all requests, whatever their options say
    ) -> Self: ...
    closed: bool
    def close(self) -> None: ...  # ends every fetch and connection now
    # (host, port, secure, idle, busy) of each origin that has connections.
    def origins(self) -> list[tuple[str, int, bool, int, int]]: ...
    def stats(self) -> dict[str, int]: ...  # open, idle, busy, dialing, waiting

@final
class Caller:
    """The short way from a call of fetch() or of a session to its Fetch: for
    arguments of the plain kinds, without a frame of Python."""

    def __new__(
        cls,
        options: Options,
        pool: Pool | None = None,  # None: the loop's own
        *,
        derive: Callable[..., Options] | None = None,  # with `timeout` and `ssl` as they came
        dumps: Callable[[Any], str | bytes] | None = None,  # JSON
        secret: tuple[tuple[str, str], ...] = (),  # fields to send unless the call names them
        base: str | None = None,  # what URLs are relative to
        cookies: Callable[[str], list[tuple[str, str]] | None] | None = None,  # for a URL
        kept: object = None,  # `cookies` is asked while this is true
        types: bool = True,  # a body gets the Content-Type that the call does not name
    ) -> Self: ...
    @property
    def pool(self) -> Pool | None: ...
    # None: the long way must be gone, which also says what is wrong with a call.
    def fetch(
        self,
        method: Any,
        url: Any,
        redirects: int,  # as for fetch() below, unless `kwargs` forbid them
        data: Any,  # None: what `kwargs` name
        kwargs: Mapping[str, object],  # a dict
        /,
    ) -> Fetch[Any] | None: ...

@disjoint_base
class ResponseBase:
    """What came back. Python faces subclass it with empty __slots__."""

    status: int
    reason: str
    method: str
    headers: Any  # multidict.CIMultiDictProxy[str], built when first read
    raw_headers: tuple[tuple[bytes, bytes], ...]
    trailers: Any  # multidict.CIMultiDictProxy[str]; complete with the body
    # (status, CIMultiDictProxy[str]) of each 1xx that came before it, as 103 Early Hints
    informational: tuple[tuple[int, Any], ...]
    url: Any  # yarl.URL, built when first read, with the fragment
    history: tuple[Any, ...]
    minor: int  # of the version 1.x
    body: bytes  # the whole body; RuntimeError while it is still coming
    timings: dict[str, float]  # queued, dns, connect, tls, send, wait, receive, total (seconds)
    peer: str  # "192.0.2.1:443"
    reused: bool
    in_context: bool  # its Fetch was entered with `async with`
    request_headers: Any  # CIMultiDictProxy[str]: as sent, with Host and the defaults
    url_text: str  # the URL as text, without building an object
    # Streaming. `complete`: nothing more will come (whole, failed or released).
    complete: bool
    def header(self, name: str, /) -> str | None: ...  # the first of that name
    def read_all(self) -> Wait[bytes]: ...  # waits for the whole body
    def read_some(self) -> Wait[bytes]: ...  # what is there, else what comes next; b"" at the end
    # The next bytes into |view|; how many, 0 at the end. When there is nothing to take.
    def read_into(self, view: memoryview, /) -> Wait[int]: ...
    def take_some(self) -> bytes: ...  # what is there; b"" for nothing
    # Where the first chunk of the chunked coding ends at or behind decoded byte |at|; -1
    # if that is not known (yet). What is in front of |at| is forgotten.
    def chunk_end(self, at: int, /) -> int: ...
    def wait_end(self) -> Wait[None]: ...  # nothing more comes, well or not; reads nothing
    received: int  # decoded bytes that came
    coded: int  # what these were decoded from; 0 without a content coding
    all_read: bool  # read_all() was called
    ended: bool  # the body has come whole
    reading: bool  # somebody waits for bytes
    failure: BaseException | None  # why the rest cannot be read
    high_water: int  # bytes that are held before the server is held back
    options: Options
    pool: Pool | None  # where it came from, while the body streams
    def release(self) -> None: ...  # not interested in the rest: drained if small, else closed
    def close(self) -> None: ...  # closes the connection unless the body is whole

@disjoint_base
class Transport(_FlowControlMixin):
    """An asyncio.Transport over a stage: plain TCP or a Unix socket. Made by
    transport_new()."""

    def get_extra_info(self, name: str, default: Any = None) -> Any: ...
    _extra: dict[str, Any]
    @property
    def _loop(self) -> AbstractEventLoop | None: ...
    @property
    def _sock(self) -> Any: ...  # the socket.socket; None once closed
    _sock_fd: int
    @property
    def _protocol_paused(self) -> bool: ...
    @property
    def _sendfile_compatible(self) -> Any: ...
    @property
    def _start_tls_compatible(self) -> bool: ...
    def _read(self) -> None: ...  # begins to read, and to shake hands
    def _force_close(self, exc: BaseException | None, /) -> None: ...
    def _call_connection_lost(self, exc: BaseException | None, /) -> None: ...
    def _tls_timeout(self) -> None: ...
    def _make_empty_waiter(self) -> Future[None]: ...  # done when all is sent
    def _reset_empty_waiter(self) -> None: ...
    def _test__append_write_backlog(self, data: bytes, /) -> None: ...

@final
class SSLTransport(Transport):
    """The same with TLS. Made by transport_tls()."""

def transport_new(
    sock: Any,  # a connected socket.socket, the transport's from here on
    protocol: BaseProtocol,
    extra: dict[str, Any],  # what get_extra_info() gives
    /,
) -> Transport: ...
def transport_tls(
    transport: Transport,  # gives up its connection
    protocol: BaseProtocol,
    context: Any,
    server_side: bool,
    server_hostname: str | None,
    handshake_timeout: float,
    shutdown_timeout: float,
    waiter: Future[None] | None,  # done, or failed, as the handshake is
    connected: bool,  # the protocol has had its connection_made()
    /,
) -> SSLTransport: ...
def fetch(
    options: Options,
    pool: Pool | None,  # None: the loop's own
    method: str,
    url: str,
    query: str | None,  # encoded, added to the URL's own
    headers: _Headers,
    body: Any,  # bytes-like, None, or a Source: see Upload
    redirects: int,  # how many may be followed
    trace: Callable[[str, float], object] | None,  # (phase, seconds since the start) as it ends
    /,
) -> Fetch[Any]: ...
def quote_query(text: str, /) -> str: ...  # a key or a value of a query, escaped
def data_registered() -> None: ...  # from now on each Caller leaves `data` to Python

# Begins at once, off the loop's thread; |data| stays untouched until it is done.
def write_file(fd: int, offset: int, data: bytes | memoryview, /) -> Wait[None]: ...
def read_file(fd: int, offset: int, length: int, /) -> Wait[bytes]: ...  # off the loop's thread
def done(value: _T, /) -> Wait[_T]: ...  # a Wait that is done
def url_join(base: str, reference: str, /) -> str: ...  # RFC 3986 5.2; InvalidURL
def url_origin(url: str, /) -> tuple[str, str, int]: ...  # scheme, host, port; InvalidURL
def stats() -> dict[str, int]: ...  # of the running loop: handles, fetches, open connections...
def tls_engine(name: str | None = None, /) -> str: ...  # "openssl" or "ssl"; chooses, where it can
def close_loop() -> None: ...  # ends the running loop's engine and all it holds

@disjoint_base
class HttpRequestParser:
    """Reads requests; see aiofast.parser."""

    def __init__(self, protocol: object) -> None: ...
    def feed_data(self, data: Buffer, /) -> None: ...
    def get_http_version(self) -> str: ...
    def get_method(self) -> bytes: ...
    def should_keep_alive(self) -> bool: ...
    def should_upgrade(self) -> bool: ...
    def set_dangerous_leniencies(
        self,
        lenient_headers: bool | None = None,
        lenient_chunked_length: bool | None = None,
        lenient_keep_alive: bool | None = None,
        lenient_transfer_encoding: bool | None = None,
        lenient_version: bool | None = None,
        lenient_data_after_close: bool | None = None,
        lenient_optional_lf_after_cr: bool | None = None,
        lenient_optional_cr_before_lf: bool | None = None,
        lenient_optional_crlf_after_chunk: bool | None = None,
        lenient_spaces_after_chunk_size: bool | None = None,
    ) -> None: ...

@disjoint_base
class HttpResponseParser:
    """Reads responses; see aiofast.parser."""

    def __init__(self, protocol: object) -> None: ...
    def feed_data(self, data: Buffer, /) -> None: ...
    def get_http_version(self) -> str: ...
    def get_status_code(self) -> int: ...
    def should_keep_alive(self) -> bool: ...
    def should_upgrade(self) -> bool: ...
    def set_dangerous_leniencies(
        self,
        lenient_headers: bool | None = None,
        lenient_chunked_length: bool | None = None,
        lenient_keep_alive: bool | None = None,
        lenient_transfer_encoding: bool | None = None,
        lenient_version: bool | None = None,
        lenient_data_after_close: bool | None = None,
        lenient_optional_lf_after_cr: bool | None = None,
        lenient_optional_cr_before_lf: bool | None = None,
        lenient_optional_crlf_after_chunk: bool | None = None,
        lenient_spaces_after_chunk_size: bool | None = None,
    ) -> None: ...

@final
class URL:
    """A target taken apart by parse_url(): each part as it was written, or None."""

    def __new__(
        cls,
        schema: bytes | None,
        host: bytes | None,
        port: int | None,
        path: bytes | None,
        query: bytes | None,
        fragment: bytes | None,
        userinfo: bytes | None,
    ) -> Self: ...
    @property
    def schema(self) -> bytes | None: ...
    @property
    def host(self) -> bytes | None: ...
    @property
    def port(self) -> int | None: ...
    @property
    def path(self) -> bytes | None: ...
    @property
    def query(self) -> bytes | None: ...
    @property
    def fragment(self) -> bytes | None: ...
    @property
    def userinfo(self) -> bytes | None: ...

def parse_url(url: Buffer, /) -> URL: ...
