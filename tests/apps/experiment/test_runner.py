from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from dckt_apps.experiment import runner
from dckt_apps.experiment.cells import Task
from dckt_apps.experiment.plan import Plan
from dckt_apps.experiment.runner import run_experiment, standing
from dckt_core.base.errors import StoppedError, UsageError
from dckt_core.base.stopping import Stop
from dckt_core.config import Config
from dckt_core.contract.discovery import Registry
from dckt_core.data.context import Context
from dckt_core.io.files import held
from tests.support.plans import Ran, Run

Plans = Callable[..., Plan]


def test_what_fails_is_named_and_the_rest_goes_on(ran: Ran) -> None:
    assert len(ran.now.cells) == 8
    assert {(cell.arm, cell.seed) for cell in ran.now.done} == {
        (arm, seed) for arm in ("dckt", "control", "means") for seed in (0, 1)
    }
    assert [(cell.arm, cell.seed) for cell, _ in ran.now.failed] == [("diverges", 0), ("diverges", 1)]
    assert all("transfer iteration" in fault for _, fault in ran.now.failed)


def test_the_table_and_the_report_hold_what_is_done(ran: Ran) -> None:
    rows = list(csv.DictReader((ran.folder / "results.csv").read_text().splitlines()))
    assert sorted((row["arm"], row["seed"]) for row in rows) == sorted(
        (cell.arm, str(cell.seed)) for cell in ran.now.done
    )
    report = (ran.folder / "report.md").read_text()
    assert "6 of 8 cells are done." in report
    assert "- diverges on squares, rung 4, seed 1: transfer iteration" in report
    for row in rows:
        assert (ran.folder / "runs" / row["key"] / "config.toml").is_file()


def test_networks_on_a_rung_without_labels_are_not_applicable_and_no_failure(plan: Plans, run: Run) -> None:
    changed = plan(seeds=[0], rungs={"pairs": {"offer": {"labels": "none"}}})
    now = run(changed, arms=["dckt", "control"])
    without = [cell for cell in now.done if cell.rung == "pairs"]
    assert ([cell.arm for cell in without], now.failures) == (["dckt", "control"], {})
    (said,) = {cell.not_applicable(now.summaries[cell.task.key]) for cell in without}
    assert "the networks need 2 labelled training pairs of 2 classes, and it has 0 of 0" in said
    assert all(cell.not_applicable(now.summaries[cell.task.key]) == "" for cell in now.done if cell.rung == "4")


def test_no_checkpoints_stay(ran: Ran) -> None:
    assert not list(ran.folder.rglob("*.safetensors"))


def test_progress_counts_cells(ran: Ran) -> None:
    told = [(done, total) for done, total, what in ran.progress if what == "cells"]
    assert told[0] == (0, 8)
    assert told[-1] == (8, 8)
    assert told == sorted(told)


def test_what_is_done_is_not_done_again(
    ran: Ran, run: Run, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (ran.folder / "results.csv").read_bytes()
    assert len(standing(ran.plan, registry, ran.folder).done) == 6

    def work(tasks: Iterable[Task], *_: object, **__: object) -> list[tuple[Task, str | None]]:
        assert list(tasks) == []
        return []

    with monkeypatch.context() as patch:
        patch.setattr(runner, "work", work)
        now = run(ran.plan, ran.folder, arms=["dckt", "means"])
    assert (len(now.done), now.failures) == (6, {})
    assert (ran.folder / "results.csv").read_bytes() == before


def test_the_same_in_a_process_of_its_own_as_in_this_one(
    ran: Ran, plan: Plans, squares: Path, registry: Registry
) -> None:
    """A task that is done; one that fails is among the tests of the command, several at once among those of `work`."""
    folder = ran.folder.parent / "in another"
    context = Context(registry, squares / "cache")
    now = run_experiment(plan(seeds=[0]), folder, context, arms=["dckt"], workers=2, plugins=False)
    assert [cell.arm for cell in now.done] == ["dckt", "control"], "of one task"
    (key,) = now.summaries
    assert now.summaries[key]["test"] == ran.now.summaries[key]["test"]
    assert not now.failed
    assert not list(folder.rglob("*.safetensors"))


def test_a_plan_that_grows_trains_what_is_new(plan: Plans, run: Run) -> None:
    assert len(run(plan(seeds=[0]), arms=["means"]).done) == 1
    now = run(plan(seeds=[0, 1]), arms=["means"])
    assert [(cell.arm, cell.seed) for cell in now.done] == [("means", 0), ("means", 1)]


def test_checkpoints_stay_where_the_plan_says_so(plan: Plans, run: Run, tmp_path: Path) -> None:
    now = run(plan(seeds=[0], keep_checkpoints=True), arms=["dckt"])
    (key,) = now.summaries
    assert (tmp_path / "runs" / key / "checkpoints" / "after.safetensors").is_file()


def test_features_are_there_before_the_tasks_that_share_them(
    plan: Plans, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    class Asked:
        def __init__(self, config: Config, context: object) -> None:
            asked.append(config.seed)

        def domain(self, role: str) -> None: ...

    monkeypatch.setattr(runner, "Setup", Asked)
    run(plan(), arms=["dckt", "control", "means"])
    assert asked == [0, 1], "once for the pairs that a seed draws"


def test_a_stopped_experiment_says_how_far_it_is_and_goes_on(
    plan: Plans, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    questions: list[object] = []

    def asked_twice(self: Stop) -> bool:
        questions.append(self)
        return len(questions) > 1

    with monkeypatch.context() as patch:
        patch.setattr(Stop, "__call__", asked_twice)
        with pytest.raises(StoppedError, match="stopped with 1 of 8 cells done"):
            run(plan(), arms=["means"])
    assert "1 of 8 cells are done." in (tmp_path / "report.md").read_text()
    assert len(run(plan(), arms=["means"]).done) == 2


def test_an_unknown_arm(plan: Plans, run: Run) -> None:
    with pytest.raises(UsageError, match="no arm 'mean': did you mean 'means'"):
        run(plan(), arms=["mean"])


def test_two_experiments_do_not_share_a_folder(plan: Plans, run: Run, tmp_path: Path) -> None:
    with held(tmp_path, "busy"), pytest.raises(UsageError, match="another experiment is at work in this folder"):
        run(plan(), arms=["means"])


def test_a_broken_summary_is_named(plan: Plans, run: Run, tmp_path: Path) -> None:
    now = run(plan(seeds=[0]), arms=["means"])
    (key,) = now.summaries
    (tmp_path / "runs" / key / "summary.json").write_text("{")
    with pytest.raises(
        UsageError, match=rf"{key}/summary.json: altered since it was written: .*; remove .*{key} to train it anew"
    ):
        run(plan(seeds=[0]), arms=["means"])
