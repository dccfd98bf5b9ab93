"""docs/reference/configuration.md lists every key, as the code and the presets have it."""

from __future__ import annotations

import re
import tomllib

from dckt_core.config import Config
from tests.support.pages import ROOT, tool

PAGE = (ROOT / "docs/reference/configuration.md").read_text("utf-8")


def test_the_page_is_what_the_code_says() -> None:
    assert tool("configuration").page() == PAGE, "docs/reference/configuration.md is out of date: run `make docs`"


def test_every_key_that_a_run_writes_down_is_on_it() -> None:
    named = set(re.findall(r"^\| `([\w.-]+?)(?:\.\.\.)?` ", PAGE, re.MULTILINE))

    def keys(table: dict[str, object], prefix: str = "") -> set[str]:
        inner = {key: value for key, value in table.items() if isinstance(value, dict)}
        own = {prefix + key for key in table.keys() - inner.keys()}
        return own.union(*(keys(value, f"{prefix}{key}.") for key, value in inner.items()))

    written = keys(tomllib.loads(Config.resolve(preset="tuned").to_toml()))
    assert {key for key in written if not {key, key.rpartition(".")[0]} & named} == set()
