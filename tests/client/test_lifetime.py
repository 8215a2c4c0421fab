"""Per-loop state: made at first use, gone with its loop; imports; exits."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import weakref

import aiofast
import pytest
from conftest import new_loop, open_files
from servers import Scripted, answer, forever, request, silence


def python(program, *arguments, flags=(), **environment):
    """Runs |program| in a process of its own; `url` is its first argument. The mode
    of asyncio and of Python is that of |flags|, not the one these tests run in."""
    modes = ("PYTHONASYNCIODEBUG", "PYTHONDEVMODE", "PYTHONWARNINGS")
    inherited = {k: v for k, v in os.environ.items() if k not in modes}
    head = "import sys\nurl = sys.argv[1] if len(sys.argv) > 1 else None\n"
    return subprocess.run(
        [sys.executable, *flags, "-c", head + program, *arguments],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def get(url):
    return (await aiofast.fetch(url)).body


def warnings_in(text):
    """Python adds a line to each about tracemalloc, which is none."""
    return text.count("Warning: ") - text.count("Warning: Enable tracemalloc")


# --- loops ----------------------------------------------------------------------


def test_asyncio_run_several_times():
    server = Scripted([forever(answer(b"again"))])
    for _ in range(5):
        assert asyncio.run(get(f"{server.url}/")) == b"again"
    assert server.connections == 5
    assert server.wait_for(lambda: server.open == 0)


def test_connections_close_with_their_loop():
    server = Scripted([forever(answer())])
    before = len(open_files())
    loop = new_loop()
    loop.run_until_complete(get(f"{server.url}/"))
    assert server.open == 1
    loop.close()
    del loop
    gc.collect()
    assert server.wait_for(lambda: server.open == 0)
    assert len(open_files()) <= before + 1  # the server's own end may linger


def test_a_collected_loop_takes_everything_along():
    """Not even closed: its own ResourceWarning is all that is left."""
    server = Scripted([forever(answer())])
    done = python(
        """
import asyncio, aiofast, gc, os, warnings
warnings.simplefilter("ignore")
async def main():
    await aiofast.fetch(url)
asyncio.run(main())
before = len(os.listdir("/dev/fd"))
for _ in range(5):
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    del loop
    gc.collect()
