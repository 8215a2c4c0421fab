"""Which way includes point: down, never up, and never between http and net."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from lint.tree import CSRC, LAYERS, ROOT, blanked_comments, c_files, name_of

INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]*([<\"])([^>\"]+)[>\"]", re.MULTILINE)
# Headers of others: who may include them. Those not named here are C's and POSIX's own.
RESERVED = {
    "Python.h": {"py"},
    "structmember.h": {"py"},
    "multidict_capi.h": {"py"},
    "uv.h": {"net", "client", "py"},
    "llhttp.h": {"http/aif_h1parse.c"},
    "zlib.h": {"http/aif_coding.h", "py/module.c"},
    "zstd.h": {"http/aif_coding.h", "py/module.c"},
    "zstd_errors.h": {"http/aif_coding.c", "py/module.c"},
    "brotli/decode.h": {"http/aif_coding.h", "py/module.c"},
}
# base and http do no I/O, so they know no sockets either.
SOCKETS = re.compile(r"^(sys/|netinet/|arpa/|netdb|net/|poll|unistd|fcntl|pthread|openssl/)")


def includes(path: Path) -> list[tuple[str, str]]:
    return INCLUDE.findall(blanked_comments(path.read_text()))


def faults_of(path: Path) -> list[str]:
    layer, name = path.parent.name, f"{path.parent.name}/{path.name}"
    faults = []
    for quote, header in includes(path):
        if quote == '"':
            below = header.split("/")[0]
            if "/" not in header or not (CSRC / header).exists():
                faults.append(f'"{header}" is not a path below csrc/')
            elif below != layer and below not in LAYERS[layer]:
                faults.append(f'"{header}" is above or beside {layer}')
        elif header in RESERVED:
            if layer not in RESERVED[header] and name not in RESERVED[header]:
                faults.append(f"<{header}> is for {', '.join(sorted(RESERVED[header]))}")
        elif layer in ("base", "http") and SOCKETS.match(header):
            faults.append(f"<{header}>: {layer} does no I/O")
    return [f"{name_of(path)}: {fault}" for fault in faults]


def test_every_directory_is_a_layer() -> None:
    assert {path.name for path in CSRC.iterdir() if path.is_dir()} == set(LAYERS)


def test_includes_point_down() -> None:
    assert [fault for path in c_files(".c", ".h") for fault in faults_of(path)] == []


def test_own_header_comes_first() -> None:
    """So that every header is known to stand on its own."""
    late = []
    for path in c_files(".c"):
        if path.with_suffix(".h").exists():
            own = ('"', f"{path.parent.name}/{path.stem}.h")
            if includes(path)[:1] != [own]:
                late.append(name_of(path))
    assert late == []


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("base", '#include "http/aif_url.h"'),
        ("http", '#include "net/aif_loop.h"'),
        ("net", '#  include "http/aif_url.h"'),
        ("http", "#include <uv.h>"),
        ("http", "#include <llhttp.h>"),
        ("base", "#include <sys/socket.h>"),
        ("client", "#include <Python.h>"),
        ("client", '#include "py/state.h"'),
        ("py", "#include <llhttp.h>"),
        ("py", '#include "state.h"'),
    ],
)
def test_the_rule_sees(where: str, line: str, tmp_path: Path, monkeypatch: object) -> None:
    path = CSRC / where / "aif_probe.c"  # never written
    assert isinstance(monkeypatch, pytest.MonkeyPatch)
    monkeypatch.setattr(Path, "read_text", lambda self: f"/* {line[::-1]} */\n{line}\n")
    assert len(faults_of(path)) == 1


def test_core_compiles_without_python() -> None:
    """With all warnings, and with no path on which Python.h could be found."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if shutil.which(compiler[0]) is None:
        assert not os.environ.get("CI"), "no C compiler"
        pytest.skip("no C compiler here")
    core = [name_of(path) for path in c_files(".c") if path.parent.name != "py"]
    flags = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wconversion"]
    flags += ["-Wsign-conversion", "-Werror"]
    for module in ("libuv", "libllhttp", "zlib", "libbrotlidec", "libzstd"):
        tool = shutil.which("pkg-config")
        if tool is not None:
            asked = subprocess.run([tool, "--cflags", module], capture_output=True, text=True)
            flags += shlex.split(asked.stdout)
    flags += ["-Icsrc", "-I/usr/share/include/llhttp", "-fsyntax-only"]
    for variable in ("LIBUV_DIR", "LLHTTP_DIR"):
        named = os.environ.get(variable)
        if named:
            flags += [f"-I{header.parent}" for header in Path(named).rglob("*.h")]
    done = subprocess.run(
        [*compiler, *flags, *core], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[:4000]
