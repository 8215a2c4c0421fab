"""The `aiofast` command: fetches URLs and says how each of them did.

Parsing the command line, doing the work and printing are apart: `parse()`
gives a `Job`, `run()` does it and tells a `Report`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from . import __version__, _core
from .errors import ClientError, redact, redact_malformed
from .fanout import Crew

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .response import Response

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

_BAR_FROM = 20  # URLs; a shorter list needs no progress bar
_BAR_WIDTH = 30
_TIMEOUT = "seconds for each (300); with --output, between two reads"


class Job(NamedTuple):
    """What the command line asks for."""

    urls: list[str]
    repeat: int
    limit: int
    timeout: float | None
    redirects: bool
    json: bool
    trace: bool
    output: str | None = None
    progress: bool = False

    def requests(self) -> Iterator[tuple[int, str]]:
        """Number and URL of each request, all URLs before the next round."""
        count = 0
        for _ in range(self.repeat):
            for url in self.urls:
                yield count, url
                count += 1

    def __len__(self) -> int:
        return len(self.urls) * self.repeat


class UsageError(Exception):
    """The command line or a file it names is wrong."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise UsageError(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="aiofast",
        usage="aiofast [options] URL...",
        description="Fetches URLs at the same time and says how each of them did: status, "
        "milliseconds and bytes. The exit status is 1 if any of them failed (an error, or a "
        "status from 400 on), 2 if the command line is wrong.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("urls", nargs="*", metavar="URL", help="what to fetch")
    add("--file", metavar="FILE", help="also the URLs in FILE, one a line ('-': standard input)")
    add("--no-redirects", action="store_true", help="do not follow redirects")
    add("--timeout", type=_seconds, default=300.0, metavar="S", help=_TIMEOUT)
    add("--limit", type=_positive, default=100, metavar="N", help="at most N at a time (100)")
    add("--repeat", type=_positive, default=1, metavar="N", help="fetch each URL N times")
    add("--json", action="store_true", help="one JSON object a line, for scripts")
    add("--trace", action="store_true", help="show each phase as it ends, with its duration")
    version = ", ".join(f"{name} {number}" for name, number in _core.VERSIONS.items())
    add("--output", metavar="FILE", help="save the body; several URLs: into a directory")
    add("--progress", action="store_true", help="with --output, show how far it is")
    add("--version", action="version", version=f"aiofast {__version__} ({version})")
    return parser


def _positive(text: str) -> int:
    number = int(text) if text.isascii() and text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return number


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return number


def parse(argv: Sequence[str], stdin: TextIO | None) -> Job:
    """The job for the arguments |argv|. UsageError."""
    args = _parser().parse_intermixed_args(argv)
    urls = list(args.urls)
    if args.file is not None:
        urls += _read_urls(args.file, stdin)
    if not urls:
        raise UsageError("no URL given")
    if args.output is None:
        if args.progress:
            raise UsageError("--progress is for --output")
    elif args.trace or args.repeat > 1:
        raise UsageError("--output goes with neither --trace nor --repeat")
    elif len(urls) > 1 and not os.path.isdir(args.output):
        raise UsageError(f"{args.output}: not a directory, but there are several URLs")
    return Job(
        urls=urls,
        repeat=args.repeat,
        limit=args.limit,
        timeout=args.timeout,
        redirects=not args.no_redirects,
        json=args.json,
        trace=args.trace,
        output=args.output,
        progress=args.progress,
    )


def _read_urls(name: str, stdin: TextIO | None) -> list[str]:
    """The URLs of a file, one a line; empty lines and those from '#' on are
    skipped."""
    try:
        if name != "-":
            with open(name, encoding="utf-8") as file:
                text = file.read()
        elif stdin is None:
            raise UsageError("standard input is closed")
        else:
            text = stdin.read()
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}: not UTF-8 text") from error
    stripped = (line.strip() for line in text.removeprefix("\ufeff").splitlines())
    return [line for line in stripped if line and not line.startswith("#")]


# --- the result of one URL ------------------------------------------------------


class Result(NamedTuple):
    """How one URL did."""

    url: str  # without user information
    ok: bool
    status: int | None
    milliseconds: float
    size: int | None
    redirects: int
    error: str | None
    timings: dict[str, float]  # seconds by phase, all hops together


def result_of(url: str, outcome: Response | BaseException) -> Result:
    """What to say of |outcome|."""
    if isinstance(outcome, BaseException):
        text = str(outcome) or type(outcome).__name__
        elapsed = getattr(outcome, "elapsed", None) or 0.0
        error = f"{type(outcome).__name__}: {text}"
        safe = redact_malformed(url)
        return Result(safe, False, None, elapsed * 1000, None, 0, error, {})
    hops = [hop.timings for hop in (*outcome.history, outcome)]
    timings = {name: sum(hop[name] for hop in hops) for name in hops[-1]}
    return Result(
        redact(url),
        outcome.ok,
        outcome.status,
        timings["total"] * 1000,
        len(outcome.body),
        len(outcome.history),
        None,
        timings,
    )


def printable(text: str) -> str:
    """|text| without what could steer a terminal: servers write some of it."""
    return "".join(char if char.isprintable() else "?" for char in text)


def as_json(result: Result) -> str:
    """One line for scripts. Times in milliseconds."""
    import json

    values: dict[str, Any] = {
        "url": result.url,
        "ok": result.ok,
        "status": result.status,
        "ms": round(result.milliseconds, 3),
        "bytes": result.size,
        "redirects": result.redirects,
        "error": result.error,
        "timings": {name: round(value * 1000, 3) for name, value in result.timings.items()},
    }
    return json.dumps(values)


