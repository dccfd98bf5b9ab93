"""No page links to what is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.pages import ROOT, anchors, links, pages, prose

FOLDERS = ("", "dckt_core", "plugins", "cli", "docs", "tests")
"""What a file is named from."""


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, anchor in links(page):
        assert target.exists(), f"{page.name} links to {target}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{page.name} links to #{anchor} of {target.name}"


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_source_file_that_is_named_is_there(page: Path) -> None:
    """In backticks, as `dckt_core/method/loop.py` or `method/{loop,losses}.py`."""
    for named in re.findall(r"`((?:[\w-]+/)+(?:\w+|\{[\w,]+\})\.py)`", prose(page.read_text("utf-8"))):
        head, _, rest = named.partition("{")
        inner, _, tail = rest.partition("}")
        for name in [f"{head}{part}{tail}" for part in inner.split(",")]:
            assert any((ROOT / folder / name).exists() for folder in FOLDERS), f"{page.name} names {name}"
