"""Two CPU processes under torchrun against one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.support.tolerance import assert_same

ROOT = Path(__file__).parents[3]
PLAIN = {
    "network__batch_norm": False,
    "loss__media__weight": 0.0,
    "loss__correlation__weight": 0.0,
    "transfer__accumulation": 2,
}


ADDED_UP = 1_000
"""Numbers that a weight is the sum of: some 50 updates, each the mean over a batch of what a network adds up."""


def launch(folder: Path, processes: int, changes: dict[str, object], kind: str = "mean") -> None:
    script = [str(ROOT / "tests/core/runs/two_processes.py"), str(folder), json.dumps(changes), kind]
    start = [sys.executable]
    if processes > 1:
        start += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*start, *script], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


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
    changes = {"network__batch_norm": False, "loss__pair__fc6": 0.0, "loss__pair__fc7": 0.0}
    for processes in (1, 2):
        launch(tmp_path, processes, changes, kind="mmd")
    for role in ("source", "target", "control"):
        one, two = (load_file(tmp_path / f"{role}-0-of-{processes}.safetensors") for processes in (1, 2))
        for name in one:
            assert_same(two[name], one[name], terms=ADDED_UP)
