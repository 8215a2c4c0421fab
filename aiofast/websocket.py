"""WebSockets: the types of their messages, codes and errors. Connections are not there
yet: ClientSession.ws_connect() says so."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, NoReturn, TypeVar

from .timeouts import AttrsFields, Frozen

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from typing import Self

    from .clientresponse import ClientResponse

__all__ = (
    "DEFAULT_WS_CLIENT_TIMEOUT",
    "WS_CLOSED_MESSAGE",
    "WS_CLOSING_MESSAGE",
    "ClientWSTimeout",
    "ClientWebSocketResponse",
    "WSCloseCode",
    "WSHandshakeError",
    "WSMessage",
    "WSMessageTextBytes",
    "WSMsgType",
    "WebSocketError",
)


class WSCloseCode(IntEnum):
    """Why a WebSocket is closed (RFC 6455 7.4.1)."""

    OK = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    ABNORMAL_CLOSURE = 1006
    INVALID_TEXT = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014


class WSMsgType(IntEnum):
    """Kinds of messages: opcodes (RFC 6455 5.2), and from 256 on what is only told
    to the program. Lower-case names are the same."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10
    CLOSING = 256
    CLOSED = 257
    ERROR = 258

    text = TEXT
    binary = BINARY
    close = CLOSE
    ping = PING
    pong = PONG
    closing = CLOSING
    closed = CLOSED
    error = ERROR


class WSMessage(NamedTuple):
    """One message: `type`, `data`, `extra` (of CLOSE the reason)."""

    type: WSMsgType
    data: Any
    extra: str | None

    def json(self, *, loads: Callable[[Any], Any] = json.loads) -> Any:
        """`data`, parsed."""
        return loads(self.data)


class WSMessageTextBytes(NamedTuple):
    """A TEXT message whose `data` is bytes, as with decode_text=False."""

    type: WSMsgType
    data: Any
    extra: str | None

    def json(self, *, loads: Callable[[Any], Any] = json.loads) -> Any:
        """`data`, parsed."""
        return loads(self.data)


WS_CLOSED_MESSAGE = WSMessage(WSMsgType.CLOSED, None, None)
WS_CLOSING_MESSAGE = WSMessage(WSMsgType.CLOSING, None, None)


class WebSocketError(Exception):
    """The peer breaks the rules of the protocol. `code` is a WSCloseCode."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(code, message)

    def __str__(self) -> str:
        return str(self.args[1])


class WSHandshakeError(Exception):
    """The handshake went wrong."""


class ClientWSTimeout(Frozen):
    """Limits of a WebSocket in seconds, None for none: `ws_receive` for a message to
    come, `ws_close` for the peer's answer to a close. Frozen; attr.evolve() works."""

    __match_args__ = ("ws_receive", "ws_close")
    __slots__ = __match_args__
    __attrs_attrs__ = AttrsFields()

    def __init__(self, ws_receive: float | None = None, ws_close: float | None = None) -> None:
        self._put(ws_receive=ws_receive, ws_close=ws_close)


DEFAULT_WS_CLIENT_TIMEOUT = ClientWSTimeout(ws_receive=None, ws_close=10.0)

_Decoded_co = TypeVar("_Decoded_co", covariant=True)


def refuse_websocket() -> NoReturn:
    """NotImplementedError."""
    raise NotImplementedError(
        "aiofast: WebSockets are not there yet; keep aiohttp beside it for ws_connect()"
    )


class ClientWebSocketResponse(Generic[_Decoded_co]):
    """The client's end of a WebSocket. The class is there to be named, and derived
    from for ClientSession(ws_response_class=...); none is made yet, and what needs a
    connection raises NotImplementedError."""

    def __init__(
        self,
        reader: Any,
        writer: Any,
        protocol: str | None,
        response: ClientResponse,
        timeout: ClientWSTimeout,
        autoclose: bool,
        autoping: bool,
        loop: AbstractEventLoop,
        *,
        heartbeat: float | None = None,
        compress: int = 0,
        client_notakeover: bool = False,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._protocol = protocol
        self._response = response
        self._timeout = timeout
        self._autoclose = autoclose
        self._autoping = autoping
        self._loop = loop
        self._heartbeat = heartbeat
        self._compress = compress
        self._client_notakeover = client_notakeover
        self._closed = False
        self._close_code: int | None = None
        self._exception: BaseException | None = None

    @property
    def closed(self) -> bool:
        """True once closed."""
        return self._closed

    @property
    def close_code(self) -> int | None:
        """The code it was closed with; None while open."""
        return self._close_code

    @property
    def protocol(self) -> str | None:
        """The subprotocol that was agreed on."""
        return self._protocol

    @property
    def compress(self) -> int:
        """The size of the window for compression; 0: none."""
        return self._compress

    @property
    def client_notakeover(self) -> bool:
        """True if each message is compressed by itself."""
        return self._client_notakeover

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What the transport knows by |name|."""
        return default

    def exception(self) -> BaseException | None:
        """Why it was closed, if by an error."""
        return self._exception

    async def ping(self, message: bytes = b"") -> None:
        """Sends PING."""
        refuse_websocket()

    async def pong(self, message: bytes = b"") -> None:
        """Sends PONG."""
        refuse_websocket()

    async def send_frame(
        self, message: bytes, opcode: WSMsgType, compress: int | None = None
    ) -> None:
        """Sends one frame."""
        refuse_websocket()

    async def send_str(self, data: str, compress: int | None = None) -> None:
        """Sends text."""
        refuse_websocket()

    async def send_bytes(self, data: bytes, compress: int | None = None) -> None:
        """Sends bytes."""
        refuse_websocket()

    async def send_json(
        self,
        data: Any,
        compress: int | None = None,
        *,
        dumps: Callable[[Any], str] = json.dumps,
    ) -> None:
        """Sends |data| as JSON in text."""
        refuse_websocket()

    async def send_json_bytes(
        self, data: Any, compress: int | None = None, *, dumps: Callable[[Any], bytes]
    ) -> None:
        """Sends |data| as JSON in bytes."""
        refuse_websocket()

    async def receive(self, timeout: float | None = None) -> WSMessage:
        """The next message."""
        refuse_websocket()

    async def receive_str(self, *, timeout: float | None = None) -> str:
        """The next message, which must be text."""
        refuse_websocket()

    async def receive_bytes(self, *, timeout: float | None = None) -> bytes:
        """The next message, which must be bytes."""
        refuse_websocket()

    async def receive_json(
        self, *, loads: Callable[[Any], Any] = json.loads, timeout: float | None = None
    ) -> Any:
        """The next message, parsed."""
        refuse_websocket()

    async def close(self, *, code: int = WSCloseCode.OK, message: bytes = b"") -> bool:
        """Closes it. False if it was closed before."""
        was, self._closed = self._closed, True
        return not was

    def __aiter__(self) -> AsyncIterator[WSMessage]:
        return self

    async def __anext__(self) -> WSMessage:
        refuse_websocket()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()
