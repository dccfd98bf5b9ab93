"""What a report shows, from a run folder to plain data. What cannot be had is `Missing`, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import count
from typing import TypeVar

import torch
from torch import Tensor

from dckt_apps.report.confusions import largest_confusions
from dckt_apps.report.curriculum import Curriculum, curriculum
from dckt_apps.report.curves import Series, discrepancies, losses, validation
from dckt_apps.report.division import Division, division
from dckt_apps.report.material import Material, Missing, Seen, attempt, unwrap
from dckt_apps.report.outcome import NAMES_OF_DIRECTIONS, Outcome, outcome
from dckt_apps.report.projection import Projection, evenly_spaced, principal_components
from dckt_apps.report.queries import RESULTS, Answered, Query, example_queries
from dckt_apps.report.setup import Setup, setup
from dckt_core.base.errors import DataError
from dckt_core.base.progress import Progress, silent
from dckt_core.evaluation.confusion import confusion, first_results
from dckt_core.evaluation.directions import DIRECTIONS, TASKS
from dckt_core.evaluation.items import equal_items
from dckt_core.evaluation.ranking import Ranking, rank
from dckt_core.evaluation.tasks import LEVELS
from dckt_core.runs.model import Checkpoint
from dckt_core.runs.record import RunRecord
from dckt_core.runs.results import REPRESENTATIONS

T = TypeVar("T")

MAX_QUERIES = 2000
"""More test pairs than this are asked in part, evenly spaced, against the whole gallery."""

CALLED: Mapping[Checkpoint, str] = {"result": "space"}
"""Where a checkpoint is called otherwise in charts: the run's result, where it is more than a network."""

CONFUSIONS_NAMED = 6
"""Of the classes that are taken for one another, the pairs that are named in words."""


