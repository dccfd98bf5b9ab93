"""`make pictures`: trains on the sample data and takes docs/pictures/*.png of the page, its map and the report.

Needs Chromium and the extra `serve`; about five minutes on two cores. architecture.svg is drawn by hand.
"""

from __future__ import annotations

import argparse
import io
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

PICTURES = Path(__file__).parents[1] / "pictures"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUERY = "a pen went around once and closed the ring"
"""In no data set: the sample's own sentences are other ones."""


def dckt(*words: str) -> list[str]:
    """The command as this Python runs it."""
    return [sys.executable, "-m", "dckt_cli", *words]


def train(folder: Path) -> Path:
    """The main job on the sample data; the run folder."""
    command = dckt("train", "--encoder", "vgg19", "--sampler", "ap-progressive", "--name", "sample")
    subprocess.run([*command, "--runs-dir", str(folder)], check=True)
    return folder / "sample"


@contextmanager
def serving(run: Path) -> Iterator[str]:
    """The search page's address, as long as it is needed."""
    command = dckt("serve", str(run), "--split", "test", "--port", "0", "--quiet")
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.send_signal(signal.SIGINT)  # as Ctrl-C, which is how it ends
        server.wait()


def save(page: Any, name: str, height: int) -> None:
    """The upper part of a page as a PNG of 256 colours, which is a third of the size and looks the same."""
    clip = {"x": 0, "y": 0, "width": page.viewport_size["width"], "height": height}
    shot = page.screenshot(clip=clip, full_page=True)
    picture = Image.open(io.BytesIO(shot)).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    picture.save(PICTURES / name, optimize=True)
    print(f"{PICTURES / name}: {(PICTURES / name).stat().st_size:,} bytes")


def take(run: Path) -> None:
    """All pictures of a finished run."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        sys.exit(f"no Chromium on this machine (looked for {', '.join(NAMES)})")
    subprocess.run(dckt("report", str(run), "--quiet"), check=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1000, "height": 700}, color_scheme="light")
        page.goto((run / "report.html").resolve().as_uri())
        save(page, "report.png", 950)
        with serving(run) as address:
            page.goto(address)
            page.fill("#text", QUERY)
            page.click("button[type=submit]")
            page.locator("#results img").first.wait_for()
            page.wait_for_load_state("networkidle")
            save(page, "search.png", 720)
            page.goto(f"{address}/?view=map")
            page.locator("#near img").first.wait_for()
            page.wait_for_load_state("networkidle")
            save(page, "map.png", 980)
        browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", nargs="?", type=Path, help="a finished run on the sample data, in place of a new one")
    run = parser.parse_args().run
    with tempfile.TemporaryDirectory() as folder:
        take(run or train(Path(folder)))
