"""The evaluation of common representations on the pairs of one split, with intervals and chance.

By class, six retrieval tasks over the pairs that have a label: relevant = same class. Image->Text and Text->Image rank
the other medium, that of every pair; the query's own partner is a legitimate hit. In the four tasks whose gallery holds
the query itself, each picture and each text stands there once, however many pairs it is in, and the query's own not at
all; or, with `self_hit`, those of every pair do, and the query counts as the hit it is and leads its ranking, as in the
authors' release. Queries with no relevant item are no part of a mean; they are named instead.

By instance, both directions over all pairs: `instances`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from dckt_core.base.errors import DataError
from dckt_core.base.html import curve, table
from dckt_core.base.rng import generator_for
from dckt_core.contract.pairs import MEDIA
from dckt_core.contract.protocols import Representation
from dckt_core.evaluation.directions import COLUMNS, DIRECTIONS, MEAN, TASKS, TITLES
from dckt_core.evaluation.figures import FIGURES
from dckt_core.evaluation.instances import Instances, InstanceSummary, by_instance, summarise
from dckt_core.evaluation.intervals import bootstrap_interval
from dckt_core.evaluation.items import alike, equal_items, first_of_each
from dckt_core.evaluation.ranking import Ranking, chance_ap, rank

LEVELS = tuple(step / 20 for step in range(21))
"""Levels of recall at which precision is told."""

TIES = "figures are expectations over all orders of items of equal cosine"


@dataclass(frozen=True)
class TaskResult:
    """One task, query by query: of the labelled pairs, in their order."""

    ranking: Ranking
    chance: Tensor
    """Expected AP of a random ranking [n], float64."""
    left_out: int
    """The pairs' items that are no candidates, being copies of others or of the query: a sum over the queries."""


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
    """95 % bootstrap interval of the mAP over pictures; None where there is but one."""
    chance: float | None
    """Expected mAP of random rankings."""
    at: tuple[SummaryAtK, ...]
    """In the order in which the cuts were asked for."""
    curve: tuple[float, ...] | None
    """Interpolated precision at each recall of `LEVELS`."""
    classes: Mapping[str, ClassSummary]
    """By the class of the query."""
    unanswerable: tuple[str, ...]
    """Ids of the labelled pairs whose image or text, as a query, has no relevant item."""
    tied: int
    """Queries for which a relevant item ties with one that is not."""
    left_out: int
    """The pairs' items that were left out, being copies of others or of the query: a sum over the queries."""


