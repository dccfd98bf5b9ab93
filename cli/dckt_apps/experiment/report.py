"""An experiment for people, in Markdown: every arm's mean with its interval, and the contrasts, paired by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from dckt_apps.experiment.cells import Cell
from dckt_apps.experiment.plan import Plan
from dckt_apps.experiment.results import Row, select
from dckt_apps.experiment.statistics import Estimate, estimate, paired_difference

HOW_TO_READ = """\
mAP over the whole ranking by cosine, relevant = same class. Every choice within a run (the iteration that is kept, a
baseline's penalty, components or epoch) was made on the validation split; the test split was scored once, at the
end. Intervals are 95 % Student's t intervals over the n seeds, those of contrasts over the seeds' differences. A seed
decides which training pairs are drawn, the initial weights and the order of batches, so an interval speaks of other
seeds on the same data set, and not of other data sets. Intervals are not corrected for the number of contrasts."""

Figures = Mapping[int, float]
"""A number for each seed."""


def report(plan: Plan, cells: Sequence[Cell], rows: Sequence[Row], failures: Mapping[str, str]) -> str:
    """The report.

    failures: what went wrong, by the key of the task.
    """
    parts = [f"# Experiment {plan.name}", f"{len(rows)} of {len(cells)} cells are done.", HOW_TO_READ]
    failed = [f"- {cell}: {failures[cell.task.key]}" for cell in cells if cell.task.key in failures]
    if failed:
        parts += ["## Failed", "\n".join(failed)]
    for data in plan.data:
        names = [str(count or "all") for count in plan.shots]
        parts.append(f"## {data}")
        if len(names) > 1:
            parts.append(_overview(plan, rows, data, names))
        parts += chain.from_iterable(_setting(plan, rows, data, shots) for shots in names)
    return "\n\n".join(part for part in parts if part) + "\n"


def _overview(plan: Plan, rows: Sequence[Row], data: str, shots: Sequence[str]) -> str:
    """Mean test mAP of every arm by the number of shots."""
    lines = [["arm", *(f"{count} shots" for count in shots)]]
    for arm in plan.arms:
        found = [_estimate(select(rows, "map_mean", data=data, shots=count, arm=arm)) for count in shots]
        lines.append([arm, *(_with_interval(one) for one in found)])
    return _table(lines)


def _setting(plan: Plan, rows: Sequence[Row], data: str, shots: str) -> list[str]:
    """One data set at one number of shots."""
    here = [row for row in rows if (row.data, row.shots) == (data, shots)]
    title = f"### {data}, {'all training pairs' if shots == 'all' else f'{shots} training pairs a class'}"
    if not here:
        return [title, "Nothing is done yet."]
    return [
        title,
        f"Chance is {here[0].map_chance:.3f}.",
        _arms(plan, here, data, shots),
        *_contrasts(plan, here, data, shots),
    ]


def _arms(plan: Plan, rows: Sequence[Row], data: str, shots: str) -> str:
    lines = [["arm", "n", "validation", "image->text", "text->image", "mean of both (95 % interval)", "seconds"]]
    validation: dict[str, float] = {}
    warned = []
    for arm in plan.arms:

        def figures(column: str, arm: str = arm) -> Figures:
            return select(rows, column, data=data, shots=shots, arm=arm)

        chosen, test = _estimate(figures("val_map_mean")), _estimate(figures("map_mean"))
        if chosen is None or test is None:
            lines.append([arm, "0", *["-"] * 5])
            continue
        if chosen.n == len(plan.seeds):  # means over other seeds are of other training pairs
            validation[arm] = chosen.mean
        seconds = _estimate(figures("seconds"))
        shown = [chosen, _estimate(figures("map_i2t")), _estimate(figures("map_t2i"))]
        lines.append(
            [arm, str(test.n), *map(_figure, shown), _with_interval(test), f"{seconds.mean:.0f}" if seconds else "-"]
        )
        negative = figures("negative_transfer")
        if any(negative.values()):
            warned.append(f"- {arm}: in {sum(map(bool, negative.values()))} of {len(negative)} runs")
    parts = [_table(lines)]
    if validation:
        parts.append(f"Best on validation, of arms with all seeds: {max(validation, key=lambda arm: validation[arm])}.")
    if warned:
        parts.append(
            "Warned of negative transfer (below its target-only control on validation):\n\n" + "\n".join(warned)
        )
    return "\n\n".join(parts)


def _contrasts(plan: Plan, rows: Sequence[Row], data: str, shots: str) -> list[str]:
    lines = [["contrast, mean of both directions", "n", "difference (95 % interval)", "seeds above 0"]]
    for arm, other in plan.contrasts:
        first, second = (select(rows, "map_mean", data=data, shots=shots, arm=name) for name in (arm, other))
        found = paired_difference(first, second)
        above = sum(first[seed] > second[seed] for seed in first.keys() & second.keys())
        shown = (
            ["0", "-", "-"] if found is None else [str(found.n), _with_interval(found, "+.3f"), f"{above} of {found.n}"]
        )
        lines.append([f"{arm} - {other}", *shown])
    return [_table(lines)] if plan.contrasts else []


def _estimate(figures: Figures) -> Estimate | None:
    return estimate(list(figures.values())) if figures else None


def _figure(found: Estimate | None) -> str:
    return "-" if found is None else f"{found.mean:.3f}"


def _with_interval(found: Estimate | None, style: str = ".3f") -> str:
    if found is None:
        return "-"
    mean = format(found.mean, style)
    if found.interval is None:
        return f"{mean} (one seed)"
    low, high = (format(end, style) for end in found.interval)
    return f"{mean} ({low} to {high})"


def _table(lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns line up in plain text, too."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    padded = [" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    rule = " | ".join("-" * width for width in widths)
    return "\n".join(f"| {line} |" for line in [padded[0], rule, *padded[1:]])
