"""Calls that have no place in this code, each with what to use instead."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lint.tree import bare_code, c_files, name_of

ALLOCATOR = "base/aif_mem.c"
STATE = "py/py_compat.h"
# (pattern, files that may, what instead)
RULES = [
    (r"\b(malloc|calloc|realloc|free|reallocarray|posix_memalign)\s*\(", {ALLOCATOR}, "aif_mem"),
    (r"\b(strdup|strndup|asprintf|vasprintf|getline|alloca)\s*\(", set(), "aif_mem, aif_buf"),
    (r"\b(strcpy|strcat|strncpy|strncat|stpcpy|sprintf|vsprintf|gets)\s*\(", set(), "aif_buf"),
    (r"\b(strtok|strtok_r|strsep)\s*\(", set(), "a scan that does not write"),
    (r"\b(atoi|atol|atoll|atof|strto[a-z]+|sscanf|scanf|fscanf)\s*\(", set(), "aif_ascii"),
    (r"\b(printf|fprintf|vprintf|vfprintf|puts|fputs|putchar|perror)\s*\(", set(), "aif_err"),
    (r"\b(toupper|tolower|is(alpha|digit|alnum|space|upper|lower|xdigit|print))\s*\(",
     set(), "aif_ascii: no locale decides about a protocol"),
    (r"\b(strcasecmp|strncasecmp)\s*\(", set(), "aif_ascii"),
    (r"\b(abort|exit|_exit|system|popen|fork|signal|sleep|usleep)\s*\(", set(), "a result code"),
    # Of the names with an underscore one is documented and stable.
    (r"\b_Py(?!Bytes_Resize\b)[A-Za-z_]\w*|\bPy_BUILD_CORE\b", set(), "public CPython API"),
    (r"\bPY_VERSION_HEX\b", {STATE}, "py_compat.h, the one place for versions"),
    (r"\bstatic\s+PyObject\s*\*\s*\w+\s*(=|;)", set(), "the module state"),
    (r"\bstatic\s+PyTypeObject\b", set(), "a heap type from a spec"),
]  # fmt: skip


def faults_of(path: Path, text: str) -> list[str]:
    place, code = f"{path.parent.name}/{path.name}", bare_code(text)
    faults = []
    for pattern, allowed, instead in RULES:
        if place in allowed:
            continue
        for found in re.finditer(pattern, code):
            line = code.count("\n", 0, found.start()) + 1
            faults.append(f"{name_of(path)}:{line}: {found.group().strip()} (use: {instead})")
    return faults


def test_no_banned_call() -> None:
    files = c_files(".c", ".h")
    assert [fault for path in files for fault in faults_of(path, path.read_text())] == []


@pytest.mark.parametrize(
    "line",
    [
        "p = malloc(3);",
        "free (p);",
        "strcpy(a, b);",
        "n = atoi(s);",
        "n = strtoul(s, &end, 10);",
        'printf("x");',
        "if (isdigit(c)) {",
        "_PyObject_New(t);",
        "_PyBytes_ResizeMore(&b, 1);",
        "#if PY_VERSION_HEX >= 0x030c0000",
        "static PyObject *cache;",
    ],
)
def test_the_rule_sees(line: str) -> None:
    probe = c_files(".c")[0].with_name("aif_probe.c")
    assert len(faults_of(probe, f"{line}\n")) == 1
    assert faults_of(probe, f"/* {line} */\n") == []
    assert faults_of(probe, 'x = "malloc(3)"; aif_free(p); _PyBytes_Resize(&b, n);\n') == []
