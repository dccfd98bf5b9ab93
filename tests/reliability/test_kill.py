"""SIGKILL at random moments of a real training, checkpoint writes among them: no file is torn, every run goes on.

The trainings are forked from this process, so that a hundred kills take minutes and not hours. Checkpoints are kept
after every update, which makes their writing a good part of the time that a kill may hit.
"""

from __future__ import annotations

import random
import signal
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from dckt_core.engine.snapshot import load_snapshot
from tests.support.processes import Record, in_child, preload, resume, same_end, train
from tests.support.squares import ENCODER, SIZES, SOURCE, TARGET, flags, write_squares

pytestmark = pytest.mark.faults

LARGER = [
    *("--device", "cpu"),
    *ENCODER,
    *flags(network__media_width=256, network__common_width=256, checkpoint_minutes=0, transfer__updates=15),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    preload()
    home = tmp_path_factory.mktemp("kill")
    write_squares(home / "source", SOURCE, SIZES)
    write_squares(home / "target", TARGET, SIZES)
    assert in_child(home, lambda: train("whole", LARGER)) == 0
    return home


def hammer(home: Path, kills: int, seed: int) -> tuple[int, int]:
    """Kills trainings until so many were hit, each run going on until it ends; hit, and runs that ended."""
    draw = random.Random(seed)
    hit = ended = 0
    while hit < kills:
        name = f"killed-{seed}-{ended}"
        run = home / "runs" / name
        first = True
        while True:
            work = partial(resume, name) if run.exists() else partial(train, name, LARGER)
            code = in_child(home, work, kill_after=draw.uniform(0.02, 1.5) if hit < kills else None)
            if code == 0:
                break
            assert code == -signal.SIGKILL, f"exit code {code}, {'first' if first else 'resumed'} start"
            hit, first = hit + 1, False
            for file in run.glob("checkpoints/*.safetensors"):
                load_file(file)
                if file.name.endswith(".state.safetensors"):
                    load_snapshot(file)
        same_end(home / "runs" / "whole", run)
        ended += 1
    return hit, ended


def test_killed_a_few_times_every_run_ends_as_if_never_killed(home: Path, record_property: Record) -> None:
    hit, ended = hammer(home, kills=4, seed=1)
    record_property("faults", hit)
    assert hit == 4
    assert ended >= 1


@pytest.mark.slow
def test_killed_a_hundred_times_every_run_ends_as_if_never_killed(home: Path, record_property: Record) -> None:
    hit, ended = hammer(home, kills=120, seed=2)
    record_property("faults", hit)
    print(f"killed {hit} times, {ended} runs ended, 0 torn files")
    assert hit == 120


@pytest.mark.slow
def test_a_naive_writer_would_be_caught(home: Path, tmp_path: Path, record_property: Record) -> None:
    """The control: writing in place leaves torn files under the same treatment."""
    naive = tmp_path / "naive.safetensors"
    content = save({"weights": torch.zeros(2**24)})
    draw = random.Random(3)

    def write() -> int:
        while True:
            naive.write_bytes(content)

    kills = torn = 0
    while kills < 20:
        code = in_child(home, write, kill_after=draw.uniform(0.02, 0.2))
        assert code == -signal.SIGKILL
        if not naive.exists():  # a busy machine may kill it before it writes
            continue
        kills += 1
        try:
            load_file(naive)
        except SafetensorError:
            torn += 1
    record_property("note", f"a writer in place left {torn} torn files in {kills} kills")
    assert torn >= 1
