"""What the system refuses: descriptors, ports, names, addresses.

Stated beforehand: each is a ClientConnectorError (a DNS error for a name) that
says why, in time, and what follows works.
"""

from __future__ import annotations

import asyncio
import errno
import subprocess
import sys
import threading
import time

import aiofast
import pytest
from servers import Scripted, answer, fin, forever, free_port, full_backlog, request, response, send

# --- descriptors ----------------------------------------------------------------

EXHAUSTED = """
import asyncio, aiofast, os, resource, sys, ssl
url, ca = sys.argv[1:3]
context = ssl.create_default_context(cafile=ca) if ca else True
async def main():
    connector = aiofast.TCPConnector(limit=0, ssl=context)
    async with aiofast.ClientSession(connector=connector) as session:
        async def get(path):
            async with session.get(url + path) as found:
                return await found.read()
        await get("/first")
        used = len(os.listdir("/dev/fd"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 20, 4096))
        found = await asyncio.gather(*(get("/slow") for _ in range(100)), return_exceptions=True)
        good = [each for each in found if each == b"ok"]
        bad = [each for each in found if each != b"ok"]
        print(len(good) >= 15, len(bad) >= 60)
        print({type(each).__name__ for each in bad}, {each.errno for each in bad})
        print(all("too many open files" in str(each).lower() for each in bad))
        print(await get("/after"))
        hogs = []
        try:
            while True:
                hogs.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        try:
            print((await aiofast.fetch(url.replace("127.0.0.1", "localhost"), ssl=context)).body)
        except aiofast.ClientConnectorError as error:
            print(type(error).__name__)
        for each in hogs:
            os.close(each)
        print(await get("/end"))
asyncio.run(main())
"""


@pytest.mark.parametrize("secure", [False, True])
def test_descriptors_run_out(secure, authority):
    def script(peer):
        while True:
            request(peer)
            if peer.last.target == "/slow":
                # Long enough for all to have asked, on a machine that is busy too.
                peer.server.stop.wait(3)
            peer.write(response(b"ok"))

    server = Scripted([script], tls=authority.server() if secure else None)
    done = subprocess.run(
        [sys.executable, "-c", EXHAUSTED, server.url, authority.ca_file if secure else ""],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    said = done.stdout.split("\n")
    assert said[0] == "True True"
    assert said[1] == f"{{'ClientConnectorError'}} {{{errno.EMFILE}}}"
    assert said[2:4] == ["True", "b'ok'"]
    assert said[4] in ("ClientConnectorError", "ClientConnectorDNSError", "b'ok'")
    assert said[5] == "b'ok'"


def test_no_descriptor_for_the_engine_itself():
    """The loop's own descriptors cannot be had: an OSError, and later it works."""
    server = Scripted([forever(answer())])
    program = """
import asyncio, aiofast, os, resource, sys
async def main():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) - 1, hard))
    try:
        await aiofast.fetch(sys.argv[1])
    except (OSError, aiofast.ClientError) as error:
        print("told")
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    print((await aiofast.fetch(sys.argv[1])).status)
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, f"{server.url}/"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "told\n200\n")


# --- refused --------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("idle", [True, False])
async def test_refused_after_a_kept_connection(method, idle):
    """The server goes away with its port: a retry would be refused too."""
    gone = threading.Event()

    def script(peer):
        request(peer)
        peer.write(response(b"ok"))
        if idle:
            gone.wait(5)
            fin(peer)
        request(peer)
        fin(peer)

    server = Scripted([script])
    async with aiofast.ClientSession() as session:
        async with session.request(method, f"{server.url}/") as found:
            await found.read()
        server.stop.set()
        await asyncio.sleep(0.1)
        server.listener.close()
        gone.set()
        await asyncio.sleep(0.1 if idle else 0)
        with pytest.raises(aiofast.ClientConnectionError) as caught:
            await session.request(method, f"{server.url}/")
    if idle or method == "GET":
        assert isinstance(caught.value, aiofast.ClientConnectorError)
        assert caught.value.errno == errno.ECONNREFUSED
    else:
        assert isinstance(caught.value, aiofast.ServerDisconnectedError)


async def test_refused_a_thousand_times_and_then_not():
    port = free_port()
    gate = asyncio.Semaphore(100)

    async def one():
        async with gate:
            try:
                await aiofast.fetch(f"http://127.0.0.1:{port}/")
            except aiofast.ClientConnectorError as error:
                return error.errno

    found = await asyncio.gather(*(one() for _ in range(1000)))
    assert set(found) == {errno.ECONNREFUSED}
    server = Scripted([forever(answer())], port=port)
    assert (await aiofast.fetch(f"{server.url}/")).status == 200


# --- names and addresses --------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("no-such-name.invalid", aiofast.ClientConnectorDNSError),
        ("a" * 63 + ".invalid", aiofast.ClientConnectorDNSError),
        ("a" * 64 + ".invalid", (aiofast.ClientConnectorDNSError, aiofast.InvalidURL)),
        (".".join(["a" * 60] * 5), (aiofast.ClientConnectorDNSError, aiofast.InvalidURL)),
        ("..", (aiofast.ClientConnectorDNSError, aiofast.InvalidURL)),
        ("999.999.999.999", (aiofast.ClientConnectorDNSError, aiofast.InvalidURL)),
        ("[fe80::1%25no-such-zone]", (aiofast.ClientConnectorDNSError, aiofast.InvalidURL)),
    ],
)
async def test_names_that_cannot_be_resolved(host, kind):
    start = time.monotonic()
    with pytest.raises(kind):
        await aiofast.fetch(f"http://{host}:1/", timeout=20)
    assert time.monotonic() - start < 15


async def test_a_black_hole_is_the_connect_limit():
    server = full_backlog()
    start = time.monotonic()
    timeout = aiofast.ClientTimeout(sock_connect=0.2)
    found = await asyncio.gather(
        *(aiofast.fetch(f"{server.url}/{n}", timeout=timeout) for n in range(50)),
        return_exceptions=True,
    )
    assert {type(each) for each in found} == {aiofast.ConnectionTimeoutError}
    assert 0.15 < time.monotonic() - start < 4


@pytest.mark.parametrize("host", ["255.255.255.255", "224.0.0.1", "0.0.0.0"])
async def test_addresses_that_are_no_ones(host):
    """A connection or an error of it, in time; never a hang."""
    timeout = aiofast.ClientTimeout(sock_connect=1)
    with pytest.raises((aiofast.ClientConnectorError, aiofast.ConnectionTimeoutError)):
        await aiofast.fetch(f"http://{host}:{free_port()}/", timeout=timeout)


async def test_a_local_address_that_is_not_ours():
    connector = aiofast.TCPConnector(local_addr=("192.0.2.77", 0))
    server = Scripted([forever(answer())])
    async with aiofast.ClientSession(connector=connector) as session:
        with pytest.raises(aiofast.ClientConnectorError) as caught:
            await session.get(f"{server.url}/")
    assert caught.value.errno == errno.EADDRNOTAVAIL
    assert server.connections == 0


async def test_a_unix_socket_that_goes_away(tmp_path):
    path = str(tmp_path / "socket")
    server = Scripted([request, send(response(b"ok")), fin], path=path)
    async with aiofast.ClientSession(connector=aiofast.UnixConnector(path)) as session:
        async with session.get("http://host/") as found:
            assert await found.read() == b"ok"
        (tmp_path / "socket").unlink()
        with pytest.raises(aiofast.UnixClientConnectorError) as caught:
            await session.get("http://host/")
    assert caught.value.errno == errno.ENOENT
    assert path in str(caught.value)
    assert server.connections == 1
