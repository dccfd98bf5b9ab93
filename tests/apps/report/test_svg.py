from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from dckt_apps.report.charts import COLOURS, Interval, interval_chart, line_chart
from dckt_apps.report.curves import Series
from dckt_apps.report.svg import inline_svg

SERIES = [Series("target", [0, 1, 2], [0.5, 0.25, 2.0]), Series("control", [1, 2], [0.5, 0.6])]


def drawn(name: str = "a", **how: bool) -> str:
    return inline_svg(line_chart(SERIES, x="iteration", y="mAP", **how), name=name, alt='<"&')


def test_it_is_one_element_that_says_what_it_shows() -> None:
    root = ElementTree.fromstring(drawn())
    assert (root.tag, root.get("role"), root.get("aria-label")) == ("svg", "img", '<"&')
    texts = {part.text for part in root.iter("text")}
    assert {"iteration", "mAP", "target", "control"} <= texts


def test_colours_are_the_page_s_and_nothing_comes_from_elsewhere() -> None:
    chart = drawn()
    assert not re.search(r"#[0-9a-f]{6}", chart)
    assert {"var(--blue)", "var(--grey)", "var(--faint)", "var(--rule)"} <= set(re.findall(r"var\(--\w+\)", chart))
    assert "http" not in chart and "font-family" not in chart and "<style" not in chart
    assert len(set(COLOURS.values())) == len(COLOURS)


def test_charts_of_one_page_do_not_share_ids() -> None:
    ids = [set(re.findall(r' id="([^"]+)"', drawn(name))) for name in ("a", "b")]
    assert ids[0] and not ids[0] & ids[1]
    chart = drawn()
    used = set(re.findall(r'href="#([^"]+)"', chart)) | set(re.findall(r"url\(#([^)]+)\)", chart))
    assert used == ids[0]


def test_the_same_chart_is_the_same_text() -> None:
    assert drawn() == drawn()


def test_series_differ_by_more_than_colour() -> None:
    lines = re.findall(r'style="([^"]*stroke-width: 1.6[^"]*)"', drawn())
    dashes = {(re.search(r"stroke-dasharray: [^;]+", style) or [""])[0] for style in lines}
    assert len(dashes) == 2


def test_a_line_that_lies_under_another_is_said() -> None:
    lines = [Series("before", [0, 0.5, 1], [0.9, 0.5, 0.1]), Series("after", [0, 0.5, 1], [0.9, 0.5, 0.1])]
    chart = inline_svg(line_chart(lines, x="recall", y="precision"), name="a", alt="")
    texts = {part.text for part in ElementTree.fromstring(chart).iter("text")}
    assert {"before (under after)", "after"} <= texts


@pytest.mark.parametrize(("log_y", "label"), [(True, "0.5"), (False, "0.4")])
def test_ticks_are_plain_numbers(log_y: bool, label: str) -> None:
    texts = [part.text or "" for part in ElementTree.fromstring(drawn(log_y=log_y)).iter("text")]
    assert label in texts
    assert not any("$" in text for text in texts)


def test_an_interval_chart_has_a_row_for_each_network_and_chance() -> None:
    rows = [Interval("before", 0.5, 0.4, 0.6), Interval("after", 0.7)]
    chart = inline_svg(interval_chart(rows, x="mAP", chance=0.1), name="x", alt="")
    texts = [part.text for part in ElementTree.fromstring(chart).iter("text")]
    assert {"before", "after", "chance", "mAP"} <= set(texts)
