"""How setup.py finds llhttp: a directory that is named, pkg-config, Debian's sources."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

HEADER = """
#define LLHTTP_VERSION_MAJOR {major}
#define LLHTTP_VERSION_MINOR {minor}
int llhttp_probe(void);
"""
MODULE = """
prefix={root}
Name: libllhttp
Description: a parser
Version: {major}.{minor}.0
Cflags: -I${{prefix}}/include
Libs: -L${{prefix}}/lib -lllhttp
"""


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names in setup.py, which is not run to its end."""
    monkeypatch.setattr("setuptools.setup", lambda **arguments: None)
    for name in ("LLHTTP_DIR", "LIBUV_DIR", "PKG_CONFIG_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(ROOT)
    return runpy.run_path(str(ROOT / "setup.py"))


def installed(root: Path, major: int, minor: int) -> Path:
    """An llhttp as a distribution installs it, with nothing in the library but one function."""
    for part in ("include", "lib/pkgconfig"):
        (root / part).mkdir(parents=True)
    values = {"root": root, "major": major, "minor": minor}
    (root / "include/llhttp.h").write_text(HEADER.format(**values))
    (root / "lib/pkgconfig/libllhttp.pc").write_text(MODULE.format(**values))
    source = root / "probe.c"
    source.write_text("int llhttp_probe(void) { return 9; }\n")
    subprocess.run(["cc", "-c", source, "-o", root / "probe.o"], check=True)
    subprocess.run(["ar", "rcs", root / "lib/libllhttp.a", root / "probe.o"], check=True)
    return root


@pytest.mark.skipif(sys.platform != "linux", reason="the tools of a Linux")
@pytest.mark.parametrize("version", [(8, 1), (9, 4)])
def test_by_pkg_config(
    build: dict[str, Any], version: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = installed(tmp_path, *version)
    monkeypatch.setenv("PKG_CONFIG_PATH", str(root / "lib/pkgconfig"))
    found = build["find"](build["LLHTTP"])
    assert found.cflags == [f"-I{root}/include"]
    assert found.ldflags == [f"-L{root}/lib", "-lllhttp"]
    assert found.sources == []
    # And the flags do: what they name is compiled against and linked.
    code = "#include <llhttp.h>\nint (*volatile probe)(void) = llhttp_probe;\n"
    assert not build["compiles"](code, found.cflags, link=True)
    assert build["compiles"](code, [*found.cflags, *found.ldflags], link=True)


def test_an_older_one_is_passed_over(
    build: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = installed(tmp_path, 8, 0)
    monkeypatch.setenv("PKG_CONFIG_PATH", str(root / "lib/pkgconfig"))
    try:
        found = build["find"](build["LLHTTP"])
    except SystemExit as refused:
        assert "llhttp 8.1 or newer was not found" in str(refused)
    else:
        assert str(root) not in str(found)


def test_a_directory_goes_first(
    build: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = installed(tmp_path / "other", 9, 1)
    root = installed(tmp_path / "named", 9, 4)
    monkeypatch.setenv("PKG_CONFIG_PATH", str(other / "lib/pkgconfig"))
    monkeypatch.setenv("LLHTTP_DIR", str(root))
    found = build["find"](build["LLHTTP"])
    assert found.cflags == [f"-I{root}/include"]
    assert found.ldflags[0] == str(root / "lib/libllhttp.a")
    # C sources are taken before a library.
    (root / "src").mkdir()
    for name in ("llhttp.c", "api.c", "http.c"):
        (root / "src" / name).touch()
    assert [Path(path).name for path in build["find"](build["LLHTTP"]).sources] == [
        "llhttp.c",
        "api.c",
        "http.c",
    ]


@pytest.mark.parametrize(
    ("version", "why"), [((8, 0), "another version"), (None, "holds no llhttp.h")]
)
def test_a_directory_of_no_use(
    build: dict[str, Any],
    version: tuple[int, int] | None,
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = installed(tmp_path, *version) if version else tmp_path
    monkeypatch.setenv("LLHTTP_DIR", str(root))
    with pytest.raises(SystemExit, match=why) as refused:
        build["find"](build["LLHTTP"])
    assert "or set LLHTTP_DIR to the directory that holds it" in str(refused.value)


SYSTEMS = ["Debian, Ubuntu", "Fedora", "Alpine", "Arch", "macOS"]


@pytest.mark.parametrize(
    ("name", "title", "debian"),
    [
        ("LIBUV", "libuv 1.44 or newer", "libuv1-dev"),
        ("LLHTTP", "llhttp 8.1 or newer", "node-llhttp"),
        (0, "zlib", "zlib1g-dev"),
        (1, "brotli", "libbrotli-dev"),
        (2, "zstd", "libzstd-dev"),
    ],
)
def test_one_that_is_missing(
    build: dict[str, Any],
    name: str | int,
    title: str,
    debian: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on a machine that has a compiler and nothing else."""
    monkeypatch.setenv("CC", bare_compiler(tmp_path))
    monkeypatch.setenv("PKG_CONFIG", str(tmp_path / "none"))
    find = build["find"]
    monkeypatch.setitem(find.__globals__, "DEBIAN_LLHTTP", (tmp_path, tmp_path))
    wanted = build["CODINGS"][name] if isinstance(name, int) else build[name]
    with pytest.raises(SystemExit) as refused:
        find(wanted)
    first, *systems = str(refused.value).strip().splitlines()
    assert first == f"aiofast cannot be built: {wanted.title} was not found. Install it:"
    assert title in first
    assert [line.strip().partition(":")[0] for line in systems[:5]] == SYSTEMS
    assert systems[0].endswith(f"apt-get install {debian}")
    assert len(systems) == (6 if wanted.variable else 5)


def bare_compiler(root: Path) -> str:
    """A compiler that finds no library's header."""
    script = root / "cc"
    script.write_text("#!/bin/sh\nexit 1\n")
    script.chmod(0o755)
    return str(script)


def test_all_that_is_missing_is_told_at_once(
    build: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", bare_compiler(tmp_path))
    monkeypatch.setenv("PKG_CONFIG", str(tmp_path / "none"))
    monkeypatch.setitem(build["find"].__globals__, "DEBIAN_LLHTTP", (tmp_path, tmp_path))
    searches = [
        lambda wanted=wanted: build["find"](wanted)
        for wanted in (build["LIBUV"], build["LLHTTP"], *build["CODINGS"])
    ]
    with pytest.raises(SystemExit) as refused:
        build["find_all"](*searches)
    first, *systems = str(refused.value).strip().splitlines()
    assert first.endswith("zstd (libzstd) was not found. Install them:")
    debian = "apt-get install libuv1-dev node-llhttp zlib1g-dev libbrotli-dev libzstd-dev"
    assert systems[0].endswith(debian)
    assert systems[4].endswith("brew install libuv pkgconf llhttp zlib brotli zstd")
    assert systems[5:] == [
        "or set LIBUV_DIR to the directory that holds libuv.",
        "or set LLHTTP_DIR to the directory that holds llhttp.",
    ]


def test_without_a_compiler_nothing_else_is_told(
    build: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", str(tmp_path / "none"))
    with pytest.raises(SystemExit, match="a C compiler was not found") as refused:
        build["find_all"](lambda: build["python_headers"](["/nowhere"]))
    assert "apt-get install gcc" in str(refused.value)


def test_python_without_its_headers(build: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="Python.h of this Python was not found") as refused:
        build["find_all"](lambda: build["python_headers"]([str(tmp_path)]))
    assert "apt-get install python3-dev" in str(refused.value)
