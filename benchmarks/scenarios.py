"""What is measured: each scenario in one line, and what it asks of the server."""

import json
import random
from dataclasses import dataclass
from typing import Literal

SMALL = (
    b'{"id":1027,"name":"benchmark","ok":true,"tags":["one","two","three"],'
    b'"text":"as small as an API reply is"}'
)
LARGE = 10 * 1024 * 1024
MEDIUM = 100 * 1024
POSTED = 1024  # bytes of the small POST
UPLOADED = 100 * 1024 * 1024
PIECE = 64 * 1024  # what an upload is handed over in
DELAY = 0.05  # seconds the slow server takes for an answer

assert len(SMALL) == 106, len(SMALL)

Kind = Literal["loop", "burst", "idle", "import"]
# The servers: nginx on plain HTTP; over TLS, kept alive; over TLS, one request for each
# connection, with sessions to resume and without; answers 50 ms late, without and
# with TLS; and one that reads uploads.
Server = Literal["plain", "tls", "tls-fresh", "tls-full", "slow", "slow-tls", "sink", ""]


@dataclass(frozen=True)
class Scenario:
    """One thing to measure.

    A "loop" keeps |in_flight| requests going for some seconds; a "burst" starts
    them all at once in a fresh process and waits for the last; "idle" does the
    same and then weighs the connections that are kept; "import" only imports
    the client, in fresh interpreters.
    """

    name: str
    title: str
    kind: Kind
    server: Server = ""
    path: str = "/"
    in_flight: int = 1
    length: int = 0  # bytes of each body, decoded
    sent: int = 0  # bytes of body sent with each request, which is a POST then
    rare: bool = False  # left out unless asked for by name or by --full

    @property
    def streams(self) -> bool:
        """Whether the body is handed over piece by piece."""
        return self.sent > PIECE

    @property
    def moves(self) -> int:
        """Bytes of body for each request, both ways."""
        return self.length + self.sent

    @property
    def limit(self) -> str:
        """The program in C that stands for what is possible."""
        return {"loop": "wrk", "burst": "h2load"}.get(self.kind, "")


def medium() -> bytes:
    """A JSON document of 100 KiB as an API lists things: always the same."""
    dice, text = random.Random(1), "["
    while len(text) < MEDIUM - 200:
        words = " ".join(f"{dice.randrange(16**6):06x}" for _ in range(4))
        row = {"id": dice.randrange(10**9), "ok": dice.random() < 0.5, "text": words}
        text += json.dumps(row) + ", "
    return f'{text}"{" " * (MEDIUM - len(text) - 3)}"]'.encode()


_S, _M, _L = len(SMALL), MEDIUM, LARGE
_ALL = (
    Scenario("small-1", "small GET, one at a time", "loop", "plain", "/small", 1, _S),
    Scenario("small-64", "small GET, 64 in flight", "loop", "plain", "/small", 64, _S),
    Scenario(
        "small-1000",
        "small GET, 1,000 in flight",
        "loop",
        "plain",
        "/small",
        1000,
        _S,
        rare=True,
    ),
    Scenario("tls-64", "small GET over HTTPS, 64 in flight", "loop", "tls", "/small", 64, _S),
    Scenario("tls-new", "a new TLS connection each", "loop", "tls-fresh", "/small", 8, _S),
    Scenario(
        "tls-new-full",
        "a new TLS connection each, none resumed",
        "loop",
        "tls-full",
        "/small",
        8,
        _S,
        rare=True,
    ),
    Scenario("redirect", "a redirect followed, 64 in flight", "loop", "plain", "/moved", 64, _S),
    Scenario("post", "POST of 1 KiB, 64 in flight", "loop", "plain", "/small", 64, _S, POSTED),
    Scenario("json", "100 KiB of JSON, 8 in flight", "loop", "plain", "/json", 8, _M),
    Scenario("json-gzip", "100 KiB of JSON, gzip", "loop", "plain", "/json-gzip", 8, _M),
    Scenario("large", "10 MiB bodies, one at a time", "loop", "plain", "/large", 1, _L),
    Scenario("large-4", "10 MiB bodies, 4 at once", "loop", "plain", "/large", 4, _L),
    Scenario(
        "large-tls",
        "10 MiB bodies, HTTPS, one at a time",
        "loop",
        "tls",
        "/large",
        1,
        _L,
        rare=True,
    ),
    Scenario("upload", "streamed upload of 100 MiB", "loop", "sink", "/", 1, 0, UPLOADED),
    Scenario("cold-100", "100 calls at once, cold, 50 ms server", "burst", "slow", "/", 100, _S),
    Scenario("cold-1000", "1,000 calls at once, cold", "burst", "slow", "/", 1000, _S),
    Scenario("cold-10000", "10,000 calls at once, cold", "burst", "slow", "/", 10000, _S),
    Scenario("idle", "1,000 idle connections", "idle", "slow", "/", 1000, _S),
    Scenario("idle-tls", "1,000 idle TLS connections", "idle", "slow-tls", "/", 1000, _S),
    Scenario("import", "import of the client, beyond asyncio", "import"),
)
SCENARIOS = {scenario.name: scenario for scenario in _ALL}
