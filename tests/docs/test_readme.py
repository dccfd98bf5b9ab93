"""What the README shows works: its code runs, and its pictures are small."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from dckt_core.base.rng import generator_for
from dckt_core.testing import assert_discrepancy_ok
from tests.support.pages import ROOT

README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)


def code(word: str) -> str:
    (block,) = [block for language, block in BLOCKS if language == "python" and word in block]
    return block


def test_the_loss() -> None:
    generator = generator_for(0, "test")
    names = {"x": torch.randn(8, 3, generator=generator), "y": torch.randn(6, 3, generator=generator) + 1}
    exec(code("mk_mmd"), names)
    assert names["loss"].item() > 0


def test_the_common_space(capsys: pytest.CaptureFixture[str]) -> None:
    block = code("CommonSpace")
    names: dict[str, Any] = {}
    exec(block, names)
    assert names["nearest"].shape == names["cosines"].shape == (597, 10)
    assert "[597, 10]" in block
    scores = [float(line) for line in capsys.readouterr().out.splitlines()]
    said = [float(figure) for figure in re.findall(r"(0\.\d\d); by chance", block)]
    assert scores == pytest.approx(said, abs=0.01), "in two digits, and other processors round otherwise"
    assert len([line for line in block.splitlines() if line.strip()]) <= 10


def test_the_plugin() -> None:
    names: dict[str, object] = {}
    exec(code("hookimpl"), names)
    (spec,) = names["dckt_discrepancies"]()  # type: ignore[operator]
    assert_discrepancy_ok(spec)
    assert f"{spec.name} = " in README
    assert f"--discrepancy {spec.name}" in README


def test_pictures_weigh_less_than_300_kilobytes() -> None:
    shown = set(re.findall(r"\((docs/pictures/[\w.]+)\)", README))
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs/pictures").iterdir()}
    assert shown == there
    assert sum((ROOT / path).stat().st_size for path in there) < 300_000
    assert (ROOT / "docs/pictures/architecture.svg").stat().st_size < 60_000
