"""The charts of a report, from plain data to SVG with a text that says what they show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from markupsafe import Markup

from dckt_apps.report.charts import COLOURS, Cloud, Interval, interval_chart, labelled, line_chart, map_chart
from dckt_apps.report.curves import Series
from dckt_apps.report.gather import DomainMap
from dckt_apps.report.outcome import Outcome
from dckt_apps.report.svg import inline_svg
from dckt_core.runs.results import Estimate


def lines(name: str, what: str, series: Sequence[Series], *, x: str, y: str, **how: Any) -> Markup:
    """A line chart. `what`: its title, for those who do not see it; `how`: see `charts.draw_lines`."""
    told = " ".join(_describe(line, label) for line, label in zip(series, labelled(series), strict=True))
    alt = f"Line chart: {what}, by {x}. {told}"
    return Markup(inline_svg(line_chart(series, x=x, y=y, **how), name=name, alt=alt))


def _describe(line: Series, label: str) -> str:
    """
    >>> _describe(Series("kept", [1, 2, 3], [0.5, 0.9, 0.75]), "kept")
    'kept: 0.5 at 1, 0.75 at 3; highest 0.9 at 2, lowest 0.5 at 1.'
    """
    points = list(zip(line.y, line.x, strict=True))
    told = [f"{value:.3g} at {place:g}" for value, place in (points[0], points[-1], max(points), min(points))]
    return f"{label}: {told[0]}, {told[1]}; highest {told[2]}, lowest {told[3]}."


def intervals(outcome: Outcome) -> Markup:
    """Mean test mAP, or MRR, of every representation with its interval, and chance."""
    figures = {row.network: row.figures["mean"] for row in outcome.rows if "mean" in row.figures}
    return _intervals("outcome", outcome, figures)


def parts(outcome: Outcome) -> Markup:
    """The same of each part by itself, and of the common space that they make up."""
    figures = {part.name: part.alone for part in outcome.parts if part.alone is not None}
    whole = {
        row.network: row.figures["mean"] for row in outcome.rows if row.network == "space" and "mean" in row.figures
    }
    return _intervals("parts", outcome, figures | whole)


def _intervals(name: str, outcome: Outcome, figures: Mapping[str, Estimate]) -> Markup:
    rows = [Interval(title, figure.value, *(figure.interval or (None, None))) for title, figure in figures.items()]
    told = [
        f"{row.name} {row.value:.3f}" + ("" if row.low is None else f" ({row.low:.3f} to {row.high:.3f})")
        for row in rows
    ]
    alt = f"Dots with intervals: test {outcome.measure}, mean of both directions. {', '.join(told)}."
    drawn = interval_chart(rows, x=f"test {outcome.measure}, mean of both directions", chance=outcome.chance)
    return Markup(inline_svg(drawn, name=name, alt=alt))


def domain_maps(points: DomainMap) -> dict[str, Markup]:
    """The common space before and after transfer, on the same axes; one map where both are the same."""
    everything = torch.cat([points.source, points.before, points.after])
    low, high = everything.min(dim=0).values, everything.max(dim=0).values
    margin = 0.04 * (high - low).clamp_min(1e-9)
    (left, bottom), (right, top) = (low - margin).tolist(), (high + margin).tolist()
    maps = {}
    targets = {"before transfer": points.before, "after transfer": points.after}
    if torch.equal(points.before, points.after):
        targets = {"before and after transfer": points.after}
    for title, target in targets.items():
        clouds = [*_clouds("source", points.source, "orange", "^"), *_clouds("target", target, "blue", "o")]
        figure = map_chart(clouds, limits=((left, right), (bottom, top)))
        gap = torch.linalg.vector_norm(target.mean(dim=0) - points.source.mean(dim=0))
        alt = (
            f"Scatter plot: both domains in the common space {title}; source points are triangles, target points "
            f"circles. The two centres are {float(gap):.3g} apart; the map is {right - left:.3g} wide."
        )
        maps[title] = Markup(inline_svg(figure, name=title.split(" ")[0], alt=alt))
    return maps


def _clouds(domain: str, points: torch.Tensor, colour: str, marker: str) -> list[Cloud]:
    images, texts = points.chunk(2)
    return [
        Cloud(f"{domain} images", images, COLOURS[colour], marker, filled=True),
        Cloud(f"{domain} texts", texts, COLOURS[colour], marker, filled=False),
    ]


def loss_charts(losses: Mapping[str, Sequence[Series]]) -> dict[str, Markup]:
    """Each loss by update, by its title."""
    labels = {"semantic": "cross-entropy", "pair": "distance of pairs"}
    return {
        title: lines(f"loss-{number}", title, series, x="update", y=labels[title.split(" ")[0]], log_y=True)
        for number, (title, series) in enumerate(losses.items())
    }
