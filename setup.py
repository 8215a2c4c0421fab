"""Builds aiofast._core, the C engine, on the system's libuv and llhttp.

What the project is called, needs and ships stands in pyproject.toml; this file only finds the
libraries and compiles. Switches, all taken from the environment:

    AIOFAST_DEBUG=1     -O0 -g3, assertions and the counters of the debug build
    AIOFAST_SANITIZE=1  AddressSanitizer and UndefinedBehaviorSanitizer
    AIOFAST_COVERAGE=1  gcov
    AIOFAST_WERROR=1    every warning that the project cares about is an error
    LLHTTP_DIR, LIBUV_DIR  where to take that library from, before pkg-config is asked: an
                        installed tree (include/ and lib/) or, for llhttp, its C sources
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

if TYPE_CHECKING:
    from collections.abc import Callable

MACOS = sys.platform == "darwin"
# Where Debian's node-llhttp puts the generated C.
DEBIAN_LLHTTP = (Path("/usr/share/llhttp"), Path("/usr/share/include/llhttp"))
LLHTTP_SOURCES = ("llhttp.c", "api.c", "http.c")


def switch(name: str) -> bool:
    return os.environ.get(name, "") not in ("", "0")


@dataclass
class Library:
    """How to compile and link against one library."""

    cflags: list[str] = field(default_factory=list)
    ldflags: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Wanted:
    """A library as the distributions know it."""

    title: str
    modules: tuple[str, ...]  # pkg-config's names for it
    check: str  # C that compiles only if it is there and new enough
    link: str
    packages: dict[str, str]
    variable: str = ""

    def missing(self, why: str = "") -> Missing:
        return Missing([(self, why)])


class Missing(SystemExit):
    """What the build lacks and why, with the commands that install all of it."""

    def __init__(self, lacking: list[tuple[Wanted, str]]) -> None:
        self.lacking = lacking
        names = "; ".join(f"{wanted.title} was not found{why}" for wanted, why in lacking)
        one = len(lacking) == 1
        lines = [f"aiofast cannot be built: {names}. Install {'it' if one else 'them'}:"]
        for system, command in INSTALL.items():
            words = [word for wanted, _ in lacking for word in wanted.packages[system].split(" ")]
            packages = " ".join(dict.fromkeys(words))
            lines.append(f"    {system + ':':<15} {command} {packages}")
        for wanted, _ in lacking:
            if wanted.variable:
                held = "it" if one else wanted.title.split(" ")[0]
                lines.append(f"or set {wanted.variable} to the directory that holds {held}.")
        super().__init__("\n" + "\n".join(lines))


INSTALL = {
    "Debian, Ubuntu": "apt-get install",
    "Fedora": "dnf install",
    "Alpine": "apk add",
    "Arch": "pacman -S",
    "macOS": "brew install",
}


def packages(debian: str, fedora: str, alpine: str, arch: str, macos: str) -> dict[str, str]:
    return dict(zip(INSTALL, (debian, fedora, alpine, arch, macos), strict=True))


COMPILER = Wanted(
    "a C compiler",
    (),
    "",
    "",
    packages("gcc libc6-dev", "gcc", "build-base", "gcc", "llvm   (or: xcode-select --install)"),
)
PYTHON = Wanted(
    "Python.h of this Python",
    (),
    "#include <Python.h>\n",
    "",
    packages("python3-dev", "python3-devel", "python3-dev", "python", "python"),
)
LIBUV = Wanted(
    "libuv 1.44 or newer",
    ("libuv >= 1.44",),
    "#include <uv.h>\n#if UV_VERSION_HEX < 0x012c00\n#error too old\n#endif\n",
    "uv",
    packages("libuv1-dev", "libuv-devel", "libuv-dev", "libuv", "libuv pkgconf"),
    "LIBUV_DIR",
)
LLHTTP = Wanted(
    "llhttp 8.1 or newer",
    ("libllhttp >= 8.1", "llhttp >= 8.1"),
    "#include <llhttp.h>\n#if LLHTTP_VERSION_MAJOR * 100 + LLHTTP_VERSION_MINOR < 801\n"
    "#error too old\n#endif\n",
    "llhttp",
    packages("node-llhttp", "llhttp-devel", "llhttp-dev", "llhttp", "llhttp pkgconf"),
    "LLHTTP_DIR",
)
CODINGS = (
    Wanted(
        "zlib",
        ("zlib",),
        "#include <zlib.h>\n",
        "z",
        packages("zlib1g-dev", "zlib-devel", "zlib-dev", "zlib", "zlib pkgconf"),
    ),
    Wanted(
        "brotli (libbrotlidec)",
        ("libbrotlidec",),
        "#include <brotli/decode.h>\n",
        "brotlidec",
        packages("libbrotli-dev", "brotli-devel", "brotli-dev", "brotli", "brotli pkgconf"),
    ),
    Wanted(
        "zstd (libzstd)",
        ("libzstd",),
        "#include <zstd.h>\n",
        "zstd",
        packages("libzstd-dev", "libzstd-devel", "zstd-dev", "zstd", "zstd pkgconf"),
    ),
)


def compiles(code: str, flags: list[str], link: bool) -> bool:
    """Whether a program with |code| in it goes through the compiler (and linker)."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch, "probe.c")
        source.write_text(code + "int main(void) { return 0; }\n")
        what = [] if link else ["-c"]
        command = [*compiler, *what, str(source), "-o", str(Path(scratch, "probe")), *flags]
        try:
            done = subprocess.run(command, capture_output=True, check=False)
        except FileNotFoundError:
            raise COMPILER.missing(f" ({compiler[0]})") from None
    return done.returncode == 0


