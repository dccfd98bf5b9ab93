"""What the tests of pages ask of a real browser."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.needs import absent, part

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

CONTRAST = """() => {
  const channel = (v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const parse = (text) => {
    const numbers = text.match(/-?[\\d.]+(e-?\\d+)?/g).map(Number);
    const unit = text.startsWith('color(') ? 1 : 255;
    return [numbers[0] / unit, numbers[1] / unit, numbers[2] / unit, numbers[3] ?? 1];
  };
  const luminance = (c) => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour[3] === 1) return colour;
    }
    return parse(getComputedStyle(document.documentElement).backgroundColor);
  };
  const faults = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const [a, b] = [parse(element.closest('svg') ? style.fill : style.color), behind(element)].map(luminance);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = parseFloat(style.fontSize) >= 24;
    seen += 1;
    if (ratio < (large ? 3 : 4.5)) faults.push([walker.currentNode.textContent.trim().slice(0, 40), ratio]);
  }
  return {seen, faults};
}"""
"""Texts whose contrast with what is behind them is below what WCAG 2 AA asks for."""


@dataclass
class Visit:
    """A page that is open, and what it did.

    Attributes:
        complaints: console errors, warnings and uncaught exceptions.
        requests: addresses that it asked for, itself included; `data:` ones are none.
    """

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


class Browser:
    """Opens pages, each in a context of its own."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser

    @contextmanager
    def visit(self, address: str, *, width: int = 1200, dark: bool = False) -> Iterator[Visit]:
        context = self._browser.new_context(
            viewport={"width": width, "height": 844}, color_scheme="dark" if dark else "light"
        )
        try:
            visit = Visit(context.new_page())
            visit.page.set_default_timeout(60_000)  # reached on a machine that is very busy alone
            visit.page.on(
                "console", lambda said: said.type in ("error", "warning") and visit.complaints.append(said.text)
            )
            visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
            visit.page.on(
                "request", lambda request: request.url.startswith("data:") or visit.requests.append(request.url)
            )
            visit.page.goto(address)
            yield visit
        finally:
            context.close()


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Headless Chromium, the system's or that of `make browser`, driven by playwright.

    Skips the test where one of them is missing.
    """
    driver = part("playwright.sync_api")
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []  # it refuses to run as root otherwise
    with driver.sync_playwright() as playwright:
        program = next(filter(None, map(shutil.which, (*NAMES, playwright.chromium.executable_path))), None)
        if program is None:
            absent("Chromium")
        browser = playwright.chromium.launch(executable_path=program, args=flags)
        try:
            yield Browser(browser)
        finally:
            browser.close()


def until(page: Any, expression: str, seconds: float = 30.0) -> None:
    """Waits for a JavaScript expression to be true. Playwright's own way evaluates text in the page, which its Content
    Security Policy forbids as soon as the first look is too early.
    """
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"not true after {seconds:g} s: {expression}"
        page.wait_for_timeout(50)
