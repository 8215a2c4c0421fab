"""Limits of time, as the caller gives them and as the engine takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import NoReturn, TypedDict

    class Limits(TypedDict):
        """The engine's limits of time."""

        total: float | None
        acquire: float | None
        dial: float | None
        tls: float | None
        wait: float | None
        read: float | None


class AttrsFields:
    """`__attrs_attrs__`, made when the attrs library asks for it.

    attr.evolve(), attr.asdict() and attr.fields() work on a class that has
    this; a program that calls them has imported attrs already, and all others
    need not pay for it.
    """

    def __get__(self, instance: object, owner: type) -> Any:
        try:
            import attr
        except ImportError as error:
            raise AttributeError("__attrs_attrs__") from error
        names: tuple[str, ...] = owner.__match_args__  # type: ignore[attr-defined]
        defaults = {name: attr.ib(default=None) for name in names}
        if "ceil_threshold" in defaults:
            defaults["ceil_threshold"] = attr.ib(default=5)
        fields = attr.make_class(owner.__name__, defaults).__attrs_attrs__  # type: ignore[attr-defined]
        owner.__attrs_attrs__ = fields  # type: ignore[attr-defined]
        return fields


class Frozen:
    """Values by the names in `__match_args__`: compared, hashed and pickled by these."""

    __match_args__: tuple[str, ...] = ()
    __slots__ = ()

    def _put(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__match_args__)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise _frozen(f"{type(self).__name__} is frozen: {name} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise _frozen(f"{type(self).__name__} is frozen: {name} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Frozen) or other.__class__ is not self.__class__:
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __reduce__(self) -> tuple[Any, ...]:
        return self.__class__, self._values()

    def __repr__(self) -> str:
        values = zip(self.__match_args__, self._values(), strict=True)
        return f"{type(self).__name__}({', '.join(f'{n}={v!r}' for n, v in values)})"


def _frozen(text: str) -> AttributeError:
    """attrs' own exception if the program has that library."""
    from sys import modules

    exceptions = modules.get("attr.exceptions")
    if exceptions is None:
        return AttributeError(text)
    found: AttributeError = exceptions.FrozenInstanceError()
    found.args = (text,)
    return found


class ClientTimeout(Frozen):
    """Limits in seconds; None (the default of each) or 0 means no limit.

    total: from the start of the request to the end of the body, with
        redirects and the wait for a free connection.
    connect: until a connection is ready: queue, DNS, connect and TLS.
    sock_connect: for one new connection: DNS and connect; and again for TLS.
    sock_read: between two reads, and until the head of the response is there.
    ceil_threshold: taken for compatibility and not used: deadlines are exact.

    Frozen and hashable. attr.evolve() makes a changed copy.
    """

    __match_args__ = ("total", "connect", "sock_read", "sock_connect", "ceil_threshold")
    __slots__ = __match_args__
    __attrs_attrs__ = AttrsFields()

    total: float | None
    connect: float | None
    sock_read: float | None
    sock_connect: float | None
    ceil_threshold: float

    def __init__(
        self,
        total: float | None = None,
        connect: float | None = None,
        sock_read: float | None = None,
        sock_connect: float | None = None,
        ceil_threshold: float = 5,
    ) -> None:
        put = object.__setattr__
        put(self, "total", total)
        put(self, "connect", connect)
        put(self, "sock_read", sock_read)
        put(self, "sock_connect", sock_connect)
        put(self, "ceil_threshold", ceil_threshold)


DEFAULT_TIMEOUT = ClientTimeout(total=300, sock_connect=30)


def timeout_from(value: Any) -> ClientTimeout:
    """The ClientTimeout for what a caller passed as `timeout`: a number is the
    total, None no limit at all. TypeError, ValueError."""
    if isinstance(value, ClientTimeout):
        return value
    if type(value).__name__ == "ClientTimeout":  # that of aiohttp itself
        return ClientTimeout(*(getattr(value, name) for name in ClientTimeout.__slots__))
    return ClientTimeout(total=_limit("timeout", value))


def limits_from(timeout: ClientTimeout) -> Limits:
    """What the engine is told for |timeout|. TypeError, ValueError."""
    dial = _limit("sock_connect", timeout.sock_connect)
    read = _limit("sock_read", timeout.sock_read)
    return {
        "total": _limit("total", timeout.total),
        "acquire": _limit("connect", timeout.connect),
        "dial": dial,
        "tls": dial,
        "wait": read,
        "read": read,
    }


def _limit(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds or None, not {value!r}")
    number = float(value)
    if not number >= 0:  # refuses NaN too
        raise ValueError(f"{name} must not be negative: {value!r}")
    return None if number in (0.0, float("inf")) else number
