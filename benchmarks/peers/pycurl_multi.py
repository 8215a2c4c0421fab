"""pycurl: libcurl's multi interface with epoll, one handle for each request in flight."""

import contextlib
import io
import select
import time
from collections.abc import Callable, Iterator

import pycurl

from peers import Target

PACKAGE = "pycurl"
IMPORT = "import pycurl"
ABOUT = f" ({pycurl.version.split(' ', 1)[1].split(' zlib')[0].replace('/', ' ')})"

_EVENTS = {
    pycurl.POLL_IN: select.EPOLLIN,
    pycurl.POLL_OUT: select.EPOLLOUT,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
}
_LONGEST = 1.0  # seconds in one wait
_SAMPLED = 16  # one handle in so many is timed


class Handle:
    """One easy handle, used for one request after the other."""

    def __init__(self, target: Target, sampled: bool) -> None:
        self.target, self.sampled = target, sampled
        self.left = 0
        self.started = 0.0
        self.body = io.BytesIO()
        self.curl = curl = pycurl.Curl()
        self._pieces: Iterator[bytes] = iter(())
        self._rest = b""
        curl.setopt(pycurl.URL, target.url)
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.PROXY, "")
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        curl.setopt(pycurl.ACCEPT_ENCODING, "")
        curl.setopt(pycurl.FOLLOWLOCATION, 1)
        if target.ca:
            curl.setopt(pycurl.CAINFO, target.ca)
        if target.streams:
            curl.setopt(pycurl.POST, 1)
            curl.setopt(pycurl.READFUNCTION, self._read)
            curl.setopt(pycurl.UPLOAD_BUFFERSIZE, 65536)
            curl.setopt(pycurl.HTTPHEADER, ["Transfer-Encoding: chunked", "Expect:"])
        elif target.body is not None:
            curl.setopt(pycurl.POSTFIELDS, target.body)

    def begin(self) -> None:
        """Before each request: empty, and at the start of what is sent."""
        self.body = io.BytesIO()
        self.curl.setopt(pycurl.WRITEDATA, self.body)
        self._pieces, self._rest = self.target.pieces(), b""
        if self.sampled:
            self.started = time.perf_counter()

    def _read(self, size: int) -> bytes:
        """The next bytes of an upload; none at its end."""
        if not self._rest:
            self._rest = next(self._pieces, b"")
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    def check(self) -> None:
        """The answer is what it must be."""
        status, length = self.curl.getinfo(pycurl.RESPONSE_CODE), self.body.tell()
        if status != 200 or length != self.target.length:
            self.target.refuse(status, length)


class Multi:
    """The loop: what libcurl wants watched is watched, what ends starts again."""

    def __init__(self, target: Target) -> None:
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, target.in_flight)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._arm)
        self._epoll = select.epoll()
        self._watched: set[int] = set()
        self._due: float | None = None
        self._target = target
        self._handles: dict[pycurl.Curl, Handle] = {}

    def _watch(self, what: int, descriptor: int, multi: object, data: object) -> None:
        if what == pycurl.POLL_REMOVE:
            self._watched.discard(descriptor)
            with contextlib.suppress(OSError):  # closed already
                self._epoll.unregister(descriptor)
        elif descriptor in self._watched:
            self._epoll.modify(descriptor, _EVENTS[what])
        else:
            self._watched.add(descriptor)
            self._epoll.register(descriptor, _EVENTS[what])

    def _arm(self, milliseconds: int) -> None:
        self._due = None if milliseconds < 0 else time.monotonic() + milliseconds / 1e3

    def _turn(self) -> None:
        """Waits for what is next and lets libcurl work on it."""
        wait = _LONGEST if self._due is None else max(0.0, self._due - time.monotonic())
        for descriptor, events in self._epoll.poll(min(wait, _LONGEST)):
            action = (pycurl.CSELECT_IN if events & ~select.EPOLLOUT else 0) | (
                pycurl.CSELECT_OUT if events & select.EPOLLOUT else 0
            )
            self._multi.socket_action(descriptor, action)
        if self._due is not None and time.monotonic() >= self._due:
            self._due = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)

    def run(self, in_flight: int, count: int) -> list[float]:
        """|in_flight| handles, each |count| times."""
        samples: list[float] = []
        while len(self._handles) < in_flight:
            handle = Handle(self._target, len(self._handles) % _SAMPLED == 0)
            self._handles[handle.curl] = handle
        for handle in self._handles.values():
            handle.left = count
            handle.begin()
            self._multi.add_handle(handle.curl)
        going = len(self._handles)
        while going:
            self._turn()
            more = 1
            while more:
                more, ended, failed = self._multi.info_read()
                if failed:
                    raise RuntimeError(f"curl error {failed[0][1]}: {failed[0][2]}")
                for curl in ended:
                    going -= self._end(self._handles[curl], samples)
        return samples

    def _end(self, handle: Handle, samples: list[float]) -> int:
        """Checks what came and starts again; 1 if that was the handle's last."""
        handle.check()
        if handle.sampled:
            samples.append(time.perf_counter() - handle.started)
        self._multi.remove_handle(handle.curl)
        handle.left -= 1
        if not handle.left:
            return 1
        handle.begin()
        self._multi.add_handle(handle.curl)
        return 0

    def close(self) -> None:
        """Every handle and connection."""
        for handle in self._handles.values():
            with contextlib.suppress(pycurl.error):  # not in the multi: ended
                self._multi.remove_handle(handle.curl)
            handle.curl.close()
        self._multi.close()
        self._epoll.close()


@contextlib.contextmanager
def driver(target: Target) -> Iterator[Callable[[int, int], list[float]]]:
    """One multi handle, which is what keeps the connections."""
    multi = Multi(target)
    try:
        yield multi.run
    finally:
        multi.close()