def ask_pkg_config(module: str) -> Library | None:
    tool = shlex.split(os.environ.get("PKG_CONFIG", "pkg-config"))
    answers = []
    for option in ("--cflags", "--libs"):
        try:
            done = subprocess.run([*tool, option, module], capture_output=True, text=True)
        except FileNotFoundError:
            return None
        if done.returncode != 0:
            return None
        answers.append(shlex.split(done.stdout))
    return Library(*answers)


def in_directory(wanted: Wanted, root: Path) -> Library:
    """|wanted| from a directory that the user named: C sources first, else an installed tree."""
    name = wanted.link
    header = next(iter(sorted(root.rglob(f"{name}.h"))), None)
    if header is None:
        raise wanted.missing(f" ({wanted.variable}={root} holds no {name}.h)")
    cflags = [f"-I{header.parent}"]
    if not compiles(wanted.check, cflags, link=False):
        raise wanted.missing(f" ({header} is of another version or does not compile)")
    if wanted is LLHTTP:
        for main in sorted(root.rglob("llhttp.c")):
            sources = [main.with_name(part) for part in LLHTTP_SOURCES]
            if all(source.exists() for source in sources):
                return Library(cflags, [], [str(source) for source in sources])
    for pattern in (f"lib{name}.so", f"lib{name}.dylib", f"lib{name}*.a"):
        for library in sorted(root.rglob(pattern)):
            if library.suffix == ".a":
                system = [] if MACOS else ["-lpthread", "-ldl", "-lrt"]
                return Library(cflags, [str(library), *system])
            where = str(library.parent)
            return Library(cflags, [f"-L{where}", f"-Wl,-rpath,{where}", f"-l{name}"])
    raise wanted.missing(f" ({wanted.variable}={root} has the header but no library)")


def find(wanted: Wanted) -> Library:
    named = os.environ.get(wanted.variable, "") if wanted.variable else ""
    if named:
        return in_directory(wanted, Path(named).resolve())
    for module in wanted.modules:
        library = ask_pkg_config(module)
        if library is not None:
            return library
    sources, include = DEBIAN_LLHTTP
    if wanted is LLHTTP and (include / "llhttp.h").exists():
        files = [str(sources / part) for part in LLHTTP_SOURCES]
        return Library([f"-I{include}"], [], files)
    plain = Library([], [f"-l{wanted.link}"])
    if not compiles(wanted.check, plain.ldflags, link=True):
        raise wanted.missing()
    return plain


def python_headers(include: list[str]) -> Library:
    """Python's own, which no pkg-config is asked for."""
    flags = [f"-isystem{path}" for path in dict.fromkeys(include)]
    if not compiles(PYTHON.check, flags, link=False):
        raise PYTHON.missing(f" ({include[0]})")
    return Library(flags)


def find_all(*searches: Callable[[], Library]) -> list[Library]:
    """What each of |searches| finds; one Missing for all that find nothing."""
    found: list[Library] = []
    lacking: list[tuple[Wanted, str]] = []
    for search in searches:
        try:
            found.append(search())
        except Missing as missing:
            if missing.lacking[0][0] is COMPILER:
                raise  # without it nothing else can be told
            lacking += missing.lacking
    if lacking:
        raise Missing(lacking)
    return found


def whole_program_flags() -> list[str]:
    """What makes the compiler look at all files at once, where it and the linker can.

    The layers are separate files that call each other for every field and request.
    """
    for flags in (["-flto=auto"], ["-flto"]):
        if compiles("", [*flags, "-O1"], link=True):
            return flags
    return []


def hardening_flags() -> list[str]:
    """Checked copies, as strict as the compiler and the C library have them, and stacks that
    are touched page by page."""
    flags = ["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"]
    strict = ["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=3"]
    # An older one takes 3 for 2, with a warning.
    if compiles("#include <string.h>\n", [*strict, "-O2", "-Werror"], link=False):
        flags = strict
    if compiles("", ["-fstack-clash-protection", "-Werror"], link=False):
        flags.append("-fstack-clash-protection")
    return flags


