"""How well a split is searched across media, in both directions: what choices are made on, and what a run reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from dckt_core.contract.pairs import Pair
from dckt_core.contract.protocols import Representation, Represents
from dckt_core.data.contents import Contents, contents_of
from dckt_core.data.domain import SplitData
from dckt_core.evaluation.directions import COLUMNS, DIRECTIONS, MEAN
from dckt_core.evaluation.figures import MRR
from dckt_core.evaluation.instances import Instances, by_instance, mrr_gain, summarise
from dckt_core.evaluation.intervals import as_estimate, bootstrap_interval
from dckt_core.evaluation.items import alike
from dckt_core.evaluation.ranking import average_precisions, chance_ap
from dckt_core.evaluation.views import represent

Kind = Literal["map", "mrr"]

MIN_RANKED = 2
"""Pairs of a split; of one there is no ranking to choose by."""


@dataclass(frozen=True)
class Score:
    """A figure in [0, 1], the higher the better.

    kind: `map`, mean average precision with relevant = same class, or `mrr`, the mean reciprocal rank of the pairs' own
        partners, which needs no labels.
    """

    image_to_text: float
    text_to_image: float
    kind: Kind = "map"

    @property
    def mean(self) -> float:
        return (self.image_to_text + self.text_to_image) / 2

    def as_row(self, network: str) -> dict[str, float]:
        """The score as metrics of a network's: `target_map_mean` and so on."""
        return {f"{network}_{self.kind}_{column}": getattr(self, column) for column in COLUMNS}


def kind_of_score(labels: Tensor) -> Kind:
    """What `score` of pairs with these labels [N], -1 where there is none, is: mAP where two or more have one."""
    return "map" if int((labels >= 0).sum()) >= MIN_RANKED else "mrr"


def chooses_by(data: SplitData | None) -> Kind | None:
    """What choices on a split go by; None where it has too few pairs for any."""
    return None if data is None or len(data) < MIN_RANKED else kind_of_score(data.labels)


def score(network: Represents, data: SplitData, device: torch.device) -> Score:
    """Scores what is in eval mode on a split: mAP over its labelled pairs, where two or more are, else MRR over all.

    For the mAP relevant = same class; the own pair is a legitimate hit.
    """
    return score_view(represent(network, data, device), data.labels, data.pairs)


def score_view(view: Representation, labels: Tensor, pairs: Sequence[Pair]) -> Score:
    """`score` of the representations of N pairs with these labels [N], -1 where there is none."""
    if kind_of_score(labels) == "map":
        return Score(*pair_aps(view, labels).mean(dim=0).tolist())
    found = by_instance(view, *contents_of(pairs))
    image, text = (float(found[name].standings.reciprocal_rank().mean()) for name in DIRECTIONS)
    return Score(image, text, "mrr")


def pair_aps(view: Representation, labels: Tensor) -> Tensor:
    """AP of each labelled pair's image against all labelled texts and of its text against all such images: [n, 2],
    float64. Labels [N] below 0 say that there is none.
    """
    some = labels >= 0
    image, text, labels = view.image[some], view.text[some], labels[some]
    return torch.stack(
        [average_precisions(image, text, labels, labels), average_precisions(text, image, labels, labels)], dim=1
    )


@dataclass(frozen=True)
class Found:
    """What one representation of N pairs finds; nothing is ranked before it is asked for."""

    view: Representation
    labels: Tensor
    contents: Contents

    @cached_property
    def aps(self) -> Tensor:
        """APs of the labelled pairs [n, 2], float64, as `pair_aps`."""
        return pair_aps(alike(self.view, *self.contents), self.labels)

    @cached_property
    def instances(self) -> Mapping[str, Instances]:
        """Both directions by instance."""
        return by_instance(self.view, *self.contents)


class Comparison:
    """Representations of one split beside one another, for `json.dumps`.

    By class, over the labelled pairs, where there are any; by partner, over all of them. Intervals are 95 % bootstrap
    intervals over the split's pictures, and None where there is but one; a gain's is paired, on the pictures'
    differences. All come from the same resamples, which are the generator's first: `dckt evaluate` draws them again.

    Args:
        labels: classes [N], int64; -1 where there is none.
        contents: which pairs share a picture or a text; by default none do.
    """

    def __init__(self, labels: Tensor, generator: torch.Generator, contents: Contents | None = None) -> None:
        self.labels = labels
        self.contents = contents or Contents(torch.arange(len(labels)), torch.arange(len(labels)))
        self.kind: Kind = "map" if (labels >= 0).any() else "mrr"
        """What gains are of."""
        self._start = generator.get_state()

    def look(self, view: Representation) -> Found:
        """What one representation of the pairs finds."""
        return Found(view, self.labels, self.contents)

    def tables(self, rows: Mapping[str, Found]) -> dict[str, Any]:
        """`kind`; `map` by class of every row and by chance, empty where no pair has a label; `instances` likewise by
        partner; `unlabelled`, how many pairs have no label.
        """
        by_instance = {name: summarise(one.instances, self._resamples()) for name, one in rows.items()}
        chance = {column: row.chances() for column, row in next(iter(by_instance.values())).items()}
        told = {name: {column: row.estimates() for column, row in table.items()} for name, table in by_instance.items()}
        return {
            "kind": self.kind,
            "map": self._by_class(rows) if self.kind == "map" else {},
            "instances": {"chance": chance} | told,
            "unlabelled": int((self.labels < 0).sum()),
        }

    def figure(self, one: Found) -> dict[str, Any]:
        """mAP, or MRR where no pair has a label, the mean of both directions."""
        if self.kind == "map":
            return self._estimate(one.aps)
        figure = summarise(one.instances, self._resamples())[MEAN].figures[MRR]
        return as_estimate(figure.value, figure.interval)

    def gain(self, one: Found, other: Found) -> dict[str, Any]:
        """What the `figure` of one is above that of another, paired."""
        if self.kind == "map":
            return self._estimate(one.aps - other.aps)
        return as_estimate(*mrr_gain(one.instances, other.instances, self._resamples()))

    def _by_class(self, rows: Mapping[str, Found]) -> dict[str, Any]:
        labels = self.labels[self.labels >= 0]
        chance = float(chance_ap(torch.bincount(labels)[labels], len(labels)).mean())
        table: dict[str, Any] = {"chance": dict.fromkeys(COLUMNS, chance)}
        for name, one in rows.items():
            columns = dict(zip(DIRECTIONS, one.aps.unbind(dim=1), strict=True)) | {MEAN: one.aps}
            table[name] = {column: self._estimate(values) for column, values in columns.items()}
        return table

    def _estimate(self, values: Tensor) -> dict[str, Any]:
        pictures = self.contents.pictures[self.labels >= 0]
        span = bootstrap_interval(values, self._resamples(), clusters=pictures)
        return as_estimate(float(values.mean()), span)

    def _resamples(self) -> torch.Generator:
        again = torch.Generator()
        again.set_state(self._start)
        return again
