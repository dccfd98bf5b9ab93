"""Stopped anywhere and resumed, a training in two processes ends bit for bit as one that never was."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from dckt_core.base.errors import StoppedError
from dckt_core.engine import record
from dckt_core.engine.processes import Engine
from dckt_core.engine.snapshot import Snapshot, SnapshotFolder
from dckt_core.method.loop import Trainer
from tests.support import tiny, trainings
from tests.support.processes import as_ranks
from tests.support.trainings import Drawing, Remembering, differences, stopped_at

pytestmark = pytest.mark.faults

STOPS = {
    "in pre-training of the source": 3,
    "in pre-training of the target": 9,
    "in the first iteration": 12,
    "between iterations": 15,
    "in the second iteration": 18,
}
CHANGES: dict[str, Any] = {"pretrain__accumulation": 2, "transfer__accumulation": 3, "checkpoint_minutes": 1e9}


def trainer(engine: Engine, folder: Path, stop_after: int | None = None, signalled: str = "0") -> Trainer:
    """A training that the process of rank `signalled` is asked to stop after some updates."""
    config = tiny.config(**CHANGES)
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked == stop_after and os.environ["RANK"] == signalled

    def keep(snapshot: Snapshot) -> None:
        if engine.is_main:
            SnapshotFolder(folder).save(snapshot)

    return tiny.trainer(config, sampler=Remembering(), discrepancy=Drawing(), engine=engine, keep=keep, stop=stop)


def ending(made: Trainer) -> dict[str, Any]:
    """What is compared. Each process has BatchNorm statistics of its own, and those of the first one count."""
    outcome = made.run()
    everything = made.engine.is_main
    weights = {
        f"{role} {name}": value.tolist()
        for role in made.state.networks
        for name, value in made.state.bare(role).state_dict().items()
        if everything or not ("running_" in name or "num_batches" in name)
    }
    best = [outcome.before, outcome.after, outcome.control]
    return weights | {"history": outcome.history, "scores": repr(best)}


def differing(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    return [name for name in first if first[name] != second[name]]


def stop_and_resume(folder: Path) -> None:
    record.CURVE_POINTS = 2  # so that some stops come between two rows of the learning curve
    engine = Engine("cpu")
    whole = ending(trainer(engine, folder / "none"))
    told: dict[str, list[str]] = {}
    for what, update in STOPS.items():
        kept = folder / str(update)
        kept.mkdir(exist_ok=True)
        try:
            trainer(engine, kept, stop_after=update, signalled=str(update % 2)).run()
        except StoppedError:
            engine.wait()
        snapshot = SnapshotFolder(kept).latest()
        assert snapshot is not None
        again = trainer(engine, kept)
        again.restore(snapshot)
        told[what] = differing(whole, ending(again))
    kept_whole = SnapshotFolder(folder / str(STOPS["in the first iteration"])).latest()
    assert kept_whole is not None
    other = {"generator/transfer target": torch.Generator().manual_seed(99).get_state()}
    control = trainer(engine, folder / "none")
    control.restore(Snapshot({**kept_whole.tensors, **other}, kept_whole.facts))
    told["control: a generator lost"] = differing(whole, ending(control))
    (folder / f"told-{os.environ['RANK']}.json").write_text(json.dumps(told))
    engine.close()


def test_two_processes_with_accumulation(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    as_ranks(partial(stop_and_resume, tmp_path))
    for rank in "01":
        told = json.loads((tmp_path / f"told-{rank}.json").read_text())
        assert told.pop("control: a generator lost"), "the comparison would notice"
        assert len(told) == 5
        record_property("faults", len(told))
        assert not any(told.values()), told


@pytest.mark.parametrize("update", [1, 8, 12, 15])
@pytest.mark.parametrize("accumulation", [{"pretrain__accumulation": 3}, {"transfer__accumulation": 1}])
def test_accumulation(update: int, accumulation: dict[str, int], tmp_path: Path) -> None:
    expected = trainings.ending(trainings.trainer(**accumulation)[0])
    made, *_ = trainings.trainer(**accumulation)
    made.restore(stopped_at(update, tmp_path, **accumulation))
    assert differences(expected, trainings.ending(made)) == []
