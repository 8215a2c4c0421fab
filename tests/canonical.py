"""Seven canonical responses, for tests that do something at each of their bytes."""

from __future__ import annotations

import gzip

from servers import chunked, response

BODY = b"The quick brown fox jumps over the lazy dog. " * 3
PACKED = gzip.compress(BODY, mtime=0)
CHUNKED = "Transfer-Encoding: chunked"
GZIP = "Content-Encoding: gzip"


def head(*headers: str) -> bytes:
    return response(b"", *headers, length=False)


FORMS = {
    "length": response(b"a body of known length"),
    "chunked": head(CHUNKED) + chunked(b"a body", b" in chunks"),
    "trailers": head(CHUNKED, "Trailer: X-Sum") + chunked(b"body", trailers=["X-Sum: 1"]),
    "gzip-length": response(PACKED, GZIP),
    "gzip-chunked": head(GZIP, CHUNKED) + chunked(PACKED[:30], PACKED[30:]),
    "gzip-close": head(GZIP, "Connection: close") + PACKED,
    "hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + response(b"behind a 1xx"),
}
WHOLE = {
    "length": b"a body of known length",
    "chunked": b"a body in chunks",
    "trailers": b"body",
    "gzip-length": BODY,
    "gzip-chunked": BODY,
    "gzip-close": BODY,
    "hints": b"behind a 1xx",
}
