"""Generated messages, whole and cut at every byte, read by aiofast.parser, h11 and httptools.

    make differential                           responses and requests, 100,000 of each
    python tests/differential.py -n 5000 --seed 7 --kind request --examples 3

One in four is damaged somewhere. Wherever another reader comes to another verdict or another
message, that is one of a class: what our rule says where we refuse, what the other says where it
does, and which part of the message differs where both read it. `DECIDED` has the reason for each
class; docs/parser.md has them for readers. A class that is not there, and a cut that changes
anything, are failures: exit status 1.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

import h11
import httptools
from aiofast import parser
from differences import DECIDED
from events import Event, Recorder, joined

# --- Messages --------------------------------------------------------------------------------

VERSIONS = [b"HTTP/1.1"] * 16 + [b"HTTP/1.0"] * 3 + [b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9"]
STATUSES = [b"200 OK"] * 8 + [
    *(b"404 Not Found", b"500 Internal Server Error", b"302 Found", b"204 No Content"),
    *(b"304 Not Modified", b"206 ", b"299 a\tb", b"200 caf\xc3\xa9", b"999 What", b"418 I'm"),
]
METHODS = [b"GET"] * 6 + [b"POST"] * 6 + [
    *(b"PUT", b"HEAD", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"PROPFIND", b"M-SEARCH"),
    *(b"QUERY", b"SPAM", b"get"),
]  # fmt: skip
TARGETS = [b"/"] * 4 + [
    *(b"/a/b?c=d&e", b"/%20?#f", b"*", b"http://h.example/x?y", b"HTTPS://u@h:8/", b"/\xc3\xa9"),
    *(b"//x//", b"/a|b{c}", b"a", b"http:/x", b"http://a@b@c/", b"?q"),
]
FIELDS = [
    *(b"Server: nginx/1.25", b"Date: Sat, 21 Nov 2026 10:00:00 GMT", b"X-Empty:", b"X-Empty: "),
    *(b"Set-Cookie: a=b; Path=/", b"Set-Cookie: c=d", b"ETag: \"x\"", b"X-Text: caf\xc3\xa9"),
    *(b"Content-Type: text/plain;charset=utf-8", b"X-Blanks: \t a b \t", b"x_y!#$%&'*+.^`|~: 1"),
    *(b"Connection: keep-alive", b"Connection: close", b"Cache-Control: no-cache, no-store"),
    b"X-Long: " + b"v" * 40,
]  # fmt: skip
ODD_LENGTHS = (
    *(b"05", b"+5", b"-5", b"5 ", b"0x5", b"5,5", b"5, 5", b"5 5", b"", b"\xd9\xa5", b"5.0"),
    *(b"18446744073709551621", b"99999999999999999999", b"5\t", b"000000000000000000005"),
)
ODD_CODINGS = (
    *(b"gzip, chunked", b"chunked, gzip", b"chunked, chunked", b"Chunked", b"chunked;q=1", b"gzip"),
    *(b"identity", b"chunked,", b",chunked", b"\tchunked", b"chunked\t", b"xchunked", b"", b"x y"),
    *(b"chunked, identity", b'"chunked"', b"chunked\x0b", b"identity, chunked"),
)
ODD_SIZES = (
    *(b"05", b"5 ", b"5;a=b", b'5 ;a="b;c"', b"5;", b"5\t;x", b"0x5", b"+5", b"5.", b" 5", b"5_"),
    *(b"00000000000000000005", b"ffffffffffffffff0", b"5;\x01", b"5;\x80", b"000000000005"),
)
SPECIALS = b'\r\n\0\t :;,="\x7f\x80\xff\x0b\x0cA0-+'


def chunked_body(chosen: random.Random) -> bytes:
    parts = []
    for _ in range(chosen.randrange(4)):
        data = bytes(chosen.choices(b"abcdefgh\r\n0123", k=chosen.choice((1, 5, 5, 5, 16, 40))))
        size = b"%x" % len(data)
        if chosen.random() < 0.15:
            data, size = b"hello", chosen.choice(ODD_SIZES)
        parts.append(size + b"\r\n" + data + b"\r\n")
    trailer = b""
    if chosen.random() < 0.2:
        trailer = chosen.choice((b"X-Sum: 1\r\n", b"A: b\r\nc: d\r\n", b"Content-Length: 3\r\n"))
    return (
        b"".join(parts)
        + chosen.choice((b"0", b"0", b"0", b"00", b"0;x"))
        + b"\r\n"
        + trailer
        + b"\r\n"
    )


def framed(chosen: random.Random) -> tuple[list[bytes], bytes]:
    """Framing fields, and the body that they announce, more or less."""
    roll = chosen.random()
    body = bytes(chosen.choices(b"abcdefgh\r\n", k=chosen.choice((0, 1, 5, 5, 30))))
    if roll < 0.36:
        return [b"Content-Length: %d" % len(body)], body
    if roll < 0.66:
        return [b"Transfer-Encoding: chunked"], chunked_body(chosen)
    if roll < 0.78:
        return [], body
    if roll < 0.85:
        return [b"Content-Length: " + chosen.choice(ODD_LENGTHS)], b"hello"
    if roll < 0.93:
        return [b"Transfer-Encoding: " + chosen.choice(ODD_CODINGS)], chunked_body(chosen)
    return chosen.choice(
        (
            ([b"Content-Length: 5", b"Content-Length: 5"], b"hello"),
            ([b"Content-Length: 5", b"Content-Length: 6"], b"hello"),
            ([b"Content-Length: 5", b"Transfer-Encoding: chunked"], chunked_body(chosen)),
            ([b"Transfer-Encoding: chunked", b"Content-Length: 0"], chunked_body(chosen)),
            ([b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"], chunked_body(chosen)),
            ([b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked"], chunked_body(chosen)),
        )
    )


def damaged(chosen: random.Random, data: bytes) -> bytes:
    """|data| with one thing wrong, or at least changed."""
    at = chosen.randrange(len(data))
    special = bytes([chosen.choice(SPECIALS)])
    ends = [found.start() for found in re.finditer(rb"\r\n", data)]
    end = chosen.choice(ends)
    colons = [found.start() for found in re.finditer(rb": ?", data)] or [at]
    colon = chosen.choice(colons)
    return chosen.choice(
        (
            lambda: data[:at] + special + data[at:],
            lambda: data[:at] + special + data[at + 1 :],
            lambda: data[:at] + data[at + 1 :],
            lambda: data[: at + 1],
            lambda: data[:end] + data[end + 1 :],
            lambda: data[: end + 1] + data[end + 2 :],
            lambda: data[:end] + b"\r" + data[end:],
            lambda: data[: end + 2] + chosen.choice((b" ", b"\t", b" x\r\n")) + data[end + 2 :],
            lambda: data[:colon] + chosen.choice((b" ", b"\t", b"\0")) + data[colon:],
            lambda: data[:at] + data[at : at + 9] + data[at:],
        )
    )()


def message(chosen: random.Random, kind: str) -> bytes:
    framing, body = framed(chosen)
    fields = chosen.sample(FIELDS, k=chosen.randrange(5)) + framing
    chosen.shuffle(fields)
    lead = b""
    if kind == "response":
        first = chosen.choice(VERSIONS) + b" " + chosen.choice(STATUSES)
        while chosen.random() < 0.12:
            lead += b"HTTP/1.1 " + chosen.choice((b"100 Continue", b"103 Early Hints\r\nLink: <a>"))
            lead += b"\r\n\r\n"
    else:
        first = b" ".join((chosen.choice(METHODS), chosen.choice(TARGETS), chosen.choice(VERSIONS)))
        fields.insert(0, b"Host: example.org")
        lead = chosen.choice((b"",) * 9 + (b"\r\n",))
    data = lead + b"\r\n".join([first, *fields, b"", body])
    return damaged(chosen, data) if chosen.random() < 0.25 else data


def messages(kind: str, count: int, seed: int) -> Iterator[bytes]:
    chosen = random.Random(f"{kind} {seed}")
    for _ in range(count):
        yield message(chosen, kind)


# --- Readers ---------------------------------------------------------------------------------


class Message(NamedTuple):
    """What a reader makes of the first message that is not informational."""

    start: tuple[bytes, ...] = ()
    version: str = ""
    fields: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    trailers: tuple[tuple[bytes, bytes], ...] = ()


class Outcome(NamedTuple):
    verdict: str  # read, cut, refused, upgrade
    detail: Message | str


def events_of(module: ModuleType, kind: str, pieces: list[bytes]) -> tuple[list[Event], str]:
    """What the protocol heard, each head with what the getters say, and why it ended."""
    protocol = Recorder()

    def on_head() -> None:
        code = b"%d" % reader.get_status_code() if kind == "response" else reader.get_method()
        protocol.events.append(("head", code, reader.get_http_version()))

    protocol.on_headers_complete = on_head  # type: ignore[attr-defined]
    make = module.HttpResponseParser if kind == "response" else module.HttpRequestParser
    reader = make(protocol)
    for piece in pieces:
        try:
            reader.feed_data(piece)
        except module.HttpParserUpgrade:
            return joined(protocol.events), "upgrade"
        except module.HttpParserError as error:
            return joined(protocol.events), f"{type(error).__name__} {error}"
    return joined(protocol.events), ""


def first_message(events: list[Event], why: str, kind: str) -> Outcome:
    text = b""
    fields: list[tuple[bytes, bytes]] = []
    trailers: list[tuple[bytes, bytes]] = []
    body = b""
    head: Event | None = None
    for name, *rest in events:
        if name in ("url", "status"):
            text += rest[0]
        elif name == "header":
            (fields if head is None else trailers).append((rest[0].lower(), rest[1].strip(b" \t")))
        elif name == "head":
            head = (name, *rest)
        elif name == "body":
            body += rest[0]
        elif name == "message_complete":
            if kind == "request" or not head[1].startswith(b"1"):
                break
            text, body, head = b"", b"", None
            fields, trailers = [], []
    else:
        if why and why != "upgrade":
            return Outcome("refused", why)
        if head is None or why == "upgrade" or not until_close(fields, kind):
            return Outcome(why or "cut", "")
    return Outcome("read", Message((head[1], text), head[2], tuple(fields), body, tuple(trailers)))


def until_close(fields: list[tuple[bytes, bytes]], kind: str) -> bool:
    """Whether a body without an end of its own is what these announce."""
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    if codings:
        return not codings[-1].lower().endswith(b"chunked")
    return kind == "response" and not any(name == b"content-length" for name, _ in fields)


def read_h11(data: bytes, kind: str) -> Outcome:
    connection = h11.Connection(h11.CLIENT if kind == "response" else h11.SERVER)
    if kind == "response":
        connection.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
        connection.send(h11.EndOfMessage())
    head: Any = None
    body = b""
    ended = False
    connection.receive_data(data)
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            return Outcome("cut", "") if ended else Outcome("refused", str(error))
        if isinstance(event, (h11.Request, h11.Response)):
            head = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            break
        elif event is h11.NEED_DATA and not ended:
            ended = True
            connection.receive_data(b"")
        elif event is h11.PAUSED:
            return Outcome("upgrade", "")
        elif not isinstance(event, h11.InformationalResponse):
            return Outcome("cut", "")
    start = (
        (b"%d" % head.status_code, bytes(head.reason))
        if kind == "response"
        else (bytes(head.method), bytes(head.target))
    )
    fields, trailers = (
        tuple((bytes(name), bytes(value)) for name, value in each.headers) for each in (head, event)
    )
    version = head.http_version.decode()
    return Outcome("read", Message(start, version, fields, body, trailers))


def read_httptools(data: bytes, kind: str) -> Outcome:
    return first_message(*events_of(httptools, kind, [data]), kind)


# --- Classes ---------------------------------------------------------------------------------

WHERE = re.compile(r", at byte \d+ of the (head|body)$")
# What the others say with the bytes that they say it of.
QUOTED = re.compile(r"(bytearray\()?b?(['\"]).*\2\)?|\d+|\{.*\}")


def rule(why: str) -> str:
    """The sentence of ours in an error."""
    return WHERE.sub("", why).partition(" ")[2].rpartition(": ")[2]


def their_words(why: str) -> str:
    return QUOTED.sub("...", why)


def classify(ours: Outcome, theirs: Outcome) -> str | None:
    """What they differ in, or None."""
    if ours.verdict != theirs.verdict:
        if ours.verdict == "refused":
            return f"we refuse, it has {theirs.verdict}: {rule(ours.detail)}"
        if theirs.verdict == "refused":
            return f"we have {ours.verdict}, it refuses: {their_words(theirs.detail)}"
        return f"we have {ours.verdict}, it has {theirs.verdict}"
    if ours.verdict == "read" and ours.detail != theirs.detail:
        a, b = ours.detail, theirs.detail
        parts = [name for name in Message._fields if getattr(a, name) != getattr(b, name)]
        return "both read, but not the same " + ", ".join(parts)
    return None


PEERS: dict[str, Callable[[bytes, str], Outcome]] = {"h11": read_h11, "httptools": read_httptools}


class Tally:
    def __init__(self) -> None:
        self.messages = 0
        self.cuts = 0
        self.changed: list[tuple[bytes, int]] = []
        self.same = dict.fromkeys(PEERS, 0)
        self.classes: Counter[tuple[str, str]] = Counter()
        self.examples: dict[tuple[str, str], list[bytes]] = {}

    def add(self, data: bytes, kind: str) -> None:
        self.messages += 1
        whole = events_of(parser, kind, [data])
        pieces = [data[i : i + 1] for i in range(len(data))]
        for cut in [pieces] + [[data[:i], data[i:]] for i in range(1, len(data))]:
            self.cuts += 1
            if events_of(parser, kind, cut) != whole:
                self.changed.append((data, len(cut[0])))
        ours = first_message(*whole, kind)
        for peer, read in PEERS.items():
            found = classify(ours, read(data, kind))
            if found is None:
                self.same[peer] += 1
                continue
            self.classes[peer, found] += 1
            self.examples.setdefault((peer, found), []).append(data)

    def undecided(self) -> list[tuple[str, str]]:
        return [each for each in self.classes if reason(*each) is None]


def reason(peer: str, found: str) -> str | None:
    for pattern, why in DECIDED:
        if re.fullmatch(pattern, f"{peer}: {found}"):
            return why
    return None


def run(kind: str, count: int, seed: int) -> Tally:
    tally = Tally()
    for data in messages(kind, count, seed):
        tally.add(data, kind)
    return tally


def report(kind: str, tally: Tally, examples: int) -> None:
    same = ", ".join(f"{peer} agrees on {n:,}" for peer, n in tally.same.items())
    print(f"\n{tally.messages:,} {kind}s, {tally.cuts:,} cuts; {same}")
    print(f"{len(tally.changed)} cuts changed something", *tally.changed[:3])
    decided: dict[str, Counter[str]] = {}
    for (peer, found), n in tally.classes.most_common():
        why = reason(peer, found)
        decided.setdefault(why or "UNDECIDED", Counter())[peer] += n
        if why is None or examples:
            print(f"{n:7,}  {peer}: {found}{'' if why else '   UNDECIDED'}")
            for data in tally.examples[peer, found][: examples or 2]:
                print(f"{'':9}{data!r}")
    print("\n| h11 | httptools | why |\n|---|---|---|")
    for why, by_peer in decided.items():
        print(f"| {by_peer['h11']:,} | {by_peer['httptools']:,} | {why} |")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("-n", "--count", type=int, default=100_000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--kind", choices=("response", "request"))
    arguments.add_argument("--examples", type=int, default=0, help="of each class")
    options = arguments.parse_args()
    failed = False
    for kind in [options.kind] if options.kind else ["response", "request"]:
        tally = run(kind, options.count, options.seed)
        report(kind, tally, options.examples)
        failed |= bool(tally.changed or tally.undecided())
    return failed


if __name__ == "__main__":
    sys.exit(main())
