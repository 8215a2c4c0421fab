"""allow_private=False: only public addresses are connected to, on every hop, however
an address is spelled and whatever a name resolves to at that moment.

The programs that need public addresses run under slow_resolver.c, which leads
192.31.196.1 to a server here and notes each address that is connected to.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
import time

import aiofast
import pytest
from servers import Scripted, answer, forever, request, response, send

PUBLIC = "192.31.196.1"

# What each host is in the end, as the error names it.
REFUSED = {
    "127.0.0.1": "loopback",
    "127.255.0.9": "loopback",
    "localhost": "loopback",
    "LOCALHOST": "loopback",
    "127.1": "loopback",  # these are names to us, and getaddrinfo() reads them
    "2130706433": "loopback",
    "0x7f000001": "loopback",
    "0177.0.0.1": "loopback",
    "0.0.0.0": "unspecified",
    "0": "unspecified",
    "[::1]": "loopback",
    "[::]": "unspecified",
    "[::ffff:127.0.0.1]": "loopback",
    "[::ffff:a00:1]": "private",
    "[64:ff9b::7f00:1]": "loopback",
    "[64:ff9b:1::7f00:1]": "reserved",
    "[2002:7f00:1::]": "loopback",
    "[::127.0.0.1]": "reserved",
    "10.0.0.1": "private",
    "172.16.0.1": "private",
    "192.168.1.1": "private",
    "100.64.0.1": "shared (CGNAT)",
    "169.254.1.1": "link-local",
    "169.254.169.254": "metadata",
    "168.63.129.16": "metadata",
    "[fd00:ec2::254]": "metadata",
    "[fd12::1]": "unique-local",
    "[fe80::1]": "link-local",
    "[fec0::1]": "site-local",
    "[ff02::1]": "multicast",
    "224.0.0.1": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "broadcast",
    "192.0.2.1": "documentation",
    "198.18.0.1": "benchmarking",
}


@pytest.mark.parametrize("host", REFUSED)
async def test_what_is_not_public_is_refused_before_a_connection(host):
    server = Scripted([forever(answer())])
    start = time.monotonic()
    with pytest.raises(aiofast.PrivateAddressError) as caught:
        await aiofast.fetch(f"http://{host}:{server.port}/", allow_private=False)
    assert time.monotonic() - start < 5
    error = caught.value
    assert isinstance(error, aiofast.ClientConnectorError)
    assert isinstance(error.os_error, PermissionError)
    assert error.port == server.port
    assert error.phase in ("dns", "connect")
    name = host.strip("[]").lower()
    assert error.host.lower() == name
    assert REFUSED[host] in str(error)
    assert "allow_private" in str(error)
    assert f":{server.port}" in str(error)
    assert server.connections == 0


async def test_a_name_is_refused_by_the_address_it_stands_for():
    with pytest.raises(aiofast.PrivateAddressError, match=r"localhost.*127\.0\.0\.1|::1"):
        await aiofast.fetch("http://localhost:1/", allow_private=False)


async def test_the_scheme_makes_no_difference(authority):
    server = Scripted([forever(answer())], tls=authority.server())
    with pytest.raises(aiofast.PrivateAddressError):
        await aiofast.fetch(f"{server.url}/", ssl=authority.client(), allow_private=False)
    assert server.connections == 0


@pytest.mark.parametrize("where", ["session", "request", "connector", "shared connector"])
async def test_sessions_and_connectors(where):
    server = Scripted([forever(answer())])
    options, own, given = {}, {}, {}
    if where == "session":
        own["allow_private"] = False
    elif where == "request":
        given["allow_private"] = False
    else:
        own["connector"] = aiofast.TCPConnector(allow_private=False)
    if where == "shared connector":
        own["allow_private"] = given["allow_private"] = True  # the connector has the last word
    async with aiofast.ClientSession(**own, **options) as session:
        with pytest.raises(aiofast.PrivateAddressError):
            await session.get(f"{server.url}/", **given)
        with pytest.raises(aiofast.PrivateAddressError):
            await session.post(f"{server.url}/", data=b"x", **given)
    assert server.connections == 0


async def test_fetch_all_and_fetch_many():
    server = Scripted([forever(answer())])
    found = await aiofast.fetch_all(
        [f"{server.url}/1", f"{server.url}/2"], allow_private=False, return_exceptions=True
    )
    assert [type(each) for each in found] == [aiofast.PrivateAddressError] * 2
    assert server.connections == 0


async def test_a_kept_connection_is_no_way_around():
    """The connection is there, made when it was allowed."""
    server = Scripted([forever(answer())])
    connector = aiofast.TCPConnector()
    async with aiofast.ClientSession(connector=connector) as session:
        async with session.get(f"{server.url}/") as found:
            await found.read()
        assert connector.stats()["idle"] == 1
        with pytest.raises(aiofast.PrivateAddressError):
            await session.get(f"{server.url}/", allow_private=False)
        async with session.get(f"{server.url}/") as found:
            assert found.reused
    assert server.connections == 1
    assert (await aiofast.fetch(f"{server.url}/")).status == 200
    with pytest.raises(aiofast.PrivateAddressError):
        await aiofast.fetch(f"{server.url}/", allow_private=False)


async def test_a_unix_socket_is_refused(tmp_path):
    path = str(tmp_path / "socket")
    server = Scripted([forever(answer())], path=path)
    connector = aiofast.UnixConnector(path)
    async with aiofast.ClientSession(connector=connector) as session:
        with pytest.raises(aiofast.PrivateAddressError, match="Unix socket"):
            await session.get("http://example.org/", allow_private=False)
        async with session.get("http://example.org/") as found:
            assert found.status == 200
    assert server.connections == 1


async def test_it_can_be_pickled_and_leaves_the_session_usable():
    server = Scripted([forever(answer())])
    connector = aiofast.TCPConnector(limit=1)
    async with aiofast.ClientSession(connector=connector) as session:
        for _ in range(3):
            with pytest.raises(aiofast.PrivateAddressError) as caught:
                await session.get(f"{server.url}/", allow_private=False)
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
        async with session.get(f"{server.url}/") as found:
            assert found.status == 200


async def test_many_at_once_are_all_refused():
    server = Scripted([forever(answer())])
    found = await asyncio.gather(
        *(aiofast.fetch(f"{server.url}/{n}", allow_private=False) for n in range(200)),
        return_exceptions=True,
    )
    assert {type(each) for each in found} == {aiofast.PrivateAddressError}
    assert server.connections == 0


# --- with public addresses ------------------------------------------------------

HEAD = """
import asyncio, aiofast, sys
port = int(sys.argv[1])
async def outcome(url, **options):
    try:
        found = await aiofast.fetch(url, allow_private=False, timeout=20, **options)
        return found.body.decode()
    except aiofast.ClientError as error:
        return type(error).__name__
