"""The evaluation of common representations: six retrieval tasks on the pairs of one split, with intervals and chance.

Image->Text and Text->Image rank the other medium; the query's own partner is a legitimate hit. In the four tasks whose
gallery holds the query itself it is left out, or, with `self_hit`, counted as the hit it is (as the authors' release
does). Relevant = same class. Queries with no relevant item are no part of a mean; they are named instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from dckt_core.base.errors import DataError
from dckt_core.base.rng import generator_for
from dckt_core.contract.protocols import Representation
from dckt_core.evaluation.ranking import Ranking, bootstrap_interval, chance_ap, rank

Medium = Literal["image", "text"]

TASKS: dict[str, tuple[Medium, Literal["image", "text", "all"]]] = {
    "image_to_text": ("image", "text"),
    "text_to_image": ("text", "image"),
    "image_to_image": ("image", "image"),
    "text_to_text": ("text", "text"),
    "image_to_all": ("image", "all"),
    "text_to_all": ("text", "all"),
}
"""The medium of the queries and that of the gallery; `all` is every image, then every text."""

CROSS_MEDIA = ("image_to_text", "text_to_image")
MEAN = "mean"

LEVELS = tuple(step / 20 for step in range(21))
"""Levels of recall at which precision is told."""

TIES = "items of equal cosine keep the order of the gallery"


@dataclass(frozen=True)
class TaskResult:
    """One task, query by query."""

    ranking: Ranking
    chance: Tensor
    """Expected AP of a random ranking [N], float64."""


@dataclass(frozen=True)
class SummaryAtK:
    """A task's figures at a cut k, as in `TaskSummary`."""

    k: int
    map: float | None
    precision: float | None
    recall: float | None


@dataclass(frozen=True)
class ClassSummary:
    """A task's mAP over the queries of one class; None where none of them has a relevant item."""

    queries: int
    map: float | None


@dataclass(frozen=True)
class TaskSummary:
    """A task, or the mean of the two across media: means over the queries that have a relevant item.

    All in [0, 1]. None where no query has a relevant item.
    """

    map: float | None
    interval: tuple[float, float] | None
    """95 % bootstrap interval of the mAP over queries."""
    chance: float | None
    """Expected mAP of random rankings."""
    at: tuple[SummaryAtK, ...]
    """In the order in which the cuts were asked for."""
    curve: tuple[float, ...] | None
    """Interpolated precision at each recall of `LEVELS`."""
    classes: Mapping[str, ClassSummary]
    """By the class of the query."""
    unanswerable: tuple[str, ...]
    """Ids of the pairs whose image or text, as a query, has no relevant item."""


