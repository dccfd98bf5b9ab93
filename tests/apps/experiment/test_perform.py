from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dckt_apps.experiment.cells import Task, cells_of
from dckt_apps.experiment.perform import perform
from dckt_apps.experiment.plan import Plan
from dckt_core.base.errors import StoppedError, UsageError
from dckt_core.base.stopping import Stop
from dckt_core.contract.discovery import Registry
from dckt_core.data.context import Context
from dckt_core.runs import train

Plans = Callable[..., Plan]


def task(plan: Plan, arm: str, registry: Registry) -> Task:
    return next(cell.task for cell in cells_of(plan, registry) if cell.arm == arm)


def summary(run: Path) -> dict[str, Any]:
    """Less what the clock says."""
    said: dict[str, Any] = json.loads((run / "summary.json").read_text())
    assert said.pop("seconds") >= 0
    return said


class StopsAfter(Stop):
    """A request to stop that comes at the so-manieth question."""

    def __init__(self, questions: int) -> None:
        super().__init__()
        self.left = questions

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def test_a_run_that_was_stopped_goes_on_to_the_same_end(
    plan: Plans, squares: Path, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = task(plan(), "dckt", registry)
    where = {"context": Context(registry, squares / "cache")}
    perform(one, runs_dir=tmp_path / "whole", **where)

    @contextmanager
    def stopping() -> Iterator[Stop]:
        yield StopsAfter(12)

    with monkeypatch.context() as patch:
        patch.setattr(train, "stopping", stopping)
        with pytest.raises(StoppedError):
            perform(one, runs_dir=tmp_path / "parts", **where)
    parts = tmp_path / "parts" / one.key
    assert not (parts / "summary.json").exists()
    perform(one, runs_dir=tmp_path / "parts", **where)
    assert "resum" in (parts / "log.jsonl").read_text()
    assert summary(parts) == summary(tmp_path / "whole" / one.key)


def test_a_baseline_leaves_a_summary_like_a_run_s(
    plan: Plans, squares: Path, registry: Registry, tmp_path: Path
) -> None:
    one = task(plan(), "means", registry)
    for _ in range(2):  # the second time as if the first had been killed
        perform(one, runs_dir=tmp_path, context=Context(registry, squares / "cache"))
    said = summary(tmp_path / one.key)
    assert said["baseline"] == "nearest-class-mean"
    values = said["test"]["map"]["nearest-class-mean"]
    assert values["mean"]["value"] == pytest.approx(
        (values["image_to_text"]["value"] + values["text_to_image"]["value"]) / 2
    )
    assert values["text_to_image"]["value"] > said["test"]["map"]["chance"]["mean"]
    assert said["validation"]["nearest-class-mean"].keys() == {"image_to_text", "text_to_image", "kind"}
    assert set(said["test"]["instances"]) == {"chance", "nearest-class-mean"}


def test_a_baseline_on_an_encoder_that_trains_along_says_why_not(
    plan: Plans, squares: Path, registry: Registry, tmp_path: Path
) -> None:
    one = task(plan(base={"text_encoder": {"name": "wordcnn"}}), "means", registry)
    with pytest.raises(UsageError, match="the baseline 'nearest-class-mean' needs frozen encoders, and the text"):
        perform(one, runs_dir=tmp_path, context=Context(registry, squares / "cache"))
    assert not (tmp_path / one.key).exists()
