from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dckt_core.contract.protocols import ObserverContext
from dckt_core.testing import assert_observer_ok
from tests.support import box
from tests.support.needs import part

part("tensorboard")
SPEC = box.spec("observer", "tensorboard")


def observer(folder: Path) -> Any:
    return SPEC.build(SPEC.options(), ObserverContext(run_dir=folder))


def row(phase: str, iteration: int, update: int, **values: float) -> dict[str, Any]:
    return {"phase": phase, "iteration": iteration, "update": update, **values}


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return {
        name: [(event.step, round(event.value, 6)) for event in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }


def test_it_keeps_the_contract() -> None:
    assert_observer_ok(SPEC)


def test_steps_count_updates_over_iterations_and_iterations_for_scores(tmp_path: Path) -> None:
    told = observer(tmp_path)
    told.on_metrics(row("pretrain source", 0, 5, source_semantic=2.0))
    told.on_metrics(row("validation", 0, 0, target_map_mean=0.25))
    for iteration in (1, 2):
        for update in (5, 10):
            told.on_metrics(row("transfer", iteration, update, loss=iteration + update / 100))
        told.on_metrics(row("validation", iteration, 10, target_map_mean=0.5))
    told.on_end({})
    assert scalars(tmp_path) == {
        "pretrain source/source_semantic": [(5, 2.0)],
        "validation/target_map_mean": [(0, 0.25), (1, 0.5), (2, 0.5)],
        "transfer/loss": [(5, 1.05), (10, 1.1), (15, 2.05), (20, 2.1)],
    }


def test_a_run_that_goes_on_drops_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    first = observer(tmp_path)
    first.on_metrics(row("transfer", 1, 5, loss=1.0))
    state = json.loads(json.dumps(first.state_dict()))
    first.on_metrics(row("transfer", 1, 10, loss=99.0))
    second = observer(tmp_path)
    second.load_state_dict(state)
    second.on_metrics(row("transfer", 1, 10, loss=2.0))
    second.on_end({})
    assert scalars(tmp_path) == {"transfer/loss": [(5, 1.0), (10, 2.0)]}
