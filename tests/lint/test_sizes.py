"""The size law: what has grown too long is split by noun."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from lint.tree import ROOT, all_files, c_files, name_of

FILE_LINES = {".c": 1000, ".h": 300, ".py": 600}
FUNCTION_LINES = 60
BANNED_NAMES = {"util", "utils", "misc", "common", "helper", "helpers"}
# Tables of cases may be long; what is shipped and what runs it may not.
MEASURED = ("aiofast", "benchmarks", "csrc", "scripts")


def sources() -> list[Path]:
    kept = []
    for path in all_files():
        top = path.relative_to(ROOT).parts[0]
        if path.suffix in FILE_LINES and (top in MEASURED or path.name == "setup.py"):
            kept.append(path)
    assert len(kept) > 20
    return kept


def c_functions(text: str) -> Iterator[tuple[str, int]]:
    """Name and lines of each body. In PEP 7 a brace that stands alone in the first column
    opens and closes nothing but a function."""
    lines = text.splitlines()
    start = None
    for number, line in enumerate(lines):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            head = start - 1
            while head > 0 and lines[head][:1].isspace():
                head -= 1
            yield lines[head].split("(")[0], number - start - 1
            start = None


def py_functions(text: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            first = node.body[0]
            documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            # Contracts in docstrings and long signatures are not length.
            start = (first.end_lineno or 0) + 1 if documented else first.lineno
            yield node.name, node.end_lineno - start + 1


def test_files() -> None:
    long = {}
    for path in sources():
        lines = len(path.read_text().splitlines())
        if lines > FILE_LINES[path.suffix]:
            long[name_of(path)] = lines
    assert long == {}


def test_functions() -> None:
    long = {}
    for path in sources():
        functions = py_functions if path.suffix == ".py" else c_functions
        for name, lines in functions(path.read_text()):
            if lines > FUNCTION_LINES:
                long[f"{name_of(path)}: {name}"] = lines
    assert long == {}


def test_functions_are_found() -> None:
    """The C above is read by its shape; a file without a function would mean it is not."""
    for path in c_files(".c"):
        assert list(c_functions(path.read_text())), name_of(path)
    body = "    x();\n" * 61
    assert list(c_functions(f"static int\nf(int a,\n  int b)\n{{\n{body}}}\n")) == [("f", 61)]
    assert list(py_functions("def f(a,\n  b):\n    'doc'\n    x()\n    y()\n")) == [("f", 2)]


def test_lines_of_c() -> None:
    wide = []
    for path in c_files(".c", ".h"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if len(line) > 79 or "\t" in line or line != line.rstrip():
                wide.append(f"{name_of(path)}:{number}")
    assert wide == []


def test_names() -> None:
    # aiohttp has a module of that name, which its users import.
    kept = {"aiofast/helpers.py"}
    found = {name_of(path) for path in all_files() if path.stem.lower() in BANNED_NAMES}
    assert found - kept == set()
