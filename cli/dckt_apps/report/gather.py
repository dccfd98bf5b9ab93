"""What a report shows, from a run folder to plain data. What cannot be had is `Missing`, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import count
from typing import TypeVar

import torch
from torch import Tensor

from dckt_apps.report.curriculum import Curriculum, curriculum
from dckt_apps.report.curves import Series, discrepancies, losses, validation_map
from dckt_apps.report.material import Material, Missing, Seen, attempt, unwrap
from dckt_apps.report.outcome import DIRECTIONS, Outcome, outcome
from dckt_apps.report.projection import Projection, evenly_spaced, principal_components
from dckt_apps.report.queries import RESULTS, Query, example_queries
from dckt_apps.report.retrieval import RECALLS, Results, largest_confusions, results
from dckt_apps.report.setup import Setup, setup
from dckt_core.base.errors import DataError
from dckt_core.base.progress import Progress, silent
from dckt_core.contract.specs import Modality
from dckt_core.evaluation.ranking import average_precisions
from dckt_core.runs.model import Checkpoint
from dckt_core.runs.record import RunRecord

T = TypeVar("T")

MAX_QUERIES = 2000
"""More test pairs than this are asked in part, evenly spaced, against the whole gallery."""

CONFUSIONS_NAMED = 6
"""Of the classes that are taken for one another, the pairs that are named in words."""


@dataclass(frozen=True)
class Curves:
    """Learning curves, by what they measure."""

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
    """Which classes are taken for which after transfer.

    Attributes:
        shares: by direction [C, C]; rows are the query's class.
        largest: by direction: the query's class, the results' class, share.
    """

    classes: tuple[str, ...]
    shares: Mapping[str, Tensor]
    largest: Mapping[str, list[tuple[str, str, float]]]


@dataclass(frozen=True)
class Queries:
    """Example queries after transfer, by direction."""

    by_direction: Mapping[str, list[Query]]
    asked: int


@dataclass(frozen=True)
class DomainMap:
    """Points of both domains before and after transfer on the same axes [n, 2]: images, then texts, half of each."""

    source: Tensor
    before: Tensor
    after: Tensor
    explained: tuple[float, float]


@dataclass(frozen=True)
class Report:
    """All sections of a report."""

    name: str
    started: datetime
    status: str
    changed: str
    outcome: Outcome | Missing
    setup: Setup | Missing
    curves: Curves | Missing
    discrepancies: list[Series] | Missing
    curriculum: Curriculum | Missing
    precision_recall: PrecisionRecall | Missing
    confusion: Confusion | Missing
    queries: Queries | Missing
    domain_map: DomainMap | Missing


SECTIONS = 8
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
        setup=step(lambda: setup(record)),
        curves=step(lambda: _curves(record)),
        discrepancies=step(lambda: _discrepancies(record)),
        curriculum=step(lambda: curriculum(record, material)),
        precision_recall=step(lambda: _precision_recall(ranked, material)),
        confusion=result if isinstance(result, Missing) else _confusion(material, result),
        queries=result if isinstance(result, Missing) else _queries(material.seen(final), result),
        domain_map=step(lambda: _domain_map(material)),
    )


def _curves(record: RunRecord) -> Curves:
    if not record.metrics:
        raise DataError(f"{record.name} has no metrics.csv; the 'csv' observer writes it")
    return Curves(
        validation_map(record.metrics),
        {
            f"{term} loss, {title}": series
            for phase, title in (("pretrain", "pre-training"), ("transfer", "transfer"))
            for term in ("semantic", "pair")
            if (series := losses(record.metrics, term, phase))
        },
    )


def _discrepancies(record: RunRecord) -> list[Series]:
    series = discrepancies(record.metrics)
    if not series:
        raise DataError(f"{record.name} has no discrepancies in its metrics.csv")
    return series


@dataclass(frozen=True)
class _Ranked:
    """Both directions' rankings of some test pairs, the `rows`; APs of these [n]."""

    rows: Tensor
    results: Mapping[str, Results]
    aps: Mapping[str, Tensor]


def _rankings(material: Material, checkpoint: Checkpoint) -> _Ranked:
    seen = material.seen(checkpoint)
    rows = evenly_spaced(len(seen.pairs), MAX_QUERIES)
    sides = {"image_to_text": (seen.view.image, seen.view.text), "text_to_image": (seen.view.text, seen.view.image)}
    labels, classes = seen.labels, int(seen.labels.max()) + 1
    return _Ranked(
        rows,
        {
            direction: results(queries[rows], gallery, labels[rows], labels, classes=classes, k=RESULTS)
            for direction, (queries, gallery) in sides.items()
        },
        {
            direction: average_precisions(queries[rows], gallery, labels[rows], labels)
            for direction, (queries, gallery) in sides.items()
        },
    )


def _precision_recall(ranked: Mapping[Checkpoint, _Ranked | Missing], material: Material) -> PrecisionRecall:
    final = material.checkpoints[-1]
    after = unwrap(ranked[final])
    had = {name: found for name, found in ranked.items() if isinstance(found, _Ranked)}
    curves = {
        direction: [
            Series(name, RECALLS.tolist(), found.results[direction].precision.tolist()) for name, found in had.items()
        ]
        for direction in after.results
    }
    return PrecisionRecall(_titled(curves), len(after.rows), len(material.seen(final).pairs))


def _confusion(material: Material, ranked: _Ranked) -> Confusion:
    classes = material.target().classes
    shares, largest = {}, {}
    for direction, found in ranked.results.items():
        matrix = torch.zeros(len(classes), len(classes), dtype=torch.float64)
        size = len(found.confusion)
        matrix[:size, :size] = found.confusion
        shares[direction] = matrix
        worst = largest_confusions(matrix, CONFUSIONS_NAMED)
        largest[direction] = [(classes[asked], classes[got], share) for asked, got, share in worst]
    return Confusion(classes, _titled(shares), _titled(largest))


def _queries(seen: Seen, ranked: _Ranked) -> Queries:
    examples = {}
    for direction, found in ranked.results.items():
        medium: Modality = "image" if direction == "image_to_text" else "text"
        examples[direction] = example_queries(medium, seen.pairs, ranked.rows, ranked.aps[direction], found.top)
    return Queries(_titled(examples), len(ranked.rows))


def _domain_map(material: Material) -> DomainMap:
    before, after = (material.common(name) for name in ("before", "after"))
    source = material.source_common()
    project: Projection = principal_components(torch.cat([source, before, after]))
    return DomainMap(project(source), project(before), project(after), project.explained)


def _titled(by_direction: Mapping[str, T]) -> dict[str, T]:
    return {DIRECTIONS[direction]: value for direction, value in by_direction.items()}
