"""The charts, drawn by matplotlib on figures of one size, which is that of a phone's screen.

No line or point is told apart by colour alone: each series has a dash pattern and a marker of its own as well. The
colours are the light theme's; `svg.py` turns them into variables of the page, so that a dark page has others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from torch import Tensor

from dckt_apps.report.curves import Series

INK, FAINT, GRID = "#26282b", "#62666d", "#dcdcd6"
COLOURS = {
    "blue": "#1f62b0",
    "orange": "#b4500f",
    "green": "#0b7a63",
    "purple": "#7d4ba6",
    "grey": "#6b6f76",
    "gold": "#8a6a00",
}
"""Each stands out from white by 4.5 to 1 or more."""

SIZE = (3.6, 2.5)
"""Inches. At 100 pixels an inch a chart fills a phone's screen and its text is as large as the page's captions."""

LEGEND_LETTERS = 42
"""As many letters stand beside one another above a chart; a sample of a line takes the room of six."""

STYLE: Any = {
    "axes.edgecolor": FAINT,
    "axes.labelcolor": FAINT,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.dpi": 100,
    "font.size": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "savefig.facecolor": "white",
    "svg.fonttype": "none",
    "svg.hashsalt": "dckt",
    "text.parse_math": False,
    "xtick.color": FAINT,
    "xtick.labelsize": 9,
    "ytick.color": FAINT,
    "ytick.labelsize": 9,
}


@dataclass(frozen=True)
class Look:
    """How a series is drawn."""

    colour: str
    dash: str
    marker: str


_LOOKS = {
    "source": Look(COLOURS["orange"], "-.", "^"),
    "target": Look(COLOURS["blue"], "-", "o"),
    "control": Look(COLOURS["grey"], "--", "s"),
    "before": Look(COLOURS["purple"], ":", "D"),
    "after": Look(COLOURS["blue"], "-", "o"),
    "space": Look(COLOURS["green"], "-", "s"),
    "common space": Look(COLOURS["green"], "-", "s"),
    "kept": Look(COLOURS["green"], "-", "o"),
    "left": Look(COLOURS["orange"], "--", "s"),
    "chance": Look(COLOURS["grey"], ":", ""),
}
_CYCLE = [
    Look(colour, dash, marker)
    for colour, dash, marker in zip(COLOURS.values(), ("-", "--", "-.", ":", "-", "--"), "os^Dvx", strict=True)
]


def look(name: str, number: int = 0) -> Look:
    """The looks of a series: those of its name where that is known, or else those of its number."""
    return _LOOKS.get(name, _CYCLE[number % len(_CYCLE)])


def line_chart(series: Sequence[Series], *, x: str, y: str, **how: Any) -> Figure:
    """Lines with a legend above them. `how`: see `draw_lines`."""
    figure, axes = _figure()
    with rc_context(STYLE):
        draw_lines(axes, series, x=x, y=y, **how)
    return figure


def draw_lines(
    axes: Axes,
    series: Sequence[Series],
    *,
    x: str,
    y: str,
    y_range: tuple[float | None, float | None] | None = None,
    whole_x: bool = True,
    log_y: bool = False,
) -> None:
    """Lines on axes that are there already.

    Args:
        x, y: what is measured along the axes, with units where there are any.
        y_range: where the y axis begins and ends; None for where the data do.
        whole_x: ticks at whole numbers only.
        log_y: a logarithmic y axis, where all values are positive.
    """
    labels = labelled(series)
    for number, line in enumerate(series):
        style, label = look(line.name, number), labels[number]
        every = max(1, len(line.x) // 8)
        axes.plot(line.x, line.y, style.dash, color=style.colour, marker=style.marker, markevery=every, label=label)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=whole_x))
    if log_y and all(value > 0 for line in series for value in line.y):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    if y_range is not None:
        axes.set_ylim(*y_range)
    if len(series) > 1:
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(-0.02, 1.0),
            ncols=-(-len(series) // _legend_rows(labels)),
            handlelength=2.4,
            columnspacing=1.2,
            borderpad=0.1,
            borderaxespad=0.2,
        )


def labelled(series: Sequence[Series]) -> list[str]:
    """What the legend says of each line: its name and, where a later line lies exactly upon it, that one's.

    >>> flat = [0.5, 0.5]
    >>> labelled([Series("before", [0, 1], flat), Series("control", [0, 1], [0.5, 0.6]), Series("after", [0, 1], flat)])
    ['before (under after)', 'control', 'after']
    """
    labels = []
    for number, line in enumerate(series):
        points = set(zip(line.x, line.y, strict=True))
        above = [one.name for one in series[number + 1 :] if points <= set(zip(one.x, one.y, strict=True))]
        labels.append(f"{line.name} (under {above[-1]})" if above else line.name)
    return labels


def _legend_rows(labels: Sequence[str]) -> int:
    """Rows of a legend that is as wide as its chart."""
    return -(-len(labels) // max(1, min(3, LEGEND_LETTERS // (max(map(len, labels)) + 6))))


@dataclass(frozen=True)
class Interval:
    """A figure with its interval, if it has one."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


