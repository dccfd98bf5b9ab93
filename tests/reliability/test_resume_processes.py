"""Stopped anywhere and resumed, a training in two processes ends bit for bit as one that never was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.trainings import differences, ending, stopped_at, trainer

ROOT = Path(__file__).parents[2]


def test_two_processes_with_accumulation(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    script = str(ROOT / "tests/reliability/two_process_resume.py")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*launch, script, str(tmp_path)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    for rank in "01":
        told = json.loads((tmp_path / f"told-{rank}.json").read_text())
        assert told.pop("control: a generator lost"), "the comparison would notice"
        assert len(told) == 5
        record_property("faults", len(told))
        assert not any(told.values()), told


@pytest.mark.parametrize("update", [1, 8, 12, 15])
@pytest.mark.parametrize("accumulation", [{"pretrain__accumulation": 3}, {"transfer__accumulation": 1}])
def test_accumulation(update: int, accumulation: dict[str, int], tmp_path: Path) -> None:
    expected = ending(trainer(**accumulation)[0])
    made, *_ = trainer(**accumulation)
    made.restore(stopped_at(update, tmp_path, **accumulation))
    assert differences(expected, ending(made)) == []
