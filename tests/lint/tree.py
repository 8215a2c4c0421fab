"""The files of the checkout, as the tests of its rules read them."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CSRC = ROOT / "csrc"
# Layers from the ground up, and what each may include besides itself.
LAYERS = {
    "base": set(),
    "http": {"base"},
    "net": {"base"},
    "client": {"base", "http", "net"},
    "py": {"base", "http", "net", "client"},
}
# Comments, strings and characters: what a look at C code skips.
TEXT = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)


def c_files(*suffixes: str) -> list[Path]:
    files = [path for path in sorted(CSRC.glob("*/*")) if path.suffix in suffixes]
    assert files, "csrc is empty"
    return files


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def bare_code(text: str) -> str:
    """C without comments and literals, every line where it was."""
    return TEXT.sub(lambda found: " " + "\n" * found.group().count("\n"), text)


def blanked_comments(text: str) -> str:
    """C without comments alone, for the sake of the names in #include."""

    def blank(found: re.Match[str]) -> str:
        what = found.group()
        return "\n" * what.count("\n") if what[0] == "/" else what

    return TEXT.sub(blank, text)


@cache
def all_files() -> list[Path]:
    """Every file that is or could be committed."""
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-coz", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        names = listed.stdout.split("\0") if listed.returncode == 0 else []
    except FileNotFoundError:
        names = []
    if any(names):
        found = [ROOT / name for name in names if name]
    else:  # a source archive
        made = re.compile(r"(build|dist|__pycache__|\.(?!ci$)\w+|.*\.egg-info|.*\.(so|pyc))$")
        found = [
            path
            for path in ROOT.rglob("*")
            if not any(made.match(part) for part in path.relative_to(ROOT).parts)
        ]
    return sorted(path for path in found if path.is_file())
