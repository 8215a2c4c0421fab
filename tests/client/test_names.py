"""Name lookups and the race of addresses, with a resolver that obeys the test.

slow_resolver.c stands before the C library's getaddrinfo() in a process of its
own: it says how long a name takes and what it resolves to, and notes each call.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from servers import Scripted, answer, forever, free_port, full_backlog

HEAD = """
import asyncio, aiofast, sys, time
port = int(sys.argv[1])
async def fetch(host, **options):
    return await aiofast.fetch(f"http://{host}:{port}/", **options)
"""


@pytest.fixture
def run(resolver, tmp_path):
    """Runs a program with |names|; what it printed and the names it looked up."""

    def start(program, port, names):
        log = tmp_path / "lookups"
        log.write_text("")
        preload = ":".join(filter(None, [os.environ.get("LD_PRELOAD"), resolver]))
        done = subprocess.run(
            [sys.executable, "-c", HEAD + program, str(port)],
            env={
                **os.environ,
                "LD_PRELOAD": preload,
                "SLOW_NAMES": names,
                "SLOW_LOG": str(log),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout.split(), log.read_text().split()

    return start


def test_a_slow_lookup_is_its_own_phase(run):
    server = Scripted([forever(answer())])
    printed, lookups = run(
        """
async def main():
    found = await fetch("slow.test")
    print(found.status, found.timings["dns"] >= 0.19, found.timings["connect"] < 0.19)
asyncio.run(main())
""",
        server.port,
        "slow.test=200=127.0.0.1",
    )
    assert printed == ["200", "True", "True"]
    assert lookups == ["slow.test"]


def test_one_lookup_is_shared_by_all_who_wait_for_it(run):
    server = Scripted([forever(answer())])
    printed, lookups = run(
        """
async def main():
    found = await asyncio.gather(*(fetch("slow.test") for _ in range(50)))
    print([each.status for each in found] == [200] * 50)
asyncio.run(main())
""",
        server.port,
        "slow.test=100=127.0.0.1",
    )
    assert printed == ["True"]
    assert lookups == ["slow.test"]


def test_lookups_are_kept_for_a_while(run):
    """Connections are not: each request makes a new one."""
    server = Scripted([forever(answer())])
    program = """
async def main():
    connector = aiofast.TCPConnector(force_close=True, ttl_dns_cache=TTL)
    async with aiofast.ClientSession(connector=connector) as session:
        for _ in range(3):
            async with session.get(f"http://slow.test:{port}/") as found:
                await found.read()
            await asyncio.sleep(0.15)
asyncio.run(main())
"""
    for ttl, count in (("10", 1), ("0.1", 3)):
        _, lookups = run(program.replace("TTL", ttl), server.port, "slow.test=1=127.0.0.1")
        assert lookups == ["slow.test"] * count
    assert server.connections == 6


def test_failures_are_not_kept(run):
    server = Scripted([forever(answer())])
    printed, lookups = run(
        """
async def main():
    for _ in range(2):
        try:
            await fetch("unknown.test")
        except aiofast.ClientConnectorDNSError as exc:
            print(exc.host)
asyncio.run(main())
""",
        server.port,
        "",
    )
    assert printed == ["unknown.test"] * 2
    assert lookups == ["unknown.test"] * 2


def test_a_lookup_can_be_cancelled(run):
    """limit=1: the next request runs at once, while the lookup still does."""
    server = Scripted([forever(answer())])
    printed, _ = run(
        """
async def main():
    connector = aiofast.TCPConnector(limit=1)
    async with aiofast.ClientSession(connector=connector) as session:
        task = asyncio.create_task(session.get(f"http://slow.test:{port}/"))
        await asyncio.sleep(0.1)
        start = time.monotonic()
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            print("cancelled")
        async with session.get(f"http://quick.test:{port}/") as found:
            print(found.status)
        print(time.monotonic() - start < 1)
asyncio.run(main())
""",
        server.port,
        "slow.test=2000=127.0.0.1;quick.test=0=127.0.0.1",
    )
    assert printed == ["cancelled", "200", "True"]
    assert server.connections == 1


def test_one_of_those_who_wait_may_be_cancelled(run):
    server = Scripted([forever(answer())])
    printed, lookups = run(
        """
async def main():
    tasks = [asyncio.create_task(fetch("slow.test")) for _ in range(3)]
    await asyncio.sleep(0.05)
    tasks[0].cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    print(type(found[0]).__name__, found[1].status, found[2].status)
asyncio.run(main())
""",
        server.port,
        "slow.test=200=127.0.0.1",
    )
    assert printed == ["CancelledError", "200", "200"]
    assert lookups == ["slow.test"]


@pytest.mark.parametrize(
    "limit", ["timeout=0.2", "timeout=aiofast.ClientTimeout(sock_connect=0.2)"]
)
def test_a_limit_runs_out_during_a_lookup(run, limit):
    printed, _ = run(
        f"""