"""


@pytest.fixture
def run(resolver, tmp_path):
    """Runs a program; what it printed, and the addresses it connected to."""

    def start(program, port, names=""):
        log = tmp_path / "connects"
        log.write_text("")
        preload = ":".join(filter(None, [os.environ.get("LD_PRELOAD"), resolver]))
        done = subprocess.run(
            [sys.executable, "-c", HEAD + program, str(port)],
            env={
                **os.environ,
                "LD_PRELOAD": preload,
                "SLOW_NAMES": names,
                "SLOW_ROUTE": f"{PUBLIC}=127.0.0.1",
                "SLOW_CONNECTS": str(log),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout.split(), log.read_text().split()

    return start


def test_public_addresses_are_reached(run):
    server = Scripted([forever(answer(b"reached"))])
    printed, connects = run(
        """
async def main():
    print(await outcome(f"http://192.31.196.1:{port}/"))
    print(await outcome(f"http://public.test:{port}/"))
asyncio.run(main())
""",
        server.port,
        f"public.test=0={PUBLIC}",
    )
    assert printed == ["reached", "reached"]
    assert set(connects) == {PUBLIC}


@pytest.mark.parametrize("target", ["http://127.0.0.1:{}/", "http://private.test:{}/"])
def test_a_redirect_leads_nowhere_else(run, target):
    server = Scripted()
    hop = response(
        b"", f"Location: {target.format(server.port)}", "Connection: close", status="302 Found"
    )
    server.scripts = [[request, send(hop)]]
    printed, connects = run(
        """
async def main():
    print(await outcome(f"http://public.test:{port}/"))
asyncio.run(main())
""",
        server.port,
        f"public.test=0={PUBLIC};private.test=0=127.0.0.1",
    )
    assert printed == ["PrivateAddressError"]
    assert connects == [PUBLIC]
    assert len(server.requests) == 1


def test_a_name_that_changes_between_two_connections(run):
    """DNS rebinding: what is judged is the address that is dialled."""
    server = Scripted([forever(answer(b"reached"))])
    printed, connects = run(
        """
async def main():
    connector = aiofast.TCPConnector(
        allow_private=False, use_dns_cache=False, force_close=True)
    async with aiofast.ClientSession(connector=connector) as session:
        for _ in range(3):
            try:
                async with session.get(f"http://rebind.test:{port}/") as found:
                    print((await found.read()).decode())
            except aiofast.ClientError as error:
                print(type(error).__name__)
asyncio.run(main())
""",
        server.port,
        f"rebind.test=0={PUBLIC}|127.0.0.1",
    )
    assert printed == ["reached", "PrivateAddressError", "PrivateAddressError"]
    assert connects == [PUBLIC]


def test_of_several_addresses_only_the_public_ones_are_tried(run):
    server = Scripted([forever(answer(b"reached"))])
    printed, connects = run(
        """
async def main():
    print(await outcome(f"http://mixed.test:{port}/"))
asyncio.run(main())
""",
        server.port,
        f"mixed.test=0=10.0.0.1,127.0.0.1,{PUBLIC}",
    )
    assert printed == ["reached"]
    assert connects == [PUBLIC]
