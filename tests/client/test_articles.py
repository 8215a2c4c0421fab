"""The programs of five articles about asyncio and HTTP run on aiofast with only
their import line and their hosts changed.

`asyncio.coroutine` left Python in 3.11: the generators that used it are written
with types.coroutine, which is what it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import selectors
import socket
import ssl
import time
import types
import urllib.parse
from collections import namedtuple

import aiofast
import aiofast as aiohttp
import pytest
from conftest import new_loop
from servers import Scripted, answer, free_port, pause, request


@contextlib.contextmanager
def event_loop_of_old():
    """A loop as `asyncio.get_event_loop()` gave one to these programs."""
    loop = new_loop()
    asyncio.set_event_loop(loop)
    try:
        yield loop
    finally:
        asyncio.set_event_loop(None)
        loop.close()


# --- the prober of the first article --------------------------------------------


def prober(urls):
    """The article's script; termcolor's function prints what it is given."""
    printed = []

    def colored(text, color):
        return f"<{color}>{text}"

    async def fetch(url, loop):
        try:
            async with aiohttp.ClientSession(loop=loop) as session:
                start_time = time.perf_counter()
                async with session.get(url, allow_redirects=False, timeout=10) as response:
                    end_time = time.perf_counter()
                    if response.status == 200:
                        duration = (end_time - start_time) * 1000
                        return (url, duration)
                    return (url, -1)
        except Exception:
            return (url, -1)

    async def main(loop):
        tasks = []
        for url in urls:
            tasks.append(asyncio.ensure_future(fetch(url, loop)))
        await asyncio.gather(*tasks)
        results = map(lambda x: x.result(), tasks)
        for fetch_result in results:
            (url, result) = fetch_result
            color = "green" if result != -1 else "red"
            printed.append(colored("{0:<40}".format(url), color) + "{0:.2f}ms".format(result))
        return [task.result() for task in tasks], printed

    return main


def test_the_prober_tells_what_is_up_and_how_long_it_took(web):
    urls = [
        f"{web.url}/json",
        f"{web.url}/delay/50",
        f"{web.url}/redirect/1",
        f"{web.url}/status/404",
        f"http://127.0.0.1:{free_port()}/",
        "",
    ]
    with event_loop_of_old() as loop:
        results, printed = loop.run_until_complete(prober(urls)(loop))
    assert [url for url, _ in results] == urls
    up = [duration != -1 for _, duration in results]
    assert up == [True, True, False, False, False, False]
    assert 0 < results[0][1] < 10_000
    assert 50 <= results[1][1] < 10_000
    assert printed[0].startswith("<green>") and printed[0].endswith("ms")
    assert [line[:5] for line in printed[2:]] == ["<red>"] * 4


async def test_probing_creates_no_thread_of_our_own(web):
    """The article's first question: is it really asynchronous?"""
    import threading

    before = threading.active_count()
    seen = []
    fetches = [asyncio.create_task(aiofast.fetch(f"{web.url}/delay/50")) for _ in range(10)]
    await asyncio.sleep(0.02)
    seen.append(threading.active_count())
    for response in await asyncio.gather(*fetches):
        assert response.status == 200
    assert seen == [before]


# --- the scraper of the second article ------------------------------------------


def test_the_scraper_fetches_five_https_pages(authority, capsys):
    sites = [Scripted([answer(b"page %d" % n)], tls=authority.server()) for n in range(5)]
    url_list = [f"{site.url}/" for site in sites]
    context = authority.client()

    async def fetch(url):
        async with aiohttp.ClientSession() as session:
            async with session.get(url, ssl=context) as res:
                print(url + " / " + str(res.status))

    with event_loop_of_old() as loop:
        tasks = [loop.create_task(fetch(url)) for url in url_list]
        done, pending = loop.run_until_complete(asyncio.wait(tasks))
    assert not pending
    for task in done:
        task.result()
    lines = capsys.readouterr().out.split()
    assert sorted(lines[0::3]) == sorted(url_list)
    assert lines[2::3] == ["200"] * 5
    assert [site.connections for site in sites] == [1] * 5


def test_five_slow_pages_take_the_time_of_one(authority):
    sites = [
        Scripted([request, pause(0.2), answer_now(b"slow")], tls=authority.server())
        for _ in range(5)
    ]
    context = authority.client()

    async def fetch(url):
        async with aiohttp.ClientSession() as session:
            async with session.get(url, ssl=context) as res:
                return await res.read()

    start = time.monotonic()
    with event_loop_of_old() as loop:
        tasks = [loop.create_task(fetch(f"{site.url}/")) for site in sites]
        loop.run_until_complete(asyncio.wait(tasks))
    assert [task.result() for task in tasks] == [b"slow"] * 5
    assert time.monotonic() - start < 0.2 * 5


def answer_now(body):
    from servers import response, send

    return send(response(body))


# --- the generators of the third article ----------------------------------------