async def main():
    start = time.monotonic()
    try:
        await fetch("slow.test", {limit})
    except TimeoutError as exc:
        print("dns" in str(exc), "slow.test" in str(exc), time.monotonic() - start < 1.5)
asyncio.run(main())
""",
        free_port(),
        "slow.test=2000=127.0.0.1",
    )
    assert printed == ["True", "True", "True"]


def test_lookups_do_not_wait_for_each_other(run):
    """A slow name beside a quick one."""
    server = Scripted([forever(answer())])
    printed, _ = run(
        """
async def main():
    slow = asyncio.create_task(fetch("slow.test"))
    await asyncio.sleep(0.05)
    start = time.monotonic()
    await fetch("quick.test")
    print(time.monotonic() - start < 0.5)
    await slow
asyncio.run(main())
""",
        server.port,
        "slow.test=1000=127.0.0.1;quick.test=0=127.0.0.1",
    )
    assert printed == ["True"]


def test_an_exit_during_a_lookup_is_clean_and_prompt(run):
    printed, _ = run(
        """
async def main():
    task = asyncio.create_task(fetch("slow.test"))
    await asyncio.sleep(0.1)
    task.cancel()
asyncio.run(main())
print("end")
""",
        free_port(),
        "slow.test=1000=127.0.0.1",
    )
    assert printed == ["end"]


def test_the_next_address_is_tried_when_one_refuses(run):
    server = Scripted([forever(answer())], host="127.0.0.2")
    printed, _ = run(
        """
async def main():
    found = await fetch("two.test")
    print(found.status, found.peer == f"127.0.0.2:{port}")
asyncio.run(main())
""",
        server.port,
        "two.test=0=127.0.0.1,127.0.0.2",
    )
    assert printed == ["200", "True"]


def test_addresses_are_raced(run):
    """RFC 8305: a quarter of a second after a mute one the next one starts."""
    mute = full_backlog()
    server = Scripted([forever(answer(b"second"))], host="127.0.0.2", port=mute.port)
    printed, _ = run(
        """
async def main():
    found = await fetch("two.test", timeout=20)
    print(found.text, 0.2 < found.timings["connect"] < 5)
asyncio.run(main())
""",
        server.port,
        "two.test=0=127.0.0.1,127.0.0.2",
    )
    assert printed == ["second", "True"]


def test_the_loser_of_a_race_is_closed(run):
    mute = full_backlog()
    server = Scripted([forever(answer())], host="127.0.0.2", port=mute.port)
    printed, _ = run(
        """
import os
def sockets():
    paths = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    return sum(os.readlink(path).startswith("socket:") for path in paths if os.path.lexists(path))
async def main():
    before = sockets()
    await fetch("two.test", timeout=20)
    await asyncio.sleep(0.05)
    print(sockets() - before)
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
loop.close()
""",
        server.port,
        "two.test=0=127.0.0.1,127.0.0.2",
    )
    assert printed == ["1"]


def test_both_families_are_tried_in_turn(run):
    """IPv6 first as the resolver says, but a dead family costs little."""
    server = Scripted([forever(answer())])
    printed, _ = run(
        """
async def main():
    found = await fetch("both.test", timeout=20)
    print(found.status, found.peer == f"127.0.0.1:{port}")
asyncio.run(main())
""",
        server.port,
        "both.test=0=::1,127.0.0.1",
    )
    assert printed == ["200", "True"]


def test_when_all_refuse_the_error_names_host_and_port(run):
    port = free_port()
    printed, _ = run(
        """
async def main():
    try:
        await fetch("two.test")
    except aiofast.ClientConnectorError as exc:
        print(exc.host, exc.port, isinstance(exc.os_error, ConnectionRefusedError))
asyncio.run(main())
""",
        port,
        "two.test=0=127.0.0.1,127.0.0.2",
    )
    assert printed == ["two.test", str(port), "True"]


def test_many_names_are_looked_up_at_once(run):
    """libuv alone would take two at a time: eight rounds instead of one."""
    server = Scripted(*[[forever(answer())] for _ in range(16)])
    printed, lookups = run(
        """
async def main():
    found = await aiofast.fetch_all([f"http://n{i}.test:{port}/" for i in range(16)])
    print(len(found), sum(r.timings["dns"] for r in found) < 16 * 1.0)
asyncio.run(main())
""",
        server.port,
        ";".join(f"n{i}.test=400=127.0.0.1" for i in range(16)),
    )
    assert printed == ["16", "True"]
    assert sorted(lookups) == sorted(f"n{i}.test" for i in range(16))