@dataclass(frozen=True, repr=False)
class Evaluation:
    """All tasks on one set of pairs.

    Attributes:
        ids: the pairs'.
        labels: the pairs' classes [N], int64; -1 where there is none.
        pictures, texts: numbers [N], int64, that pairs of one picture, or of one text, share.
        classes: names of the classes.
        ks: the cuts of the figures at k.
        self_hit: whether a query counted as its own hit.
        tasks: by the names of `TASKS`; row q of every result is the image or the text of pair `labelled[q]`. None where
            no pair has a label.
        instances: by the names of `DIRECTIONS`, over all pairs.
        equal: by medium, how many distinct items have the representation of another one.
        seed: what intervals are drawn from where no other seed is given.
    """

    ids: Sequence[str]
    labels: Tensor
    pictures: Tensor
    texts: Tensor
    classes: Sequence[str]
    ks: Sequence[int]
    self_hit: bool
    tasks: Mapping[str, TaskResult]
    instances: Mapping[str, Instances]
    equal: Mapping[str, int]
    seed: int = 0

    @property
    def labelled(self) -> Tensor:
        """Rows of the pairs that have a label [n], int64."""
        return (self.labels >= 0).nonzero().squeeze(1)

    @property
    def items(self) -> dict[str, int]:
        """How many distinct items there are, by medium."""
        return {"image": self.instances["image_to_text"].queries, "text": self.instances["text_to_image"].queries}

    def summary(self, seed: int | None = None) -> dict[str, TaskSummary]:
        """Every task, and under `mean` the mean of both directions across media where both were evaluated.

        Every interval comes from the same resamples of the pictures, drawn from the seed; in the mean a pair's image
        and text are resampled together.
        """
        seed = self.seed if seed is None else seed
        table = {name: self._summarise([task], seed) for name, task in self.tasks.items()}
        if not self.tasks.keys() >= set(DIRECTIONS):
            return table
        return table | {MEAN: self._summarise([self.tasks[name] for name in DIRECTIONS], seed)}

    def instance_summary(self, seed: int | None = None) -> dict[str, InstanceSummary]:
        """Both directions and their mean, by instance; intervals are drawn from the seed as well."""
        return summarise(self.instances, generator_for(self.seed if seed is None else seed, "bootstrap"))

    def as_json(self, seed: int | None = None) -> dict[str, Any]:
        """Both summaries for `json.dumps`."""
        return {
            "pairs": len(self.ids),
            "labelled": len(self.labelled),
            "items": self.items,
            "equal": dict(self.equal),
            "ks": list(self.ks),
            "self_hit": self.self_hit,
            "recalls": list(LEVELS),
            "ties": TIES,
            "tasks": {name: asdict(row) for name, row in self.summary(seed).items()},
            "instances": {name: asdict(row) for name, row in self.instance_summary(seed).items()},
        }

    def __repr__(self) -> str:
        return f"<Evaluation of {len(self.ids)} pairs, {len(self.labelled)} with a label; summary() has the figures>"

    def _repr_html_(self) -> str:
        """For notebooks: both tables, and the curve of precision by recall where there are labels."""
        summary, found = self.summary(), self.instance_summary()
        shown = f"<p>{len(self.ids)} pairs, of which {len(self.labelled)} have a label</p>"
        if summary:
            rows = [[TITLES[name], *_shown(row)] for name, row in summary.items()]
            shown += table(["mean average precision", "value (95 % interval)", "chance"], rows)
        columns = [name for name in COLUMNS if name in found]
        rows = [
            [title, *(f"{found[name].figures[figure].value:.3f}" for name in columns)]
            for figure, title in FIGURES.items()
        ]
        shown += table(["own partners", *(TITLES[name] for name in columns)], rows)
        if MEAN in summary and summary[MEAN].curve is not None:
            shown += curve(LEVELS, summary[MEAN].curve or (), x="recall", y="precision")
        return shown

    def _summarise(self, tasks: Sequence[TaskResult], seed: int) -> TaskSummary:
        rankings = [task.ranking for task in tasks]
        labels, pictures = self.labels[self.labelled], self.pictures[self.labelled]
        answerable = torch.stack([ranking.relevant > 0 for ranking in rankings]).all(dim=0)

        def mean(columns: Sequence[Tensor], among: Tensor = answerable) -> float | None:
            return float(torch.stack(list(columns))[:, among].mean()) if among.any() else None

        def at(k: int) -> SummaryAtK:
            cuts = [ranking.at[k] for ranking in rankings]
            figures = ([cut.ap for cut in cuts], [cut.precision for cut in cuts], [cut.recall for cut in cuts])
            return SummaryAtK(k, *map(mean, figures))

        def of_class(label: int) -> ClassSummary:
            asked = labels == label
            return ClassSummary(int(asked.sum()), mean([ranking.ap for ranking in rankings], asked & answerable))

        curve = torch.stack([ranking.curve[answerable] for ranking in rankings]).mean(dim=(0, 1))
        aps = torch.stack([ranking.ap for ranking in rankings], dim=1)[answerable]
        draws = generator_for(seed, "bootstrap")
        unanswerable = self.labelled[~answerable].tolist()
        return TaskSummary(
            map=mean([ranking.ap for ranking in rankings]),
            interval=bootstrap_interval(aps, draws, clusters=pictures[answerable]) if len(aps) else None,
            chance=mean([task.chance for task in tasks]),
            at=tuple(at(k) for k in self.ks),
            curve=tuple(curve.tolist()) if answerable.any() else None,
            classes={self.classes[label]: of_class(label) for label in torch.unique(labels).tolist()},
            unanswerable=tuple(self.ids[row] for row in unanswerable),
            tied=sum(int(ranking.tied.sum()) for ranking in rankings),
            left_out=sum(task.left_out for task in tasks),
        )


