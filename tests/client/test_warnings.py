"""What is forgotten is named, once: a session that is not closed, a response that
is neither read nor left, a loop that stands still while CAs are read. In debug
mode with the place where it was made."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import warnings
from typing import Any

import aiofast
import pytest
from servers import Scripted, answer, eof, forever, request, send

PART = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 500


def heard(loop: asyncio.AbstractEventLoop) -> list[dict[str, Any]]:
    """What the loop's exception handler is told from here on."""
    told: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda loop, facts: told.append(facts))
    return told


def in_debug(main: Any) -> None:
    """Runs it in debug mode, whatever mode the tests are in."""
    with asyncio.Runner(debug=True) as runner:
        runner.run(main())


async def forget_response(url: str, session: Any) -> None:
    response = await session.get(url)
    assert response.status == 200
    await asyncio.sleep(0)  # the engine holds the request while it wakes who awaits it


def test_a_response_that_is_forgotten_is_named_once() -> None:
    server = Scripted([request, send(PART), eof])

    async def main() -> None:
        told = heard(asyncio.get_running_loop())
        async with aiofast.ClientSession() as session:
            with pytest.warns(ResourceWarning, match="Unclosed response <ClientResponse") as caught:
                await forget_response(f"{server.url}/", session)
                gc.collect()
            assert len(caught) == 1
            assert caught[0].source is not None
            await server.reached(lambda: server.open == 0)  # the exchange has ended too
        (facts,) = told
        assert facts["message"] == "Unclosed response"
        places = [frame.name for frame in facts["source_traceback"]]
        assert places[-1] in ("forget_response", "__aenter__", "__await__")
        assert "forget_response" in places

    in_debug(main)


def test_outside_of_debug_mode_it_is_the_warning_alone() -> None:
    server = Scripted([request, send(PART), eof])

    async def main() -> None:
        told = heard(asyncio.get_running_loop())
        async with aiofast.ClientSession() as session:
            with pytest.warns(ResourceWarning, match="Unclosed response"):
                await forget_response(f"{server.url}/", session)
                gc.collect()
        assert told == []

    with asyncio.Runner(debug=False) as runner:
        runner.run(main())


@pytest.mark.parametrize("how", ["read", "left", "released", "closed", "whole", "session", "fetch"])
async def test_whoever_ends_it_hears_nothing(how: str) -> None:
    """That includes a short body that nobody read: its connection is free."""
    server = Scripted([forever(answer(b"short"))])
    if how in ("left", "released", "closed", "session"):
        server = Scripted([request, send(PART), eof])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with aiofast.ClientSession() as session:
            if how == "left":
                async with session.get(f"{server.url}/"):
                    pass
            elif how == "fetch":
                await aiofast.fetch(f"{server.url}/")
            else:
                found = await session.get(f"{server.url}/")
                if how == "read":
                    await found.read()
                elif how == "released":
                    found.release()
                elif how == "closed":
                    found.close()
                elif how == "whole":
                    while not found.complete:
                        await asyncio.sleep(0.01)
                elif how == "session":
                    await session.close()
                del found
            gc.collect()


def test_a_session_that_is_forgotten_is_named_with_its_place() -> None:
    server = Scripted([forever(answer())])

    async def forget_session() -> None:
        session = aiofast.ClientSession()
        async with session.get(f"{server.url}/") as found:
            await found.read()

    async def main() -> None:
        told = heard(asyncio.get_running_loop())
        with pytest.warns(ResourceWarning, match="Unclosed client session") as caught:
            await forget_session()
            gc.collect()
        assert len(caught) == 1
        (facts,) = told
        assert facts["message"] == "Unclosed client session"
        assert facts["source_traceback"][-1].name == "forget_session"

    in_debug(main)


STANDS_STILL = """
import asyncio, aiofast, sys
async def first_https_request():
    for _ in range(3):
        try:
            await aiofast.fetch(sys.argv[1])
        except aiofast.ClientError as error:
            print(type(error).__name__)
asyncio.run(first_https_request(), debug=sys.argv[2] == "debug")
"""


@pytest.mark.parametrize("mode", ["debug", "plain"])
def test_a_loop_that_stands_still_for_the_certificates(mode: str, authority: Any) -> None:
    server = Scripted([forever(answer())], tls=authority.server())
    done = subprocess.run(
        [sys.executable, "-c", STANDS_STILL, f"{server.url}/", mode],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == ["ClientConnectorCertificateError"] * 3, done.stderr
    named = done.stderr.count("The event loop stood still")
    if mode == "debug":
        assert named == 1
        assert "in first_https_request" in done.stderr
    elif "PYTHONASYNCIODEBUG" not in os.environ and not sys.flags.dev_mode:
        assert named == 0
