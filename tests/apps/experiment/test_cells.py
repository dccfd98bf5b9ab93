from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from dckt_apps.experiment.cells import Cell, cells_of, tasks_of
from dckt_apps.experiment.plan import Plan
from dckt_core.base.errors import UsageError
from dckt_core.contract.discovery import Registry

Plans = Callable[..., Plan]


def keys(plan: Plan, registry: Registry) -> dict[str, str]:
    """By arm, of seed 0."""
    return {cell.arm: cell.task.key for cell in cells_of(plan, registry) if cell.seed == 0}


def test_cells_go_seed_by_seed(plan: Plans, registry: Registry) -> None:
    cells = cells_of(plan(shots=[4, "all"]), registry)
    assert len(cells) == 2 * 2 * 4
    assert [cell.seed for cell in cells] == [0] * 8 + [1] * 8
    assert [cell.rung for cell in cells[:8]] == ["4"] * 4 + ["all"] * 4
    assert str(cells[0]) == "dckt on squares, rung 4, seed 0"


def test_arms_that_read_from_one_run_share_it(plan: Plans, registry: Registry) -> None:
    cells = cells_of(plan(), registry)
    by_arm = keys(plan(), registry)
    assert by_arm["dckt"] == by_arm["control"]
    assert len(set(by_arm.values())) == 3
    assert len(tasks_of(cells)) == 6
    assert all(re.fullmatch("[0-9a-f]{16}", key) for key in by_arm.values())


@pytest.mark.parametrize(
    ("base", "changed"),
    [
        ({"network": {"media_width": 8}}, {"dckt", "control", "diverges"}),
        ({"encoder": {"key": "features"}}, {"dckt", "control", "diverges", "means"}),
        ({"checkpoint_minutes": 3.0}, set()),
        ({"preset": "paper"}, set()),
    ],
)
def test_a_key_changes_with_what_decides_the_outcome(
    plan: Plans, registry: Registry, base: dict[str, Any], changed: set[str]
) -> None:
    before, after = keys(plan(), registry), keys(plan(base=base), registry)
    assert {arm for arm in before if before[arm] != after[arm]} == changed


def test_a_baseline_s_network_is_the_baseline(plan: Plans, registry: Registry) -> None:
    summary = {"test": {"result": "space"}}
    networks = {cell.arm: cell.network(summary) for cell in cells_of(plan(), registry)}
    assert networks == {"dckt": "space", "control": "control", "diverges": "space", "means": "nearest-class-mean"}


def test_what_is_wrong_with_an_arm_is_said_with_its_name(plan: Plans, registry: Registry) -> None:
    with pytest.raises(
        UsageError, match="arm 'dckt' on data 'squares', rung '4': unknown configuration key 'transfer.lrr'"
    ):
        cells_of(plan(arms={"dckt": {"transfer": {"lrr": 1}}}), registry)
    with pytest.raises(UsageError, match="arm 'control' on data 'squares', rung '4': its checkpoint is 'control', and"):
        cells_of(plan(base={"transfer": {"control": False}}), registry)


def test_an_arm_s_rungs_and_seeds_alone(plan: Plans, registry: Registry) -> None:
    changed = plan(arms={"means": {"rungs": ["few"], "seeds": [1]}}, rungs={"few": {"shots": 2}})
    found = [(cell.arm, cell.rung, cell.seed) for cell in cells_of(changed, registry) if cell.arm in ("dckt", "means")]
    assert found == [("dckt", "4", 0), ("dckt", "few", 0), ("dckt", "4", 1), ("dckt", "few", 1), ("means", "few", 1)]


def test_why_an_arm_has_no_number(plan: Plans, registry: Registry) -> None:
    control: Cell = next(cell for cell in cells_of(plan(), registry) if cell.arm == "control")
    scored = {"test": {"result": "space", "instances": {"space": {}, "control": {}}}}
    assert control.not_applicable(scored) == ""
    del scored["test"]["instances"]["control"]
    assert control.not_applicable(scored) == "the run trained no network 'control'"
    assert control.not_applicable({"not_applicable": "there are no labels"}) == "there are no labels"
