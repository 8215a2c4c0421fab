"""The rest of the leak registry: recipes for the public operations that no recipe
for a type goes through. Run as a program as recipes.py is, with all of both."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import re
import ssl
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import aiofast
from aiofast import _core, parser
from leaks import recipes
from leaks.recipes import Kitchen, recipe

CLASSES = (
    aiofast.ClientSession, aiofast.ClientResponse, aiofast.Response, aiofast.StreamReader,
    aiofast.CookieJar, aiofast.FormData, _core.Fetch, _core.Pool, _core.Transport,
    _core.SSLTransport, parser.HttpRequestParser, parser.HttpResponseParser,
)  # fmt: skip


# What recipes come to by another name; and what registers a class for good.
INDIRECT = {
    "cookies_for": "filter_cookies",
    "header_for": "a request of a session",
    "learn": "update_cookies",
    "read_into": "readinto",
    "restore": "load",
    "set_cookie": "update_cookies",
    "unexpired": "save",
    "payload_type": "",
}


def operations() -> Iterator[tuple[str, str]]:
    """(where it is, name) of each."""
    for name in aiofast.__all__:
        if inspect.isroutine(getattr(aiofast, name)):
            yield "aiofast", name
    for each in CLASSES:
        for name in dir(each):
            if not name.startswith("_") and inspect.isroutine(inspect.getattr_static(each, name)):
                yield each.__name__, name


def without_recipe() -> list[str]:
    """Operations that no recipe calls, by the text of the recipes."""
    folder = Path(__file__).parent
    text = (folder / "recipes.py").read_text() + (folder / "operations.py").read_text()
    called = set(re.findall(r"\.(\w+)\(", text))
    return sorted(
        f"{where}.{name}" for where, name in operations() if name not in called | INDIRECT.keys()
    )


# --- requests -------------------------------------------------------------------


@recipe()
async def verbs(kitchen: Kitchen) -> None:
    url = kitchen.good
    await aiofast.delete(url)
    await aiofast.head(url)
    await aiofast.options(url)
    await aiofast.patch(url, data=b"a")
    await aiofast.put(url, data=b"a")
    async with aiofast.request("GET", url) as found:
        await found.read()


@recipe()
async def verbs_of_a_session(kitchen: Kitchen) -> None:
    url = kitchen.good
    async with aiofast.ClientSession() as session:
        for request in (
            session.delete(url), session.head(url), session.options(url),
            session.patch(url, data=b"a"), session.put(url, data=b"a"),
            session.request("GET", url),
        ):  # fmt: skip
            async with request as found:
                found.raise_for_status()
                await found.read()
        with contextlib.suppress(Exception):
            await session.ws_connect(url)
    other = aiofast.ClientSession()
    other.connector.close()
    other.detach()


@recipe()
async def fetches_by_hand(kitchen: Kitchen) -> None:
    fetch: Any = aiofast.fetch(kitchen.good)
    fetch.send(None)
    assert fetch.get_loop() is asyncio.get_running_loop()
    assert not fetch.done() and not fetch.cancelled()
    with contextlib.suppress(ValueError):
        fetch.throw(ValueError())
    fetch = aiofast.fetch(kitchen.good)
    await fetch
    assert fetch.exception() is None
    assert fetch.result().status == 200
    await asyncio.gather(aiofast.fetch(kitchen.good), aiofast.fetch(kitchen.good))


@recipe()
async def pieces_of_the_engine(kitchen: Kitchen) -> None:
    assert _core.url_join(kitchen.good, "/a").endswith("/a")
    with tempfile.TemporaryFile() as file:
        file.write(b"abc")
        file.flush()
        read: Any = _core.read_file(file.fileno(), 0, 3)
        assert bytes(await read) == b"abc"
    assert _core.stats()["handles"]
    pool = _core.Pool()
    pool.stats()
    assert pool.origins() == []
    pool.close()


class ByHand(aiofast.TCPConnector):
    """Makes its connections itself, or fails to."""

    fails = False

    async def _wrap_create_connection(self, *args: Any, **kwargs: Any) -> Any:
        if self.fails:
            raise OSError("by hand")
        return await super()._wrap_create_connection(*args, **kwargs)


@recipe("Dial")
async def connections_by_hand(kitchen: Kitchen) -> None:
    for url in (kitchen.good, kitchen.secure):
        connector = ByHand(ssl=kitchen.client)
        async with aiofast.ClientSession(connector=connector) as session:
            async with session.get(url) as found:
                await found.read()
            connector.fails = True
            with contextlib.suppress(aiofast.ClientError, OSError):
                await session.get(kitchen.mute)
            connector.fails = False
            task = asyncio.create_task(session.get(kitchen.mute))
            await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


# --- responses ------------------------------------------------------------------


@recipe()
async def what_a_response_can_say(kitchen: Kitchen) -> None:
    whole = await aiofast.fetch(kitchen.json)
    assert whole.json() == {"a": 1}
    whole.raise_for_status()
    whole.decode()
    whole.header("Content-Type")
    async with aiofast.ClientSession() as session:
        async with session.get(kitchen.json) as found:
            assert await found.json() == {"a": 1}
            found.get_encoding()
            await found.wait_for_close()
        async with session.get(kitchen.lines) as found:
            assert [line async for line in found.ndjson()] == [{"a": 1}, {"b": 2}]
        async with session.get(kitchen.events) as found:
            assert [event.data async for event in found.sse()] == ["x", "y"]
        async with session.get(kitchen.missing) as found:
            with contextlib.suppress(aiofast.ClientResponseError):
                found.raise_for_status()
        async with session.get(kitchen.hinting) as found:
            await found.wait_end()
            found.take_some()
            found.chunk_end(0)
        async with session.get(kitchen.hinting) as found:
            await found.read_some()
        async with session.get(kitchen.hinting) as found:
            await found.read_all()


@recipe()
async def what_a_stream_can_do(kitchen: Kitchen) -> None:
    async with aiofast.ClientSession() as session:
        async with session.get(kitchen.hinting) as found:
            content = found.content
            content.set_read_chunk_size(10)
            content.get_read_buffer_limits()
            assert await content.readuntil(b"\n") == b"one\n"
            assert content.exception() is None
            assert [part async for part in content.iter_any()]
            assert content.at_eof() and content.is_eof()
        async with session.get(kitchen.hinting) as found:
            assert [part async for part in found.content.iter_chunked(3)]
        async with session.get(kitchen.hinting) as found:
            assert [part async for part, _ in found.content.iter_chunks()]
        async with session.get(kitchen.good) as found:
            await found.content.wait_eof()
            found.content.read_nowait(5)
            with contextlib.suppress(DeprecationWarning):
                found.content.unread_data(b"a")


class Flow:
    """The protocol of a stream that is fed by hand."""

    connected = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self, **ignored: Any) -> None:
        pass


@recipe()
async def streams_by_hand(kitchen: Kitchen) -> None:
    loop = asyncio.get_running_loop()
    stream = aiofast.StreamReader(Flow(), 4, loop=loop)
    stream.begin_http_chunk_receiving()
    stream.feed_data(b"abcdefghi")
    stream.end_http_chunk_receiving()
    stream.feed_eof()
    assert await stream.read() == b"abcdefghi"
    stream = aiofast.StreamReader(Flow(), 4, loop=loop)
    stream.set_exception(ValueError("by hand"))
    with contextlib.suppress(ValueError):
        await stream.read()


# --- cookies, forms, words ------------------------------------------------------


@recipe()
async def cookies_of_a_jar(kitchen: Kitchen) -> None:
    from yarl import URL

    url = URL("http://example.com/a")
    jar = aiofast.CookieJar()
    jar.update_cookies({"a": "b", "c": "d"}, url)
    jar.update_cookies_from_headers(["e=f; Max-Age=5", "g=h; Path=/a"], url)
    assert len(jar.filter_cookies(url)) >= 2
    with tempfile.TemporaryDirectory() as folder:
        jar.save(f"{folder}/jar")
        aiofast.CookieJar().load(f"{folder}/jar")
    jar.clear_domain("example.com")
    jar.clear(lambda morsel: True)
    async with aiofast.ClientSession(cookie_jar=jar) as session:
        async with session.get(kitchen.good, cookies={"i": "j"}) as found:
            await found.read()


@recipe()
async def forms(kitchen: Kitchen) -> None:
    form = aiofast.FormData({"a": "b"})
    form.add_field("file", b"content", filename="x.txt", content_type="text/plain")
    form.add_fields(("c", "d"))
    await aiofast.post(kitchen.good, data=form)
    aiofast.get_payload(b"bytes")
    _, parameters = aiofast.parse_content_disposition('attachment; filename="a"')
    assert aiofast.content_disposition_filename(parameters) == "a"
    aiofast.encode_basic_auth("user", "password")


# --- transports -----------------------------------------------------------------


class Still(asyncio.Protocol):
    pass


def look_at(transport: Any) -> None:
    transport.get_extra_info("socket")
    transport.get_protocol()
    transport.set_write_buffer_limits(high=10)
    transport.get_write_buffer_limits()
    transport.get_write_buffer_size()
    transport.is_closing()
    transport.pause_reading()
    transport.is_reading()
    transport.resume_reading()
    transport.set_protocol(Still())
    transport.writelines([b"GET / ", b"HTTP/1.1\r\n"])


@recipe()
async def transports_by_hand(kitchen: Kitchen) -> None:
    where = _core.url_origin(kitchen.good)[1:]
    transport: Any
    transport, _ = await aiofast.create_connection(Still, *where)
    look_at(transport)
    assert transport.can_write_eof()
    transport.write_eof()
    transport.abort()
    transport, _ = await aiofast.create_unix_connection(Still, kitchen.path)
    transport.close()
    reader, writer = await aiofast.open_unix_connection(kitchen.path)
    writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert await reader.read(5)
    writer.close()
    where = _core.url_origin(kitchen.secure)[1:]
    transport, protocol = await aiofast.create_connection(Still, *where)
    secure: Any = await aiofast.start_tls(
        transport, protocol, kitchen.client, server_hostname="localhost"
    )
    look_at(secure)
    with contextlib.suppress(NotImplementedError):
        secure.write_eof()
    secure.abort()
    await asyncio.sleep(0)


@recipe()
async def installed(kitchen: Kitchen) -> None:
    loop = asyncio.get_running_loop()
    aiofast.install(loop)
    where = _core.url_origin(kitchen.good)[1:]
    transport, _ = await loop.create_connection(Still, *where)
    transport.abort()
    aiofast.uninstall(loop)
    await asyncio.sleep(0)


# --- the parser -----------------------------------------------------------------


@recipe()
async def what_a_parser_knows(kitchen: Kitchen) -> None:
    class Heard(parser.HTTPProtocol):
        pass

    one = parser.HttpRequestParser(Heard())
    one.set_dangerous_leniencies(lenient_headers=True)
    one.feed_data(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    one.get_method()
    one.get_http_version()
    one.should_keep_alive()
    one.should_upgrade()
    other = parser.HttpResponseParser(Heard())
    other.set_dangerous_leniencies(lenient_headers=True)
    other.feed_data(b"HTTP/1.1 204 No Content\r\n\r\n")
    other.get_status_code()
    other.get_http_version()
    other.should_keep_alive()
    other.should_upgrade()


@recipe()
async def contexts_of_ones_own(kitchen: Kitchen) -> None:
    """A TLS context for each request: none of them stays."""
    context = ssl.create_default_context(cafile=kitchen.authority.ca_file)
    connector = aiofast.TCPConnector(ssl=context)
    async with aiofast.ClientSession(connector=connector) as session:
        async with session.get(kitchen.secure) as found:
            await found.read()


if __name__ == "__main__":
    recipes.main(sys.argv[1])