def generators(url_of, count):
    """`yield from aiohttp.request('GET', url)` in generator-based coroutines."""
    network_io_responses = []

    @types.coroutine
    def network_io_coroutine(url):
        r = yield from aiohttp.request("GET", url)
        return r.status

    @types.coroutine
    def easy_coroutine(url):
        response = yield from network_io_coroutine(url)
        network_io_responses.append(response)

    async def native(generator):  # since 3.12 a task takes nothing else
        await generator

    def main():
        with event_loop_of_old() as loop:
            coros = [
                loop.create_task(native(easy_coroutine(url_of(i)))) for i in range(1, count + 1)
            ]
            parent_coro = asyncio.wait(coros)
            done, _ = loop.run_until_complete(parent_coro)
        for task in done:
            task.result()
        return network_io_responses

    return main


@pytest.mark.parametrize("count", [2, 3])
def test_a_few_generators_get_their_status(web, count):
    main = generators(lambda i: f"{web.url}/delay/50?pokemon={i}", count)
    assert main() == [200] * count
    assert web.count == count


def test_a_hundred_generators_take_little_more_time_than_one(web):
    main = generators(lambda i: f"{web.url}/delay/50?pokemon={i}", 100)
    start = time.monotonic()
    assert main() == [200] * 100
    spent = time.monotonic() - start
    assert spent < 100 * 0.05 / 2, "one after the other it takes five seconds"
    assert sorted(web.targets) == sorted(f"/delay/50?pokemon={i}" for i in range(1, 101))


async def test_request_is_also_a_context_manager(web):
    async with aiohttp.request("GET", f"{web.url}/json") as response:
        assert response.status == 200
        assert (await response.json())["hello"] == "world"


async def test_request_awaited_in_a_native_coroutine_gives_the_same(web):
    response = await aiohttp.request("GET", f"{web.url}/json")
    assert response.status == 200


# --- connect, write, read: the fourth article -----------------------------------

Response = namedtuple("Response", ["body", "headers"])


def classic(selector):
    """The client made of generators and a selector, as the article builds it."""

    def write(url, uuid):
        sock = yield
        http_request = f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n"
        sock.sendall(http_request.encode())
        selector.modify(sock, selectors.EVENT_READ, uuid)

    def read(uuid):
        headers = body = b""
        parsed = False
        sock = yield
        while True:
            try:
                data = sock.recv(512)
            except BlockingIOError:
                continue
            if not data:
                break
            if parsed:
                body += data
            else:
                headers += data
                if b"\r\n\r\n" in headers:
                    headers, body = headers.split(b"\r\n\r\n", 1)
                    parsed = True
                    for line in headers.split(b"\r\n"):
                        if line.startswith(b"Content-Length:"):
                            length = int(line.split(b":")[1].strip())
            if parsed and len(body) >= length:
                break
        selector.unregister(sock)
        sock.close()
        return Response(json.loads(body), headers.decode())

    def http_get(url):
        uuid = yield
        parts = urllib.parse.urlsplit(url)
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            sock.connect((parts.hostname, parts.port))
        selector.register(sock, selectors.EVENT_WRITE, uuid)
        yield from write(parts, uuid)
        return (yield from read(uuid))

    def event_loop(tasks):
        waiting, results = {}, {}
        for index, task in enumerate(tasks):
            uuid = f"task-{index}"
            task.send(None)
            task.send(uuid)
            waiting[uuid] = task
        while waiting:
            for key, _ in selector.select():
                task = waiting.pop(key.data)
                try:
                    task.send(key.fileobj)
                    waiting[key.data] = task
                except StopIteration as stop:
                    results[key.data] = stop.value
        return [results[f"task-{index}"] for index in range(len(tasks))]

    return event_loop, http_get


async def test_the_generator_client_and_ours_read_the_same_response(web):
    """What the article builds by hand is the reference for what we return."""
    url = f"{web.url}/json"
    with selectors.DefaultSelector() as selector:
        event_loop, http_get = classic(selector)
        by_hand = event_loop([http_get(url), http_get(url)])
    ours = await aiofast.fetch_all([url, url])
    assert [response.json() for response in ours] == [each.body for each in by_hand]
    for response, each in zip(ours, by_hand, strict=True):
        assert each.headers.split("\r\n")[0] == f"HTTP/1.1 {response.status} {response.reason}"


def streams_program(url, log):
    """The article's streams version on aiofast.open_connection."""
    logger = logging.getLogger("AsyncioApp")
    handler = logging.StreamHandler(log)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.setLevel("INFO")

    async def read(reader, uuid):
        logger.info("[%s] Reading from a server", uuid)
        result = ""
        while True:
            line = await reader.readline()
            if not line:
                break
            line = line.decode("latin1").rstrip()
            if line:
                result += line
        return result

    async def http_get(url, uuid):
        url = urllib.parse.urlsplit(url)
        logger.info("[%s] Connecting to a server", uuid)
        reader, writer = await aiofast.open_connection(url.hostname, url.port)
        query = f"GET {url.path or '/'} HTTP/1.0\r\nHost: {url.hostname}\r\n\r\n"
        logger.info("[%s] Writing to a server", uuid)
        writer.write(query.encode("latin-1"))
        try:
            return await read(reader, uuid)
        finally:
            writer.close()
            await writer.wait_closed()

    async def main():
        try:
            return await asyncio.gather(http_get(url, "task-0"), http_get(url, "task-1"))
        finally:
            logger.removeHandler(handler)

    return main()