@dataclass(frozen=True)
class Curves:
    """Learning curves of the method's networks, by what they measure.

    Attributes:
        space: what the common space, which is fitted afterwards, reaches on the same validation pairs; None where it
            was not scored there.
        measure: what `validation` shows, `mAP` or `MRR`.
    """

    space: float | None
    measure: str
    validation: list[Series]
    losses: Mapping[str, list[Series]]


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision by recall of every network, by direction.

    queries, gallery: how many pairs were asked, of how many.
    """

    curves: Mapping[str, list[Series]]
    queries: int
    gallery: int


@dataclass(frozen=True)
class Confusion:
    """Which classes are taken for which in the result.

    Attributes:
        shares: by direction [C, C]; rows are the query's class.
        largest: by direction: the query's class, the results' class, share.
    """

    classes: tuple[str, ...]
    shares: Mapping[str, Tensor]
    largest: Mapping[str, list[tuple[str, str, float]]]


@dataclass(frozen=True)
class Queries:
    """Example queries of the result, by direction.

    labelled: whether results are judged by class; by partner otherwise.
    other: what the queries are asked of besides, such as the control; empty where there is nothing.
    """

    by_direction: Mapping[str, list[Query]]
    asked: int
    labelled: bool
    other: str


@dataclass(frozen=True)
class DomainMap:
    """Points of both domains before and after transfer on the same axes [n, 2]: images, then texts, half of each."""

    source: Tensor
    before: Tensor
    after: Tensor
    explained: tuple[float, float]


@dataclass(frozen=True)
class Held:
    """What the test pairs that are ranked hold, by medium: distinct items, and those whose representation in the result
    is that of another one.
    """

    pairs: int
    items: Mapping[str, int]
    equal: Mapping[str, int]


@dataclass(frozen=True)
class Report:
    """All sections of a report."""

    name: str
    started: datetime
    status: str
    changed: str
    outcome: Outcome | Missing
    held: Held | Missing
    setup: Setup | Missing
    curves: Curves | Missing
    discrepancies: list[Series] | Missing
    curriculum: Curriculum | Missing
    precision_recall: PrecisionRecall | Missing
    confusion: Confusion | Missing
    queries: Queries | Missing
    domain_map: DomainMap | Missing
    division: Division | Missing


SECTIONS = 12
"""Steps of `gather` beside a look at each checkpoint, each of which may take a while."""


def gather(record: RunRecord, material: Material, progress: Progress = silent) -> Report:
    """Everything that a report shows of a run."""
    done, steps = count(1), len(material.checkpoints) + SECTIONS

    def step(make: Callable[[], T]) -> T | Missing:
        found = attempt(make)
        progress(next(done), steps, "gathering")
        return found

    progress(0, steps, "gathering")
    ranked = {name: step(partial(_rankings, material, name)) for name in material.checkpoints}
    final = material.checkpoints[-1]
    result = ranked[final]
    changed = step(material.target_changed)
    warning = "" if changed is not True else "The target data are not those that the run was trained and scored on."
    return Report(
        name=record.name,
        started=record.started,
        status=record.status,
        changed=warning,
        outcome=step(lambda: outcome(record)),
        held=step(lambda: _held(unwrap(result))),
        setup=step(lambda: setup(record)),
        curves=step(lambda: _curves(record)),
        discrepancies=step(lambda: _discrepancies(record)),
        curriculum=step(lambda: _curriculum(record, material)),
        precision_recall=step(lambda: _precision_recall(ranked)),
        confusion=step(lambda: _confusion(material, unwrap(result))),
        queries=step(lambda: _queries(ranked)),
        domain_map=step(lambda: _domain_map(material)),
        division=step(lambda: _division(record, unwrap(result))),
    )


def _need_training(record: RunRecord) -> None:
    """Raises DataError where the run trained no network."""
    if record.results.untrained:
        raise DataError(f"the method's networks were not trained: {record.results.untrained}")


def _curves(record: RunRecord) -> Curves:
    _need_training(record)
    if not record.metrics:
        raise DataError(f"{record.name} has no metrics.csv; the 'csv' observer writes it")
    measure, series = validation(record.metrics)
    return Curves(
        record.results.validation_of("space", measure),
        measure,
        series,
        {
            f"{term} loss, {title}": series
            for phase, title in (("pretrain", "pre-training"), ("transfer", "transfer"))
            for term in ("semantic", "pair")
            if (series := losses(record.metrics, term, phase))
        },
    )


def _discrepancies(record: RunRecord) -> list[Series]:
    _need_training(record)
    series = discrepancies(record.metrics)
    if not series:
        raise DataError(f"{record.name} has no discrepancies in its metrics.csv")
    return series


def _curriculum(record: RunRecord, material: Material) -> Curriculum:
    _need_training(record)
    return curriculum(record, material)


@dataclass(frozen=True)
class _Asked:
    """The test pairs under one checkpoint, of which those of some rows [q] are asked and all are candidates.

    rankings: by direction.
    """

    seen: Seen
    rows: Tensor
    rankings: Mapping[str, Ranking]


def _asked(seen: Seen) -> _Asked:
    rows = evenly_spaced(len(seen.pairs), MAX_QUERIES)
    rankings = {}
    for direction in DIRECTIONS:
        relevant = _relevant(seen, direction)
        rankings[direction] = rank(*_sides(seen, rows, direction), relevant[rows], relevant, levels=LEVELS)
    return _Asked(seen, rows, rankings)


def _rankings(material: Material, checkpoint: Checkpoint) -> _Asked:
    return _asked(material.seen(checkpoint))


def _relevant(seen: Seen, direction: str) -> Tensor:
    """Numbers [N] that pairs share which are relevant to one another: of one class, or of one query without labels."""
    return seen.labels if seen.labelled else _partners(seen, direction)


def _partners(seen: Seen, direction: str) -> Tensor:
    """Numbers [N] that pairs of the same query share, whose other items are its partners."""
    return seen.contents.pictures if TASKS[direction].query == "image" else seen.contents.texts


def _sides(seen: Seen, rows: Tensor, direction: str) -> tuple[Tensor, Tensor]:
    """Representations of the queries [q, D] of some rows, and of the gallery [n, D]."""
    media = {"image": seen.view.image, "text": seen.view.text}
    task = TASKS[direction]
    return media[task.query][rows], media[task.gallery]


def _held(asked: _Asked) -> Held:
    seen = asked.seen
    sides = (("image", seen.view.image, seen.contents.pictures), ("text", seen.view.text, seen.contents.texts))
    return Held(
        len(seen.pairs),
        {medium: len(torch.unique(numbers)) for medium, _, numbers in sides},
        {medium: equal_items(rows, numbers) for medium, rows, numbers in sides},
    )


def _precision_recall(ranked: Mapping[Checkpoint, _Asked | Missing]) -> PrecisionRecall:
    *_, final = ranked.values()
    result = unwrap(final)
    _need_labels(result)
    had = {CALLED.get(name, name): found for name, found in ranked.items() if isinstance(found, _Asked)}
    curves = {
        direction: [
            Series(name, LEVELS, found.rankings[direction].curve.mean(dim=0).tolist()) for name, found in had.items()
        ]
        for direction in DIRECTIONS
    }
    return PrecisionRecall(_titled(curves), len(result.rows), len(result.seen.pairs))


def _need_labels(asked: _Asked) -> None:
    """Raises DataError where no pair has a label."""
    if not asked.seen.labelled:
        raise DataError("no test pair has a label")


def _confusion(material: Material, asked: _Asked) -> Confusion:
    _need_labels(asked)
    classes, labels = material.target().label_space, asked.seen.labels
    shares, largest = {}, {}
    for direction in DIRECTIONS:
        sides = _sides(asked.seen, asked.rows, direction)
        shares[direction] = confusion(*sides, labels[asked.rows], labels, classes=len(classes))
        worst = largest_confusions(shares[direction], CONFUSIONS_NAMED)
        largest[direction] = [(classes[query], classes[got], share) for query, got, share in worst]
    return Confusion(classes, _titled(shares), _titled(largest))


def _queries(ranked: Mapping[Checkpoint, _Asked | Missing]) -> Queries:
    *_, final = ranked.values()
    asked = unwrap(final)
    other, name = _beside(ranked, asked)
    examples = {}
    for direction in DIRECTIONS:
        examples[direction] = example_queries(
            TASKS[direction].query,
            asked.seen.pairs,
            asked.rows,
            _answered(asked, direction),
            None if other is None else _answered(other, direction),
            relevant=_relevant(asked.seen, direction),
            partners=_partners(asked.seen, direction),
        )
    return Queries(_titled(examples), len(asked.rows), asked.seen.labelled, name)


def _answered(asked: _Asked, direction: str) -> Answered:
    top = first_results(*_sides(asked.seen, asked.rows, direction), RESULTS)
    return Answered(asked.rankings[direction].ap, top)


def _beside(ranked: Mapping[Checkpoint, _Asked | Missing], result: _Asked) -> tuple[_Asked | None, str]:
    """What the result's queries are compared with, and its name: the control, where there is one, else the network
    before transfer, else the first part of the common space by itself.
    """
    names: tuple[Checkpoint, ...] = ("control", "before")
    for checkpoint in names:
        found = ranked.get(checkpoint)
        if isinstance(found, _Asked) and found is not result:
            return found, f"the {REPRESENTATIONS[checkpoint]}"
    if result.seen.of_parts is not None and len(result.seen.parts) > 1:
        first = result.seen.parts[0]
        return _asked(replace(result.seen, view=result.seen.of_parts([first]))), f"the part {first} by itself"
    return None, ""


def _division(record: RunRecord, asked: _Asked) -> Division:
    chance = outcome(record).chance
    if chance is None:
        raise DataError(f"{record.files.summary}: does not tell what chance is")
    return division(asked.seen, chance)


def _domain_map(material: Material) -> DomainMap:
    before, after = (material.common(name) for name in ("before", "after"))
    source = material.source_common()
    project: Projection = principal_components(torch.cat([source, before, after]))
    return DomainMap(project(source), project(before), project(after), project.explained)


def _titled(by_direction: Mapping[str, T]) -> dict[str, T]:
    return {NAMES_OF_DIRECTIONS[direction]: value for direction, value in by_direction.items()}
