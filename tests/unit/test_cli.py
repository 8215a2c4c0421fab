"""The command line: arguments, lines, exit status."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys

import aiofast
import pytest
from aiofast import cli


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def parse(*argv: str, stdin: str = "") -> cli.Job:
    return cli.parse(argv, io.StringIO(stdin))


def test_defaults():
    job = parse("http://a/", "http://b/")
    assert job == cli.Job(["http://a/", "http://b/"], 1, 100, 300.0, True, False, False)


def test_options():
    job = parse(
        "--no-redirects", "--timeout", "2.5", "http://a/", "--limit=3", "--repeat", "2", "--json"
    )
    assert job == cli.Job(["http://a/"], 2, 3, 2.5, False, True, False)
    assert len(job) == 2
    assert list(job.requests()) == [(0, "http://a/"), (1, "http://a/")]


def test_files(tmp_path):
    file = tmp_path / "urls"
    file.write_text("http://b/\n\n# a comment\n  http://c/  \n")
    assert parse("http://a/", "--file", str(file)).urls == ["http://a/", "http://b/", "http://c/"]
    assert parse("--file", "-", stdin="http://d/\n").urls == ["http://d/"]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ((), "no URL"),
        (("--limit", "0", "u"), "--limit"),
        (("--limit", "x", "u"), "--limit"),
        (("--limit", "²", "u"), "--limit"),
        (("--timeout", "-1", "u"), "--timeout"),
        (("--timeout", "nan", "u"), "--timeout"),
        (("--timeout", "x", "u"), "--timeout"),
        (("--nonsense", "u"), "--nonsense"),
        (("--file", "/does/not/exist"), "No such file"),
        (("--file", "/"), "directory"),
        (("--file", "-"), "no URL"),
    ],
)
def test_usage_errors(argv, words):
    with pytest.raises(cli.UsageError, match=words):
        parse(*argv)


def test_a_file_that_is_no_text(tmp_path):
    file = tmp_path / "urls"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(cli.UsageError, match="UTF-8"):
        parse("--file", str(file))


GOOD = cli.Result("http://a/", True, 200, 12.345, 678, 1, None, {"dns": 0.001, "total": 0.012345})
MISSING = cli.Result("http://b/", False, 404, 1.0, 0, 0, None, {})
BROKEN = cli.Result("http://c/", False, None, 3.0, None, 0, "ClientError: no \x1b[31m", {})


def report(job: cli.Job, *results: cli.Result, out=None, err=None):
    out, err = out or io.StringIO(), err or io.StringIO()
    told = cli.Report(job, out, err)
    for result in results:
        told.add(result)
    told.end()
    return told, out.getvalue(), err.getvalue()


def test_lines():
    told, out, err = report(parse("http://a/", "http://b/"), GOOD, MISSING, BROKEN)
    first, second, third, last = out.splitlines()
    assert first.split() == "200 ok http://a/ 12.35 ms 678 bytes (1 redirects)".split()
    assert second.split() == "404 FAIL http://b/ 1.00 ms 0 bytes".split()
    assert third.split() == "ERR http://c/ ClientError: no ?[31m".split()
    assert last == "3 fetched, 1 ok, 2 failed"
    assert told.failed == 2
    assert err == ""
    assert "\x1b" not in out


def test_colours(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32m" in report(parse("u"), GOOD, out=Terminal())[1]
    assert "\x1b[31m" in report(parse("u"), BROKEN, out=Terminal())[1]
    assert "\x1b" not in report(parse("u", "--json"), GOOD, out=Terminal())[1]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in report(parse("u"), GOOD, out=Terminal())[1]


def test_json():
    _, out, _ = report(parse("u", "--json"), GOOD, BROKEN)
    good, broken = map(json.loads, out.splitlines())
    assert good == {
        "url": "http://a/",
        "ok": True,
        "status": 200,
        "ms": 12.345,
        "bytes": 678,
        "redirects": 1,
        "error": None,
        "timings": {"dns": 1.0, "total": 12.345},
    }
    assert broken["error"].startswith("ClientError")
    assert broken["status"] is None


def test_the_progress_bar_is_for_long_lists_on_a_terminal():
    long, short = parse("u", "--repeat", "30"), parse("u", "--repeat", "3")
    assert "1/30" in report(long, GOOD, err=Terminal())[2]
    assert report(short, GOOD, err=Terminal())[2] == ""
    assert report(long, GOOD)[2] == ""


def test_a_result_of_an_exception_hides_the_password():
    error = aiofast.InvalidUrlClientError("http://me:pw/x@h/", "why")
    result = cli.result_of("http://me:pw/x@h/", error)
    assert not result.ok
    assert "pw" not in repr(result)


def test_phases():
    out, err = io.StringIO(), io.StringIO()
    cli.Report(parse("http://a/"), out, err).phase("http://a/", "connect", 0.002, 0.003)
    assert out.getvalue().split() == "http://a/ connect 2.000 ms at 3.000 ms".split()
    out = io.StringIO()
    cli.Report(parse("http://a/", "--json"), out, err).phase("http://a/", "dns", 0.002, 0.003)
    assert out.getvalue() == ""
    assert "dns" in err.getvalue()


def command(*argv: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "aiofast", *argv],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


@pytest.mark.parametrize("argv", [(), ("--limit", "x", "u"), ("--file", "/does/not/exist")])
def test_a_usage_error_is_one_line(argv):
    done = command(*argv)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("aiofast: ")


@pytest.mark.parametrize("url", ["nonsense", "ftp://x/", "http://127.0.0.1:1/", "http://me:pw@:1/"])
def test_a_url_that_fails_is_one_line(url):
    done = command(url)
    assert done.returncode == 1
    assert done.stdout.count("\n") == 1
    assert done.stdout.startswith("ERR ")
    assert done.stderr == ""
    assert "pw" not in done.stdout


def test_help_and_version():
    assert "--no-redirects" in command("--help").stdout
    done = command("--version")
    assert done.returncode == 0
    assert done.stdout.startswith(f"aiofast {aiofast.__version__} (")


def test_a_reader_that_leaves_is_no_traceback():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as out:
        done = subprocess.run(
            [sys.executable, "-m", "aiofast", "nonsense"],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == ""


def test_an_interrupt_is_no_traceback():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = subprocess.Popen(
            [sys.executable, "-m", "aiofast", f"http://127.0.0.1:{silent.getsockname()[1]}/"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        connection, _ = silent.accept()  # so the work is under way
        with connection:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "")


# --- --output ---


@pytest.mark.parametrize(
    "arguments",
    [
        ["--progress", "http://h/"],
        ["--output", "x", "--trace", "http://h/"],
        ["--output", "x", "--repeat", "2", "http://h/"],
        ["--output", "x", "http://h/a", "http://h/b"],
    ],
)
def test_output_that_makes_no_sense(arguments):
    with pytest.raises(cli.UsageError):
        cli.parse(arguments, io.StringIO())


def test_output(tmp_path, capsys):
    from servers import Scripted, answer, forever

    server = Scripted([forever(answer(b"x" * 2000, 'ETag: "a"'))])
    assert cli.main(["--output", str(tmp_path / "f"), "--progress", f"{server.url}/a"]) == 0
    assert (tmp_path / "f").read_bytes() == b"x" * 2000
    assert "200 ok" in capsys.readouterr().out
    assert cli.main(["--output", str(tmp_path), f"{server.url}/a", f"{server.url}/b"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "f"]
    capsys.readouterr()
    assert cli.main(["--output", str(tmp_path / "no" / "f"), f"{server.url}/a"]) == 1
    assert "FileNotFoundError" in capsys.readouterr().out
    missing = Scripted([answer(b"no", status="404 Not Found")])
    assert cli.main(["--json", "--output", str(tmp_path / "g"), f"{missing.url}/a"]) == 1
    assert "404" in capsys.readouterr().out
    assert not (tmp_path / "g").exists()


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", line.replace("aiofast", f"'{sys.executable}' -m aiofast", 1)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ("aiofast --file - <&-", 2, "standard input is closed"),
        ("aiofast nonsense >&-", 1, "standard output is closed"),
        ("aiofast nonsense >/dev/full", 1, "No space left"),
        ("aiofast nonsense --trace >/dev/full", 1, "No space left"),
    ],
)
def test_streams_that_are_closed_or_full(line, status, words):
    if "/dev/full" in line and not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    done = shell(line)
    assert done.returncode == status
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
    assert done.stdout == ""


def test_without_standard_error():
    done = shell("aiofast 2>&-")
    assert (done.returncode, done.stdout) == (2, "")
    done = shell("aiofast --json --trace nonsense 2>&-")
    assert done.returncode == 1
    assert done.stdout.count("\n") == 1


def test_an_encoding_that_lacks_letters():
    done = shell("aiofast http://127.0.0.1:1/\u00e9", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (1, "")
    assert "/\\xe9" in done.stdout


def test_a_byte_order_mark_is_no_part_of_a_url(tmp_path):
    file = tmp_path / "urls"
    file.write_text("http://h/1\nhttp://h/2\n", encoding="utf-8-sig")
    assert parse("--file", str(file)).urls == ["http://h/1", "http://h/2"]
    assert parse("--file", "-", stdin="\ufeffhttp://h/1").urls == ["http://h/1"]


def test_an_interrupt_while_urls_are_read(monkeypatch, capsys):
    class Interrupted(io.StringIO):
        def read(self, size=-1):
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdin", Interrupted())
    assert cli.main(["--file", "-"]) == 130
    assert capsys.readouterr() == ("", "")
