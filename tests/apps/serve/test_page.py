"""The page of `dckt serve` in a real browser."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dckt_cli.main import main
from dckt_core.retrieval.index import open_index
from dckt_core.retrieval.searcher import Searcher
from tests.support.accessibility import violations
from tests.support.browser import Browser, open_browser, until
from tests.support.needs import part
from tests.support.serving import Server, running

part("fastapi")
part("uvicorn")

NASTY = "<img src=x onerror=alert(1)>"
TURNED = "tel\u202eger"
"""A class that turns around what is written behind it."""
LONG = "a red square with mark number 1 and very many words. " * 12
GONE = "red-train-4"


@pytest.fixture(scope="module")
def searcher(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Searcher:
    """An index of thirty pairs of three classes, with odd names, metadata, a long text, and a picture that is gone."""
    home = tmp_path_factory.mktemp("page")
    shutil.copytree(trained / "target", home / "target")
    rows = [json.loads(line) for line in (home / "target/pairs.jsonl").read_text("utf-8").splitlines()]
    for place, row in enumerate(rows):
        row["label"] = NASTY if row["label"] == "green" else row["label"]
        row["metadata"] = {"year": 2000 + place % 3, "tags": ["plain", "\u001b[31m<b>"]}
    rows += [{**row, "id": f"again-{place}", "label": TURNED} for place, row in enumerate(rows[5:11])]
    rows[1]["text"] = LONG
    (home / "target/pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCKT_CACHE_DIR", str(trained / "cache"))
        patch.chdir(trained)
        command = ["index", "runs/squares", "--gallery", str(home / "target"), "-o", str(home / "index"), "--quiet"]
        assert main([*command, "--device", "cpu"]) == 0
        (home / f"target/{GONE}.png").unlink()
        return open_index(home / "index", cache_dir=trained / "cache")


@pytest.fixture(scope="module")
def server(searcher: Searcher) -> Iterator[Server]:
    with running({"squares": searcher}, upload=50_000) as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


def found(page: Any, count: int) -> None:
    """Waits until so many hits are shown."""
    until(page, f"document.querySelectorAll('#results .card').length === {count}")


def key_of(page: Any, place: int) -> str:
    """What a hit is."""
    return str(page.get_attribute(f"#results .card >> nth={place}", "data-key"))


def focused(page: Any) -> Any:
    """What the hit that has the focus is."""
    return page.evaluate("document.activeElement.dataset.key")


def asked(page: Any) -> str:
    """What the address asks for."""
    return str(page.evaluate("decodeURIComponent(location.search.replaceAll('+', ' '))"))


def test_from_the_start_to_an_item_and_back(server: Server, browser: Browser) -> None:
    with browser.visit(server.address + "/") as visit:
        page = visit.page
        page.wait_for_selector("#classes img")
        assert page.title() == "Search squares – dckt"
        assert page.inner_text("#about") == "30 images and 30 texts; the run knows 85\u00a0% of the words of the texts"
        assert "red\n12 images, 12 texts" in page.inner_text("#classes")
        assert "tel\\u202Eger" in page.inner_text("#classes"), "what cannot be seen is written out"
        page.press("#text", "Enter")
        assert page.inner_text("#status").startswith("Nothing was typed"), "an empty query says so"
        page.click("#try a >> nth=0")
        found(page, 24)
        assert asked(page).startswith("?q=a red square")
        page.fill("#text", "a green square")
        page.press("#text", "Enter")
        until(page, "document.title.startsWith('a green square')")
        found(page, 24)
        assert page.inner_text(".status") == "The 24 nearest of 30 images"
        page.click("#more")
        found(page, 30)
        assert asked(page) == "?q=a green square&n=30" and page.is_hidden("#more")
        assert focused(page) == key_of(page, 24), "the first that is new"
        tops = [card.bounding_box()["y"] for card in page.locator("#results .card").all()[:5]]
        assert len(set(tops)) == 1, "a row has an even top"

        page.keyboard.press("Home")
        page.keyboard.press("/")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowUp")
        second = key_of(page, 1)
        assert focused(page) == second
        page.keyboard.press("Enter")
        page.wait_for_selector("dialog .large")
        assert f"item={second}" in asked(page)
        assert "square with mark number" in page.inner_text("dialog .whole"), "an image is shown with its text"
        page.wait_for_selector("dialog .alike[data-medium=image] .card")
        page.wait_for_selector("dialog .alike[data-medium=text] .card")
        for _ in range(40):
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.closest('dialog, body').tagName") in ("DIALOG", "BODY")
            assert not page.evaluate("document.activeElement.matches('main *')"), "the focus stays within"
        page.keyboard.press("ArrowRight")
        third = key_of(page, 2)
        until(page, f"location.search.includes(encodeURIComponent('{third}'))")
        page.wait_for_selector("dialog .alike[data-medium=text] .card")
        page.click("dialog .alike .card >> nth=0")
        until(page, f"!location.search.includes(encodeURIComponent('{third}'))")
        page.keyboard.press("Escape")
        until(page, "!document.querySelector('dialog').open")
        assert asked(page) == "?q=a green square&n=30"
        assert page.evaluate("document.activeElement.matches('#results .card')"), "the focus is back"

        page.evaluate("scrollTo(0, 300)")
        until(page, "history.state.scroll === 300")
        page.go_forward()
        page.wait_for_selector("dialog .large")
        page.reload()
        page.wait_for_selector("dialog .large")
        found(page, 30)
        page.keyboard.press("Escape")
        until(page, "!document.querySelector('dialog').open")
        page.reload()
        found(page, 30)
        until(page, "scrollY === 300")
        page.click("summary")
        page.check("#csls")
        until(page, "document.querySelector('#results .place')?.textContent.includes('CSLS')")
        assert asked(page) == "?q=a green square&csls=10"
        page.go_back()
        found(page, 30)
        page.go_back()
        until(page, "document.getElementById('text').value === 'a red square with mark number 0'")
        page.goto(server.address + "/?q=xyzzy")
        page.click(".status button")
        until(page, "document.querySelector('.status').textContent.endsWith('Not known: xyzzy')")
        assert page.inner_text(".status").startswith("Nothing here is likely to be what you look for. ")
        page.goto(server.address + "/?q=red&class=red")
        found(page, 12)
        assert page.inner_text(".status") == "The 12 nearest", "of fewer than there are"
        assert all(address.startswith(server.address) for address in visit.requests)
        assert [said for said in visit.complaints if "422" not in said] == [], "the browser itself notes a refusal"


def test_texts_have_their_pictures_and_what_is_odd_is_shown_as_it_is(server: Server, browser: Browser) -> None:
    with browser.visit(server.address + "/?q=a+red+square&find=text&n=30") as visit:
        page = visit.page
        found(page, 30)
        until(page, "[...document.querySelectorAll('#results img')].every(it => it.complete && it.naturalWidth)")
        assert page.locator("#results img").count() == 29
        assert page.inner_text("#results .missing") == "No picture: its file is not there any more"
        assert NASTY in page.inner_text("#results"), "a label stays a text"
        assert "tel\\u202Eger" in page.inner_text("#results") and TURNED not in page.inner_text("#results")
        long = page.locator("#results .card", has_text="and very many words")
        box, line = (long.locator(one).bounding_box() for one in (".text", ".all"))
        assert box["height"] < 120, "a long text is cut"
        assert line is not None and long.locator(".all").inner_text() == "Read all"
        long.click()
        page.wait_for_selector("dialog .whole")
        assert page.inner_text("dialog .whole") == LONG.strip()
        assert "\\u001B[31m<b>" in page.inner_text("dialog dl")
        page.click("dialog dl a >> text=2001")
        until(page, "!document.querySelector('dialog').open")
        found(page, 10)
        assert asked(page) == "?find=text&where=year=2001"
        assert page.inner_text(".status") == "10 of 10"
        page.click("#filters button")
        page.wait_for_selector("#start:not([hidden])")
        assert visit.complaints == []


def test_a_picture_is_chosen_dropped_pasted_and_joined(server: Server, browser: Browser, trained: Path) -> None:
    give = """async kind => {
      const canvas = new OffscreenCanvas(20, 20);
      canvas.getContext('2d').fillRect(0, 0, 20, 20);
      const data = new DataTransfer();
      data.items.add(new File([await canvas.convertToBlob()], `${kind}.png`, { type: 'image/png' }));
      const event = kind === 'drop' ? new DragEvent(kind, { dataTransfer: data, cancelable: true })
        : new ClipboardEvent(kind, { clipboardData: data, cancelable: true });
      document.dispatchEvent(event);
    }"""
    with browser.visit(server.address + "/?q=a+red+square") as visit:
        page = visit.page
        found(page, 24)
        page.set_input_files("#file", trained / "target/red-test-1.png")
        page.wait_for_selector("#results .texts .card")
        until(page, "document.getElementById('preview').naturalWidth === 32")
        assert asked(page) == "?file=red-test-1.png" and page.input_value("#text") == ""
        for kind in ("drop", "paste"):
            page.evaluate(give, kind)
            until(page, f"location.search === '?file={kind}.png' && document.querySelector('#results .texts .card')")
            until(page, "document.getElementById('preview').naturalWidth === 20")
        page.fill("#text", "a green square")
        page.press("#text", "Enter")
        until(page, "document.querySelector('#results .hits:not(.texts) .card')")
        assert asked(page) == "?q=a green square&file=paste.png"
        page.go_back()
        page.wait_for_selector("#results .texts .card")
        assert asked(page) == "?file=paste.png"
        for name, body, says in (
            ("a.png", b"x" * 60_000, "a.png has 0.1 MB, more than the 0.05 MB that may be sent"),
            ("a.txt", b"words", "a.txt is no picture"),
        ):
            kind = "image/png" if name == "a.png" else "text/plain"
            page.set_input_files("#file", {"name": name, "mimeType": kind, "buffer": body})
            until(page, f"document.getElementById('status').textContent.includes({says!r})")
        assert visit.complaints == [], "what cannot be is found out before it is sent"
        page.set_input_files("#file", {"name": "b.png", "mimeType": "image/png", "buffer": b"none"})
        until(page, "document.querySelector('.status.fault')?.textContent.includes(': no picture of a known')")
        page.reload()
        until(page, "document.getElementById('status').textContent.startsWith('b.png was sent as a file')")


def test_the_map_shows_all_and_opens_what_is_clicked(server: Server, browser: Browser) -> None:
    with browser.visit(server.address + "/") as visit:
        page = visit.page
        page.click("#to-map")
        page.wait_for_selector("#near .card")
        assert "30 images (discs) and 30 texts (triangles)" in page.inner_text("#map-about")
        assert re.search(r"carry .*\d+\s% and .*\d+\s% of the variance", page.inner_text("#map-about"))
        painted = """() => {
          const { width, height } = document.getElementById('canvas');
          const data = document.getElementById('canvas').getContext('2d').getImageData(0, 0, width, height).data;
          return data.filter((value, place) => place % 4 === 3 && value > 200).length;
        }"""
        assert page.evaluate(painted) > 200
        page.focus("#canvas")
        for key in ("ArrowLeft", "ArrowUp", "+"):
            page.keyboard.press(key)
        page.click("#map-tools button >> text=→")
        page.click("#map-tools button >> text=+")
        until(page, "new URLSearchParams(location.search).get('at')?.endsWith(',2.25')")
        place = asked(page)
        page.reload()
        page.wait_for_selector("#near .card")
        assert asked(page) == place, "the place is kept"
        page.click("#map-tools button >> text=All")
        until(page, "!location.search.includes('at=')")
        page.click("#legend button >> text=red")
        assert page.get_attribute("#legend button:has-text('red')", "aria-pressed") == "true"
        until(page, "[...document.querySelectorAll('#near .label')].every(it => it.textContent === 'red')")
        page.focus("#canvas")
        page.keyboard.press("Enter")
        page.wait_for_selector("dialog .pair")
        page.keyboard.press("Escape")
        until(page, "!document.querySelector('dialog').open")
        page.click("#legend button >> text=red")
        page.wait_for_timeout(100)  # until all are painted in full again
        x, y = dot(page)
        box = page.locator("#canvas").bounding_box()
        page.mouse.click(box["x"] + x, box["y"] + y)
        page.wait_for_selector("dialog .pair")
        assert "item=" in asked(page)
        assert visit.complaints == []
        page.keyboard.press("Escape")
        page.route("**/api/map/items*", lambda route: route.abort())
        page.click("#map-tools button >> text=+")
        until(page, "document.getElementById('status').textContent.startsWith('The server cannot be reached')")
        assert not [said for said in visit.complaints if "Failed to load" not in said]


def dot(page: Any) -> tuple[float, float]:
    """A place on the canvas where something is painted in full."""
    found: list[float] = page.evaluate(
        """() => {
          const canvas = document.getElementById('canvas');
          const { width, height } = canvas;
          const data = canvas.getContext('2d').getImageData(0, 0, width, height).data;
          const ratio = width / canvas.clientWidth;
          for (let place = 0; place < width * height; place += 1) {
            const [x, y] = [place % width, Math.floor(place / width)];
            if (data[4 * place + 3] > 250 && x < 0.8 * width) return [x / ratio, y / ratio + 2];
          }
        }"""
    )
    return found[0], found[1]


def test_two_runs_answer_side_by_side(searcher: Searcher, browser: Browser) -> None:
    with running({"one": searcher, "two": searcher}) as server, browser.visit(server.address + "/") as visit:
        page = visit.page
        page.fill("#text", "a red square")
        page.press("#text", "Enter")
        found(page, 48)
        assert page.locator("#results h2").all_inner_texts() == ["one", "two"]
        left, right = page.locator("#results section").all()
        assert left.bounding_box()["y"] == right.bounding_box()["y"]
        assert "1. in two" in left.locator(".card").first.inner_text()
        page.click("#more")
        found(page, 60)
        right.locator(".card").first.click()
        page.wait_for_selector("dialog .pair")
        assert "Run\ntwo" in page.inner_text("dialog dl").replace("\n\n", "\n")
        page.keyboard.press("Escape")
        page.check("[name=run][value=two]")
        found(page, 24)
        assert asked(page) == "?q=a red square&run=two"
        page.check("[name=run][value='']")
        found(page, 48)
        assert violations(page) == []
        page.set_viewport_size({"width": 390, "height": 844})
        assert left.bounding_box()["y"] < 844 * 0.45, "on a phone, too, what was found is seen without scrolling"
        assert violations(page) == []
        assert page.evaluate(SMALL) == []
        assert visit.complaints == []


STATES = {
    "start": ("/", "#classes a"),
    "images": ("/?q=a+red+square&where=year%3D2001", "#results .card"),
    "texts": ("/?q=a+red+square&find=text&class=red", "#results .card"),
    "item": (f"/?q=a+red+square&item=image:{GONE}", "dialog .alike[data-medium=text] .card"),
    "map": ("/?view=map", "#near .card"),
    "refused": ("/?q=xyzzy", ".status.fault"),
    "nothing": ("/?q=red&least=1", ".status"),
}


@pytest.mark.parametrize("state", STATES)
def test_all_can_use_it(server: Server, browser: Browser, state: str) -> None:
    address, there = STATES[state]
    with browser.visit(server.address + address) as visit:
        page = visit.page
        page.wait_for_selector(there)
        page.wait_for_load_state("networkidle")
        tablet = [(768, "light")] if state in ("start", "images", "item") else []
        for width, scheme in [(1200, "light"), (390, "dark"), *tablet]:
            page.set_viewport_size({"width": width, "height": 844})
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            assert violations(page) == [], (width, scheme)
            assert page.evaluate("document.scrollingElement.scrollWidth") <= width
            assert page.evaluate(SMALL) == [], "what is pressed is at least 44 pixels wide and high"


SMALL = """() => [...document.querySelectorAll(
    'button, nav a, .card, .chip, .class, select, summary, .file span, fieldset label')]
  .filter((it) => it.checkVisibility() && !it.matches('span.chip, li.chip'))
  .map((it) => [it.outerHTML.slice(0, 80), it.getBoundingClientRect()])
  .filter(([, box]) => box.height < 44 || box.width < 44).map(([text]) => text)"""