def interval_chart(rows: Sequence[Interval], *, x: str, chance: float | None = None) -> Figure:
    """Dots with whiskers, one row each, the first on top; a dotted line where chance is."""
    figure, axes = _figure(height=0.8 + 0.36 * len(rows))
    with rc_context(STYLE):
        for place, row in enumerate(reversed(rows)):
            style = look(row.name, place)
            if row.low is not None and row.high is not None:
                axes.plot([row.low, row.high], [place, place], "-", color=style.colour, linewidth=2)
            axes.plot([row.value], [place], style.marker, color=style.colour, markersize=6.5)
        if chance is not None:
            axes.axvline(chance, color=COLOURS["grey"], linestyle=":", linewidth=1.2)
            axes.annotate("chance", (chance, len(rows) - 0.45), xytext=(3, 0), textcoords="offset points",
                          color=FAINT, fontsize=9, va="center")  # fmt: skip
        axes.set_yticks(range(len(rows)), [row.name for row in reversed(rows)])
        axes.set_ylim(-0.6, len(rows) - 0.2)
        axes.set_xlabel(x)
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    return figure


@dataclass(frozen=True)
class Cloud:
    """Points of a map [n, 2] that look alike.

    Attributes:
        marker: the shape, which tells domains apart.
        filled: which tells media apart.
    """

    name: str
    points: Tensor
    colour: str
    marker: str
    filled: bool


def map_chart(clouds: Sequence[Cloud], *, limits: tuple[tuple[float, float], tuple[float, float]]) -> Figure:
    """A scatter plot without ticks, because the axes of a projection have no unit.

    limits: (left, right), (bottom, top), so that two maps can be compared.
    """
    figure, axes = _figure(width=4.5, height=4.5)
    with rc_context(STYLE):
        for cloud in clouds:
            points = np.round(cloud.points.double().numpy(), 4)
            axes.scatter(
                points[:, 0], points[:, 1], s=16, marker=cloud.marker, linewidths=0.9, label=cloud.name,
                facecolors=cloud.colour if cloud.filled else "none", edgecolors=cloud.colour, alpha=0.8,
            )  # fmt: skip
        (left, right), (bottom, top) = limits
        axes.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[])
        axes.set_xlabel("1st principal component")
        axes.set_ylabel("2nd principal component")
        for side in ("right", "top"):
            axes.spines[side].set_visible(True)
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, handletextpad=0.2, borderpad=0.1)
    return figure


@dataclass(frozen=True)
class Panel:
    """One of several line charts on a figure; the other fields as in `draw_lines`."""

    title: str
    series: Sequence[Series]
    x: str
    y: str
    log_y: bool = False


def panels(charts: Sequence[Panel]) -> Figure:
    """Line charts on one figure, two a row, for a picture file."""
    rows = -(-len(charts) // 2)
    with rc_context(STYLE):
        figure = Figure(figsize=(2 * 4.4, rows * 3.3), layout="constrained")
        for axes, chart in zip(figure.subplots(rows, 2, squeeze=False).flat, charts, strict=False):
            draw_lines(axes, chart.series, x=chart.x, y=chart.y, log_y=chart.log_y)
            axes.set_title(chart.title, pad=8 + 15 * _legend_rows(labelled(chart.series)) * (len(chart.series) > 1))
        for axes in figure.axes[len(charts) :]:
            axes.remove()
    return figure


def _figure(width: float = SIZE[0], height: float = SIZE[1]) -> tuple[Figure, Axes]:
    with rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.subplots()
