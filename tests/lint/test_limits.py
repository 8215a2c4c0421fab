"""docs/security.md's table of limits says what the code has."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Callable

import pytest
from lint.tree import ROOT


def of_c(name: str) -> int:
    """The value of a #define, whose numbers are C's."""
    out = subprocess.run(
        ["grep", "-rhoP", rf"#define {name}\s+\K[^/]*", "csrc"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    (text,) = {line.strip() for line in out.splitlines()}
    text = re.sub(r"(\d+)(?:ull|u)\b", r"\1", text)
    return int(eval(text, {"__builtins__": {}}))


def of_python(file: str, name: str) -> int:
    for node in ast.parse((ROOT / "aiofast" / file).read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == name:
            return int(ast.literal_eval(node.value))
    raise AssertionError(f"{file} has no {name}")


def of_signature(name: str) -> int:
    """A default of ClientSession()."""
    found = re.search(
        rf"^        {name}: int = ([\d*]+),", (ROOT / "aiofast/session.py").read_text(), re.M
    )
    assert found, name
    return int(eval(found[1], {"__builtins__": {}}))


# Row of the table: the numbers in its second column, in order.
ROWS: dict[str, Callable[[], list[int]]] = {
    "response head, 1xx heads counted in": lambda: [of_c("AIF_MAX_HEAD")],
    "one field or the status line": lambda: [of_signature("max_field_size")],
    "fields": lambda: [of_signature("max_headers")],
    "trailers": lambda: [of_c("AIF_MAX_TRAILER")],
    "chunk-size line with its extensions": lambda: [of_c("AIF_MAX_CHUNK_LINE")],
    "chunk framing in all": lambda: [of_c("AIF_MAX_CHUNK_FRAMING"), 16],
    "1xx responses before the final one": lambda: [of_c("AIF_MAX_INFORMATIONAL")],
    "bytes of CRLF before the status line": lambda: [of_c("AIF_MAX_LEADING_CRLF")],
    "content codings on each other": lambda: [of_c("AIF_MAX_CODINGS")],
    "redirects": lambda: [of_python("settings.py", "MAX_REDIRECTS")],
    "decoded body, and its ratio to what was sent": list,
    "body that nobody reads": lambda: [of_c("RESPONSE_HIGH_WATER")],
    "unread rest that is read away to keep a connection": lambda: [
        of_c("AIF_MAX_DRAIN"),
        of_c("AIF_DRAIN_NS") // 10**9,
    ],
    "TLS bytes without data (handshake, tickets, key updates)": lambda: [of_c("MAX_BARREN")],
    "addresses of one name": lambda: [of_c("AIF_ADDRS_MAX")],
    "cookies in a jar": lambda: [
        of_python("cookies.py", "MAX_IN_ALL"),
        of_python("cookies.py", "MAX_PER_DOMAIN"),
        of_python("cookies.py", "MAX_LEARNED"),
    ],
    "cookies sent": lambda: [
        of_python("cookieplans.py", "MAX_SENT"),
        of_python("cookieplans.py", "MAX_HEADER"),
    ],
    "time": lambda: [300, 30],
}


def table() -> dict[str, list[int]]:
    text = (ROOT / "docs/security.md").read_text()
    section = text.split("## Limits on what a server sends")[1].split("\n## ")[0]
    rows = {}
    for name, default in re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|", section, re.M):
        numbers = []
        for digits, unit in re.findall(r"(\d[\d,]*)( KiB)?", default):
            numbers.append(int(digits.replace(",", "")) * (1024 if unit else 1))
        rows[name] = numbers
    rows.pop("what")
    return {name: numbers for name, numbers in rows.items() if not name.startswith("---")}


def test_each_row_is_looked_up() -> None:
    assert set(table()) == set(ROWS)


@pytest.mark.parametrize("row", ROWS)
def test_the_table_says_what_the_code_has(row: str) -> None:
    assert table()[row] == ROWS[row]()


def test_the_times_are_those_of_the_settings() -> None:
    text = (ROOT / "aiofast/timeouts.py").read_text() + (ROOT / "aiofast/settings.py").read_text()
    assert re.search(r"total: [^=\n]*= 300|total=300", text)
    assert re.search(r"sock_connect: [^=\n]*= 30|sock_connect=30", text)
