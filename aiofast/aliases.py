"""The package under another name.

A program may put aiofast in aiohttp's place: `sys.modules["aiohttp"] = aiofast`.
Its `import aiohttp.client_exceptions` then finds our file by the package's
`__path__`, and would run it a second time under that name, with a second
ClientError in it. A first entry on the path, which no file system has, answers
for every name that is not ours, and hands out the module that is there.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

_ENTRY = os.path.join(os.path.dirname(__file__), "<aliases>")


class _Loader:
    """Gives the module of our name for that of another package."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.spec: Any = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        from importlib import import_module

        module = import_module(self.name)
        self.spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec  # the import system has put its own there


class _Finder:
    """What the import system asks for names below the package."""

    def find_spec(self, fullname: str, target: Any = None) -> ModuleSpec | None:
        package, _, name = fullname.rpartition(".")
        ours = sys.modules.get(package)
        if package == __package__ or ours is None or ours.__name__ != __package__:
            return None
        loader: Any = _Loader(f"{__package__}.{name}")
        return ModuleSpec(fullname, loader)


def _hook(entry: str) -> _Finder:
    if entry != _ENTRY:
        raise ImportError(entry)
    return _Finder()


def answer_for(path: list[str]) -> list[str]:
    """|path|, the package's, with our entry in front."""
    sys.path_hooks.append(_hook)
    return [_ENTRY, *path]
