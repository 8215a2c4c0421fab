"""download(): into a file, resumed, verified, and in little memory."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import random
import threading
import time
from pathlib import Path

import aiofast
import pytest
from measures import Peak, stalls
from servers import Scripted, answer, cut, flood, forever, request, response, send, silence, until

BODY = random.Random(11).randbytes(700_000)
SHA = hashlib.sha256(BODY).hexdigest()
TAG = 'ETag: "v1"'


class Store:
    """A server's file, and how it answers: for each connection the bytes after
    which it is cut off (None: never)."""

    def __init__(self, body=BODY, cuts=(), fields=(TAG,), ranges=True):
        self.body = body
        self.fields = list(fields)
        self.ranges = ranges
        self.cuts = [*cuts, None]
        self.server = Scripted([forever(request, self._serve)])

    @property
    def url(self):
        return f"{self.server.url}/files/data.bin?x=1"

    def _serve(self, peer):
        asked = peer.last.header("Range")
        same = peer.last.header("If-Range") in {f.partition(": ")[2] for f in self.fields}
        body, fields, status = self.body, list(self.fields), "200 OK"
        if asked and self.ranges and same:
            first = int(asked.removeprefix("bytes=").rstrip("-"))
            if first >= len(body):
                fields.append(f"Content-Range: bytes */{len(body)}")
                peer.write(response(b"", *fields, status="416 Range Not Satisfiable"))
                return
            fields.append(f"Content-Range: bytes {first}-{len(body) - 1}/{len(body)}")
            body, status = body[first:], "206 Partial Content"
        data = response(body, *fields, status=status)
        stop = self.cuts.pop(0) if len(self.cuts) > 1 else None
        if stop is None:
            peer.write(data)
            return
        peer.write(data[: len(data) - len(body) + stop])
        cut(peer)

    @property
    def asked(self):
        return [(r.header("Range"), r.header("If-Range")) for r in self.server.requests]


def left(folder):
    return sorted(path.name for path in Path(folder).iterdir())


async def test_a_file(tmp_path):
    store = Store()
    told = []
    found = await aiofast.download(
        store.url,
        tmp_path / "out",
        progress=lambda *now: told.append(now),
        checksum=f"sha256:{SHA}",
    )
    assert (tmp_path / "out").read_bytes() == BODY
    assert (found.path, found.size) == (str(tmp_path / "out"), len(BODY))
    assert (found.resumed_from, found.retries, found.checksum) == (0, 0, SHA)
    assert found.response.status == 200
    assert left(tmp_path) == ["out"]
    assert told[-1] == (len(BODY), len(BODY))
    assert [size for size, _ in told] == sorted({size for size, _ in told})
    assert store.server.requests[0].header("Accept-Encoding") == "identity"


async def test_into_a_directory_and_over_a_file(tmp_path):
    store = Store()
    (tmp_path / "data.bin").write_bytes(b"old")
    found = await aiofast.download(store.url, tmp_path, checksum="sha256")
    assert found.path == str(tmp_path / "data.bin")
    assert found.checksum == SHA
    assert (tmp_path / "data.bin").read_bytes() == BODY
    with pytest.raises(ValueError, match="names no file"):
        await aiofast.download(f"{store.server.url}/", tmp_path)
    with pytest.raises(ValueError, match="names no file"):
        await aiofast.download(f"{store.server.url}/%2e%2e", tmp_path)


@pytest.mark.parametrize("checked", [None, f"sha256:{SHA}"])
async def test_a_lost_connection_is_made_up_for(tmp_path, checked):
    store = Store(cuts=[100_000, 0, 300_000])
    found = await aiofast.download(store.url, tmp_path / "out", checksum=checked)
    assert (tmp_path / "out").read_bytes() == BODY
    assert found.retries == 3
    assert store.asked == [
        (None, None),
        ("bytes=100000-", '"v1"'),
        ("bytes=100000-", '"v1"'),
        ("bytes=400000-", '"v1"'),
    ]
    assert left(tmp_path) == ["out"]


async def test_a_later_call_goes_on(tmp_path):
    store = Store(cuts=[250_000])
    with pytest.raises(aiofast.ClientPayloadError):
        await aiofast.download(store.url, tmp_path / "out", retries=0)
    assert left(tmp_path) == ["out.part", "out.part.json"]
    assert (tmp_path / "out.part").read_bytes() == BODY[:250_000]
    found = await aiofast.download(store.url, tmp_path / "out", checksum=f"SHA-256:{SHA.upper()}")
    assert (found.resumed_from, found.size) == (250_000, len(BODY))
    assert (tmp_path / "out").read_bytes() == BODY
    assert left(tmp_path) == ["out"]


async def test_by_last_modified(tmp_path):
    field = "Last-Modified: Sat, 01 Jan 2022 00:00:00 GMT"
    store = Store(cuts=[1000], fields=[field])
    found = await aiofast.download(store.url, tmp_path / "out")
    assert store.asked[1] == ("bytes=1000-", field.partition(": ")[2])
    assert (found.retries, (tmp_path / "out").read_bytes()) == (1, BODY)


async def test_another_version_starts_anew(tmp_path):
    store = Store(cuts=[250_000])
    with pytest.raises(aiofast.ClientPayloadError):
        await aiofast.download(store.url, tmp_path / "out", retries=0)
    store.body, store.fields = BODY[::-1], ['ETag: "v2"']
    found = await aiofast.download(store.url, tmp_path / "out", checksum="sha256")
    assert (tmp_path / "out").read_bytes() == BODY[::-1]
    assert found.checksum == hashlib.sha256(BODY[::-1]).hexdigest()


async def test_a_part_that_is_whole(tmp_path):
    store = Store(cuts=[250_000])
    with pytest.raises(aiofast.ClientPayloadError):
        await aiofast.download(store.url, tmp_path / "out", retries=0)
    (tmp_path / "out.part").write_bytes(BODY)
    await aiofast.download(store.url, tmp_path / "out", checksum=f"sha256:{SHA}")
    assert store.asked[-1] == (f"bytes={len(BODY)}-", '"v1"')
    assert left(tmp_path) == ["out"]
    (tmp_path / "out.part").write_bytes(BODY + b"more")
    (tmp_path / "out.part.json").write_text(f'{{"url": "{store.url}", "validator": "\\"v1\\""}}')
    await aiofast.download(store.url, tmp_path / "out", checksum=f"sha256:{SHA}")
    assert (tmp_path / "out").read_bytes() == BODY


@pytest.mark.parametrize("fields", [[], ['ETag: W/"weak"']])
async def test_what_cannot_be_resumed_leaves_nothing(tmp_path, fields):
    store = Store(cuts=[250_000], fields=fields)
    with pytest.raises(aiofast.ClientPayloadError):
        await aiofast.download(store.url, tmp_path / "out")
    assert left(tmp_path) == []
    store = Store(cuts=[250_000])
    with pytest.raises(aiofast.ClientPayloadError):
        await aiofast.download(store.url, tmp_path / "out", resume=False)
    assert left(tmp_path) == []


@pytest.mark.parametrize("notes", ["", "{", "[]", '{"url": 5}', '{"url": "x", "validator": "y"}'])
async def test_a_strange_part_is_not_used(tmp_path, notes):
    (tmp_path / "out.part").write_bytes(b"something else")
    (tmp_path / "out.part.json").write_text(notes)
    store = Store()
    await aiofast.download(store.url, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == BODY
    assert store.asked == [(None, None)]


async def test_a_wrong_checksum(tmp_path):
    store = Store()
    (tmp_path / "out").write_bytes(b"old")
    with pytest.raises(aiofast.ChecksumError, match=SHA):
        await aiofast.download(store.url, tmp_path / "out", checksum=f"sha256:{'0' * 64}")
    assert left(tmp_path) == ["out"]
    assert (tmp_path / "out").read_bytes() == b"old"
    assert len(store.server.requests) == 1
    for checksum in ("sha256:12", "sha256:" + "x" * 64, "nonsense:00"):
        with pytest.raises(ValueError, match=r"sha256|nonsense"):
            await aiofast.download(store.url, tmp_path / "out", checksum=checksum)


async def test_errors_of_status_and_of_the_server(tmp_path):
    server = Scripted([answer(b"no", status="404 Not Found")])
    with pytest.raises(aiofast.ClientResponseError, match="404"):
        await aiofast.download(f"{server.url}/a", tmp_path / "out")
    wrong = response(b"x" * 10, 'ETag: "v1"', "Content-Range: bytes 5-14/20", status="206 Partial")
    server = Scripted([request, send(wrong)])
    with pytest.raises(aiofast.ClientPayloadError, match="asked for"):
        await aiofast.download(f"{server.url}/a", tmp_path / "out", retries=1)
    assert left(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        await aiofast.download(f"{server.url}/a", tmp_path / "no" / "out")


async def test_a_coded_body_is_decoded(tmp_path):
    server = Scripted([answer(gzip.compress(BODY), "Content-Encoding: gzip", TAG)])
    await aiofast.download(f"{server.url}/a", tmp_path / "out", checksum=f"sha256:{SHA}")
    assert (tmp_path / "out").read_bytes() == BODY


async def test_an_empty_file(tmp_path):
    server = Scripted([answer(b"", TAG)])
    found = await aiofast.download(f"{server.url}/a", tmp_path / "out")
    assert (found.size, left(tmp_path)) == (0, ["out"])


async def test_a_rate(tmp_path):
    store = Store(body=BODY[:60_000])
    began = time.monotonic()
    await aiofast.download(store.url, tmp_path / "out", limit_rate=100_000)
    assert 0.5 < time.monotonic() - began < 3
    with pytest.raises(ValueError, match="limit_rate"):
        await aiofast.download(store.url, tmp_path / "out", limit_rate=0)


async def test_cancelled_and_called_again(tmp_path):
    go = threading.Event()
    head = response(b"", TAG, f"Content-Length: {len(BODY)}", length=False)
    server = Scripted(
        [request, send(head + BODY[:300_000]), silence],
        [request, until(go), send(response(BODY, TAG))],
    )
    url = f"{server.url}/a"
    task = asyncio.ensure_future(aiofast.download(url, tmp_path / "out"))
    while "out.part" not in left(tmp_path) or (tmp_path / "out.part").stat().st_size < 300_000:
        await asyncio.sleep(0.01)
    other = asyncio.ensure_future(aiofast.download(url, tmp_path / "out"))
    with pytest.raises(BlockingIOError, match="another download"):
        await other
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left(tmp_path) == ["out.part", "out.part.json"]
    go.set()
    await aiofast.download(url, tmp_path / "out")
    assert server.requests[-1].header("Range") == "bytes=300000-"
    assert (tmp_path / "out").read_bytes() == BODY


async def test_a_part_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "victim").write_bytes(b"mine")
    (tmp_path / "out.part").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="out.part"):
        await aiofast.download(Store().url, tmp_path / "out")
    assert (tmp_path / "victim").read_bytes() == b"mine"


async def test_a_full_disk(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with open("/dev/full", "wb") as file, pytest.raises(OSError, match="No space"):
        await aiofast._core.write_file(file.fileno(), 0, b"x")
    with pytest.raises(OSError, match="descriptor"):
        await aiofast._core.write_file(-1, 0, b"x")
    with open(tmp_path / "out", "w+b") as file:
        await aiofast._core.write_file(file.fileno(), 0, b"")
        await asyncio.gather(
            *[aiofast._core.write_file(file.fileno(), n * 10, b"%010d" % n) for n in range(100)]
        )
        assert file.read() == b"".join(b"%010d" % n for n in range(100))
        aiofast._core.write_file(file.fileno(), 0, b"nobody waits").cancel()
        while aiofast._core.stats()["lookups"]:  # what libuv's threads do
            await asyncio.sleep(0.001)


async def test_a_write_may_outlive_its_loop(tmp_path):
    def other():
        async def begin(fd):
            for n in range(20):
                aiofast._core.write_file(fd, n << 20, b"x" * (1 << 20))

        with open(tmp_path / "out", "wb") as file:
            asyncio.run(begin(file.fileno()))

    await asyncio.to_thread(other)
    await asyncio.sleep(0.3)
    with open(tmp_path / "out", "wb") as file:  # a new engine frees what the old one left
        await aiofast._core.write_file(file.fileno(), 0, b"x")


@pytest.mark.slow
@pytest.mark.seconds(120)
async def test_a_gibibyte_in_little_memory(tmp_path):
    head = response(b"", "Content-Length: 1073741824", length=False)
    server = Scripted([request, send(head), flood(b"0123456789abcdef" * 4096, 1 << 30)])
    await aiofast.download(Store().url, tmp_path / "warm")
    with Peak() as peak:
        async with stalls() as worst:
            found = await aiofast.download(f"{server.url}/a", tmp_path / "out")
    assert found.size == 1 << 30
    assert peak.grown < 20 << 20
    assert worst.worst < 0.05


async def test_the_bar(tmp_path, capsys, monkeypatch):
    import sys

    await aiofast.download(Store().url, tmp_path / "out", progress=True)
    assert capsys.readouterr().err == ""  # no terminal
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    await aiofast.download(Store().url, tmp_path / "out", progress=True)
    err = capsys.readouterr().err
    assert "out [##############################] 100% 683.6 KiB at " in err
    assert err.endswith("/s\n")
