"""What no committed file says, and what csrc/README.md must say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lint.tree import CSRC, ROOT, all_files, c_files, name_of

# Put together here, so that this file may itself be read.
OPEN_ENDS = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b")
MACHINE_PATHS = re.compile(
    r"(?<![\w.~}])/(?:" + "|".join(("wo" + "rk/", "ro" + "ot/", "ho" + "me/", "Use" + "rs/")) + ")"
)
REGISTRIES = re.compile("|".join(("py" + r"pi\.org", "pythonho" + r"sted\.org")), re.IGNORECASE)
BINARY = {".png", ".ico", ".gz", ".br", ".zst", ".der", ".p12"}


def texts() -> list[tuple[Path, str]]:
    found = []
    for path in all_files():
        inputs = path.relative_to(ROOT).parts[:3] == ("tests", "fuzz", "corpus")
        if not inputs and path.suffix not in BINARY:
            found.append((path, path.read_text(encoding="utf-8")))
    assert len(found) > 50
    return found


@pytest.mark.parametrize(
    ("pattern", "example"),
    [
        (OPEN_ENDS, "/* TO" + "DO later */"),
        (MACHINE_PATHS, 'open("/ro' + 'ot/x")'),
        (REGISTRIES, "https://py" + "pi.org/simple"),
    ],
    ids=["open ends", "paths of a machine", "registries"],
)
def test_words(pattern: re.Pattern[str], example: str) -> None:
    assert pattern.search(example)
    said = []
    for path, text in texts():
        for number, line in enumerate(text.splitlines(), 1):
            if pattern.search(line):
                said.append(f"{name_of(path)}:{number}: {line.strip()[:80]}")
    assert said == []


def test_the_map_of_csrc_is_whole() -> None:
    """csrc/README.md names every .c file, and none that is not there."""
    text = (CSRC / "README.md").read_text()
    here = {path.name for path in c_files(".c")}
    named = set(re.findall(r"\b(\w+\.c)\b", text))
    assert here - named == set(), "not in csrc/README.md"
    assert named - here == set(), "in csrc/README.md alone"


def test_a_file_says_what_it_is_for() -> None:
    silent = [name_of(path) for path in c_files(".c", ".h") if path.read_text()[:3] != "/* "]
    assert silent == []
