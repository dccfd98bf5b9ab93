"""The examples in docstrings give what they say."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = (ROOT, ROOT / "plugins", ROOT / "cli")


def with_examples() -> list[str]:
    """Modules in whose text there are some."""
    files = [(folder, file) for folder in FOLDERS for file in sorted(folder.glob("dckt_*/**/*.py"))]
    return [
        ".".join(file.relative_to(folder).with_suffix("").parts)
        for folder, file in files
        if ">>> " in file.read_text("utf-8")
    ]


@pytest.mark.parametrize("module", with_examples())
def test_the_examples_of(module: str) -> None:
    found = doctest.testmod(import_module(module))
    assert found.attempted > 0
    assert found.failed == 0