print(len(os.listdir("/dev/fd")) - before)
""",
        f"{server.url}/",
    )
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_loop_is_not_kept_alive_by_the_engine():
    server = Scripted([forever(answer())])
    loop = new_loop()
    loop.run_until_complete(get(f"{server.url}/"))
    reference = weakref.ref(loop)
    loop.close()
    del loop
    gc.collect()
    assert reference() is None


def test_a_loop_may_run_again_and_again():
    server = Scripted([forever(answer())])
    loop = new_loop()
    for _ in range(3):
        loop.run_until_complete(get(f"{server.url}/"))
    loop.close()
    assert server.connections == 1


def test_two_loops_take_turns():
    """Each has its own connections."""
    server = Scripted([forever(answer())])
    loops = [new_loop(), new_loop()]
    for _ in range(3):
        for loop in loops:
            assert loop.run_until_complete(get(f"{server.url}/")) == b"ok"
    for loop in loops:
        loop.close()
    assert server.connections == 2


def test_a_fetch_belongs_to_the_loop_that_first_ran_it():
    server = Scripted([request, silence])
    first, second = new_loop(), new_loop()
    pending = aiofast.fetch(f"{server.url}/")

    async def start():
        pending.add_done_callback(lambda _: None)
        await asyncio.sleep(0.01)

    async def use():
        return await pending

    first.run_until_complete(start())
    with pytest.raises(RuntimeError):
        second.run_until_complete(use())
    pending.cancel()
    first.run_until_complete(asyncio.sleep(0.01))
    first.close()
    second.close()


def test_several_threads_at_once():
    server = Scripted([forever(answer(b"thread"))])
    results, errors = [], []

    async def main():
        bodies = await asyncio.gather(*(get(f"{server.url}/") for _ in range(25)))
        for _ in range(25):
            bodies.append(await get(f"{server.url}/"))
        return bodies

    def work():
        try:
            for _ in range(2):
                results.extend(asyncio.run(main()))
        except BaseException as exc:
            errors.append(exc)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert results == [b"thread"] * (8 * 2 * 50)
    assert server.wait_for(lambda: server.open == 0)


def test_a_session_in_another_loop_is_told_clearly():
    """It binds to the loop of its first request."""
    server = Scripted([forever(answer())])

    async def use(session):
        async with session.get(f"{server.url}/") as found:
            return await found.read()

    async def start():
        session = aiofast.ClientSession()
        return session, await use(session)

    first, second = new_loop(), new_loop()
    session, body = first.run_until_complete(start())
    assert body == b"ok"
    with pytest.raises(RuntimeError, match="loop"):
        second.run_until_complete(use(session))
    first.run_until_complete(session.close())
    first.close()
    second.close()


async def test_stats_count_what_is_there():
    server = Scripted([request, silence])
    before = aiofast._core.stats()["fetches"]
    tasks = [asyncio.create_task(get(f"{server.url}/")) for _ in range(3)]
    await server.reached(lambda: len(server.requests) == 3)
    assert aiofast._core.stats()["fetches"] == before + 3
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert aiofast._core.stats()["fetches"] == before


async def test_close_loop_ends_what_is_in_flight():
    server = Scripted([request, silence])
    task = asyncio.create_task(get(f"{server.url}/"))
    await server.reached(lambda: server.requests)
    aiofast._core.close_loop()
    with pytest.raises((aiofast.ClientError, asyncio.CancelledError)):
        await asyncio.wait_for(task, 5)


async def test_close_loop_may_be_followed_by_more():
    server = Scripted([forever(answer())])
    assert await get(f"{server.url}/") == b"ok"
    aiofast._core.close_loop()
    assert await get(f"{server.url}/") == b"ok"
    assert server.connections == 2


# --- a forgotten close ----------------------------------------------------------

FORGOTTEN = """
import asyncio, aiofast
async def main():
    session = aiofast.ClientSession()
    response = await session.get(url)
    print(response.status, await response.text())
asyncio.run(main())
"""


def test_a_forgotten_close_is_silent_by_default():
    server = Scripted([forever(answer())])
    done = python(FORGOTTEN, f"{server.url}/")
    assert (done.returncode, done.stdout, done.stderr) == (0, "200 ok\n", "")
    assert server.wait_for(lambda: server.open == 0)


def test_a_forgotten_close_is_one_resource_warning():
    server = Scripted([forever(answer())])
    done = python(FORGOTTEN, f"{server.url}/", flags=("-X", "dev"))
    assert (done.returncode, done.stdout) == (0, "200 ok\n")
    assert done.stderr.count("ResourceWarning: Unclosed client session") == 1, done.stderr
    assert warnings_in(done.stderr) == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("flags", [(), ("-X", "dev")])
def test_an_exit_with_everything_in_flight_is_clean(flags):
    """Whatever state a request is in: status 0 and no traceback."""
    server = Scripted([request, silence])
    done = python(
        """
import asyncio, aiofast
async def main():
    session = aiofast.ClientSession(connector=aiofast.TCPConnector(limit=10))
    tasks = [asyncio.create_task(session.get(url)) for _ in range(20)]
    tasks += [asyncio.create_task(aiofast.fetch(url.replace("http:", "https:"))) for _ in "abc"]
    await asyncio.sleep(0.2)
    for task in tasks:
        task.cancel()
asyncio.run(main())
print("end")
""",
        f"{server.url}/",
        flags=flags,
    )
    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr
    assert "Traceback" not in done.stderr
    assert warnings_in(done.stderr) <= 1, done.stderr


def test_an_exit_in_the_middle_of_the_loop_is_clean():
    server = Scripted([request, silence])
    done = python(
        """
import asyncio, aiofast, sys
async def main():
    task = asyncio.create_task(aiofast.fetch(url))
    await asyncio.sleep(0.1)
    sys.exit(3)
asyncio.run(main())
""",
        f"{server.url}/",
    )
    assert (done.returncode, done.stderr) == (3, "")


def test_an_interrupt_is_a_keyboard_interrupt():
    server = Scripted([request, silence])
    done = python(
        """
