"""The site builds strictly: no dead link, no page without a place, no public name without a docstring and a page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.needs import part
from tests.support.pages import ROOT, tool

SKETCH = '''
class Base:
    """It."""
    kind: str
    """It."""
class Told(Base):
    """It, with `a`.

    Attributes:
        b: a number.
    """
    kind: str = "told"
    a: int
    b: int
    c: int
    def f(self): ...
    @property
    def g(self):
        """It."""
    def _h(self): ...
def bare(): ...
'''


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, built as `make site` does."""
    part("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow  # half a minute, and needs the extra `docs`
def test_the_site_builds_and_fetches_nothing(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text("utf-8")
        fetched = re.findall(r"<(?:script|img|link|iframe|source)\b[^>]*?(?:src|href)=\"?(https?:[^\"\s>]+)", text)
        assert fetched == [], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?https?:", sheet.read_text("utf-8")), sheet


@pytest.mark.slow
def test_the_reference_shows_signatures_and_docstrings(site: Path) -> None:
    page = (site / "reference/kernels/index.html").read_text("utf-8")
    assert 'id="dckt_kernels.mk_mmd"' in page
    assert "kernel_mul" in page
    assert "ratio of neighbouring bandwidths" in page


@pytest.mark.slow
def test_every_public_name_has_a_docstring_and_a_page() -> None:
    part("griffe")
    assert list(tool("public_names").complaints()) == []


def test_what_lacks_a_docstring_is_noticed(tmp_path: Path) -> None:
    griffe = part("griffe")
    (tmp_path / "sketch.py").write_text(SKETCH)
    module = griffe.load("sketch", search_paths=[tmp_path])
    undocumented = tool("public_names").undocumented
    assert list(undocumented(module["Told"])) == [".c", ".f"]
    assert list(undocumented(module["bare"])) == [""]
