"""mAP by what the target offers, as a table of bars for a terminal and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from dckt_apps.experiment.plan import Plan
from dckt_apps.experiment.results import Row

BAR = 30
"""Characters of a bar of mAP 1."""


@dataclass(frozen=True)
class Step:
    """A rung of a data set: mean mAP of each arm that was tried on it, in the plan's order, and by chance."""

    data: str
    title: str
    scores: dict[str, float]
    chance: float


def steps(plan: Plan, rows: Sequence[Row]) -> list[Step]:
    """The rungs from the lowest to the highest, as far as there are numbers."""
    found = []
    for data in plan.data:
        for name in plan.rungs:
            of_rung = [row for row in rows if (row.data, row.rung) == (data, name) and row.map_mean is not None]
            by_arm: dict[str, list[float]] = {arm: [] for arm in plan.arms}
            for row in of_rung:
                by_arm[row.arm] += [] if row.map_mean is None else [row.map_mean]
            scores = {arm: fmean(values) for arm, values in by_arm.items() if values}
            chance = [row.map_chance for row in of_rung if row.map_chance is not None]
            if scores and chance:
                found.append(Step(data, plan.title(name), scores, fmean(chance)))
    return found


def bars(found: Sequence[Step]) -> str:
    """A line an arm and rung, with a bar as long as its mAP; a tick where chance is."""
    lines = []
    width = max(len(arm) for step in found for arm in step.scores)
    for step in found:
        lines.append(f"{step.data}: {step.title}")
        for arm, score in step.scores.items():
            bar = list("█" * round(BAR * score) + "·" * (BAR - round(BAR * score)))
            bar[min(BAR - 1, round(BAR * step.chance))] = "|"
            lines.append(f"  {arm:<{width}} {''.join(bar)} {score:.3f}")
    return "\n".join([*lines, f"mAP on the test split, mean of both directions; |: chance ({found[0].chance:.3f})"])


def draw(found: Sequence[Step], file: Path) -> None:
    """The same as a picture (PNG): a group of bars a rung."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    arms = list(dict.fromkeys(arm for step in found for arm in step.scores))
    height = 0.8 / len(arms)
    figure, axes = plt.subplots(figsize=(7, 0.6 + 0.28 * len(arms) * len(found)), layout="constrained")
    for number, arm in enumerate(arms):
        places = [row + number * height for row, step in enumerate(found) if arm in step.scores]
        values = [step.scores[arm] for step in found if arm in step.scores]
        axes.bar_label(axes.barh(places, values, height * 0.9, label=arm), fmt="%.3f", padding=2, fontsize=7)
    axes.axvline(fmean(step.chance for step in found), color="grey", linewidth=1, linestyle=":", label="chance")
    titles = [step.title if len({step.data for step in found}) == 1 else f"{step.data}: {step.title}" for step in found]
    axes.set_yticks([row + 0.4 - height / 2 for row in range(len(found))], titles, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("mAP on the test split, mean of both directions")
    axes.legend(fontsize=7, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=110)
    plt.close(figure)