class Report:
    """Prints results on |out| and the progress bar on |err|."""

    def __init__(self, job: Job, out: TextIO, err: TextIO) -> None:
        self._job = job
        self._out = out
        self._err = err
        self._colour = _is_terminal(out) and not job.json and not os.environ.get("NO_COLOR")
        self._bar = len(job) > _BAR_FROM and _is_terminal(err)
        self._width = min(max(len(redact(url)) for url in job.urls), 60)
        self._done = 0
        self.failed = 0

    def add(self, result: Result) -> None:
        """One URL is done."""
        self._done += 1
        self.failed += not result.ok
        self._clear_bar()
        self._print(as_json(result) if self._job.json else self._line(result))
        self._draw_bar()

    def phase(self, url: str, phase: str, seconds: float, since_start: float) -> None:
        """A phase of |url| has ended."""
        self._clear_bar()
        text = f"{phase:<8} {seconds * 1000:9.3f} ms   at {since_start * 1000:9.3f} ms"
        line = f"  {printable(url):<{self._width}}  {text}"
        # With --json, standard output is for the results alone.
        print(line, file=self._err if self._job.json else self._out, flush=True)
        self._draw_bar()

    def end(self) -> None:
        """Nothing more will come."""
        self._clear_bar()
        if self._job.json or len(self._job) == 1:
            return
        text = f"{self._done} fetched, {self._done - self.failed} ok, {self.failed} failed"
        self._print(self._paint(text, not self.failed))

    def _line(self, result: Result) -> str:
        url = f"{printable(result.url):<{self._width}}"
        if result.error is not None:
            return f"{self._paint('ERR     ', False)} {url} {printable(result.error)}"
        mark = self._paint(f"{result.status} {'ok  ' if result.ok else 'FAIL'}", result.ok)
        hops = f"  ({result.redirects} redirects)" if result.redirects else ""
        return f"{mark} {url} {result.milliseconds:9.2f} ms {result.size:>9} bytes{hops}"

    def _paint(self, text: str, good: bool) -> str:
        return f"\x1b[{32 if good else 31}m{text}\x1b[0m" if self._colour else text

    def _print(self, line: str) -> None:
        print(line, file=self._out, flush=self._bar or self._job.trace)

    def _clear_bar(self) -> None:
        if self._bar:
            self._err.write("\r\x1b[K")

    def _draw_bar(self) -> None:
        if not self._bar:
            return
        total = len(self._job)
        filled = _BAR_WIDTH * self._done // total
        bar = "#" * filled + "." * (_BAR_WIDTH - filled)
        self._err.write(f"[{bar}] {self._done}/{total}, {self.failed} failed")
        self._err.flush()


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


# --- the work -------------------------------------------------------------------


async def run(job: Job, report: Report) -> None:
    """Fetches everything and tells |report|."""
    if job.output is not None:
        await _save(job, job.output, report)
        return
    urls: dict[int, str] = {}

    def requests() -> Iterator[Any]:
        for number, url in job.requests():
            urls[number] = url
            yield {"url": url, "trace": _tracer(report, url)} if job.trace else url

    if any(url[:6].lower() == "https:" for url in job.urls):
        from .tls import default_context

        default_context()  # takes milliseconds that are not the first URL's
    options: Any = {"timeout": job.timeout, "allow_redirects": job.redirects}
    async with Crew(requests(), job.limit, options) as crew:
        while (ended := await crew.next()) is not None:
            number, outcome = ended
            report.add(result_of(urls.pop(number), outcome))
    report.end()


async def _save(job: Job, output: str, report: Report) -> None:
    """Downloads one after the other, and goes on with what was begun before."""
    from .downloads import download
    from .timeouts import ClientTimeout

    timeout = ClientTimeout(total=None, sock_connect=30.0, sock_read=job.timeout)
    for url in job.urls:
        began = time.monotonic()
        try:
            found = await download(
                url,
                output,
                progress=job.progress,
                timeout=timeout,
                allow_redirects=job.redirects,
            )
        except (ClientError, OSError, ValueError) as error:
            report.add(result_of(url, error))
            continue
        elapsed = (time.monotonic() - began) * 1000
        hops = found.response.history
        status = found.response.status
        timings = found.response.timings
        report.add(Result(redact(url), True, status, elapsed, found.size, len(hops), None, timings))
    report.end()


def _tracer(report: Report, url: str) -> Any:
    safe = redact_malformed(url)
    last = 0.0

    def trace(phase: str, since_start: float) -> None:
        nonlocal last
        report.phase(safe, phase, since_start - last, since_start)
        last = since_start

    return trace


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    try:
        return _fetch_all(parse(sys.argv[1:] if argv is None else argv, sys.stdin))
    except UsageError as error:
        _say(f"{error}; see aiofast --help")
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        # Whoever read has left, as `head` does, or the disk is full; so that the
        # interpreter does not trip over it once more at exit, standard output
        # goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            _say(error.strerror or str(error))
        return FAILED


def _fetch_all(job: Job) -> int:
    if sys.stdout is None:
        _say("standard output is closed")
        return FAILED
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        report = Report(job, sys.stdout, sys.stderr or nowhere)
        asyncio.run(run(job, report))
    sys.stdout.flush()
    return FAILED if report.failed else OK


def _say(text: str) -> None:
    if sys.stderr is not None:
        print(f"aiofast: {printable(text)}", file=sys.stderr)
