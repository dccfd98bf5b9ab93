"""A run's measurements as series over updates or iterations, ready to be drawn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dckt_core.contract.names import LAYERS, NETWORKS
from dckt_core.runs.record import Measurement

TRANSFER = "transfer"


@dataclass(frozen=True)
class Series:
    """A line of a chart: the points (x[i], y[i]), x ascending.

    Attributes:
        name: what the legend calls it, such as `target` or `common fc8`; its looks hang on this too.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]


def validation(metrics: Sequence[Measurement]) -> tuple[str, list[Series]]:
    """Validation mAP, or MRR where no validation pair has a label, mean of both directions, by iteration; and which.

    The target network's begins before transfer, at 0.
    """
    by_kind = {
        title: _by_iteration(metrics, "validation", {f"{role}_{kind}_mean": role for role in NETWORKS})
        for kind, title in (("map", "mAP"), ("mrr", "MRR"))
    }
    measure = "MRR" if by_kind["MRR"] else "mAP"
    return measure, by_kind[measure]


def selected(metrics: Iterable[Measurement], names: dict[str, str]) -> list[Series]:
    """What was measured at the selections, by iteration, such as `kept_share` and `ap_kept`."""
    return _by_iteration(metrics, "selection", names)


def discrepancies(metrics: Iterable[Measurement]) -> list[Series]:
    """Each layer's discrepancy, by iteration: means of the iteration's rows. Layers in the order of the network."""
    sums: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in metrics:
        if row.phase == TRANSFER and row.metric.startswith("discrepancy_"):
            sums[row.metric.removeprefix("discrepancy_")][row.iteration].append(row.value)
    order = sorted(sums, key=lambda layer: (LAYERS.index(layer) if layer in LAYERS else len(LAYERS), layer))
    return [
        Series(layer.replace("_", " "), list(rows), [sum(values) / len(values) for values in rows.values()])
        for layer, rows in ((layer, dict(sorted(sums[layer].items()))) for layer in order)
    ]


def losses(metrics: Iterable[Measurement], term: str, phase: str) -> list[Series]:
    """One loss term of every network, by update; the updates of all iterations of a phase are counted through.

    Args:
        term: `semantic` or `pair`; terms of several layers are added up.
        phase: `pretrain` or `transfer`.
    """
    rows = [row for row in metrics if row.phase.split(" ")[0] == phase]
    length = max((row.update for row in rows), default=0)
    totals: dict[str, dict[int, float]] = {role: defaultdict(float) for role in NETWORKS}
    for row in rows:
        role, _, what = row.metric.partition("_")
        if role in totals and what.split("_")[0] == term:
            totals[role][max(row.iteration - 1, 0) * length + row.update] += row.value
    return [
        Series(role, list(points), list(points.values()))
        for role, points in ((role, dict(sorted(points.items()))) for role, points in totals.items())
        if points
    ]


def _by_iteration(metrics: Iterable[Measurement], phase: str, names: dict[str, str]) -> list[Series]:
    points: dict[str, dict[int, float]] = {metric: {} for metric in names}
    for row in metrics:
        if row.phase == phase and row.metric in points:
            points[row.metric][row.iteration] = row.value
    return [Series(names[metric], list(values), list(values.values())) for metric, values in points.items() if values]
