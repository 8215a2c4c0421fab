"""progress= where a session's request goes step by step."""

from __future__ import annotations

import aiofast
import pytest
from servers import Scripted, answer

SIZE = 300_000


async def again(request, handler):
    """A middleware that asks once more when the server is busy."""
    response = await handler(request)
    if response.status == 503:
        response.release()
        response = await handler(request)
    return response


async def straight(request, handler):
    return await handler(request)


class Pieces:
    """Can be iterated over more than once."""

    def __iter__(self):
        yield b"x" * 100_000
        yield b"x" * (SIZE - 100_000)


def body_of(kind, tmp_path):
    data = b"x" * SIZE
    if kind == "file":
        path = tmp_path / "body"
        path.write_bytes(data)
        return path.open("rb")
    return data if kind == "bytes" else Pieces()


@pytest.mark.parametrize("kind", ["bytes", "file", "pieces"])
@pytest.mark.parametrize("how", ["middleware", "again", "trace", "session"])
async def test_progress_step_by_step(how, kind, tmp_path):
    busy = [answer(b"busy", status="503 Busy")] if how == "again" else []
    server = Scripted([*busy, answer(b"ok")])
    told: list[tuple[int, int | None]] = []
    middlewares = {"middleware": [straight], "again": [again]}.get(how, [])
    traces = [aiofast.TraceConfig()] if how == "trace" else []
    async with aiofast.ClientSession(middlewares=middlewares, trace_configs=traces) as session:
        async with session.post(
            f"{server.url}/",
            data=body_of(kind, tmp_path),
            progress=lambda sent, total: told.append((sent, total)),
        ) as response:
            assert await response.read() == b"ok"
    assert [len(each.body) for each in server.requests] == [SIZE] * (1 + len(busy))
    sent = [count for count, _ in told]
    assert sent.count(SIZE) >= 1 + len(busy)
    assert sent[-1] == SIZE
    assert {total for _, total in told} == ({None} if kind == "pieces" else {SIZE})


async def test_a_progress_function_that_fails_fails_a_request_with_middlewares():
    def fail(sent, total):
        raise RuntimeError("no more")

    server = Scripted([answer(b"ok")])
    async with aiofast.ClientSession(middlewares=[straight]) as session:
        with pytest.raises((RuntimeError, aiofast.ClientError)) as info:
            await session.post(f"{server.url}/", data=b"x" * SIZE, progress=fail)
    assert "no more" in str(info.value) or "no more" in str(info.value.__cause__)
