"""The learning curves of one run or several on one figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from matplotlib.figure import Figure

from dckt_apps.report.charts import Panel, panels
from dckt_apps.report.curves import Series, discrepancies, losses, selected, validation
from dckt_core.base.errors import DataError
from dckt_core.runs.record import Measurement, RunRecord


def learning_curves(records: Sequence[RunRecord]) -> Figure:
    """Four panels. One run: a line for each network or layer; several: the target network's, one line for each run.

    Raises:
        DataError: a run has no metrics.
    """
    for record in records:
        if record.results.untrained:
            raise DataError(f"{record.path}: the method's networks were not trained: {record.results.untrained}")
        if not record.metrics:
            raise DataError(f"{record.path / 'metrics.csv'}: no measurements; the 'csv' observer writes them")
    if len(records) == 1:
        charts = _charts(records[0].metrics)
    else:
        alone = [_charts(record.metrics) for record in records]
        charts = [
            replace(
                same[0], series=[_one(panel, str(record.path)) for panel, record in zip(same, records, strict=True)]
            )
            for same in zip(*alone, strict=True)
        ]
        charts = [replace(panel, series=[line for line in panel.series if line.x]) for panel in charts]
    return panels([panel for panel in charts if panel.series])


def _charts(metrics: Sequence[Measurement]) -> list[Panel]:
    kept = selected(metrics, {"kept_share": "kept"})
    semantic = losses(metrics, "semantic", "transfer")
    measure, scores = validation(metrics)
    return [
        Panel(f"validation {measure}", scores, "iteration", f"{measure}, mean of both directions"),
        Panel("target pairs kept", kept, "iteration", "share"),
        Panel("semantic loss in transfer", semantic, "update", "cross-entropy", log_y=True),
        Panel("discrepancy", discrepancies(metrics), "iteration", "mean of the updates"),
    ]


def _one(panel: Panel, name: str) -> Series:
    """A run's line among others': its target network's, or all layers' discrepancies added up."""
    if panel.title == "discrepancy":
        lines = panel.series
        x = lines[0].x if lines else []
        return Series(name, x, [sum(values) for values in zip(*(line.y for line in lines), strict=True)])
    own = next((line for line in panel.series if line.name in ("target", "kept")), Series(name, [], []))
    return replace(own, name=name)
