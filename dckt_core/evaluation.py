"""The evaluation of common representations: six retrieval tasks on the pairs of one split, with intervals and chance.

Image->Text and Text->Image rank the other medium; the query's own partner is a legitimate hit. In the four tasks whose
gallery holds the query itself it is left out, or, with `self_hit`, counted as the hit it is (as the authors' release
does). Relevant = same class. Queries with no relevant item are no part of a mean; they are named instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from dckt_core.errors import DataError
from dckt_core.metrics import Ranking, bootstrap_interval, chance_ap, rank
from dckt_core.protocols import Representation
from dckt_core.rng import generator_for

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
    unanswerable: tuple[str, ...]
    """Ids of the pairs whose image or text, as a query, has no relevant item."""


@dataclass(frozen=True)
class Evaluation:
    """All tasks on one set of pairs.

    Attributes:
        ids: the pairs'; row q of every result is the image or the text of `ids[q]`.
        ks: the cuts of the figures at k.
        self_hit: whether a query counted as its own hit.
        tasks: by the names of `TASKS`.
    """

    ids: Sequence[str]
    ks: Sequence[int]
    self_hit: bool
    tasks: dict[str, TaskResult]

    def summary(self, seed: int) -> dict[str, TaskSummary]:
        """Every task, and under `mean` the mean of both directions across media.

        Every interval comes from the same resamples of the pairs, drawn from the seed; in the mean a pair's image and
        text are resampled together.
        """
        table = {name: self._summarise([task], seed) for name, task in self.tasks.items()}
        return table | {MEAN: self._summarise([self.tasks[name] for name in CROSS_MEDIA], seed)}

    def as_json(self, seed: int) -> dict[str, Any]:
        """`summary` for `json.dumps`."""
        tasks = {name: asdict(row) for name, row in self.summary(seed).items()}
        return {"pairs": len(self.ids), "ks": list(self.ks), "self_hit": self.self_hit, "tasks": tasks}

    def _summarise(self, tasks: Sequence[TaskResult], seed: int) -> TaskSummary:
        rankings = [task.ranking for task in tasks]
        answerable = torch.stack([ranking.relevant > 0 for ranking in rankings]).all(dim=0)

        def mean(columns: Sequence[Tensor]) -> float | None:
            return float(torch.stack(list(columns))[:, answerable].mean()) if answerable.any() else None

        def at(k: int) -> SummaryAtK:
            cuts = [ranking.at[k] for ranking in rankings]
            figures = ([cut.ap for cut in cuts], [cut.precision for cut in cuts], [cut.recall for cut in cuts])
            return SummaryAtK(k, *map(mean, figures))

        aps = torch.stack([ranking.ap for ranking in rankings], dim=1)[answerable]
        interval = bootstrap_interval(aps, generator_for(seed, "bootstrap")) if len(aps) else None
        return TaskSummary(
            map=mean([ranking.ap for ranking in rankings]),
            interval=interval,
            chance=mean([task.chance for task in tasks]),
            at=tuple(at(k) for k in self.ks),
            unanswerable=tuple(self.ids[row] for row in (~answerable).nonzero().flatten().tolist()),
        )


def evaluate(
    view: Representation, labels: Tensor, ids: Sequence[str], *, ks: Sequence[int] = (), self_hit: bool = False
) -> Evaluation:
    """All six tasks on N pairs.

    Args:
        view: common representations, image [N, C] and text [N, C].
        labels: classes [N], int64.
        ids: of the pairs, N of them.
        ks: also AP, precision and recall at these cuts.
        self_hit: count a query as its own hit, in the four tasks whose gallery holds it.

    Raises:
        DataError: there are no pairs, or a representation is not finite.
    """
    if len(ids) == 0:
        raise DataError("no pairs to evaluate on")
    tasks = {name: _task(name, view, labels, ks=ks, self_hit=self_hit) for name in TASKS}
    return Evaluation(ids, ks, self_hit, tasks)


def _task(name: str, view: Representation, labels: Tensor, *, ks: Sequence[int], self_hit: bool) -> TaskResult:
    query, gallery = TASKS[name]
    media = {"image": view.image, "text": view.text, "all": torch.cat([view.image, view.text])}
    gallery_labels = labels.repeat(2) if gallery == "all" else labels
    own: Tensor | None = None
    if gallery in (query, "all"):
        own = torch.arange(len(labels)) + (len(labels) if (query, gallery) == ("text", "all") else 0)

    leave_out = None if self_hit else own
    ranking = rank(media[query], media[gallery], labels, gallery_labels, ks=ks, leave_out=leave_out)
    candidates = len(media[gallery]) - (leave_out is not None)
    chance = chance_ap(ranking.relevant, candidates, first=int(self_hit and own is not None))
    return TaskResult(ranking, chance)