import asyncio, aiofast, os, signal, threading
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    async def main():
        await aiofast.fetch(url)
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
""",
        f"{server.url}/",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_starts_anew_and_the_parents_connection_stays():
    server = Scripted([forever(answer())])
    done = python(
        """
import asyncio, aiofast, os
async def main():
    return (await aiofast.fetch(url)).reused
loop = asyncio.new_event_loop()
print(loop.run_until_complete(main()), flush=True)
pid = os.fork()
if pid == 0:
    print(asyncio.run(main()), flush=True)
    os._exit(0)
print(os.waitpid(pid, 0)[1], flush=True)
print(loop.run_until_complete(main()), flush=True)
loop.close()
""",
        f"{server.url}/",
        flags=("-W", "ignore"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["False", "False", "0", "True"]


def test_the_module_may_be_loaded_again():
    """Multi-phase init: all state is the module's."""
    server = Scripted([forever(answer())])
    done = python(
        """
import asyncio, sys, aiofast
def once():
    import aiofast
    async def main():
        return (await aiofast.fetch(url)).status
    return asyncio.run(main())
first = once()
for name in [name for name in sys.modules if name.split(".")[0] == "aiofast"]:
    del sys.modules[name]
print(first, once())
""",
        f"{server.url}/",
    )
    assert (done.returncode, done.stdout) == (0, "200 200\n"), done.stderr


# --- imports --------------------------------------------------------------------

LATE = [
    "yarl",
    "certifi",
    "json",
    "argparse",
    "http.cookies",
    "email",
    "urllib.request",
    "attr",
    "aiosignal",
    "dataclasses",
    "importlib.metadata",
    "mimetypes",
    "tempfile",
    "uuid",
    "multiprocessing",
    "requests",
    "aiohttp",
]


def test_what_is_not_needed_at_once_is_imported_late():
    done = python(
        "import asyncio; before = set(sys.modules); import aiofast; "
        "print(*sorted(set(sys.modules) - before))"
    )
    assert done.returncode == 0, done.stderr
    new = set(done.stdout.split())
    assert "aiofast._core" in new
    assert sorted(new & set(LATE)) == []


def test_importing_costs_little_beyond_asyncio():
    """Generous here; the benchmark measures it."""
    program = (
        "import asyncio, time; t = time.process_time(); import aiofast; "
        "print(time.process_time() - t)"
    )
    assert min(float(python(program).stdout) for _ in range(5)) < 0.1


def test_a_plain_fetch_needs_no_late_import_either(web):
    done = python(
        """
import asyncio, aiofast
before = set(sys.modules)
async def main():
    response = await aiofast.fetch(url)
    assert response.status == 200 and response.body
    assert response.headers["Content-Type"]
asyncio.run(main())
print(*sorted(set(sys.modules) - before))
""",
        f"{web.url}/json",
    )
    assert done.returncode == 0, done.stderr
    assert sorted(set(done.stdout.split()) & {"yarl", "certifi", "json", "http.cookies"}) == []


def test_the_public_names_are_there():
    names = """fetch get head options post put patch delete fetch_all fetch_many request
        ClientSession ClientTimeout ClientResponse TCPConnector UnixConnector open_connection
        ClientError ClientConnectionError ClientOSError ClientConnectorError
        ClientConnectorDNSError ClientConnectorCertificateError ClientConnectorSSLError
        ClientSSLError ClientPayloadError ClientResponseError ContentTypeError
        ServerDisconnectedError ServerTimeoutError ConnectionTimeoutError SocketTimeoutError
        TooManyRedirects InvalidURL InvalidUrlClientError InvalidUrlRedirectClientError
        NonHttpUrlClientError NonHttpUrlRedirectClientError RedirectClientError
        UnixClientConnectorError BasicAuth""".split()
    assert [name for name in names if not hasattr(aiofast, name)] == []
    assert set(names) <= set(dir(aiofast))
    assert set(aiofast.__all__) <= set(dir(aiofast))


def test_a_star_import_gives_names_not_modules():
    import types

    space = {}
    exec("from aiofast import *", space)
    modules = [name for name, value in space.items() if isinstance(value, types.ModuleType)]
    assert [name for name in modules if name != "hdrs"] == []
