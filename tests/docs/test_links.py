"""No page links to what is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.pages import ROOT, anchors, links, pages, prose

FOLDERS = ("", "dckt_core", "plugins", "cli", "docs", "tests")
"""What a file is named from."""
FILE = r"(?:\w+|\{[\w,]+\})\.py"


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, anchor in links(page):
        assert target.exists(), f"{page.name} links to {target}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{page.name} links to #{anchor} of {target.name}"


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_source_file_that_is_named_is_there(page: Path) -> None:
    """In backticks, as `dckt_core/method/loop.py` or `method/{loop,losses}.py`."""
    for named in re.findall(rf"`((?:[\w-]+/)+{FILE})`", prose(page.read_text("utf-8"))):
        for name in spread(named):
            assert any((ROOT / folder / name).exists() for folder in FOLDERS), f"{page.name} names {name}"


def test_every_file_in_the_drawings_of_the_architecture_is_there() -> None:
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    drawings = "\n".join(block for language, block in blocks if not language)
    named = [name for found in re.findall(rf"(?:\w+/)*{FILE}", drawings) for name in spread(found)]
    assert len(named) > 20
    for name in named:
        assert (ROOT / "dckt_core" / name).exists(), f"architecture.md names {name}"


def spread(named: str) -> list[str]:
    """The files that `method/{loop,losses}.py` stands for.

    >>> spread("method/{loop,losses}.py")
    ['method/loop.py', 'method/losses.py']
    """
    head, _, rest = named.partition("{")
    inner, _, tail = rest.partition("}")
    return [f"{head}{part}{tail}" for part in inner.split(",")]
