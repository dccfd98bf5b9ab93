"""One task of an experiment: a training run, or a baseline on the same features. Either leaves `runs/<key>/`."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from dckt_apps.experiment.baselines import find_baseline
from dckt_apps.experiment.baselines.fitting import Judge, Material
from dckt_apps.experiment.cells import Task
from dckt_core.base.errors import NothingToLearnError
from dckt_core.base.rng import generator_for
from dckt_core.contract.discovery import load_registry
from dckt_core.data.contents import contents_of
from dckt_core.data.context import Context
from dckt_core.data.domain import SplitData
from dckt_core.data.known import known
from dckt_core.evaluation.scoring import Comparison
from dckt_core.io.files import write_text
from dckt_core.io.json import write_json
from dckt_core.runs.layout import Layout
from dckt_core.runs.seal import seal_run
from dckt_core.runs.setup import Setup
from dckt_core.runs.train import resume, train


@dataclass(frozen=True)
class Performer:
    """`perform` for a process of its own: can be pickled, and sets the process up.

    Attributes:
        plugins: False: only what ships in the box.
        threads: of the process.
        image_roots: as of `Context`.
    """

    runs_dir: Path
    cache_dir: Path
    plugins: bool
    threads: int
    image_roots: tuple[Path, ...] = ()

    def __call__(self, task: Task) -> None:
        torch.set_num_threads(self.threads)
        context = Context(load_registry(plugins=self.plugins), self.cache_dir, image_roots=self.image_roots)
        perform(task, runs_dir=self.runs_dir, context=context)


def perform(task: Task, *, runs_dir: Path, context: Context) -> None:
    """Trains, scores the test split once and leaves `runs_dir/<key>/summary.json`.

    A run that was stopped or killed before goes on where it was; a baseline begins anew. Where the data offer nothing
    that the task could learn from, the summary says why, under `not_applicable`, and no more.

    Raises:
        DcktError: as `dckt_core.runs.train.train`.
    """
    run_dir, started = runs_dir / task.key, time.monotonic()
    try:
        _perform(task, run_dir, context)
    except NothingToLearnError as error:
        run_dir.mkdir(parents=True, exist_ok=True)
        files, seconds = Layout(run_dir), round(time.monotonic() - started, 1)
        write_text(files.config, task.config.to_toml())
        write_json(files.summary, {"not_applicable": str(error), "seconds": seconds})
        seal_run(run_dir)


def _perform(task: Task, run_dir: Path, context: Context) -> None:
    if task.baseline is not None:
        _fit(task.baseline, task, run_dir, context)
    elif Layout(run_dir).config.is_file():
        resume(run_dir, context=context)
    else:
        train(task.config, context=context, runs_dir=run_dir.parent, name=run_dir.name)


def _fit(name: str, task: Task, run_dir: Path, context: Context) -> None:
    started = time.monotonic()
    config, setup = task.config, Setup(task.config, context)
    setup.require_frozen(f"the baseline '{name}'")
    splits = setup.domain("target").splits
    judge = _judge(splits["val"])
    fitted = find_baseline(name)(
        Material(
            target=known(setup.domain("target")),
            source=known(setup.domain("source")),
            judge=judge,
            generator=generator_for(config.seed, f"baseline {name}"),
            same_space=setup.same_space,
        )
    )
    test = _judge(splits["test"])
    comparison = Comparison(test.labels, generator_for(config.seed, "bootstrap"), contents_of(test.pairs))
    with torch.no_grad():
        found = comparison.look(fitted.represent(test.images, test.texts))
    run_dir.mkdir(parents=True, exist_ok=True)
    files = Layout(run_dir)
    write_text(files.config, config.to_toml())
    write_json(
        files.summary,
        {
            "baseline": name,
            "choice": dict(fitted.choice),
            "validation": {name: asdict(judge(fitted.represent))} if judge else {},
            "test": comparison.tables({name: found}),
            "seconds": round(time.monotonic() - started, 1),
        },
    )
    seal_run(run_dir)


def _judge(data: SplitData) -> Judge:
    """A split whose inputs are features."""
    rows = torch.arange(len(data))
    return Judge(data.image[rows], data.text[rows], data.labels, data.pairs)
