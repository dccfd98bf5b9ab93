"""What keeps a package from being imported on Windows or macOS."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("dckt_core", "dckt_kernels", "plugins", "cli")
OF_UNIX_ALONE = {"crypt", "fcntl", "grp", "posix", "pty", "pwd", "resource", "spwd", "syslog", "termios", "tty"}
"""Modules of the standard library that Windows has not."""


def imported_at_once(tree: ast.AST) -> set[str]:
    """Modules that importing a file imports: what stands in functions waits for a call."""
    found: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            found |= imported_at_once(node)
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_of_unix_alone_is_imported_at_once(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    found = {file: imported_at_once(ast.parse(file.read_text("utf-8"))) & OF_UNIX_ALONE for file in files}
    assert {str(file.relative_to(ROOT)): names for file, names in found.items() if names} == {}


def test_the_check_would_notice() -> None:
    assert imported_at_once(ast.parse("import os\nif os:\n    import fcntl\ndef f():\n    import pwd")) == {
        "os",
        "fcntl",
    }