def evaluate(
    view: Representation,
    labels: Tensor,
    ids: Sequence[str],
    *,
    pictures: Tensor | None = None,
    texts: Tensor | None = None,
    classes: Sequence[str] | None = None,
    tasks: Sequence[str] = tuple(TASKS),
    ks: Sequence[int] = (),
    self_hit: bool = False,
    seed: int = 0,
) -> Evaluation:
    """Six tasks, or some of them, and retrieval by instance, on N pairs. Time grows with N squared, memory with N.

    Args:
        view: common representations, image [N, C] and text [N, C].
        labels: classes [N], int64; -1 where there is none: such pairs are in no task, but in retrieval by instance.
        ids: of the pairs, N of them.
        pictures, texts: numbers [N], int64, that pairs of the same picture, or of the same text, share
            (`data.contents.contents_of`); by default all differ.
        classes: their names; their numbers by default.
        tasks: names out of `TASKS`.
        ks: also AP, precision and recall at these cuts.
        self_hit: count a query as its own hit, in the four tasks whose gallery holds it, and leave nothing out.
        seed: what the intervals of its summaries are drawn from.

    Raises:
        DataError: there are no pairs, or a representation is not finite.
        ValueError: shapes do not go together.
    """
    if len(ids) == 0:
        raise DataError("no pairs to evaluate on")
    if len(labels) != len(ids):
        raise ValueError(f"{len(labels)} labels for {len(ids)} pairs")
    if classes is None:
        classes = [str(number) for number in range(int(labels.max()) + 1)]
    labels = labels.cpu()
    pictures, texts = (torch.arange(len(ids)) if given is None else given.cpu() for given in (pictures, texts))
    instances = by_instance(view, pictures, texts)
    view = alike(view, pictures, texts)
    some = labels >= 0
    results = {}
    if some.any():
        rows, numbers = {"image": view.image, "text": view.text}, {"image": pictures, "text": texts}
        known = _Known(_among(rows, some), _among(numbers, some), labels[some])
        results = {name: _task(name, known, ks=ks, self_hit=self_hit) for name in tasks}
    equal = {"image": equal_items(view.image, pictures), "text": equal_items(view.text, texts)}
    return Evaluation(ids, labels, pictures, texts, classes, ks, self_hit, results, instances, equal, seed)


@dataclass(frozen=True)
class _Known:
    """Pairs that have a label: by medium their representations [n, C] and what they show [n]; their labels [n]."""

    rows: Mapping[str, Tensor]
    numbers: Mapping[str, Tensor]
    labels: Tensor


def _among(columns: Mapping[str, Tensor], rows: Tensor) -> dict[str, Tensor]:
    return {medium: column[rows] for medium, column in columns.items()}


def _task(name: str, known: _Known, *, ks: Sequence[int], self_hit: bool) -> TaskResult:
    task, labels = TASKS[name], known.labels
    media = MEDIA if task.gallery == "all" else (task.gallery,)
    leads, leaves = (task.holds_query and self_hit), (task.holds_query and not self_hit)
    every, asked = torch.arange(len(labels)), known.numbers[task.query]
    held = {medium: _once(known.numbers[medium], labels) if leaves else every for medium in media}
    special: dict[str, Any] = {}
    if leads:
        special["first"] = every + len(labels) * media.index(task.query)
    if leaves:
        parts = [asked[rows] if medium == task.query else torch.full_like(rows, -1) for medium, rows in held.items()]
        special["leave_out"] = (asked, torch.cat(parts))
    ranking = rank(
        known.rows[task.query],
        torch.cat([known.rows[medium][rows] for medium, rows in held.items()]),
        labels,
        torch.cat([labels[rows] for rows in held.values()]),
        ks=ks,
        levels=LEVELS,
        **special,
    )
    others = int((len(media) * len(labels) - 1 - ranking.candidates).sum()) if leaves else 0
    return TaskResult(ranking, chance_ap(ranking.relevant, ranking.candidates, first=int(leads)), others)


def _once(numbers: Tensor, labels: Tensor) -> Tensor:
    """One row of each item under each of its labels, out of what pairs show [n] and are [n]: int64, ascending."""
    items = torch.unique(torch.stack([numbers, labels]), dim=1, return_inverse=True)[1]
    return first_of_each(items).sort().values


def _shown(row: TaskSummary) -> tuple[str, str]:
    """The mAP with its interval, and that of chance."""
    if row.map is None or row.interval is None or row.chance is None:
        return "-", "-"
    return f"{row.map:.3f} ({row.interval[0]:.3f}-{row.interval[1]:.3f})", f"{row.chance:.3f}"
