"""Runs a plan: trains what is not done yet, in worker processes, and keeps the table and the report up to date.

    OUT/results.csv     one row a cell
    OUT/parts.csv       one row a part of a cell's common space
    OUT/report.md       means, intervals, contrasts
    OUT/runs/<key>/     the runs and baselines, as `dckt train` leaves them, less the checkpoints

A task is known by the hash of its whole configuration, so the same command goes on where it was stopped, and a
changed plan trains only what the change concerns.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dckt_apps.experiment.cells import OF_BASELINES, Cell, Task, cells_of, tasks_of
from dckt_apps.experiment.perform import Performer
from dckt_apps.experiment.plan import Plan
from dckt_apps.experiment.report import report
from dckt_apps.experiment.results import PartRow, Row, as_csv, part_rows_of, row_of
from dckt_apps.experiment.workers import work
from dckt_core.base.errors import (
    DataError,
    DcktError,
    StoppedError,
    StorageError,
    UsageError,
    did_you_mean,
    printable_lines,
)
from dckt_core.base.progress import logger
from dckt_core.base.stopping import at_once, deferred, stopping
from dckt_core.contract.discovery import Registry
from dckt_core.contract.pairs import ROLES
from dckt_core.data.context import Context
from dckt_core.io.files import held, write_text
from dckt_core.runs.layout import Layout
from dckt_core.runs.record import RunRecord
from dckt_core.runs.seal import is_finished, seal_run
from dckt_core.runs.setup import Setup

Summary = Mapping[str, Any]


@dataclass(frozen=True)
class Standing:
    """How far an experiment is.

    Attributes:
        cells: all of the plan.
        summaries: of the tasks that are done, by key.
        failures: what went wrong with others in this call, by key.
    """

    folder: Path
    cells: list[Cell]
    summaries: dict[str, Summary]
    failures: dict[str, str]

    @property
    def done(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.task.key in self.summaries]

    @property
    def rows(self) -> list[Row]:
        """What came out of the cells that are done."""
        return [row_of(cell, self.summaries[cell.task.key]) for cell in self.done]

    @property
    def part_rows(self) -> list[PartRow]:
        """The parts of the common spaces among them."""
        files = {key: Layout(self.folder / "runs" / key).summary for key in self.summaries}
        found = (part_rows_of(cell, self.summaries[cell.task.key], files[cell.task.key]) for cell in self.done)
        return [row for rows in found for row in rows]

    @property
    def failed(self) -> list[tuple[Cell, str]]:
        return [(cell, self.failures[cell.task.key]) for cell in self.cells if cell.task.key in self.failures]


def standing(plan: Plan, registry: Registry, folder: Path) -> Standing:
    """What of a plan is done in a folder; nothing is trained.

    Raises:
        UsageError, DataError: as `cells_of`.
    """
    cells = cells_of(plan, registry)
    found = ((task.key, _read_summary(folder / "runs" / task.key)) for task in tasks_of(cells))
    return Standing(folder, cells, {key: summary for key, summary in found if summary is not None}, {})


def run_experiment(
    plan: Plan,
    folder: Path,
    context: Context,
    *,
    workers: int = 1,
    threads: int = 1,
    arms: Collection[str] = (),
    plugins: bool = True,
) -> Standing:
    """Trains what is not done. A task that fails is recorded, and the others go on.

    Args:
        folder: where everything goes; made where it is not there.
        workers: processes; `threads` each.
        arms: train these alone; all of them where empty.
        plugins: False: the workers load only what ships in the box, as that of the context should have been.

    Raises:
        UsageError, DataError: the plan is wrong, or another experiment is at work in the folder.
        StoppedError: somebody asked to stop; the same call goes on.
        StorageError: the results cannot be written.
    """
    for arm in arms:
        if arm not in plan.arms:
            raise UsageError(f"no arm '{arm}'{did_you_mean(arm, plan.arms)}")
    now = standing(plan, context.registry, folder)
    runs_dir = folder / "runs"
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(runs_dir, error.strerror or str(error)) from None
    with held(folder, "another experiment is at work in this folder"), stopping() as stop, deferred():
        cells = [cell for cell in now.cells if not arms or cell.arm in arms]
        pending = [task for task in tasks_of(cells) if task.key not in now.summaries]
        performer = Performer(
            runs_dir.absolute(),
            context.cache_dir.absolute(),
            plugins,
            threads,
            tuple(root.absolute() for root in context.image_roots),
        )
        features = _Features(context)
        _write(plan, now)
        keys = {task.key for task in pending}
        ended = sum(cell.task.key not in keys for cell in cells)
        context.progress(ended, len(cells), "cells")
        done = work(pending, performer, processes=workers, threads=threads, ready=features.ready, stop=stop)
        for task, fault in done:
            of_task = [cell for cell in cells if cell.task.key == task.key]
            _record(now, task, of_task, fault, keep_checkpoints=plan.keep_checkpoints)
            _write(plan, now)
            ended += len(of_task)
            context.progress(ended, len(cells), "cells")
        if stop():
            raise stop.error(f"{folder}: stopped with {len(now.done)} of {len(now.cells)} cells done")
    return now


def _record(now: Standing, task: Task, cells: list[Cell], fault: str | None, *, keep_checkpoints: bool) -> None:
    run_dir = now.folder / "runs" / task.key
    summary = _read_summary(run_dir)
    if not keep_checkpoints:
        for made in (run_dir, *run_dir.parent.glob(f"{task.key}.failed-*")):
            shutil.rmtree(Layout(made).checkpoints, ignore_errors=True)
        if is_finished(run_dir):
            seal_run(run_dir)
    if fault is not None or summary is None:
        now.failures[task.key] = fault or "it left no summary"
        for cell in cells:
            logger.warning("%s failed: %s", cell, now.failures[task.key])
        return
    now.summaries[task.key] = summary
    for cell in cells:
        row = row_of(cell, summary)
        if row.not_applicable:
            logger.info("%s: not applicable: %s", cell, row.not_applicable)
        elif row.map_mean is not None:
            logger.info("%s: test mAP %.3f, %.0f s", cell, row.map_mean, row.seconds)
        else:
            logger.info("%s: test MRR %.3f, %.0f s", cell, row.mrr, row.seconds)


def _write(plan: Plan, now: Standing) -> None:
    rows, parts = now.rows, now.part_rows
    write_text(now.folder / "results.csv", as_csv(rows))
    write_text(now.folder / "parts.csv", as_csv(parts, PartRow))
    write_text(now.folder / "report.md", printable_lines(report(plan, now.cells, rows, now.failures, parts)))


def _read_summary(run_dir: Path) -> Summary | None:
    """None where the task is not done."""
    try:
        return RunRecord(run_dir).summary
    except DataError as error:
        raise UsageError(f"{error}; remove {run_dir} to train it anew") from None


class _Features:
    """Puts features of frozen encoders into the cache, once for all tasks on the same pairs, before they begin."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._there: set[str] = set()

    def ready(self, task: Task) -> None:
        values = task.config.model_dump(mode="json")
        pairs = json.dumps([values[name] for name in OF_BASELINES])
        if pairs in self._there:
            return
        self._there.add(pairs)
        try:
            with at_once():
                setup = Setup(task.config, self._context)
                for role in ROLES:
                    setup.domain(role)
        except StoppedError:  # the workers are told, too
            logger.info("features: stopped; what was encoded is kept")
        except DcktError as error:  # the task itself will say so
            logger.info("features: %s", error)
