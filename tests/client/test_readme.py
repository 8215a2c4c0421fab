"""What README.md shows is run as it stands, with the host of a server that answers."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text()
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line.split("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("aiofast ")
]
HOST = "http://localhost:8080"


def run(arguments, cwd):
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=cwd,
    )


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_programs(number, web, tmp_path):
    program = PROGRAMS[number].replace(HOST, web.url).replace("/item/{i}", "/bytes/{i}")
    assert web.url in program
    done = run(["-c", program], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("200 ")


def test_there_are_programs_and_commands():
    assert len(PROGRAMS) == 2
    assert len(COMMANDS) == 4


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(command, web, tmp_path):
    urls = tmp_path / "urls.txt"
    urls.write_text(f"{web.url}/json\n{web.url}/bytes/7\n")
    arguments = shlex.split(command.replace(HOST, web.url))[1:]
    done = run(["-m", "aiofast", *arguments], tmp_path)
    failed = "missing" in command
    assert (done.returncode, done.stderr) == (1 if failed else 0, "")
    assert "200" in done.stdout
