"""What is measured: each scenario in one line, and what it asks of the server."""

from dataclasses import dataclass
from typing import Literal

SMALL = (
    b'{"id":1027,"name":"benchmark","ok":true,"tags":["one","two","three"],'
    b'"text":"as small as an API reply is"}'
)
LARGE = 10 * 1024 * 1024
DELAY = 0.05  # seconds the slow server takes for an answer

assert len(SMALL) == 106, len(SMALL)


@dataclass(frozen=True)
class Scenario:
    """One thing to measure.

    A "loop" keeps |in_flight| requests going for some seconds; a "burst" starts
    them all at once in a fresh process and waits for the last; "import" only
    imports the client, in fresh interpreters.
    """

    name: str
    title: str
    kind: Literal["loop", "burst", "import"]
    server: Literal["plain", "tls", "slow", ""] = ""
    path: str = "/"
    in_flight: int = 1
    length: int = 0  # bytes of each body


_SMALL, _BIG = len(SMALL), LARGE
_ALL = (
    Scenario("small-1", "small GET, one at a time", "loop", "plain", "/small", 1, _SMALL),
    Scenario("small-64", "small GET, 64 in flight", "loop", "plain", "/small", 64, _SMALL),
    Scenario("tls-64", "small GET over HTTPS, 64 in flight", "loop", "tls", "/small", 64, _SMALL),
    Scenario("large", "10 MiB bodies, one at a time", "loop", "plain", "/large", 1, _BIG),
    Scenario("large-tls", "10 MiB bodies, HTTPS, one at a time", "loop", "tls", "/large", 1, _BIG),
    Scenario(
        "cold-100", "100 calls at once, cold, 50 ms server", "burst", "slow", "/", 100, _SMALL
    ),
    Scenario("import", "import of the client, beyond asyncio", "import"),
)
SCENARIOS = {scenario.name: scenario for scenario in _ALL}
