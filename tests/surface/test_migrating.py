"""docs/migrating-from-aiohttp.md, line by line."""

from __future__ import annotations

import re
from pathlib import Path

import aiofast
import aiohttp
import pytest

TEXT = (Path(__file__).parents[2] / "docs" / "migrating-from-aiohttp.md").read_text()
IGNORED = ("ceil_threshold", "ssl_shutdown_timeout", "requote_redirect_url")


def table(title: str) -> list[str]:
    section = TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    names = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert names
    return names


@pytest.mark.parametrize("name", table("The same"))
def test_the_same(name):
    ours, theirs = getattr(aiofast, name), getattr(aiohttp, name)
    assert ours is not theirs
    assert callable(ours) and callable(theirs)
    if isinstance(theirs, type):
        public = {n for n in vars(theirs) if not n.startswith("_")} - set(DIFFERENT.get(name, ()))
        assert {n for n in public if not hasattr(ours, n)} == set()


# Attributes of aiohttp's that there are not: they are its own machinery, or feed
# a stream from outside.
DIFFERENT = {
    "ClientRequest": (
        "auth",
        "method",
        "url",
        "DEFAULT_HEADERS",
        "update_content_encoding",
        "update_expect_continue",
        "update_host",
        "update_proxy",
        "update_transfer_encoding",
        "update_version",
        "write_bytes",
        "send",
        "close",
        "terminate",
        "response",
    ),
    "ClientSession": ("ATTRS",),
    "CookieJar": (
        "DATE_DAY_OF_MONTH_RE",
        "DATE_HMS_TIME_RE",
        "DATE_MONTH_RE",
        "DATE_TOKENS_RE",
        "DATE_YEAR_RE",
        "MAX_TIME",
        "SUB_MAX_TIME",
    ),
    "Fingerprint": ("HASHFUNC_BY_DIGESTLEN",),
    "FormData": (),
    "MultipartReader": ("response_wrapper_cls", "multipart_reader_cls", "part_reader_cls"),
    "TraceConfig": tuple(n for n in vars(aiohttp.TraceConfig) if n.startswith("on_")),
}


def test_signals():
    for name in vars(aiohttp.TraceConfig):
        if name.startswith("on_"):
            assert hasattr(aiofast.TraceConfig(), name)


@pytest.mark.parametrize("name", table("Better"))
def test_better(name):
    assert hasattr(aiofast, name)
    assert not hasattr(aiohttp, name)


async def test_different():
    session = aiofast.ClientSession(requote_redirect_url=False)
    assert not session.requote_redirect_url
    await session.close()
    assert aiofast.ClientTimeout(ceil_threshold=1).ceil_threshold == 1
    for name in IGNORED:
        assert f"`{name}`" in TEXT


def test_a_session_outside_of_a_loop():
    aiofast.ClientSession().detach()


async def test_absent():
    assert set(table("Absent")) == {"web", "test_utils", "ws_connect", "proxy"}
    for name in ("web", "test_utils"):
        with pytest.raises(AttributeError, match="no server side"):
            getattr(aiofast, name)
        with pytest.raises(ImportError, match="no server side"):
            __import__(f"aiofast.{name}")
    async with aiofast.ClientSession() as session:
        with pytest.raises(NotImplementedError):
            session.ws_connect("http://h/")
        with pytest.raises(NotImplementedError, match="proxy"):
            await session.get("http://h/", proxy="http://p/")


def test_the_libraries_have_tests():
    tests = (Path(__file__).parent / "test_libraries.py").read_text()
    named = TEXT.partition("own job: ")[2].partition(".\n\nThese")[0]
    for name in re.findall(r"[\w-]+(?= \(|,|$)", named.replace("\n", " ")):
        assert name.split("-")[0] in tests, name
