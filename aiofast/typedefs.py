"""aiohttp.typedefs: names for types in signatures."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http.cookies import BaseCookie, Morsel
from typing import Any

from multidict import CIMultiDict, CIMultiDictProxy, istr
from yarl import URL, Query

Byteish = bytes | bytearray | memoryview
JSONEncoder = Callable[[Any], str]
JSONBytesEncoder = Callable[[Any], bytes]
JSONDecoder = Callable[[str], Any]
LooseHeaders = (
    Mapping[str, str]
    | Mapping[istr, str]
    | CIMultiDict[str]
    | CIMultiDictProxy[str]
    | Iterable[tuple[str, str]]
)
RawHeaders = tuple[tuple[bytes, bytes], ...]
StrOrURL = str | URL
_CookieValue = str | BaseCookie[str] | Morsel[Any]
LooseCookiesMappings = Mapping[str, _CookieValue]
LooseCookiesIterables = Iterable[tuple[str, _CookieValue]]
LooseCookies = LooseCookiesMappings | LooseCookiesIterables | BaseCookie[str]
# (family, type, protocol, canonical name, address), as of getaddrinfo().
AddrInfoType = tuple[int, int, int, str, tuple[Any, ...]]
SocketFactoryType = Callable[[AddrInfoType], Any]
ClientHandlerType = Callable[[Any], Awaitable[Any]]
ClientMiddlewareType = Callable[[Any, ClientHandlerType], Awaitable[Any]]
PathLike = str | os.PathLike[str]

__all__ = (
    "AddrInfoType",
    "Byteish",
    "ClientHandlerType",
    "ClientMiddlewareType",
    "JSONBytesEncoder",
    "JSONDecoder",
    "JSONEncoder",
    "LooseCookies",
    "LooseCookiesIterables",
    "LooseCookiesMappings",
    "LooseHeaders",
    "PathLike",
    "Query",
    "RawHeaders",
    "SocketFactoryType",
    "StrOrURL",
)
