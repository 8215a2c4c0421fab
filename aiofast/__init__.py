"""aiofast: an HTTP client for asyncio, on libuv and llhttp.

One request, one complete response:

    response = await aiofast.fetch("https://example.org/")
    print(response.status, response.text)

Many: `fetch_all(urls)`, `async for response in fetch_many(urls)`. What programs
written for aiohttp use is here by the same names: `ClientSession`,
`ClientTimeout`, `TCPConnector`, the exceptions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

try:
    from . import _core as _core
except ImportError as exc:
    raise ImportError(
        f"aiofast's C engine cannot be loaded from {__file__}: in a checkout, "
        "`pip install .` builds it, and programs run from another folder"
    ) from exc

from .aliases import answer_for
from .auth import BasicAuth, encode_basic_auth
from .clientresponse import ClientResponse
from .errors import (
    ClientConnectionError,
    ClientConnectionResetError,
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientError,
    ClientHttpProxyError,
    ClientOSError,
    ClientPayloadError,
    ClientProxyConnectionError,
    ClientResponseError,
    ClientSSLError,
    ConnectionTimeoutError,
    ContentTypeError,
    FetchTimeoutError,
    InvalidURL,
    InvalidUrlClientError,
    InvalidUrlRedirectClientError,
    NonHttpUrlClientError,
    NonHttpUrlRedirectClientError,
    PrivateAddressError,
    RedirectClientError,
    RequestInfo,
    ServerConnectionError,
    ServerDisconnectedError,
    ServerFingerprintMismatch,
    ServerTimeoutError,
    SocketTimeoutError,
    TooManyRedirects,
    TotalTimeoutError,
    UnixClientConnectorError,
    UploadAbortedError,
    WSMessageTypeError,
    WSServerHandshakeError,
)
from .fetch import delete, fetch, get, head, options, patch, post, put
from .response import HttpVersion, HttpVersion10, HttpVersion11, Response
from .timeouts import ClientTimeout

__path__ = answer_for(__path__)

if TYPE_CHECKING:
    from .clientrequest import ClientRequest
    from .connector import BaseConnector, NamedPipeConnector, TCPConnector, UnixConnector
    from .cookies import CookieJar, DummyCookieJar
    from .digest import DigestAuthMiddleware
    from .downloads import ChecksumError, Download, download
    from .fanout import fetch_all, fetch_many
    from .feeding import EMPTY_PAYLOAD, DataQueue, EofStream, FlowControlDataQueue
    from .fingerprint import Fingerprint
    from .formdata import FormData
    from .installing import install, uninstall
    from .multipart import (
        BadContentDispositionHeader,
        BadContentDispositionParam,
        BodyPartReader,
        MultipartReader,
        MultipartWriter,
        content_disposition_filename,
        parse_content_disposition,
    )
    from .payload import (
        PAYLOAD_REGISTRY,
        AsyncIterablePayload,
        BufferedReaderPayload,
        BytesIOPayload,
        BytesPayload,
        IOBasePayload,
        JsonBytesPayload,
        JsonPayload,
        Payload,
        StringIOPayload,
        StringPayload,
        TextIOPayload,
        get_payload,
        payload_type,
    )
    from .resolver import AsyncResolver, DefaultResolver, ThreadedResolver
    from .session import ClientSession
    from .sessionless import request
    from .sse import ServerSentEvent
    from .streaming import StreamResponse, stream
    from .streams import LineTooLong, StreamReader
    from .tracing import (
        TraceConfig,
        TraceConnectionCreateEndParams,
        TraceConnectionCreateStartParams,
        TraceConnectionQueuedEndParams,
        TraceConnectionQueuedStartParams,
        TraceConnectionReuseconnParams,
        TraceDnsCacheHitParams,
        TraceDnsCacheMissParams,
        TraceDnsResolveHostEndParams,
        TraceDnsResolveHostStartParams,
        TraceRequestChunkSentParams,
        TraceRequestEndParams,
        TraceRequestExceptionParams,
        TraceRequestHeadersSentParams,
        TraceRequestRedirectParams,
        TraceRequestStartParams,
        TraceResponseChunkReceivedParams,
    )
    from .tracker import UploadTracker
    from .transport import (
        create_connection,
        create_unix_connection,
        open_connection,
        open_unix_connection,
        start_tls,
    )
    from .typedefs import (
        AddrInfoType,
        ClientHandlerType,
        ClientMiddlewareType,
        SocketFactoryType,
    )
    from .websocket import (
        ClientWebSocketResponse,
        ClientWSTimeout,
        WebSocketError,
        WSCloseCode,
        WSMessage,
        WSMsgType,
    )

__all__ = (
    "AddrInfoType",
    "AsyncIterablePayload",
    "AsyncResolver",
    "BadContentDispositionHeader",
    "BadContentDispositionParam",
    "BaseConnector",
    "BasicAuth",
    "BodyPartReader",
    "BufferedReaderPayload",
    "BytesIOPayload",
    "BytesPayload",
    "ChecksumError",
    "ClientConnectionError",
    "ClientConnectionResetError",
    "ClientConnectorCertificateError",
    "ClientConnectorDNSError",
    "ClientConnectorError",
    "ClientConnectorSSLError",
    "ClientError",
    "ClientHandlerType",
    "ClientHttpProxyError",
    "ClientMiddlewareType",
    "ClientOSError",
    "ClientPayloadError",
    "ClientProxyConnectionError",
    "ClientRequest",
    "ClientResponse",
    "ClientResponseError",
    "ClientSSLError",
    "ClientSession",
    "ClientTimeout",
    "ClientWSTimeout",
    "ClientWebSocketResponse",
    "ConnectionTimeoutError",
    "ContentTypeError",
    "CookieJar",
    "DataQueue",
    "DefaultResolver",
    "DigestAuthMiddleware",
    "Download",
    "DummyCookieJar",
    "EMPTY_PAYLOAD",
    "EofStream",
    "FetchTimeoutError",
    "Fingerprint",
    "FlowControlDataQueue",
    "FormData",
    "HttpVersion",
    "HttpVersion10",
    "HttpVersion11",
    "IOBasePayload",
    "InvalidURL",
    "InvalidUrlClientError",
    "InvalidUrlRedirectClientError",
    "JsonBytesPayload",
    "JsonPayload",
    "LineTooLong",
    "MultipartReader",
    "MultipartWriter",
    "NamedPipeConnector",
    "NonHttpUrlClientError",
    "NonHttpUrlRedirectClientError",
    "PAYLOAD_REGISTRY",
    "Payload",
    "PrivateAddressError",
    "RedirectClientError",
    "RequestInfo",
    "Response",
    "ServerConnectionError",
    "ServerDisconnectedError",
    "ServerFingerprintMismatch",
    "ServerSentEvent",
    "ServerTimeoutError",
    "SocketFactoryType",
    "SocketTimeoutError",
    "StreamReader",
    "StreamResponse",
    "StringIOPayload",
    "StringPayload",
    "TCPConnector",
    "TextIOPayload",
    "ThreadedResolver",
    "TooManyRedirects",
    "TotalTimeoutError",
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
    "UnixClientConnectorError",
    "UnixConnector",
    "UploadAbortedError",
    "UploadTracker",
    "WSCloseCode",
    "WSMessage",
    "WSMessageTypeError",
    "WSMsgType",
    "WSServerHandshakeError",
    "WebSocketError",
    "content_disposition_filename",
    "create_connection",
    "create_unix_connection",
    "delete",
    "download",
    "encode_basic_auth",
    "fetch",
    "fetch_all",
    "fetch_many",
    "get",
    "get_payload",
    "head",
    "install",
    "open_connection",
    "open_unix_connection",
    "options",
    "parse_content_disposition",
    "patch",
    "payload_type",
    "post",
    "put",
    "request",
    "start_tls",
    "stream",
    "uninstall",
)

# Names that not every program needs, by the module to import when they are
# first used.
_LATE = {
    "BaseConnector": "connector",
    "ClientRequest": "clientrequest",
    "AsyncResolver": "resolver",
    "ThreadedResolver": "resolver",
    "DefaultResolver": "resolver",
    "NamedPipeConnector": "connector",
    "DigestAuthMiddleware": "digest",
    "AddrInfoType": "typedefs",
    "ClientHandlerType": "typedefs",
    "ClientMiddlewareType": "typedefs",
    "SocketFactoryType": "typedefs",
    "TraceConfig": "tracing",
    "TraceRequestStartParams": "tracing",
    "TraceRequestChunkSentParams": "tracing",
    "TraceResponseChunkReceivedParams": "tracing",
    "TraceRequestEndParams": "tracing",
    "TraceRequestExceptionParams": "tracing",
    "TraceRequestRedirectParams": "tracing",
    "TraceConnectionQueuedStartParams": "tracing",
    "TraceConnectionQueuedEndParams": "tracing",
    "TraceConnectionCreateStartParams": "tracing",
    "TraceConnectionCreateEndParams": "tracing",
    "TraceConnectionReuseconnParams": "tracing",
    "TraceDnsResolveHostStartParams": "tracing",
    "TraceDnsResolveHostEndParams": "tracing",
    "TraceDnsCacheHitParams": "tracing",
    "TraceDnsCacheMissParams": "tracing",
    "TraceRequestHeadersSentParams": "tracing",
    "TCPConnector": "connector",
    "UnixConnector": "connector",
    "ChecksumError": "downloads",
    "Download": "downloads",
    "download": "downloads",
    "CookieJar": "cookies",
    "DummyCookieJar": "cookies",
    "Fingerprint": "fingerprint",
    "fetch_all": "fanout",
    "fetch_many": "fanout",
    "install": "installing",
    "uninstall": "installing",
    "ClientSession": "session",
    "FormData": "formdata",
    "MultipartReader": "multipart",
    "MultipartWriter": "multipart",
    "BodyPartReader": "multipart",
    "BadContentDispositionHeader": "multipart",
    "BadContentDispositionParam": "multipart",
    "content_disposition_filename": "multipart",
    "parse_content_disposition": "multipart",
    "PAYLOAD_REGISTRY": "payload",
    "AsyncIterablePayload": "payload",
    "BufferedReaderPayload": "payload",
    "BytesIOPayload": "payload",
    "BytesPayload": "payload",
    "IOBasePayload": "payload",
    "JsonBytesPayload": "payload",
    "JsonPayload": "payload",
    "Payload": "payload",
    "StringIOPayload": "payload",
    "StringPayload": "payload",
    "TextIOPayload": "payload",
    "get_payload": "payload",
    "payload_type": "payload",
    "request": "sessionless",
    "UploadTracker": "tracker",
    "DataQueue": "feeding",
    "EMPTY_PAYLOAD": "feeding",
    "EofStream": "feeding",
    "FlowControlDataQueue": "feeding",
    "LineTooLong": "streams",
    "StreamReader": "streams",
    "ServerSentEvent": "sse",
    "StreamResponse": "streaming",
    "stream": "streaming",
    "ClientWSTimeout": "websocket",
    "ClientWebSocketResponse": "websocket",
    "WSCloseCode": "websocket",
    "WSMessage": "websocket",
    "WSMsgType": "websocket",
    "WebSocketError": "websocket",
    "create_connection": "transport",
    "create_unix_connection": "transport",
    "open_connection": "transport",
    "open_unix_connection": "transport",
    "start_tls": "transport",
}


# Submodules of aiohttp's client that programs reach by attribute.
_SUBMODULES = frozenset(
    (
        "abc",
        "client",
        "client_exceptions",
        "client_middleware_digest_auth",
        "client_middlewares",
        "client_proto",
        "client_reqrep",
        "client_ws",
        "connector",
        "cookiejar",
        "formdata",
        "hdrs",
        "helpers",
        "http",
        "http_exceptions",
        "http_websocket",
        "multipart",
        "payload",
        "resolver",
        "streams",
        "tracing",
        "typedefs",
    )
)


def __getattr__(name: str) -> Any:
    from importlib import import_module

    module = _LATE.get(name)
    if module is None:
        if name in _SUBMODULES:
            return import_module(f".{name}", __name__)
        server = ": aiofast is a client and has no server side" if name in _SERVER else ""
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{server}")
    value = getattr(import_module(f".{module}", __name__), name)
    globals()[name] = value
    return value


_SERVER = frozenset(
    ("GunicornUVLoopWebWorker", "GunicornWebWorker", "pytest_plugin", "test_utils", "web", "worker")
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
