"""Payloads by the type of the data: the registry, and all kinds there are."""

from __future__ import annotations

import enum
import io
from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Any

from ._core import data_registered
from .payload_base import (
    UNSET,
    BytesPayload,
    JsonBytesPayload,
    JsonPayload,
    Payload,
    StringIOPayload,
    StringPayload,
)
from .payload_io import (
    AsyncIterablePayload,
    BufferedReaderPayload,
    BytesIOPayload,
    IOBasePayload,
    StreamReaderPayload,
    TextIOPayload,
)
from .streams import StreamReader

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = (
    "PAYLOAD_REGISTRY",
    "UNSET",
    "AsyncIterablePayload",
    "BufferedReaderPayload",
    "BytesIOPayload",
    "BytesPayload",
    "IOBasePayload",
    "JsonBytesPayload",
    "JsonPayload",
    "Payload",
    "StringIOPayload",
    "StringPayload",
    "TextIOPayload",
    "get_payload",
    "payload_type",
)


class LookupError(Exception):  # noqa: A001  (aiohttp's name)
    """No payload is registered for the type of the data."""


class Order(enum.StrEnum):
    """Which registrations are asked first."""

    normal = "normal"
    try_first = "try_first"
    try_last = "try_last"


class PayloadRegistry:
    """Which kind of payload is made of what."""

    def __init__(self) -> None:
        self._kinds: dict[Order, list[tuple[Any, Any]]] = {order: [] for order in Order}
        self.changed = False  # by somebody else than this module

    def get(self, data: Any, *args: Any, **kwargs: Any) -> Payload:
        """A payload of |data|, which may be one. LookupError."""
        if isinstance(data, Payload):
            return data
        for order in (Order.try_first, Order.normal, Order.try_last):
            for factory, kind in self._kinds[order]:
                if isinstance(data, kind):
                    made: Payload = factory(data, *args, **kwargs)
                    return made
        raise LookupError(f"no payload for {type(data).__name__}")

    def of_others(self, data: Any) -> Payload | None:
        """A payload by what was registered beside the kinds of this module."""
        for order in Order:
            for factory, kind in self._kinds[order]:
                if not factory.__module__.startswith("aiofast.") and isinstance(data, kind):
                    made: Payload = factory(data)
                    return made
        return None

    def register(self, factory: Any, type: Any, *, order: Order = Order.normal) -> None:
        """Makes |factory| the one for |type|, a class or a tuple of them.
        ValueError for an order that there is not."""
        if not isinstance(order, Order):
            raise ValueError(f"Unsupported order {order!r}")
        kinds = self._kinds[order]
        if order is Order.try_first:
            kinds.insert(0, (factory, type))
        else:
            kinds.append((factory, type))
        self.changed = True
        if not factory.__module__.startswith("aiofast."):
            data_registered()


PAYLOAD_REGISTRY = PayloadRegistry()
for _factory, _type, _order in (
    (BytesPayload, (bytes, bytearray, memoryview), Order.normal),
    (StringPayload, str, Order.normal),
    (StringIOPayload, io.StringIO, Order.normal),
    (TextIOPayload, io.TextIOBase, Order.normal),
    (BytesIOPayload, io.BytesIO, Order.normal),
    (BufferedReaderPayload, (io.BufferedReader, io.BufferedRandom), Order.normal),
    (IOBasePayload, io.IOBase, Order.normal),
    (StreamReaderPayload, StreamReader, Order.normal),
    (AsyncIterablePayload, AsyncIterable, Order.try_last),
):
    PAYLOAD_REGISTRY.register(_factory, _type, order=_order)
PAYLOAD_REGISTRY.changed = False
del _factory, _type, _order


def get_payload(data: Any, *args: Any, **kwargs: Any) -> Payload:
    """The payload of |data|, by the registry. LookupError."""
    return PAYLOAD_REGISTRY.get(data, *args, **kwargs)


def register_payload(factory: Any, type: Any, *, order: Order = Order.normal) -> None:
    """PAYLOAD_REGISTRY.register()."""
    PAYLOAD_REGISTRY.register(factory, type, order=order)


def payload_type(
    type: Any, *, order: Order = Order.normal
) -> Callable[[type[Payload]], type[Payload]]:
    """A decorator: the class is the payload of |type|."""

    def decorate(factory: Any) -> Any:
        register_payload(factory, type, order=order)
        return factory

    return decorate
