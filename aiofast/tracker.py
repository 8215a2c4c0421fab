"""UploadTracker: how far the body of one request has come."""

from __future__ import annotations

from asyncio import CancelledError, get_running_loop
from typing import TYPE_CHECKING, Any

from .errors import InvalidURL, NonHttpUrlClientError, UploadAbortedError

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Awaitable, Callable

    from ._core import Upload


class UploadTracker:
    """Follows the body of one request, to which it is given as `upload_tracker`.

    `attempts`: how often it was begun, redirects included. `upload_complete`: a
    future that is done when the body has left whole; it fails with what failed
    the body, or UploadAbortedError if it was cut short. To be made in a running
    loop; RuntimeError when given to a second request.
    """

    def __init__(self) -> None:
        self.attempts = 0
        self.upload_complete: Future[None] = get_running_loop().create_future()
        self._bound = False
        self._begun = False
        self._final = False
        self._upload: Upload | None = None  # while it is sent
        self._written = 0
        self._whole = False
        self._error: BaseException | None = None

    @property
    def bytes_written(self) -> int:
        """Bytes of the body that the present attempt has handed to the system."""
        return self._written if self._upload is None else self._upload.sent

    def bind(self) -> None:
        """The request that it is for. RuntimeError for a second one."""
        if self._bound:
            raise RuntimeError("UploadTracker is already bound to a request")
        self._bound = True

    def begin(self, upload: Upload) -> None:
        """An attempt begins."""
        self.attempts += self._begun
        self._begun = True
        self._upload = upload
        self._whole = False
        self._error = None

    def end(self, upload: Upload, error: BaseException | None) -> None:
        """An attempt ends: well, with |error|, or cut short if that is a
        CancelledError."""
        if self._upload is not upload:
            return
        self._upload = None
        self._written = upload.sent
        self._whole = error is None
        self._error = None if isinstance(error, CancelledError) else error
        if self._final:
            self._settle()

    async def attempt(self, send: Callable[[], Awaitable[Any]]) -> Any:
        """The response of one exchange, which |send| makes, out of those that
        guard() goes around."""
        self.attempts += 1
        self._begun = self._whole = False
        response = await send()
        if not self._begun:  # there was no body
            self._whole, self._upload, self._written = True, None, 0
        return response

    async def guard(self, send: Callable[[], Awaitable[Any]]) -> Any:
        """What |send| gives, which makes its exchanges by attempt(). RuntimeError."""
        self.bind()
        try:
            return await send()
        finally:
            self._finish()

    def _finish(self) -> None:
        self._final = True
        if self._upload is None:
            self._settle()

    async def follow(self, send: Callable[[], Awaitable[Any]]) -> Any:
        """The response of the request that |send| makes. RuntimeError."""
        self.bind()
        request: Any = None
        try:
            request = send()
            self.attempts = 1
            response = await request
            hops = 1 + len(response.history)
            if hops > self.attempts or not self._begun:  # there was no body (any more)
                self.attempts = max(hops, self.attempts)
                self._whole, self._upload, self._written = True, None, 0
            return response
        except BaseException as error:
            if request is not None:
                self._count_failed(error, 1 + len(getattr(request, "history", ())))
            raise
        finally:
            self._finish()

    def _count_failed(self, error: BaseException, hops: int) -> None:
        """The last of |hops| has failed with |error|."""
        if hops > self.attempts:  # before its body was begun
            self.attempts = hops
            self._whole, self._upload, self._written = False, None, 0
        elif hops == 1 and isinstance(error, (InvalidURL, NonHttpUrlClientError)):
            self.attempts = 0

    def _settle(self) -> None:
        if self.upload_complete.done():
            return
        if self._whole:
            self.upload_complete.set_result(None)
            return
        error = self._error or UploadAbortedError("The request body was not fully sent")
        self.upload_complete.set_exception(error)
        self.upload_complete.exception()  # who does not ask is not told
