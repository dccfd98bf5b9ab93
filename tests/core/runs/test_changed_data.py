"""A run whose target was changed since is not scored, or searched, as if nothing had happened."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dckt_core.base.errors import DataError
from dckt_core.runs.evaluate import evaluate
from dckt_core.runs.model import load
from tests.support.squares import edit

Rows = list[dict[str, Any]]


@pytest.fixture
def target(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the run `runs/squares` was trained on, in a copy of its folder, which is the working one."""
    for name in ("source", "target", "runs"):
        shutil.copytree(trained / name, tmp_path / name)
    monkeypatch.setenv("DCKT_CACHE_DIR", str(trained / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "target"


def trained_on(rows: Rows) -> Rows:
    """The test split's pairs are those that were trained on, under other ids."""
    kept = [row for row in rows if row["split"] != "test"]
    return kept + [{**row, "split": "test", "id": f"x-{row['id']}"} for row in rows if row["split"] == "train"]


def another_text(rows: Rows) -> Rows:
    return [{**row, "text": "a thing"} if row["id"] == "red-train-0" else row for row in rows]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    return [line for line in lines if "has seen" in line]


def test_a_target_that_is_as_it_was_is_scored_without_a_word(target, caplog):
    model = load("runs/squares")
    evaluate(model, tasks=("image_to_text",))
    assert warnings(caplog) == []


def test_training_pairs_in_the_place_of_the_test_split_are_refused(target, caplog):
    edit(target, trained_on)
    with pytest.raises(DataError, match=r"^target: its test pairs are not those that runs/squares has seen") as caught:
        evaluate("runs/squares")
    assert "--target target scores them all the same" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_where_the_target_is_named_it_is_said_and_scored(target, caplog):
    edit(target, trained_on)
    evaluate(load("runs/squares", target="target"), tasks=("image_to_text",))
    assert warnings(caplog) == ["target: its test pairs are not those that runs/squares has seen"]


def test_another_training_text_changes_no_figure_of_the_test_split(target, caplog):
    edit(target, another_text)
    evaluate("runs/squares", tasks=("image_to_text",))
    assert warnings(caplog) == ["target: its pairs are not those that runs/squares has seen"]
    with pytest.raises(DataError, match="its pairs are not those"):
        evaluate("runs/squares", split="train")


def test_another_picture_under_the_same_name_is_refused(target):
    Image.new("RGB", (32, 32), "white").save(target / "red-test-0.png")
    with pytest.raises(DataError, match="its pictures are not those that runs/squares has seen"):
        evaluate("runs/squares")


def test_who_searches_is_told_once(target, caplog):
    edit(target, trained_on)
    model = load("runs/squares")
    model.target()
    model.target()
    assert warnings(caplog) == ["target: its test pairs are not those that runs/squares has seen"]
