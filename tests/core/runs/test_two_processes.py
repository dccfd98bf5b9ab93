"""Two processes, each with half of every batch, against one."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dckt_core.engine.processes import Engine
from tests.support import tiny
from tests.support.processes import as_ranks, together
from tests.support.tolerance import assert_same

PLAIN = {
    "network__batch_norm": "none",
    "loss__media__weight": 0.0,
    "loss__correlation__weight": 0.0,
    "transfer__accumulation": 2,
}


ADDED_UP = 1_000
"""Numbers that a weight is the sum of: some 50 updates, each the mean over a batch of what a network adds up."""


def global_mmd() -> object:
    """The `mmd` plugin over the batch of all processes."""
    from dckt_core.contract.discovery import load_registry
    from dckt_core.contract.protocols import DiscrepancyContext

    spec = load_registry(plugins=False).find("discrepancy", "mmd").spec
    return spec.build(spec.options(global_batch=True), DiscrepancyContext(seed=0, layers={}, updates=1))


def train(folder: Path, changes: dict[str, object], kind: str) -> None:
    config = tiny.config(**changes)
    discrepancy = tiny.mean_distance if kind == "mean" else global_mmd()
    engine = Engine("cpu")
    trainer = tiny.trainer(config, discrepancy=discrepancy, engine=engine)
    trainer.run()
    for role in ("source", "target", "control"):
        weights = {name: tensor.contiguous() for name, tensor in trainer.state.bare(role).state_dict().items()}
        save_file(weights, folder / f"{role}-{os.environ.get('RANK', '0')}-of-{engine.processes}.safetensors")
    engine.close()


def launch(folder: Path, processes: int, changes: dict[str, object], kind: str = "mean") -> None:
    """Trains, and leaves each process's weights in the folder."""
    work = partial(train, folder, changes, kind)
    if processes == 1:
        assert together([lambda: work() or 0]) == [0]
    else:
        as_ranks(work, processes)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, torch.Tensor]]:
    folder = tmp_path_factory.mktemp("weights")
    launch(folder, 1, PLAIN)
    launch(folder, 2, PLAIN)
    return {file.stem: load_file(file) for file in sorted(folder.iterdir())}


def test_both_processes_end_with_the_same_weights(weights):
    for role in ("source", "target", "control"):
        first, second = weights[f"{role}-0-of-2"], weights[f"{role}-1-of-2"]
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_two_processes_learn_what_one_learns_from_the_whole_batch(weights):
    for role in ("source", "target", "control"):
        one, two = weights[f"{role}-0-of-1"], weights[f"{role}-0-of-2"]
        for name in one:
            assert_same(two[name], one[name], terms=ADDED_UP)


def test_two_processes_with_batch_statistics_and_a_discrepancy_agree(tmp_path):
    launch(tmp_path, 2, {})
    for role in ("source", "target", "control"):
        first, second = (load_file(tmp_path / f"{role}-{rank}-of-2.safetensors") for rank in (0, 1))
        learnt = [name for name in first if "running_" not in name]
        assert all(torch.equal(first[name], second[name]) for name in learnt)


def test_the_global_mmd_makes_two_processes_learn_what_one_learns(tmp_path):
    changes = {"network__batch_norm": "none", "loss__pair__fc6": 0.0, "loss__pair__fc7": 0.0}
    for processes in (1, 2):
        launch(tmp_path, processes, changes, kind="mmd")
    for role in ("source", "target", "control"):
        one, two = (load_file(tmp_path / f"{role}-0-of-{processes}.safetensors") for processes in (1, 2))
        for name in one:
            assert_same(two[name], one[name], terms=ADDED_UP)
