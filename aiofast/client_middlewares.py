"""aiohttp.client_middlewares: the chain of middlewares by its module name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .steps import chained

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .typedefs import ClientHandlerType, ClientMiddlewareType

__all__ = ("build_client_middlewares",)


def build_client_middlewares(
    handler: ClientHandlerType, middlewares: Sequence[ClientMiddlewareType]
) -> ClientHandlerType:
    """|handler| inside of |middlewares|, of which the first is the outermost."""
    return chained(handler, middlewares)
