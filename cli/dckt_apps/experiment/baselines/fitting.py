"""What baselines share: the material, standardisation, the choice on validation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dckt_core.base.errors import NothingToLearnError
from dckt_core.contract.pairs import Medium, Pair
from dckt_core.contract.protocols import Known, Representation
from dckt_core.evaluation.scoring import Score, score_view

MIN_PAIRS = 2
"""Of one pair there is no correlation, and no ranking to choose by."""

Represent = Callable[[Tensor, Tensor], Representation]
"""Image features [n, d] and text features [m, e] to common representations, image [n, c] and text [m, c]."""


@dataclass(frozen=True)
class Fitted:
    """A method that has learnt, and what it chose, JSON-able."""

    represent: Represent
    choice: Mapping[str, Any]


@dataclass(frozen=True)
class Judge:
    """Scores on the target's validation pairs: mAP where they have labels, else the mean reciprocal rank.

    Attributes:
        images, texts: features [n, d] and [n, e].
        labels: [n], int64, -1 where nobody knows.
        pairs: n of them.
    """

    images: Tensor
    texts: Tensor
    labels: Tensor
    pairs: Sequence[Pair]

    def __bool__(self) -> bool:
        """Whether there are enough pairs to choose by."""
        return len(self.labels) >= MIN_PAIRS

    @torch.no_grad()
    def __call__(self, represent: Represent) -> Score:
        return score_view(represent(self.images, self.texts), self.labels, self.pairs)

    def best_of(self, candidates: Iterable[tuple[Mapping[str, Any], Represent]]) -> Fitted:
        """The candidate of the highest score; of equal ones the first, so grids begin with the simplest.

        Where there are no validation pairs the first candidate is taken, and the others are not even made.
        """
        if not self:
            return next(Fitted(represent, choice) for choice, represent in candidates)
        scored = [(self(represent).mean, Fitted(represent, choice)) for choice, represent in candidates]
        return max(scored, key=lambda pair: pair[0])[1]


@dataclass(frozen=True)
class Material:
    """What a method may learn from: what a training run on the same rung is offered.

    Attributes:
        judge: for choices alone.
        generator: for every draw.
        same_space: whether features of images and of texts compare with one another as they are.
    """

    target: Known
    source: Known
    judge: Judge
    generator: torch.Generator
    same_space: bool = False

    def labelled(self, medium: Medium) -> tuple[Tensor, Tensor]:
        """Features and labels of the target's items of one medium that have a label, lone ones included.

        Raises:
            NothingToLearnError: they are of fewer than two classes.
        """
        known = self.target
        rows, labels = (known.images, known.image_labels) if medium == "image" else (known.texts, known.text_labels)
        some = labels >= 0
        classes = len(torch.unique(labels[some]))
        if classes < 2:
            raise NothingToLearnError(f"it needs labelled {medium}s of two classes, and the target has {classes}")
        return rows[some], labels[some]

    def pairs(self, *, both: bool) -> tuple[Tensor, Tensor]:
        """Image and text features of the target's pairs, labelled or not, row by row; those of both domains.

        Raises:
            NothingToLearnError: there are too few.
        """
        domains = (self.source, self.target) if both else (self.target,)
        images = torch.cat([known.images[: known.pairs] for known in domains])
        if len(images) < MIN_PAIRS:
            whose = "of either domain" if both else "of the target"
            raise NothingToLearnError(f"it needs {MIN_PAIRS} training pairs {whose}, and there are {len(images)}")
        return images, torch.cat([known.texts[: known.pairs] for known in domains])


Baseline = Callable[[Material], Fitted]


@dataclass(frozen=True)
class Scale:
    """Standardisation of features, learnt from training rows: mean 0 and variance 1 in each column."""

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> Scale:
        """Of rows [n, d]; a column that never changes is left unscaled."""
        rows = rows.double()
        deviation = rows.std(dim=0, correction=0)
        return cls(rows.mean(dim=0), torch.where(deviation > 0, deviation, 1.0))

    def __call__(self, rows: Tensor) -> Tensor:
        return (rows.double() - self.mean) / self.deviation
