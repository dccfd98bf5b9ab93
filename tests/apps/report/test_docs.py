"""docs/report.md tells of the sections that there are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_page_lists_every_section_under_its_name() -> None:
    template = (ROOT / "cli/dckt_apps/report/templates/report.html").read_text(encoding="utf-8")
    titles = re.findall(r'call section\("\w+", "([^"]+)"', template)
    page = (ROOT / "docs/report.md").read_text(encoding="utf-8")
    table = page[page.index("| section |") : page.index("What cannot be had")]
    assert re.findall(r"^\| ([A-Z][^|]+?) \|", table, re.MULTILINE) == titles
    assert len(titles) == 10


def test_the_limits_are_those_of_the_code() -> None:
    from dckt_apps.report.gather import MAX_QUERIES
    from dckt_apps.report.material import MAP_PAIRS
    from dckt_core.evaluation.tasks import LEVELS

    page = (ROOT / "docs/report.md").read_text(encoding="utf-8")
    assert f"more than {MAX_QUERIES:,} test pairs" in page
    assert f"shows {MAP_PAIRS} pairs of each domain" in page
    assert f"at {len(LEVELS)} levels of recall" in page
