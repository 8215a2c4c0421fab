"""Allocations of Python's fail, one by one, under whole requests.

Stated beforehand, where aiofast._core asks for what is not there: the request
ends with its result, with MemoryError, or with a ClientError; nothing crashes, no
request waits for its limit of time, and the next one works. That holds on every
CPython (nomemory.c tells by the stack who asks).

Where anything of the interpreter asks: the same, but asyncio may lose a callback,
and then the request waits for its limit of time (two dozen points at most, and
cancelling ends it). CPython 3.12.1 and 3.13.0 crash under this with no aiofast in
the process (memory_control.py), and where they do there is nothing to be seen.

What the core asks of the C library fails here too, with the binding and TLS on
top of it (nomalloc.c tells by the return address); without them it does in
tests/c/test_torture.c.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from servers import Scripted, chunked, fin, forever, request, response

HERE = Path(__file__).parent
FORMS = [
    "session", "tls", "gzip", "redirect", "fetch", "post", "upload", "streamed", "reused",
    "cancelled", "malformed", "cut", "late", "refused", "closed", "waiting", "named", "hinted",
    "file", "download",
]  # fmt: skip


def serve(peer):
    import gzip

    while True:
        request(peer)
        path = peer.last.target
        if path == "/redirect":
            peer.write(response(b"", "Location: /plain", status="302 Found"))
        elif path == "/mute":
            peer.more()
        elif path == "/bad":
            peer.write(b"HTTP/1.1 2x0 OK\r\n\r\n")
        elif path == "/cut":
            peer.write(response(b"body")[:-1])
            fin(peer)
        elif path == "/hints":
            peer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + response(b"body"))
        elif path == "/large":
            peer.write(response(b"body" * 100_000))
        elif path == "/gzip":
            peer.write(response(gzip.compress(b"body"), "Content-Encoding: gzip"))
        elif path == "/chunked":
            head = response(b"", "Transfer-Encoding: chunked", "Set-Cookie: a=b", length=False)
            peer.write(head + chunked(b"bo", b"dy", trailers=["A: b"]))
        else:
            peer.write(response(b"body"))


def build(folder, name, *flags):
    """A shared object out of |name|.c, or the test is skipped."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs a C compiler, and Linux")
    built = folder / f"{name}.so"
    environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-std=gnu11", "-Wall", "-Wextra", "-Werror",
         *flags, "-o", built, HERE / f"{name}.c", "-ldl"],
        check=True, env=environment,
    )  # fmt: skip
    return str(built)


@pytest.fixture(scope="module")
def extension(tmp_path_factory):
    """nomemory.c, built for this Python."""
    include = sysconfig.get_path("include")
    return build(tmp_path_factory.mktemp("nomemory"), "nomemory", "-I", include)


@pytest.fixture(scope="module")
def preloaded(tmp_path_factory):
    """nomalloc.c, where malloc() is the C library's own."""
    if os.environ.get("LD_PRELOAD") or platform.libc_ver()[0] != "glibc":
        pytest.skip("needs glibc, and malloc() for itself")
    return build(tmp_path_factory.mktemp("nomalloc"), "nomalloc")


def run(program, *arguments, timeout=270, **variables):
    """In a process whose asyncio is not in debug mode: what that asks for would
    fail as well."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONASYNCIODEBUG"}
    environment.update(variables)
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", HERE / program, *arguments],
        capture_output=True, text=True, timeout=timeout, check=False, env=environment,
    )  # fmt: skip


@pytest.fixture(scope="module")
def interpreter():
    """A CPython that can go without memory by itself."""
    pytest.importorskip("_testcapi")
    done = run("memory_control.py", PYTHONMALLOC="debug")
    if done.returncode < 0:
        pytest.skip(f"this CPython crashes without aiofast: {done.stderr.splitlines()[0]}")
    assert done.returncode == 0, done.stderr[-3000:]


def walk(form, authority, *how, **variables):
    tls = form == "tls"
    server = Scripted([forever(serve)], tls=authority.server() if tls else None)
    ca = ["--ca", authority.ca_file] if tls else []
    done = run("memory_walk.py", server.url, form, *ca, *how, **variables)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    print(form, found)
    assert found["strange"] == [], found
    assert found["counts"].get("MemoryError", 0) > 5, "nothing failed: it was no walk"
    return found


@pytest.mark.seconds(120)
@pytest.mark.parametrize("form", FORMS)
def test_the_extension_without_memory(form, authority, extension):
    found = walk(form, authority, "--extension", extension)
    assert found["waits"] == [], found


@pytest.mark.slow
@pytest.mark.seconds(120)
@pytest.mark.parametrize("form", FORMS)
def test_the_core_without_memory(form, authority, preloaded):
    found = walk(form, authority, "--core", LD_PRELOAD=preloaded)
    assert found["waits"] == [], found


@pytest.mark.slow
@pytest.mark.seconds(280)
@pytest.mark.parametrize("form", FORMS[:10])
def test_the_interpreter_without_memory(form, authority, interpreter):
    found = walk(form, authority, "--all")
    assert len(found["waits"]) <= 24, found
