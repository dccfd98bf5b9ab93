"""A plan of an experiment over a handful of pictures, small enough to be run for real."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dckt_apps.experiment.cells import Task
from dckt_apps.experiment.plan import Plan
from dckt_apps.experiment.runner import Standing
from dckt_core.base.errors import DcktError
from tests.support.squares import SOURCE, TARGET, write_squares

Run = Callable[..., Standing]
"""`run(plan, arms=["means"])`, the fixture that runs a plan in the test's own process."""


@dataclass(frozen=True)
class Ran:
    """A plan that was run, and what its progress told."""

    plan: Plan
    folder: Path
    now: Standing
    progress: list[tuple[int, int, str]]


SIZES = {"train": 5, "val": 2, "test": 3}

PLAN = """
seeds = [0, 1]
shots = [4]
reference = "control"

[base]
preset = "paper"
device = "cpu"
encoder = {{ name = "precomputed-image", source = {source_images}, target = {target_images} }}
text_encoder = {{ name = "precomputed-text", source = {source_texts}, target = {target_texts} }}
network = {{ media_width = 16, common_width = 16 }}
pretrain = {{ batch = 8, source_updates = 5, target_updates = 5 }}
transfer = {{ batch = 8, iterations = 2, updates = 3 }}

[data.squares]
source = {source}
target = {target}

[arms.dckt]
[arms.control]
checkpoint = "control"
[arms.diverges]
transfer.lr = 1e30
transfer.control = false
[arms.means]
baseline = "nearest-class-mean"
"""


def write_plan(home: Path) -> Path:
    """Writes `source` and `target`, their features, and `plan.toml` into a folder, which comes back."""
    write_squares(home / "source", SOURCE, SIZES)
    write_squares(home / "target", TARGET, SIZES)
    where = {role: json.dumps(str(home / role)) for role in ("source", "target")}
    for role, classes in (("source", SOURCE), ("target", TARGET)):
        for medium, width in (("images", 7), ("texts", 5)):
            file = home / f"{role}-{medium}.npz"
            names = [f"name:{name}" for name in classes] if medium == "texts" else []
            rows = np.concatenate([features(classes, width), points(classes, width)[: len(names)]])
            np.savez(file, features=rows, ids=[*ids(classes), *names])
            where[f"{role}_{medium}"] = json.dumps(str(file))
    (home / "plan.toml").write_text(PLAN.format(**where))
    return home


def ids(classes: Iterable[str]) -> list[str]:
    """As `write_squares` gives them, in its order."""
    return [f"{name}-{split}-{n}" for split, count in SIZES.items() for name in classes for n in range(count)]


def features(classes: Sized, width: int) -> NDArray[np.float32]:
    """Rows around a point for each class, in the order of the pairs."""
    generator = np.random.default_rng(width)
    rows = [points(classes, width).repeat(count, axis=0) for count in SIZES.values()]
    return np.concatenate([one + 0.5 * generator.normal(size=one.shape) for one in rows]).astype(np.float32)


def points(classes: Sized, width: int) -> NDArray[np.float32]:
    """One for each class, where its names lie."""
    generator = np.random.default_rng(len(classes) + width)
    return generator.normal(size=(len(classes), width)).astype(np.float32)


def in_this_process(
    tasks: Iterable[Task],
    perform: Callable[[Task], object],
    *,
    ready: Callable[[Task], object],
    stop: Callable[[], bool],
    **_: object,
) -> Iterator[tuple[Task, str | None]]:
    """What `runner.work` does, one task after the other and without further processes."""
    for task in tasks:
        if stop():
            return
        ready(task)
        try:
            perform(task)
            yield task, None
        except DcktError as error:
            yield task, str(error)
