"""aiohttp.client_reqrep: requests and responses by aiohttp's module name."""

from __future__ import annotations

from types import MappingProxyType

from .clientrequest import ClientRequest
from .clientresponse import ClientResponse
from .errors import ConnectionKey, RequestInfo
from .fields import ContentDisposition
from .fingerprint import Fingerprint

__all__ = (
    "ClientRequest",
    "ClientResponse",
    "ConnectionKey",
    "ContentDisposition",
    "Fingerprint",
    "MappingProxyType",
    "RequestInfo",
)
