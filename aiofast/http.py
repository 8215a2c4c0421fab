"""aiohttp.http: the versions of HTTP by aiohttp's module name."""

from __future__ import annotations

from http import HTTPStatus

from .http_exceptions import HttpProcessingError
from .response import HttpVersion, HttpVersion10, HttpVersion11
from .settings import USER_AGENT as SERVER_SOFTWARE
from .websocket import (
    WS_CLOSED_MESSAGE,
    WS_CLOSING_MESSAGE,
    WebSocketError,
    WSCloseCode,
    WSMessage,
    WSMsgType,
)

RESPONSES = {int(status): (status.phrase, status.description) for status in HTTPStatus}

__all__ = (
    "RESPONSES",
    "SERVER_SOFTWARE",
    "WS_CLOSED_MESSAGE",
    "WS_CLOSING_MESSAGE",
    "HttpProcessingError",
    "HttpVersion",
    "HttpVersion10",
    "HttpVersion11",
    "WSCloseCode",
    "WSMessage",
    "WSMsgType",
    "WebSocketError",
)
