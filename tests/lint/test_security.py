"""docs/security.md and docs/reliability.md name tests that exist."""

from __future__ import annotations

import re

import pytest
from lint.tree import ROOT

NAMED = re.compile(r"`(tests/[\w/]+\.(?:py|c))(?:::(\w+))?`")


@pytest.mark.parametrize("document", ["docs/security.md", "docs/reliability.md"])
def test_the_tests_it_names_exist(document: str) -> None:
    found = NAMED.findall((ROOT / document).read_text())
    assert len(found) > 10
    missing = []
    for path, name in found:
        file = ROOT / path
        if not file.is_file():
            missing.append(path)
        elif name and not re.search(rf"\bdef {name}\(", file.read_text()):
            missing.append(f"{path}::{name}")
    assert missing == []
