from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from dckt_apps.experiment.picture import bars, draw, steps
from dckt_apps.experiment.plan import Plan, read_plan
from dckt_apps.experiment.results import Row

PLAN = """
seeds = [0, 1]
data = { photos = {} }
[rungs.nothing]
title = "no label"
[rungs.all]
[arms.dckt]
[arms.linear]
baseline = "semantic-matching"
"""
ROW = Row("photos", "nothing", "dckt", 0, "space", 0.5, 0.5, 0.5, 0.1, *[None] * 6, "map", None, 1.0, "key")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    (tmp_path / "plan.toml").write_text(PLAN)
    return read_plan(tmp_path / "plan.toml")


def rows() -> list[Row]:
    return [
        ROW,
        replace(ROW, seed=1, map_mean=0.7),
        replace(ROW, arm="linear", map_mean=None, not_applicable="no label"),
        replace(ROW, rung="all", arm="linear", map_mean=0.25),
    ]


def test_a_step_is_the_mean_over_seeds_of_the_arms_that_have_numbers(plan: Plan) -> None:
    first, second = steps(plan, rows())
    assert (first.title, first.scores, first.chance) == ("no label", {"dckt": pytest.approx(0.6)}, pytest.approx(0.1))
    assert (second.title, second.scores) == ("all", {"linear": 0.25})
    assert steps(plan, []) == []


def test_a_bar_is_as_long_as_its_map(plan: Plan) -> None:
    lines = bars(steps(plan, rows())).splitlines()
    assert lines[0] == "photos: no label"
    assert lines[1] == "  dckt   ███|██████████████············ 0.600"
    assert lines[3] == "  linear ███|████······················ 0.250"
    assert lines[-1].endswith("|: chance (0.100)")


def test_the_picture_is_one(plan: Plan, tmp_path: Path) -> None:
    draw(steps(plan, rows()), tmp_path / "ladder.png")
    with Image.open(tmp_path / "ladder.png") as picture:
        assert picture.width > 300
