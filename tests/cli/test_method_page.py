"""The command of docs/method.md, typed as it stands there."""

import csv
import math
import re
import shlex
from pathlib import Path

import pytest

from dckt_cli.main import main
from tests.support.squares import SETTINGS, SOURCE, TARGET, write_squares

PAGE = Path(__file__).parents[2] / "docs" / "method.md"


def test_the_journal_version_has_three_discriminators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = re.findall(r"```sh\n(dckt train --discrepancy adversarial .*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    _, *typed = shlex.split(block.replace("\\\n", ""))
    for folder, colours in (("source", SOURCE), ("target", TARGET)):
        write_squares(tmp_path / folder, colours, {"train": 3, "val": 2, "test": 2})
    small = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    small += ["--encoder-opt", "weights=none", "--encoder-opt", "size=32", "--device", "cpu", "--quiet"]
    monkeypatch.setenv("DCKT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    assert main([*typed, *small, "--source", "source", "--target", "target", "--name", "journal"]) == 0

    with (tmp_path / "runs" / "journal" / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"].startswith("discrepancy_")]
    layers = ("image_fc7", "text_fc7", "common_fc9")
    assert {row["metric"] for row in rows} == {f"discrepancy_{name}" for name in layers}
    for row in rows:  # cross-entropies of two domains, which start near that of a coin
        assert 0 < float(row["value"]) < 4 * math.log(2)
