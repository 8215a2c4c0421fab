"""Libraries that know nothing of aiofast, over its transports by install()."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiofast
import databases
import pytest
from aiofast import _core
from protocols import Recorder, echo, serving


def need(module: str, *programs: str) -> None:
    """Where the machine was made ready by scripts/bootstrap nothing may be missing."""
    lacks = [name for name in programs if databases.find(name) is None]
    if importlib.util.find_spec(module) is None:
        lacks.append(module)
    if lacks:
        assert not os.environ.get("CI"), f"missing: {lacks}"
        pytest.skip(f"not installed: {', '.join(lacks)} (scripts/bootstrap test)")


@pytest.fixture(scope="module")
def postgres(authority: Any) -> Iterator[Any]:
    need("asyncpg", "postgres", "initdb")
    server = databases.Postgres(authority)
    yield server
    server.close()


@pytest.fixture(scope="module")
def redis_server(authority: Any) -> Iterator[Any]:
    need("redis", "redis-server")
    server = databases.Redis(authority)
    yield server
    server.close()


@contextlib.asynccontextmanager
async def installed() -> AsyncIterator[list[Any]]:
    """aiofast in this loop; gives the transports that were made meanwhile."""
    made: list[Any] = []
    with aiofast.install(asyncio.get_running_loop()):
        loop: Any = asyncio.get_running_loop()
        for name in ("create_connection", "create_unix_connection"):

            def noting(function: Any) -> Any:
                async def note(*args: Any, **kwargs: Any) -> Any:
                    pair = await function(*args, **kwargs)
                    made.append(pair[0])
                    return pair

                return note

            setattr(loop, name, noting(getattr(loop, name)))
        yield made
    assert made and all(isinstance(transport, _core.Transport) for transport in made)


@pytest.mark.parametrize("way", ["tcp", "unix", "tls", "tls at once"])
async def test_asyncpg(way: str, postgres: Any, client_context: Any) -> None:
    need("asyncpg")
    import asyncpg

    where: dict[str, Any] = {
        "host": str(postgres.folder) if way == "unix" else "127.0.0.1",
        "port": postgres.port,
        "user": "tester",
        "password": "secret",
        "database": "postgres",
        "ssl": client_context if way.startswith("tls") else False,
    }
    async with installed() as made:
        pool = await asyncpg.create_pool(**where, min_size=2, max_size=4)
        try:
            await pool.execute("create table t (i int, s text, b bytea)")
            rows = [(i, f"row {i}" * 10, os.urandom(2000)) for i in range(3000)]
            async with pool.acquire() as connection:
                await connection.copy_records_to_table("t", records=rows)
                back = await connection.fetch("select * from t order by i")
            assert [tuple(row) for row in back] == rows

            async def one(i: int) -> None:
                found = await pool.fetchval("select s from t where i = $1", i)
                assert found == rows[i][1]

            await asyncio.gather(*(one(i) for i in range(500)))
            with pytest.raises(asyncpg.PostgresSyntaxError):
                await pool.execute("selec")
            with pytest.raises(asyncio.TimeoutError):
                await pool.execute("select pg_sleep(5)", timeout=0.1)
            assert await pool.fetchval("select 1") == 1
            encrypted = await pool.fetchval(
                "select ssl from pg_stat_ssl where pid = pg_backend_pid()"
            )
            assert encrypted == way.startswith("tls")
        finally:
            with contextlib.suppress(asyncpg.PostgresError):
                await pool.execute("drop table if exists t")
            await pool.close()
        await asyncio.sleep(0.05)
        assert all(transport.is_closing() for transport in made)


@pytest.mark.parametrize("way", ["tcp", "unix", "tls"])
async def test_redis(way: str, redis_server: Any, authority: Any) -> None:
    need("redis")
    import redis.asyncio

    # Each TLS connection of redis-py reads the CAs anew, on the loop: fifty at once take
    # longer than its own limit on a busy machine, and it sends what ran into that again.
    patient = {"socket_timeout": 60, "socket_connect_timeout": 60}

    if way == "unix":
        client = redis.asyncio.Redis(unix_socket_path=redis_server.path, **patient)
    elif way == "tls":
        client = redis.asyncio.Redis(
            host="localhost",
            port=redis_server.tls_port,
            ssl=True,
            ssl_ca_certs=authority.ca_file,
            **patient,
        )
    else:
        client = redis.asyncio.Redis(host="127.0.0.1", port=redis_server.port, **patient)
    async with installed(), client:
        await client.flushall()
        for _ in range(20):
            async with client.pipeline(transaction=False) as pipeline:
                for i in range(500):
                    pipeline.set(f"key {i}", f"value {i}" * 20)
                    pipeline.get(f"key {i}")
                answers = await pipeline.execute()
            assert answers[1::2] == [(f"value {i}" * 20).encode() for i in range(500)]
        large = os.urandom(5_000_000)
        await client.set("large", large)
        assert await client.get("large") == large
        await asyncio.gather(*(client.incr("counter") for _ in range(50)))
        assert await client.get("counter") == b"50"
        async with client.pubsub() as pubsub:
            await pubsub.subscribe("channel")
            await client.publish("channel", "hello")
            heard = []
            while not heard or heard[-1]["type"] != "message":
                message = await pubsub.get_message(timeout=5)
                assert message is not None
                heard.append(message)
            assert heard[-1]["data"] == b"hello"


@pytest.mark.parametrize("way", ["tcp", "tls"])
async def test_websockets(way: str, authority: Any, client_context: Any) -> None:
    need("websockets")
    from websockets.asyncio.client import connect
    from websockets.asyncio.server import serve

    async def parrot(socket: Any) -> None:
        async for message in socket:
            await socket.send(message)

    tls = authority.server() if way == "tls" else None
    async with serve(parrot, "127.0.0.1", 0, ssl=tls, max_size=None) as server:
        port = server.sockets[0].getsockname()[1]
        scheme, context = ("wss", client_context) if tls else ("ws", None)
        async with installed():
            address = f"{scheme}://localhost:{port}/"
            async with connect(address, ssl=context, max_size=None, host="127.0.0.1") as socket:
                for size in (0, 1, 1000, 100_000, 2_000_000):
                    data = os.urandom(size)
                    await socket.send(data)
                    assert await socket.recv() == data
                for i in range(500):
                    await socket.send(f"message {i}")
                for i in range(500):
                    assert await socket.recv() == f"message {i}"
                await (await socket.ping())


async def test_aiohttp(web: Any, web_tls: Any, client_context: Any) -> None:
    import aiohttp

    async with installed(), aiohttp.ClientSession() as session:
        for url, tls in ((web.url, True), (web_tls.url, client_context)):
            for _ in range(5):
                async with session.get(f"{url}/json", ssl=tls) as response:
                    assert response.status == 200
                    assert await response.read()


async def test_install_is_undone() -> None:
    loop = asyncio.get_running_loop()
    before = loop.create_connection
    with aiofast.install(loop):
        aiofast.install(loop)
        assert loop.create_connection is aiofast.create_connection
        async with serving(echo) as where:
            reader, writer = await asyncio.open_connection(*where)
            assert isinstance(writer.transport, _core.Transport)
            writer.write(b"a line\n")
            assert await reader.readline() == b"a line\n"
            writer.close()
            await writer.wait_closed()
    assert loop.create_connection == before


def test_loops_of_the_policy() -> None:
    async def kind() -> type:
        async with serving(echo) as where:
            transport, protocol = await asyncio.get_running_loop().create_connection(
                Recorder, *where
            )
            transport.close()
            await protocol.lost
            return type(transport)

    with aiofast.install():
        aiofast.install()
        assert issubclass(asyncio.run(kind()), _core.Transport)
    assert not issubclass(asyncio.run(kind()), _core.Transport)
