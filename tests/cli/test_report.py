"""The report of a run that was really trained, read as HTML and in a real browser."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from dckt_apps.report.gather import SECTIONS as GATHERED
from dckt_apps.report.write import write_report
from dckt_cli.main import main
from dckt_core import Context
from dckt_core.evaluation.figures import FIGURES
from dckt_core.runs.seal import seal_run
from tests.support.browser import CONTRAST, Browser, open_browser
from tests.support.squares import ENCODER, edit

Capture = pytest.CaptureFixture[str]

OF_NETWORKS = ["curves", "discrepancy", "curriculum"]
SECTIONS = ["outcome", "parts", "setup", *OF_NETWORKS, "precision", "confusion", "queries", "map"]
VOID = {"meta", "img", "br", "hr", "input", "link"}
NASTY_CLASS = "<script>alert('class')</script>"
NASTY_TEXT = "</p></style><img src=x onerror=alert(1)> \"quoted\" 'and' & {{ 7 * 7 }}"


class Page(HTMLParser):
    """Elements with their attributes and texts; complains about what is not closed in order."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def section(source: str, name: str) -> str:
    found = re.search(rf'<section id="{name}".*?</section>', source, re.DOTALL)
    assert found, name
    return found[0]


@pytest.fixture(scope="module")
def reported(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the trained run with nasty names and texts in its data, and its report."""
    home = tmp_path_factory.mktemp("reported")
    for name in ("source", "target", "runs"):
        shutil.copytree(trained / name, home / name)
    manifest = home / "target" / "pairs.jsonl"
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    for row in rows:
        row["text"] += " " + NASTY_TEXT
        if row["label"] == "green":  # still the first class by name
            row["label"] = NASTY_CLASS
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = home / "runs" / "squares" / "model.json"
    described = json.loads(model.read_text())
    described["classes"]["target"] = [NASTY_CLASS, "red"]
    model.write_text(json.dumps(described))
    seal_run(model.parent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCKT_CACHE_DIR", str(trained / "cache"))
        patch.chdir(home)
        assert main(["report", "runs/squares", "--quiet", "--device", "cpu"]) == 0
    return home / "runs" / "squares" / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


def test_every_section_is_there_and_the_page_is_sound(reported: Path) -> None:
    source = reported.read_text()
    page = Page(source)
    assert [it["id"] for it in page.all("section")] == SECTIONS
    assert [it["href"] for it in page.all("a")] == [f"#{name}" for name in SECTIONS]
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert "Not in this report" not in source
    assert all(it["alt"] for it in page.all("img"))
    assert all(it["aria-label"] for it in page.all("svg"))
    assert source.count("<h1>") == 1


def test_it_tells_how_far_it_is(run: str, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    def progress(done: int, total: int, what: str) -> None:
        if what == "gathering":
            told.append((done, total))

    write_report(run, tmp_path / "report.html", context=Context(progress=progress))
    steps = 3 + GATHERED  # a look at each network
    assert told == [(done, steps) for done in range(steps + 1)]


def test_it_loads_nothing_and_runs_nothing(reported: Path) -> None:
    page = Page(reported.read_text())
    names = {name for name, _ in page.elements}
    assert not names & {"script", "link", "iframe", "object", "embed", "base", "form"}
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "xlink:href", "srcset", "action"):
            assert attributes.get(name, "#").startswith(("#", "data:image/jpeg;base64,"))
    assert "url(" not in re.sub(r"url\(#[\w-]+\)", "", reported.read_text())
    assert "@import" not in reported.read_text()


def test_texts_stay_texts(reported: Path) -> None:
    page = Page(reported.read_text())
    text = "".join(page.text)
    assert NASTY_CLASS in text
    assert " ".join(NASTY_TEXT.split()) in text
    assert "49" not in [part.strip() for part in page.text]


def test_figures_are_the_summary_s(reported: Path) -> None:
    test = json.loads((reported.parent / "summary.json").read_text())["test"]
    outcome = section(reported.read_text(), "outcome")
    for network, row in test["instances"].items():
        for name, figure in row["mean"].items():
            value = figure if network == "chance" else figure["value"]
            told = f"{value:.1f}" if name == "median_rank" else f"{value:.3f}"
            assert f"<b>{told}</b>" in outcome
    assert all(f'<th scope="col">{title}</th>' in outcome for title in FIGURES.values())
    for network in ("before", "control", "after"):
        for figure in test["map"][network].values():
            low, high = figure["interval"]
            assert f"<b>{figure['value']:.3f}</b> <small>{low:.3f} to {high:.3f}</small>" in outcome
    assert f"{test['map']['chance']['mean']:.3f}" in reported.read_text()


def test_hits_and_misses_are_said_in_words(reported: Path) -> None:
    queries = section(reported.read_text(), "queries")
    articles = re.findall(r'<article class="query">.*?</article>', queries, re.DOTALL)
    whys = [re.findall(r'<p class="why">(.*?)</p>', article) for article in articles]
    assert [why for (why,) in whys if "beside" not in why] == 2 * ["The best", "The median", "The worst"]
    looks = set()
    for article in articles:
        (asked,) = re.findall(r'<div class="asked">.*?<p class="label">(.*?)</p>', article, re.DOTALL)
        ours, control = article.split("The target-only control found")
        found = r'<li class="(hit|miss)">.*?<p class="label">(.*?)</p>\s*<p class="verdict">(.*?)</p>'
        for part, count in ((ours, 5), (control, 3)):
            results = re.findall(found, part, re.DOTALL)
            assert len(results) == count
            for look, label, verdict in results:
                hit = label == asked
                assert (look, verdict.removesuffix(", partner")) == (("hit", "✓ hit") if hit else ("miss", "✗ miss"))
                looks.add(look)
    assert looks == {"hit", "miss"}, "a network this small errs"


def test_data_that_changed_are_named(reported: Path) -> None:
    assert "The target data are not those that the run was trained and scored on" in reported.read_text()


def test_the_same_run_gives_the_same_file(reported: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCKT_CACHE_DIR", str(trained / "cache"))
    monkeypatch.chdir(reported.parents[2])
    again = reported.with_name("again.html")
    assert main(["report", "runs/squares", "-o", str(again), "--quiet", "--device", "cpu"]) == 0
    assert again.read_bytes() == reported.read_bytes()


def test_without_its_data_a_run_tells_what_it_can(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    assert main(["report", "runs/squares", "--quiet", "--device", "cpu"]) == 0
    source = (tmp_path / "runs/squares/report.html").read_text()
    Page(source)
    gone = "Not in this report: the target data: "
    assert [name for name in SECTIONS if gone in section(source, name)] == ["precision", "confusion", "queries", "map"]
    assert "No examples of pairs: the target data: " in section(source, "curriculum")
    assert "--target says where to" in source
    assert main(["report", "runs/squares", "--target", str(trained / "target"), "--quiet", "--device", "cpu"]) == 0
    source = (tmp_path / "runs/squares/report.html").read_text()
    assert [name for name in SECTIONS if "Not in this report" in section(source, name)] == ["map"]
    assert "the source data: " in section(source, "map")
    assert "The target data are not those" not in source


def test_an_unfinished_run(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("runs", "source", "target"):
        shutil.copytree(trained / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for name in ("digests.json", "summary.json", "metrics.csv", "selection.csv"):
        (tmp_path / "runs/squares" / name).unlink()
    assert main(["report", "runs/squares", "-o", "r.html", "--quiet", "--device", "cpu"]) == 0
    source = (tmp_path / "r.html").read_text()
    Page(source)
    missing = {name for name in SECTIONS if "Not in this report" in section(source, name)}
    assert missing == set(SECTIONS) - {"setup"}
    assert "the run is not finished; it is stopped" in section(source, "outcome")


def without_labels(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """No labels, and every test picture with a second caption."""
    rows = [row | {"label": None} for row in rows]
    again = [
        row | {"id": f"{row['id']}-2", "text": f"once more {row['text']}"} for row in rows if row["split"] == "test"
    ]
    return rows + again


@pytest.fixture(scope="module")
def unlabelled(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run whose target has no labels at all, so that no network was trained and no class is scored."""
    home = tmp_path_factory.mktemp("unlabelled")
    edit(Path(shutil.copytree(data / "target", home / "target")), without_labels)
    command = ["train", "--source", str(data / "source"), "--target", str(home / "target"), "--name", "plain", *ENCODER]
    parts = [word for name in ("target-network", "students", "neighbours") for word in ("--part", f"{name}=1")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCKT_CACHE_DIR", str(data / "cache"))
        patch.chdir(home)
        flags = ["--encoder-opt", "trainable=false", "--text-encoder", "mean-vectors", "--text-encoder-opt"]
        assert main([*command, *flags, "vector_size=16", *parts, "--device", "cpu", "--quiet"]) == 0
        assert main(["report", "runs/plain", "--quiet", "--device", "cpu"]) == 0
    return home / "runs" / "plain" / "report.html"


def test_without_networks_and_without_labels_the_page_says_why_and_shows_the_rest(unlabelled: Path) -> None:
    source = unlabelled.read_text()
    Page(source)
    told = json.loads((unlabelled.parent / "summary.json").read_text())
    assert told["untrained"]
    for name in OF_NETWORKS:
        assert "the method&#39;s networks were not trained" in section(source, name)
    assert [name for name in SECTIONS if "no test pair has a label" in section(source, name)] == [
        "precision",
        "confusion",
    ]
    assert told["untrained"] in section(source, "map")
    outcome = section(source, "outcome")
    assert "The target offered 10 unlabelled pairs: rung 2 of the ladder" in outcome
    assert "16 test pairs, all without a label" in outcome
    assert "8 different pictures and 16 different texts" in outcome
    mean = told["test"]["instances"]["space"]["mean"]["mrr"]
    assert f"<b>{mean['value']:.3f}</b>" in outcome
    parts = section(source, "parts")
    for name, reason in told["space"]["aside"].items():
        assert re.search(rf"<dt>{name}</dt><dd>\s*Steps aside: {re.escape(reason[:20])}", parts)
    for name, row in told["test"]["parts"].items():
        assert name in parts and f"<b>{row['alone']['value']:.3f}</b>" in parts
    queries = section(source, "queries")
    assert "The test pairs have no labels, so that a hit is the query’s own partner" in queries
    assert {"✓ hit", "✗ miss"} == set(re.findall(r'<p class="verdict">(.*?)</p>', queries))
    assert 'class="label"' not in queries


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_in_a_browser_the_page_without_labels_is_sound(unlabelled: Path, browser: Browser, dark: bool) -> None:
    with browser.visit(unlabelled.as_uri(), width=390, dark=dark) as visit:
        visit.page.evaluate("for (const it of document.querySelectorAll('details')) it.open = true")
        assert visit.complaints == [] and visit.requests == [unlabelled.as_uri()]
        assert visit.page.evaluate("document.scrollingElement.scrollWidth") <= 390
        assert visit.page.evaluate(CONTRAST)["faults"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "fault"),
    [
        (["runs/nowhere"], 3, "runs/nowhere: no such run"),
        (["runs/squares", "-o", "no/report.html"], 2, "no: no such folder"),
    ],
)
def test_what_it_refuses(run: str, capsys: Capture, arguments: list[str], code: int, fault: str) -> None:
    assert main(["report", *arguments]) == code
    assert fault in capsys.readouterr().err


def test_in_a_browser_nothing_is_asked_of_the_network_and_every_picture_loads(reported: Path, browser: Browser) -> None:
    with browser.visit(reported.as_uri()) as visit:
        assert visit.complaints == []
        assert visit.requests == [reported.as_uri()]
        pictures = visit.page.evaluate("[...document.images].map(it => [it.naturalWidth, it.alt])")
        assert len(pictures) >= 10 + 3 + 3 * (5 + 3)
        assert all(width > 0 and alt for width, alt in pictures)
        for name in SECTIONS:
            content = visit.page.evaluate(
                "name => { const it = document.getElementById(name).cloneNode(true);"
                " it.querySelector('h2').remove(); return it.innerText.trim().length }",
                name,
            )
            assert content > 100, name
        charts = visit.page.evaluate(
            "[...document.querySelectorAll('svg')].map(it => [it.getBBox().width, it.getBBox().height])"
        )
        assert len(charts) >= 10
        assert all(min(size) > 50 for size in charts)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_in_a_browser_everything_can_be_read(reported: Path, browser: Browser, dark: bool) -> None:
    with browser.visit(reported.as_uri(), dark=dark) as visit:
        visit.page.evaluate("for (const it of document.querySelectorAll('details')) it.open = true")
        contrast = visit.page.evaluate(CONTRAST)
        assert contrast["seen"] > 300
        assert contrast["faults"] == []
        background = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", background))) < 200) is dark


@pytest.mark.parametrize("width", [320, 390, 768])
def test_in_a_browser_nothing_reaches_over_the_edge(reported: Path, browser: Browser, width: int) -> None:
    with browser.visit(reported.as_uri(), width=width) as visit:
        visit.page.evaluate("for (const it of document.querySelectorAll('details')) it.open = true")
        assert visit.page.evaluate("document.scrollingElement.scrollWidth") <= width
        small = visit.page.evaluate(
            "[...document.querySelectorAll('svg text')]"
            ".map(it => it.getBoundingClientRect()).map(it => Math.min(it.width, it.height)).filter(it => it < 6)"
        )
        assert small == [], "letters of charts that nobody can read"


@pytest.mark.slow
def test_the_report_of_the_sample_data_in_a_browser(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--preset", "tuned", "--encoder", "vgg19", "--name", "sample", "--quiet"]) == 0
    assert main(["report", "runs/sample", "--quiet"]) == 0
    file = tmp_path / "runs/sample/report.html"
    assert file.stat().st_size < 2_000_000
    assert "Not in this report" not in file.read_text()
    for dark in (False, True):
        with browser.visit(file.as_uri(), width=390, dark=dark) as visit:
            visit.page.evaluate("for (const it of document.querySelectorAll('details')) it.open = true")
            assert visit.complaints == [] and visit.requests == [file.as_uri()]
            assert visit.page.evaluate("document.scrollingElement.scrollWidth") <= 390
            assert visit.page.evaluate("[...document.images].every(it => it.naturalWidth > 0)")
            assert visit.page.evaluate(CONTRAST)["faults"] == []
