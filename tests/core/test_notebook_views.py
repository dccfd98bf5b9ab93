"""What objects show of themselves in a notebook: figures, pictures, and strangers' words that do nothing."""

from __future__ import annotations

import io
from contextlib import redirect_stderr
from html.parser import HTMLParser
from pathlib import Path

from PIL import Image

from dckt_core import CommonSpace, bars
from dckt_core.base.html import curve, table
from dckt_core.retrieval.gallery import Hit, Hits
from tests.support.needs import part
from tests.support.rows import SOURCE, TEST

LIGHT = {"space.parts.target-network.weight": 0, "space.parts.source-network.weight": 0}


class Tags(HTMLParser):
    """The tags of a page, which must close as they open, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.text = ""
        self.feed(page)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attributes: object) -> None:
        self.seen.append(tag)
        if tag not in ("img", "br", "path", "polyline"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: object) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_an_evaluation_shows_its_tables_and_its_curve() -> None:
    space = CommonSpace(settings=LIGHT).fit(source=(SOURCE.images, SOURCE.texts, SOURCE.labels))
    evaluation = space.evaluate(TEST.images, TEST.texts, TEST.labels)
    page = Tags(evaluation._repr_html_())
    assert page.seen.count("table") == 2
    assert page.seen.count("svg") == 1
    assert f"{evaluation.summary()['mean'].map:.3f} (" in page.text
    without = Tags(space.evaluate(TEST.images, TEST.texts)._repr_html_())
    assert (without.seen.count("table"), without.seen.count("svg")) == (1, 0)


def test_hits_show_pictures_and_escape_words(tmp_path: Path) -> None:
    Image.new("RGB", (300, 200), (200, 0, 0)).save(tmp_path / "red.png")
    nasty = '<script>alert("x")</script>'
    hits = Hits(
        [
            Hit({"id": nasty, "image": str(tmp_path / "red.png"), "label": '" onerror="x'}, 0.5),
            Hit({"id": "gone", "image": str(tmp_path / "gone.png")}, 0.25),
            Hit({"id": "t", "text": nasty}, 0.125),
        ]
    )
    page = Tags(hits._repr_html_())
    assert page.seen.count("img") == 1
    assert "script" not in page.seen
    assert page.text.count(nasty) == 2
    assert 'alt="&quot; onerror=&quot;x"' in hits._repr_html_()
    assert [hit.cosine for hit in hits] == [0.5, 0.25, 0.125]


def test_pieces() -> None:
    rows = "<tbody><tr><th>x y</th><td>&amp;</td></tr></tbody>"
    assert table(["a", "<"], [["x\ny", "&"]]) == (
        f"<table><thead><tr><th>a</th><th>&lt;</th></tr></thead>{rows}</table>"
    )
    Tags(curve([0, 0.5, 1], [1, 0.5, 0], x="recall", y="precision"))


def test_bars_are_drawn_and_closed() -> None:
    part("tqdm")
    said = io.StringIO()
    with redirect_stderr(said):
        progress = bars()
        for done in range(4):
            progress(done, 3, "encoding")
    assert "encoding: 100%" in said.getvalue()
