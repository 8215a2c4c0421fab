"""A part of `make differential`: no cut changes anything, and each difference from h11 and
httptools is one that was decided."""

from __future__ import annotations

import pytest

pytest.importorskip("httptools")
differential = pytest.importorskip("differential")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["response", "request"])
def test_each_difference_is_decided(kind: str) -> None:
    tally = differential.run(kind, 1000, seed=2)
    assert tally.changed == []
    assert tally.undecided() == []
    assert min(tally.same.values()) > 500


def test_a_difference_is_seen() -> None:
    tally = differential.Tally()
    tally.add(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", "response")
    assert list(tally.classes) == [
        ("h11", "we refuse, it has read: repeated Content-Length (RFC 9112 6.3)")
    ]
    assert tally.same == {"h11": 0, "httptools": 1}
    assert differential.reason("h11", "we have read, it refuses: something new") is None
