"""download(): a body into a file, whole or resumable, never in between.

Bytes are written by libuv's threads to `<path>.part`, which gets its name when
it is whole. `<path>.part.json` says what it is a part of, so that a later call
can go on where this one ended.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
import time
from dataclasses import dataclass
from hashlib import new as new_hash
from typing import TYPE_CHECKING, Any

from . import _core
from .errors import ClientConnectionError, ClientPayloadError
from .redirects import status_error
from .streaming import stream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .outgoing import StrOrURL
    from .streaming import StreamResponse

    Progress = Callable[[int, int | None], object]

__all__ = ("ChecksumError", "Download", "download")

_STEP = 1 << 18
_ATTEMPTS = 5
_LOCK_SECONDS = 2.0
_AGAIN = (ClientPayloadError, ClientConnectionError, TimeoutError)


class ChecksumError(ClientPayloadError):
    """What came whole is not what was expected. The file was not written."""


@dataclass(frozen=True, slots=True)
class Download:
    """How a download went: the file, its size in bytes, from where on it was
    resumed (0: not), how often the connection was lost on the way, the checksum
    in hexadecimal if one was asked for, and the last response, whose body is
    read."""

    path: str
    size: int
    resumed_from: int
    retries: int
    checksum: str | None
    response: StreamResponse


async def download(
    url: StrOrURL,
    path: str | os.PathLike[str],
    *,
    resume: bool = True,
    progress: Progress | bool | None = None,
    checksum: str | None = None,
    limit_rate: float | None = None,
    retries: int = _ATTEMPTS,
    headers: Any = None,
    **kwargs: Any,
) -> Download:
    """Fetches |url| into the file |path|; for a directory, under the last name
    in the URL's path.

    resume: go on with the part that an earlier call left, and when the connection
        is lost: by Range with If-Range against the strong ETag, else
        Last-Modified (RFC 9110 13.1.5). Without them, or if the server has
        another version now, from the start. False leaves no part behind.
    progress: called with (bytes so far, all of them or None) after each piece; True
        for a bar on standard error.
    checksum: "sha256:<hex>", or another of hashlib's names; ChecksumError, and no
        file, if what came is not that. "sha256" alone: only tell it.
    limit_rate: bytes a second at most, on average.
    retries: how often in a row a connection may be lost without a byte of progress.
    Others as stream(). The codings of the body are undone, but none is asked for.

    What the server announced (Content-Length, Content-Range) has come when this
    returns; a file of that name is replaced only then, in one step. What a crash of
    the system leaves is up to it: nothing waits for the disk. ClientResponseError for a
    status from 400 on; errors as fetch(); OSError for the file: BlockingIOError
    if another download is writing it; ValueError.
    """
    target = _target(os.fspath(path), url)
    job = _Job(url, target, resume, checksum, limit_rate, retries)
    bar = None
    if progress is True:
        from .bar import Bar

        progress = bar = Bar(os.path.basename(target))
    try:
        return await job.run(progress or None, headers, kwargs)
    finally:
        job.close()
        if bar is not None:
            bar.end()


def _target(path: str, url: StrOrURL) -> str:
    if not os.path.isdir(path):
        return path
    from urllib.parse import unquote, urlsplit

    name = unquote(urlsplit(str(url)).path).rpartition("/")[2]
    if not name or name in (".", "..") or "\0" in name:
        raise ValueError(f"{path!r} is a directory, and the URL names no file")
    return os.path.join(path, name)


def _parse_checksum(checksum: str | None) -> tuple[Any, str | None]:
    """A hash object and the digest that is expected. ValueError."""
    if checksum is None:
        return None, None
    name, _, digest = checksum.partition(":")
    hasher = new_hash(name.strip().lower().replace("sha-", "sha"))
    digest = digest.strip().lower()
    if digest and (len(digest) != 2 * hasher.digest_size or set(digest) - set("0123456789abcdef")):
        raise ValueError(f"checksum must be {name}: and {2 * hasher.digest_size} hex digits")
    return hasher, digest or None


class _Job:
    """One download: the file, what is in it, and what it is a part of."""

    def __init__(
        self,
        url: StrOrURL,
        target: str,
        resume: bool,
        checksum: str | None,
        limit_rate: float | None,
        retries: int,
    ) -> None:
        if limit_rate is not None and not limit_rate > 0:
            raise ValueError("limit_rate must be positive")
        self.url = url
        self.target = target
        self.part = f"{target}.part"
        self.notes = f"{target}.part.json"
        self.resume = resume
        self.checksum = checksum
        self.hash, self.expected = _parse_checksum(checksum)
        self.rate = limit_rate
        self.retries = retries
        self.fd = -1
        self.size = 0  # bytes in the file that count
        self.total: int | None = None
        self.validator: str | None = None  # ETag or Last-Modified of the part
        self.whole = False

    # --- the file ---

    async def _open(self) -> None:
        """Opens the part and locks it; takes over what is in it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(self.part, flags, 0o666)
        self.fd = fd
        end = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                # Who was cancelled a moment ago may have a write on its way.
                if time.monotonic() > end:
                    os.close(fd)
                    self.fd = -1
                    raise BlockingIOError(
                        errno.EWOULDBLOCK, "another download is writing", self.part
                    ) from None
            await asyncio.sleep(0.01)
        if self.resume and self._is_known():
            await self._take_over()
        if not self.size:
            self.validator = None
            os.ftruncate(fd, 0)

    def _is_known(self) -> bool:
        """Whether the part is one of this URL; reads its validator."""
        try:
            with open(self.notes, encoding="utf-8") as file:
                notes = json.load(file)
            url, self.validator = notes["url"], notes["validator"]
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return url == str(self.url) and isinstance(self.validator, str)

    async def _take_over(self) -> None:
        size = os.fstat(self.fd).st_size
        if self.hash is not None:
            offset = 0
            while data := await _core.read_file(self.fd, offset, _STEP):
                self.hash.update(data)
                offset += len(data)
            size = offset
        self.size = size

    def _restart(self) -> None:
        """What is there is not a part of what comes."""
        os.ftruncate(self.fd, 0)
        self.size = 0
        self.total = None
        self.hash, self.expected = _parse_checksum(self.checksum)

    def _note(self) -> None:
        """Writes down what the part is a part of."""
        if not self.resume or self.validator is None:
            _remove(self.notes)
            return
        with open(self.notes, "w", encoding="utf-8") as file:
            json.dump({"url": str(self.url), "validator": self.validator}, file)

    def close(self) -> None:
        """What cannot be resumed is not left behind."""
        if self.fd < 0:
            return
        if not self.whole and (not self.resume or self.validator is None or not self.size):
            _remove(self.part)
            _remove(self.notes)
        os.close(self.fd)
        self.fd = -1

    # --- the work ---

    async def run(
        self, progress: Progress | None, headers: Any, kwargs: Mapping[str, Any]
    ) -> Download:
        """All of it, with what is done again."""
        from .outgoing import header_pairs

        pairs = header_pairs(headers)
        await self._open()
        start = self.size
        lost = in_vain = 0
        while True:
            before = self.size
            try:
                response = await self._attempt(pairs, kwargs, progress)
                break
            except _AGAIN as error:
                if isinstance(error, ChecksumError) or not self.resume:
                    raise
                lost += 1
                in_vain = 0 if self.size > before else in_vain + 1
                if in_vain >= self.retries or (self.size and self.validator is None):
                    raise
                if isinstance(error, ClientPayloadError) and getattr(error, "limit", None):
                    raise
            await asyncio.sleep(min(0.1 * 2**in_vain, 5.0))
            start = min(start, self.size)
        return self._finish(response, start, lost)

    def _finish(self, response: StreamResponse, start: int, lost: int) -> Download:
        digest = None if self.hash is None else self.hash.hexdigest()
        if self.expected is not None and digest != self.expected:
            self.validator = None  # to be removed
            raise ChecksumError(
                f"the file has the checksum {digest}, but {self.expected} was expected"
            )
        os.replace(self.part, self.target)
        self.whole = True
        _remove(self.notes)
        return Download(self.target, self.size, start, lost, digest, response)

    async def _attempt(
        self, pairs: Any, kwargs: Mapping[str, Any], progress: Progress | None
    ) -> StreamResponse:
        named = {name.lower() for name, _ in pairs}
        headers = list(pairs)
        if "accept-encoding" not in named:
            headers.append(("Accept-Encoding", "identity"))
        if self.size and self.validator is not None:
            headers += [("Range", f"bytes={self.size}-"), ("If-Range", self.validator)]
        async with stream("GET", self.url, headers=headers, **kwargs) as response:
            if response.status == 416 and self.size:
                # It is as long as it can be, or not what it was.
                if _range_of(response) == (None, self.size):
                    return response
                self.validator = None
                self._restart()
                raise ClientPayloadError("the server has no such range any more")
            if response.status >= 400:
                raise status_error(response)
            self._settle(response)
            await self._receive(response, progress)
        return response

    def _settle(self, response: StreamResponse) -> None:
        """Decides where the body belongs, and what the file will be a part of."""
        if response.status == 206:
            first, total = _range_of(response)
            if first != self.size or not self.size:
                raise ClientPayloadError(
                    f"asked for the bytes from {self.size} on, the server sent "
                    f"{response.header('Content-Range') or 'none that it names'}"
                )
            self.total = total
            return
        if self.size:
            self._restart()
        coded = response.header("Content-Encoding") is not None
        length = response.header("Content-Length")
        self.total = int(length) if length is not None and not coded else None
        self.validator = None if coded else _validator(response)
        self._note()

    async def _receive(self, response: StreamResponse, progress: Progress | None) -> None:
        content = response.content
        began, received = time.monotonic(), 0
        step = _STEP
        if self.rate is not None:
            step = max(1, min(_STEP, int(self.rate / 8)))
        while True:
            piece = await (content.readany() if self.rate is None else content.read(step))
            if not piece:
                break
            # The next piece comes while this one is written.
            writing = _core.write_file(self.fd, self.size, piece)
            if self.hash is not None:
                self.hash.update(piece)
            await writing
            self.size += len(piece)
            received += len(piece)
            if progress is not None:
                progress(self.size, self.total)
            if self.rate is not None:
                ahead = received / self.rate - (time.monotonic() - began)
                if ahead > 0:
                    await asyncio.sleep(ahead)
        if self.total is not None and self.size != self.total:
            raise ClientPayloadError(f"{self.size} bytes came, {self.total} were announced")


def _validator(response: StreamResponse) -> str | None:
    """What If-Range may compare: a strong ETag, else Last-Modified."""
    tag = response.header("ETag")
    if tag is not None and tag.startswith('"'):
        return tag
    return response.header("Last-Modified") if tag is None else None


def _range_of(response: StreamResponse) -> tuple[int | None, int | None]:
    """The first byte and the length of the whole that Content-Range names."""
    value = response.header("Content-Range") or ""
    unit, _, rest = value.partition(" ")
    span, _, total = rest.strip().partition("/")
    first = span.partition("-")[0]
    if unit.strip().lower() != "bytes":
        return None, None
    return (
        int(first) if first.isascii() and first.isdecimal() else None,
        int(total) if total.isascii() and total.isdecimal() else None,
    )


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
