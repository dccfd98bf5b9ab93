"""The project's pages: which there are, what they link to, and their tables."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]


def pages() -> list[Path]:
    """Markdown files that people read: of the root, of docs/, and the README of every folder that has one."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True, text=True
    )
    names = listed.stdout.splitlines() if listed.returncode == 0 else [str(path) for path in ROOT.glob("docs/**/*.md")]
    return [ROOT / name for name in sorted(names) if not name.startswith(("tests/", "cli/", ".github/"))]


def prose(text: str) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """The file and the anchor (or nothing) of each link, picture and `src` of a page that stays in the project."""
    text = prose(page.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"", text):
        address, _, anchor = (target[0] or target[1]).partition("#")
        if not address.startswith(("http://", "https://")):
            yield (page.parent / address).resolve() if address else page, anchor


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links."""
    headings = re.findall(r"^#+ (.+)$", prose(page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def first_cells(text: str, heading: str) -> list[str]:
    """The names in backticks of the first column of the table below a heading."""
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("|")]
    return [name for cell in rows for name in re.findall(r"`([^`]+)`", cell)]


def tool(name: str) -> ModuleType:
    """A script of docs/tools as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs/tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
