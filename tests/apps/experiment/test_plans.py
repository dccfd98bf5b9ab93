"""The plans in the repository: each can be read, and a small version of the ladder runs."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from dckt_apps.experiment.plan import Plan, read_plan
from dckt_core.config import Config
from tests.support.pages import ROOT
from tests.support.plans import Run

PLANS = sorted((ROOT / "benchmarks/plans").glob("*.toml"))
LADDERS = [file for file in PLANS if file.stem.startswith("ladder-")]
TINY = {
    "network": {"media_width": 8, "common_width": 8},
    "pretrain": {"batch": 8, "source_updates": 2, "target_updates": 2},
    "transfer": {"batch": 8, "iterations": 1, "updates": 2},
}


@pytest.mark.parametrize("file", PLANS, ids=lambda file: file.stem)
def test_it_can_be_read_and_compares_arms_that_meet(file: Path) -> None:
    plan = read_plan(file)
    for data, arm, rung in product(plan.data, plan.arms, plan.rungs):
        Config.resolve(flags=plan.settings(data, arm, rung, plan.seeds[0]))
    for arm, other in plan.contrasts:
        assert set(plan.rungs_of(arm)) & set(plan.rungs_of(other))
        assert set(plan.seeds_of(arm)) & set(plan.seeds_of(other))


@pytest.mark.parametrize("file", LADDERS, ids=lambda file: file.stem)
def test_the_ladders_have_the_same_rungs_in_the_same_order(file: Path) -> None:
    plan = read_plan(file)
    rungs = [rung for rung in plan.rungs if not rung.startswith("one")]
    assert rungs == list(read_plan(LADDERS[0]).rungs)
    slow = [] if file.stem == "ladder-minilm" else ["dscmr", "paper", "paper-alone", "authors"]
    assert [arm for arm in plan.arms if plan.rungs_of(arm) != list(plan.rungs)] == slow, "of labelled pairs alone"
    assert ("all", "ten") in plan.steps


@pytest.fixture
def tiny(squares: Path) -> Plan:
    """The sample's ladder on a handful of pictures, with features that are there."""
    base = read_plan(squares / "plan.toml").base
    changes = {
        "seeds": [0],
        "base": {key: base[key] for key in ("encoder", "text_encoder")},
        "data": {"sample": read_plan(squares / "plan.toml").data["squares"]},
        "arms": {"tuned": TINY, "paper": TINY},
    }
    plan = read_plan(ROOT / "benchmarks/plans/ladder-sample.toml", changes)
    rungs = ("nothing", "unpaired", "pairs-names", "one-only", "one", "all")
    return replace(plan, rungs={name: plan.rungs[name] for name in rungs})


def test_a_small_version_runs(tiny: Plan, run: Run) -> None:
    arms = ["tuned", "tuned-alone", "self-training", "nearest-class-name", "cca", "cca-both", "paper", "paper-alone"]
    now = run(tiny, arms=arms)
    assert now.failures == {}
    reasons = {(cell.arm, cell.rung): cell.not_applicable(now.summaries[cell.task.key]) for cell in now.done}
    without = {arm: {rung for (name, rung), reason in reasons.items() if name == arm and reason} for arm in arms}
    assert without == {
        "tuned": set(),
        "tuned-alone": {"nothing", "unpaired"},
        "self-training": set(tiny.rungs) - {"one"},
        "nearest-class-name": {"nothing", "unpaired"},
        "cca": {"nothing", "unpaired"},
        "cca-both": set(),
        "paper": set(),
        "paper-alone": set(),
    }
    assert "nothing says which images and texts belong together" in reasons["tuned-alone", "nothing"]
    assert {rung for arm, rung in reasons if arm == "paper"} == {"one-only", "all"}
