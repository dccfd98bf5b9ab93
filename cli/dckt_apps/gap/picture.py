"""Gaps as a picture: a bar for each squared MMD, and a tick where random dealings of the same rows end up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dckt_kernels import TwoSampleTest


@dataclass(frozen=True)
class Gap:
    """One comparison: `where` is a layer or a medium, `of` whose it is, such as a checkpoint's."""

    where: str
    of: str
    test: TwoSampleTest


def draw(gaps: Sequence[Gap], title: str, file: Path) -> None:
    """A group of bars for each `where`, one bar for each `of`; PNG, SVG or PDF by the file's suffix.

    A tick stands where one random dealing of the pooled rows in twenty lies beyond.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    groups = list(dict.fromkeys(gap.where for gap in gaps))
    names = list(dict.fromkeys(gap.of for gap in gaps))
    height = 0.8 / len(names)
    figure, axes = plt.subplots(figsize=(7, 1.5 + 0.24 * len(names) * len(groups)), layout="constrained")
    for number, name in enumerate(names):
        some = [gap for gap in gaps if gap.of == name]
        places = [groups.index(gap.where) + number * height for gap in some]
        bars = axes.barh(places, [gap.test.mmd for gap in some], height * 0.9, label=name)
        said = [f"{gap.test.mmd:.4f} (p {gap.test.p_value:.3g})" for gap in some]
        axes.bar_label(bars, said, padding=3, fontsize=7)
    for number, gap in enumerate(gaps):
        place = groups.index(gap.where) + names.index(gap.of) * height
        label = "one random dealing in twenty lies beyond" if number == 0 else None
        axes.plot([gap.test.by_chance] * 2, [place - height * 0.45, place + height * 0.45], "k-", lw=1.5, label=label)
    axes.set_yticks([row + 0.4 - height / 2 for row in range(len(groups))], groups, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(left=0, right=1.3 * max(*(gap.test.mmd for gap in gaps), *(gap.test.by_chance for gap in gaps)))
    axes.set_xlabel("squared MMD")
    axes.set_title(title, fontsize=9, loc="left", parse_math=False)
    figure.legend(fontsize=7, frameon=False, loc="outside lower center", ncols=2)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=110)
    plt.close(figure)
