"""What mkdocs.yml asks for besides: pages that lie outside docs/, and a warning for every public name without a page.

Warnings end a strict build.
"""

from __future__ import annotations

import importlib.util
import logging
import os.path
import re
from pathlib import Path
from types import ModuleType
from typing import Any

from mkdocs.structure.files import File, Files

log = logging.getLogger("mkdocs.hooks.dckt")
ROOT = Path(__file__).parents[2]

GUESTS = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "CITATION.cff": "CITATION.cff",
    "benchmarks/README.md": "measurements.md",
    "examples/efficientnet-encoder/README.md": "efficientnet-encoder.md",
}
"""Files of the repository that are on the site, and what they are called there."""

LINK = re.compile(r"(\]\(|\b(?:src|srcset|href)=\")([^)\s\"#]+)")


def on_pre_build(config: Any) -> None:
    """Says which public names lack a docstring or a place in the reference."""
    for complaint in _public_names().complaints():
        log.warning(complaint)


def on_files(files: Files, config: Any) -> Files:
    """Takes in the guests."""
    for outside, inside in GUESTS.items():
        files.append(File.generated(config, inside, abs_src_path=str(ROOT / outside)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Makes links within the repository links within the site; mkdocs warns of those that lead nowhere."""
    at = Path(page.file.abs_src_path).parent

    def site_link(match: re.Match[str]) -> str:
        before, address = match.groups()
        if re.match(r"[a-z]+:", address):
            return match[0]
        path = os.path.relpath(os.path.normpath(at / address), ROOT)
        place = GUESTS.get(path) or GUESTS.get(f"{path}/README.md") or os.path.relpath(path, "docs")
        return before + os.path.relpath(place, Path(page.file.src_uri).parent)

    return LINK.sub(site_link, markdown)


def _public_names() -> ModuleType:
    """The module beside this one; mkdocs loads hooks as files and not as a package."""
    spec = importlib.util.spec_from_file_location("public_names", Path(__file__).with_name("public_names.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