async def test_the_streams_program_connects_writes_and_reads_by_hand(web):
    log = io.StringIO()
    results = await streams_program(f"{web.url}/json", log)
    for result in results:
        assert result.startswith("HTTP/1.0 200 OK")
        assert result.endswith(json.dumps({"hello": "world", "id": None}))
    for uuid in ("task-0", "task-1"):
        lines = [line for line in log.getvalue().splitlines() if line.startswith(f"[{uuid}]")]
        assert [line.split("] ")[1].split()[0] for line in lines] == [
            "Connecting",
            "Writing",
            "Reading",
        ]


def test_the_session_program_of_the_article(web, capsys):
    async def fetch_url(url, uuid):
        async with aiohttp.ClientSession() as session:
            print("[%s] Connecting to a server" % uuid)
            async with session.get(url) as response:
                print("[%s] Writing to a server" % uuid)
                result = await response.text()
                print("[%s] Reading from a server" % uuid)
        print("[%s] was completed" % uuid)
        return result

    async def main():
        tasks = [fetch_url(f"{web.url}/echo", "task-0"), fetch_url(f"{web.url}/echo", "task-1")]
        return await asyncio.gather(*tasks)

    results = asyncio.run(main())
    assert [json.loads(result)["method"] for result in results] == ["GET", "GET"]
    printed = capsys.readouterr().out
    assert printed.count("was completed") == 2
    assert printed.index("[task-0] Connecting") < printed.index("[task-0] was completed")


# --- the certificates of the fifth article --------------------------------------


def test_the_first_correct_program_of_the_fifth_article(web, capsys):
    async def fetch():
        url = f"{web.url}/echo"
        async with aiohttp.ClientSession() as session:
            async with session.get(url) as resp:
                print(resp.status)
                print(await resp.text())

    asyncio.run(fetch())
    status, body = capsys.readouterr().out.split("\n", 1)
    assert status == "200"
    assert json.loads(body)["target"] == "/echo"


def pep_program(base, **options):
    async def fetch(pep):
        url = f"{base}/dev/peps/pep-{pep}/"
        async with aiohttp.ClientSession() as session:
            async with session.get(url, **options) as resp:
                print(resp.status)
                print(await resp.text())

    return fetch(8010)


def test_an_unknown_authority_is_refused_and_the_error_says_so(authority, capsys):
    site = Scripted([answer(b"pep 8010")], tls=authority.server())
    with pytest.raises(aiohttp.ClientConnectorCertificateError) as caught:
        asyncio.run(pep_program(site.url))
    assert isinstance(caught.value, ssl.SSLCertVerificationError) or isinstance(
        caught.value, ssl.CertificateError
    )
    assert "certificate verify failed" in str(caught.value).lower()
    assert site.requests == []
    assert capsys.readouterr().out == ""


def test_the_articles_fix_an_ssl_context_is_honoured(authority, capsys):
    """`ssl.SSLContext()` verifies nothing: that is what the article uses."""
    site = Scripted([answer(b"pep 8010")], tls=authority.server())
    ssl_ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ssl_ctx.check_hostname = False
    ssl_ctx.verify_mode = ssl.CERT_NONE
    asyncio.run(pep_program(site.url, ssl=ssl_ctx))
    assert capsys.readouterr().out == "200\npep 8010\n"
    assert site.requests[0].target == "/dev/peps/pep-8010/"


def test_the_articles_own_context_without_a_protocol(authority, capsys):
    site = Scripted([answer(b"pep 8010")], tls=authority.server())
    with pytest.warns(DeprecationWarning):
        ssl_ctx = ssl.SSLContext()
    asyncio.run(pep_program(site.url, ssl=ssl_ctx))
    assert capsys.readouterr().out == "200\npep 8010\n"


def test_a_context_that_knows_the_authority_verifies(authority, capsys):
    site = Scripted([answer(b"pep 8010")], tls=authority.server())
    asyncio.run(pep_program(site.url, ssl=authority.client()))
    assert capsys.readouterr().out == "200\npep 8010\n"


async def test_the_blocking_library_in_an_executor_gets_the_same_body(web):
    """The article's second option, kept as a check on ours."""
    requests = pytest.importorskip("requests")
    loop = asyncio.get_running_loop()
    blocking = await loop.run_in_executor(None, requests.get, f"{web.url}/bytes/1000")
    assert (await aiofast.fetch(f"{web.url}/bytes/1000")).body == blocking.content