@dataclass(frozen=True)
class Evaluation:
    """All tasks on one set of pairs.

    Attributes:
        ids: the pairs'; row q of every result is the image or the text of `ids[q]`.
        labels: the pairs' classes [N], int64.
        classes: names of the classes.
        ks: the cuts of the figures at k.
        self_hit: whether a query counted as its own hit.
        tasks: by the names of `TASKS`.
    """

    ids: Sequence[str]
    labels: Tensor
    classes: Sequence[str]
    ks: Sequence[int]
    self_hit: bool
    tasks: dict[str, TaskResult]

    def summary(self, seed: int) -> dict[str, TaskSummary]:
        """Every task, and under `mean` the mean of both directions across media where both were evaluated.

        Every interval comes from the same resamples of the pairs, drawn from the seed; in the mean a pair's image and
        text are resampled together.
        """
        table = {name: self._summarise([task], seed) for name, task in self.tasks.items()}
        if not self.tasks.keys() >= set(CROSS_MEDIA):
            return table
        return table | {MEAN: self._summarise([self.tasks[name] for name in CROSS_MEDIA], seed)}

    def as_json(self, seed: int) -> dict[str, Any]:
        """`summary` for `json.dumps`."""
        tasks = {name: asdict(row) for name, row in self.summary(seed).items()}
        settings = {"pairs": len(self.ids), "ks": list(self.ks), "self_hit": self.self_hit, "recalls": list(LEVELS)}
        return settings | {"ties": TIES, "tasks": tasks}

    def _summarise(self, tasks: Sequence[TaskResult], seed: int) -> TaskSummary:
        rankings = [task.ranking for task in tasks]
        answerable = torch.stack([ranking.relevant > 0 for ranking in rankings]).all(dim=0)

        def mean(columns: Sequence[Tensor], among: Tensor = answerable) -> float | None:
            return float(torch.stack(list(columns))[:, among].mean()) if among.any() else None

        def at(k: int) -> SummaryAtK:
            cuts = [ranking.at[k] for ranking in rankings]
            figures = ([cut.ap for cut in cuts], [cut.precision for cut in cuts], [cut.recall for cut in cuts])
            return SummaryAtK(k, *map(mean, figures))

        def of_class(label: int) -> ClassSummary:
            asked = self.labels == label
            return ClassSummary(int(asked.sum()), mean([ranking.ap for ranking in rankings], asked & answerable))

        curve = torch.stack([ranking.curve[answerable] for ranking in rankings]).mean(dim=(0, 1))
        aps = torch.stack([ranking.ap for ranking in rankings], dim=1)[answerable]
        interval = bootstrap_interval(aps, generator_for(seed, "bootstrap")) if len(aps) else None
        return TaskSummary(
            map=mean([ranking.ap for ranking in rankings]),
            interval=interval,
            chance=mean([task.chance for task in tasks]),
            at=tuple(at(k) for k in self.ks),
            curve=tuple(curve.tolist()) if answerable.any() else None,
            classes={self.classes[label]: of_class(label) for label in torch.unique(self.labels).tolist()},
            unanswerable=tuple(self.ids[row] for row in (~answerable).nonzero().flatten().tolist()),
        )


def evaluate(
    view: Representation,
    labels: Tensor,
    ids: Sequence[str],
    *,
    classes: Sequence[str] | None = None,
    tasks: Sequence[str] = tuple(TASKS),
    ks: Sequence[int] = (),
    self_hit: bool = False,
) -> Evaluation:
    """Six tasks, or some of them, on N pairs. Time grows with N squared, memory with N.

    Args:
        view: common representations, image [N, C] and text [N, C].
        labels: classes [N], int64.
        ids: of the pairs, N of them.
        classes: their names; their numbers by default.
        tasks: names out of `TASKS`.
        ks: also AP, precision and recall at these cuts.
        self_hit: count a query as its own hit, in the four tasks whose gallery holds it.

    Raises:
        DataError: there are no pairs, or a representation is not finite.
    """
    if len(ids) == 0:
        raise DataError("no pairs to evaluate on")
    if classes is None:
        classes = [str(number) for number in range(int(labels.max()) + 1)]
    results = {name: _task(name, view, labels, ks=ks, self_hit=self_hit) for name in tasks}
    return Evaluation(ids, labels, classes, ks, self_hit, results)


def _task(name: str, view: Representation, labels: Tensor, *, ks: Sequence[int], self_hit: bool) -> TaskResult:
    query, gallery = TASKS[name]
    media = {"image": view.image, "text": view.text, "all": torch.cat([view.image, view.text])}
    gallery_labels = labels.repeat(2) if gallery == "all" else labels
    own: Tensor | None = None
    if gallery in (query, "all"):
        own = torch.arange(len(labels)) + (len(labels) if (query, gallery) == ("text", "all") else 0)

    leave_out = None if self_hit else own
    ranking = rank(media[query], media[gallery], labels, gallery_labels, ks=ks, levels=LEVELS, leave_out=leave_out)
    candidates = len(media[gallery]) - (leave_out is not None)
    chance = chance_ap(ranking.relevant, candidates, first=int(self_hit and own is not None))
    return TaskResult(ranking, chance)
