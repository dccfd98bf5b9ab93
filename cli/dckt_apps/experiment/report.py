"""An experiment for people, in Markdown: every arm's mean with its interval, and the contrasts, paired by seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from dckt_apps.experiment.cells import Cell
from dckt_apps.experiment.plan import Plan
from dckt_apps.experiment.results import PartRow, Row, select
from dckt_apps.experiment.statistics import Estimate, estimate, paired_difference
from dckt_core.base.errors import one_line, printable
from dckt_core.evaluation.figures import FIGURES, MEDIAN_RANK
from dckt_core.runs.results import signed

HOW_TO_READ = """\
mAP over the whole ranking by cosine, relevant = same class; by partner: how early an item finds one of its own. Every
choice within a run (the iteration that is kept, a baseline's penalty, components or epoch) was made on the validation
split, as far as the target offers one; the test split was scored once, at the end. Intervals are 95 % Student's t
intervals over the n seeds, those of contrasts over the seeds' differences, and are not corrected for the number of
contrasts."""

OF_SPLIT = {
    False: """\
A seed decides which training pairs are drawn, the initial weights and the order of batches, so an interval speaks of
other seeds on the same test pairs, and not of other data.""",
    True: """\
A seed decides which fold of the target's pairs is tested, which training pairs are drawn, the initial weights and the
order of batches, so an interval speaks of other pairs of the same kind, too. Training pairs of two seeds overlap, which
makes it a little narrower than it should be.""",
}

BY_CLASS, BY_PARTNER = "map_mean", "mrr"
TITLES = {BY_CLASS: "mAP", BY_PARTNER: "MRR"}
"""What arms are compared by: mAP, or MRR where no test pair has a label."""

OTHERWISE = {"taken in": "built upon by others", "left out": "left out", "aside": "steps aside"}
"""What else may become of a part, by its place."""

Figures = Mapping[int, float]
"""A number for each seed."""


def report(
    plan: Plan, cells: Sequence[Cell], rows: Sequence[Row], failures: Mapping[str, str], parts: Sequence[PartRow] = ()
) -> str:
    """The report, of the cells that are done and of the parts of their common spaces.

    failures: what went wrong, by the key of the task.
    """
    how = f"{HOW_TO_READ} {OF_SPLIT[plan.folds is not None]}"
    said = [f"# Experiment {plan.name}", f"{len(rows)} of {len(cells)} cells are done.", how]
    failed = [f"- {cell}: {one_line(failures[cell.task.key])}" for cell in cells if cell.task.key in failures]
    if failed:
        said += ["## Failed", "\n".join(failed)]
    for data in plan.data:
        here = [row for row in rows if row.data == data]
        column = BY_PARTNER if here and all(row.map_mean is None for row in here) else BY_CLASS
        said.append(f"## {data}")
        if len(plan.rungs) > 1:
            said += [_overview(plan, here, data, column), *_steps(plan, here, data, column)]
        for rung in plan.rungs:
            of_rung = [part for part in parts if (part.data, part.rung) == (data, rung)]
            said += [*_setting(plan, here, data, rung, column), *_parts(plan, of_rung, TITLES[column])]
    lines = "\n\n".join(one for one in said if one).split("\n")
    return "\n".join(map(printable, lines)) + "\n"  # reasons of failures have labels and names of files in them


def _overview(plan: Plan, rows: Sequence[Row], data: str, column: str) -> str:
    """The mean figure of every arm on every rung."""
    lines = [[f"the target offers (test {TITLES[column]})", *plan.arms]]
    for rung in plan.rungs:
        lines.append([plan.title(rung), *(_shown(plan, rows, data, rung, arm, column) for arm in plan.arms)])
    return _table(lines)


def _shown(plan: Plan, rows: Sequence[Row], data: str, rung: str, arm: str, column: str) -> str:
    if rung not in plan.rungs_of(arm):
        return ""
    found = _estimate(select(rows, column, data=data, rung=rung, arm=arm))
    if found is None and any(row.not_applicable for row in rows if (row.data, row.rung, row.arm) == (data, rung, arm)):
        return "n/a"
    return _with_interval(found)


def _steps(plan: Plan, rows: Sequence[Row], data: str, column: str) -> list[str]:
    """What each arm gains from one rung to the next, paired by seed."""
    lines = [["from one rung to a higher one", *plan.arms]]
    for rung, below in plan.steps:
        gains = []
        for arm in plan.arms:
            upper, lower = (select(rows, column, data=data, rung=one, arm=arm) for one in (rung, below))
            gains.append(_with_interval(paired_difference(upper, lower), gain=True))
        lines.append([f"{rung} - {below}", *gains])
    return ["Paired by seed:", _table(lines)] if plan.steps else []


def _setting(plan: Plan, rows: Sequence[Row], data: str, rung: str, column: str) -> list[str]:
    """One data set on one rung."""
    here = [row for row in rows if row.rung == rung]
    title = f"### {data}, {plan.title(rung)}"
    if not here:
        return [title, "Nothing is done yet."]
    chances = {round(row.map_chance, 3) for row in here if row.map_chance is not None}
    chance = " to ".join(f"{one:.3f}" for one in sorted({min(chances), max(chances)})) if chances else ""
    return [
        title,
        f"Chance is {chance}." if chance else "",
        _arms(plan, here, data, rung),
        _by_partner(plan, here, data, rung),
        *_contrasts(plan, here, data, rung, column),
    ]


def _arms(plan: Plan, rows: Sequence[Row], data: str, rung: str) -> str:
    kinds = sorted({row.val_kind for row in rows if row.val_kind})
    chosen_by = "validation, MRR" if kinds == ["mrr"] else "validation"
    lines = [["arm", "n", chosen_by, "image->text", "text->image", "mean of both (95 % interval)", "seconds"]]
    validation: dict[str, float] = {}
    warned, without = [], []
    for arm in (arm for arm in plan.arms if rung in plan.rungs_of(arm)):

        def figures(column: str, arm: str = arm) -> Figures:
            return select(rows, column, data=data, rung=rung, arm=arm)

        chosen, test = _estimate(figures("val_mean")), _estimate(figures("map_mean"))
        reasons = {row.not_applicable: None for row in rows if row.arm == arm and row.not_applicable}
        without += [f"- {arm}: {one_line(reason)}" for reason in reasons]
        if not figures("mrr"):
            lines.append([arm, "n/a" if reasons else "0", *["-"] * 5])
            continue
        if chosen is not None and chosen.n == len(plan.seeds):  # means over other seeds are of other training pairs
            validation[arm] = chosen.mean
        seconds = _estimate(figures("seconds"))
        shown = [chosen, _estimate(figures("map_i2t")), _estimate(figures("map_t2i"))]
        count = str(len(figures("mrr")))
        lines.append(
            [arm, count, *map(_figure, shown), _with_interval(test), f"{seconds.mean:.0f}" if seconds else "-"]
        )
        negative = figures("negative_transfer")
        if any(negative.values()):
            warned.append(f"- {arm}: in {sum(map(bool, negative.values()))} of {len(negative)} runs")
    parts = [_table(lines)]
    if without:
        parts.append("Not applicable here:\n\n" + "\n".join(without))
    if validation:
        parts.append(f"Best on validation, of arms with all seeds: {max(validation, key=lambda arm: validation[arm])}.")
    if warned:
        parts.append(
            "Warned of negative transfer (below its target-only control on validation):\n\n" + "\n".join(warned)
        )
    return "\n\n".join(parts)


def _by_partner(plan: Plan, rows: Sequence[Row], data: str, rung: str) -> str:
    """Figures by instance, the mean of both directions."""
    lines = [["by partner", "n", *FIGURES.values()]]
    for arm in plan.arms:
        found = {column: _estimate(select(rows, column, data=data, rung=rung, arm=arm)) for column in FIGURES}
        if (mrr := found[BY_PARTNER]) is not None:
            shown = {column: _figure(one, ".1f" if column == MEDIAN_RANK else ".3f") for column, one in found.items()}
            shown[BY_PARTNER] = _with_interval(mrr)
            lines.append([arm, str(mrr.n), *shown.values()])
    return _table(lines) if len(lines) > 1 else ""


def _parts(plan: Plan, rows: Sequence[PartRow], measure: str) -> list[str]:
    """What each part of each arm's common space reaches by itself, and what the space has more than without it."""
    lines = [["arm", "part", "in the space", f"by itself, {measure}", "adds (95 % interval)", "otherwise"]]
    never = []
    for arm in plan.arms:
        of_arm = [row for row in rows if row.arm == arm]
        for part in dict.fromkeys(row.part for row in of_arm):
            of_part = {row.seed: row for row in of_arm if row.part == part}
            places = Counter(row.place for row in of_part.values())
            others = ", ".join(f"{OTHERWISE[place]} in {count}" for place, count in places.items() if place != "in")
            if not places["in"]:
                never.append(f"- {arm}: {part} ({others})")
                continue
            alone = {seed: row.alone for seed, row in of_part.items() if row.alone is not None}
            adds = {seed: row.adds for seed, row in of_part.items() if row.adds is not None}
            count = f"{places['in']} of {len({row.seed for row in of_arm})}"
            shown = [_figure(_estimate(alone)), _with_interval(_estimate(adds), gain=True)]
            lines.append([arm, part, count, *shown, others])
    if len(lines) == 1:
        return []
    beside = ["Not in the space of any run:\n\n" + "\n".join(never)] if never else []
    return ["Parts of the common space, over the runs in which they are in it:", _table(lines), *beside]


def _contrasts(plan: Plan, rows: Sequence[Row], data: str, rung: str, column: str) -> list[str]:
    lines = [
        [f"contrast, {TITLES[column]}, mean of both directions", "n", "difference (95 % interval)", "seeds above 0"]
    ]
    for arm, other in plan.contrasts:
        if not all(rung in plan.rungs_of(one) for one in (arm, other)):
            continue
        first, second = (select(rows, column, data=data, rung=rung, arm=name) for name in (arm, other))
        found = paired_difference(first, second)
        above = sum(first[seed] > second[seed] for seed in first.keys() & second.keys())
        shown = (
            ["0", "-", "-"]
            if found is None
            else [str(found.n), _with_interval(found, gain=True), f"{above} of {found.n}"]
        )
        lines.append([f"{arm} - {other}", *shown])
    return [_table(lines)] if len(lines) > 1 else []


def _estimate(figures: Figures) -> Estimate | None:
    return estimate(list(figures.values())) if figures else None


def _figure(found: Estimate | None, style: str = ".3f") -> str:
    return "-" if found is None else format(found.mean, style)


def _with_interval(found: Estimate | None, *, gain: bool = False) -> str:
    if found is None:
        return "-"
    form = signed if gain else "{:.3f}".format
    mean = form(found.mean)
    if found.interval is None:
        return f"{mean} (one seed)"
    low, high = (form(end) for end in found.interval)
    return f"{mean} ({low} to {high})"


def _table(lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns line up in plain text, too."""
    lines = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    padded = [" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    rule = " | ".join("-" * width for width in widths)
    return "\n".join(f"| {line} |" for line in [padded[0], rule, *padded[1:]])
