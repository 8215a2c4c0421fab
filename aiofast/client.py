"""aiohttp.client: the session by aiohttp's module name."""

from __future__ import annotations

from yarl import URL

from .client_exceptions import *  # noqa: F403
from .client_reqrep import ClientResponse, ConnectionKey, Fingerprint, RequestInfo
from .connector import BaseConnector, TCPConnector, UnixConnector
from .context import RequestContextManager as _RequestContextManager
from .session import ClientSession
from .sessionless import request
from .timeouts import DEFAULT_TIMEOUT, ClientTimeout
from .websocket import DEFAULT_WS_CLIENT_TIMEOUT, ClientWebSocketResponse, ClientWSTimeout

_BaseRequestContextManager = _RequestContextManager

__all__ = (
    "DEFAULT_TIMEOUT",
    "DEFAULT_WS_CLIENT_TIMEOUT",
    "URL",
    "BaseConnector",
    "ClientResponse",
    "ClientSession",
    "ClientTimeout",
    "ClientWSTimeout",
    "ClientWebSocketResponse",
    "ConnectionKey",
    "Fingerprint",
    "RequestInfo",
    "TCPConnector",
    "UnixConnector",
    "_BaseRequestContextManager",
    "_RequestContextManager",
    "request",
)