def build_flags() -> tuple[list[str], list[str]]:
    """The compiler's and the linker's flags, the same for every file."""
    cflags = ["-std=c11", "-D_GNU_SOURCE", "-fvisibility=hidden"]
    ldflags = [] if MACOS else ["-Wl,-z,relro,-z,now", "-Wl,--exclude-libs,ALL"]
    debug, sanitize = switch("AIOFAST_DEBUG"), switch("AIOFAST_SANITIZE")
    if debug:
        cflags += ["-O0", "-g3", "-UNDEBUG", "-DAIF_DEBUG"]
    if sanitize:
        both = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
        cflags += ["-O1", "-g", "-fno-omit-frame-pointer", *both]
        ldflags += both
    if switch("AIOFAST_COVERAGE"):
        cflags += ["-O0", "-g", "--coverage"]
        ldflags += ["--coverage"]
    elif not debug and not sanitize:
        cflags += ["-O3", "-DNDEBUG", "-fstack-protector-strong"]
        cflags += hardening_flags()
        whole = whole_program_flags()
        cflags += whole
        ldflags += [*whole, "-O3"] if whole else []
    return cflags, ldflags


def warning_flags() -> list[str]:
    flags = ["-Wall", "-Wextra"]
    if switch("AIOFAST_WERROR"):
        flags += ["-Wconversion", "-Wsign-conversion", "-Werror"]
    return flags


class Build(build_ext):
    """Compiles one file per processor, and only what changed since the last time."""

    def build_extensions(self) -> None:
        # Object files are reused only for the flags, compiler and Python they were made with.
        flags, self.linker_flags = build_flags()
        self.common_flags = flags
        recipe = repr((flags, warning_flags(), self.compiler.compiler_so, sys.version))
        recipe += repr(sorted(v for v in os.environ.items() if v[0].endswith("_DIR")))
        name = "objects-" + hashlib.sha256(recipe.encode()).hexdigest()[:12]
        self.build_temp = str(Path(self.build_temp, name))
        Path(self.build_temp).mkdir(parents=True, exist_ok=True)
        # Python's headers are for csrc/py alone, so nothing is searched by default.
        self.compiler.set_include_dirs([])
        with open(Path(self.build_temp, "lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            super().build_extensions()

    def build_extension(self, ext: Extension) -> None:
        import multidict

        include = [sysconfig.get_path("include"), sysconfig.get_path("platinclude")]
        include.append(multidict.get_include())
        python, *found = find_all(
            partial(python_headers, include),
            *(partial(find, wanted) for wanted in (LLHTTP, LIBUV, *CODINGS)),
        )
        system, llhttp = python.cflags, found[0]

        # A compile-time switch of llhttp 8. No verdict hangs on it, so that a library from
        # elsewhere may have been built without: see csrc/http/aif_h1parse.c.
        strict = ["-DLLHTTP_STRICT_MODE=1"] if llhttp.sources else []
        ours = [*self.common_flags, *warning_flags(), "-Icsrc", *strict]
        ours += [flag for library in found for flag in library.cflags]
        # A method table leaves members out and casts functions: CPython's own habit.
        binding = [*system, *ours, "-Wno-missing-field-initializers", "-Wno-cast-function-type"]
        if sysconfig.get_config_var("Py_DEBUG"):
            # Debian's headers of that build are links, which gcc follows to the other's.
            binding.append("-DPy_DEBUG=1")
        theirs = [*self.common_flags, *llhttp.cflags, *strict, "-w"]
        jobs = [(source, theirs) for source in llhttp.sources]  # first: the longest ones
        layers = [(source, Path(source).parent.name) for source in sorted(ext.sources)]
        jobs += [(source, binding if layer == "py" else ours) for source, layer in layers]
        with ThreadPoolExecutor(os.cpu_count()) as workers:
            objects = list(workers.map(lambda job: self.compile_one(*job), jobs))

        target = self.get_ext_fullpath(ext.name)
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        libraries = [flag for library in found for flag in library.ldflags]
        self.compiler.link_shared_object(
            objects,
            target,
            extra_postargs=[*libraries, *self.linker_flags],
            build_temp=self.build_temp,
            target_lang="c",
        )

    def compile_one(self, source: str, flags: list[str]) -> str:
        (target,) = self.compiler.object_filenames([source], output_dir=self.build_temp)
        if not is_fresh(Path(target)):
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            self.compiler.compile(
                [source], output_dir=self.build_temp, extra_postargs=[*flags, "-MD"]
            )
        return target


def is_fresh(target: Path) -> bool:
    """Whether an object file is newer than all that went into it, by the compiler's own list."""
    listing = target.with_suffix(".d")
    if not target.exists() or not listing.exists():
        return False
    made = target.stat().st_mtime_ns
    inputs = re.split(r"(?<!\\)\s+", listing.read_text().replace("\\\n", " ").split(": ", 1)[1])
    try:
        return all(Path(name).stat().st_mtime_ns < made for name in inputs if name)
    except OSError:  # it is gone, or another user's
        return False


setup(
    ext_modules=[
        Extension(
            "aiofast._core",
            sources=sorted(str(path) for path in Path("csrc").glob("*/*.c")),
            depends=sorted(str(path) for path in Path("csrc").glob("*/*.h")),
        )
    ],
    cmdclass={"build_ext": Build},
)
