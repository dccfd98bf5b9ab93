"""What a cosine is worth: the probability that an image and a text of that cosine belong together.

Learnt on validation pairs by isotonic regression (Zadrozny and Elkan, "Transforming classifier scores into accurate
multiclass probability estimates", KDD 2002): of every image with every text, their cosine and whether they are of one
class or, where no labels are, of one pair.

Of a query's items one is its partner, however many there are, so that the odds of an item fall as the gallery grows:
what was learnt in a gallery of n items is carried over to one of m by the ratio of the odds before anything was seen,
(n - 1) / (m - 1) (Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to new a priori
probabilities", Neural Computation 2002). Classes are taken to be as frequent in the gallery as among the validation
pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from dckt_core.contract.protocols import Representation
from dckt_core.data.contents import Contents
from dckt_core.evaluation.cosines import unit
from dckt_core.evaluation.items import first_of_each

FORMAT = 1

AT_MOST = 1000
"""Items of each medium that are learnt from or measured on: a million pairs."""

SHOWN = 10
"""Hits of a query among which the error is measured: those that people look at."""

BINS = 10

By = Literal["class", "partner"]


@dataclass(frozen=True)
class Calibration:
    """A curve that never falls, from cosines to probabilities, straight between its points.

    Attributes:
        by: what belongs together: items of one class, or partners.
        cosines: of the points, ascending.
        probabilities: at the points; never 0 or 1, which no number of examples can show.
        items: of the galleries that it was learnt in.
        chance: probability of an item about which nothing is known.
    """

    by: By
    cosines: tuple[float, ...]
    probabilities: tuple[float, ...]
    items: int
    chance: float
    format: int = FORMAT

    def __post_init__(self) -> None:
        """Raises ValueError for what is no such curve."""
        points, values = np.asarray(self.cosines), np.asarray(self.probabilities)
        if not (len(points) == len(values) > 0 and (np.diff(points) > 0).all() and (np.diff(values) >= 0).all()):
            raise ValueError("a calibration is a curve that does not fall")
        if not (values.min() > 0 and values.max() < 1 and 0 < self.chance < 1 and self.items > 1):
            raise ValueError("probabilities lie between 0 and 1")

    def probability(self, cosines: Tensor, gallery: int) -> Tensor:
        """Of items [...] of these cosines to a query, in a gallery of so many: [...], float64, in (0, 1)."""
        values = np.interp(cosines.double().cpu().numpy(), self.cosines, self.probabilities)
        return torch.from_numpy(np.asarray(self._carried(values, gallery)))

    def by_chance(self, gallery: int) -> float:
        """The probability of an item of such a gallery that is drawn blindly."""
        return float(self._carried(np.asarray(self.chance), gallery))

    def _carried(
        self, values: np.ndarray[tuple[int, ...], np.dtype[np.float64]], gallery: int
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        """From the gallery that was learnt in to one of another size."""
        ratio = 1.0 if self.by == "class" else (self.items - 1) / max(gallery - 1, 1)
        odds = values / (1 - values) * ratio
        return odds / (1 + odds)


def learn(view: Representation, labels: Tensor, contents: Contents, generator: torch.Generator) -> Calibration | None:
    """The curve of N validation pairs; None where all of their images and texts belong together, none do, or there is
    but one of them.

    Args:
        view: their representations, image [N, D] and text [N, D].
        labels: classes [N], int64, -1 where there is none. By class among those that have one, where two or more do.
        contents: which pairs share a picture or a text.
        generator: draws which items are learnt from, where there are more than `AT_MOST`.
    """
    from sklearn.isotonic import IsotonicRegression  # a second that reading a curve need not wait

    pairs = _compared(view, labels, contents, generator)
    cosines, relevant = pairs.cosines.flatten().numpy(), pairs.relevant.flatten().numpy()
    hits = int(relevant.sum())
    if not 0 < hits < len(relevant) or min(pairs.cosines.shape) < 2:
        return None
    curve = IsotonicRegression(out_of_bounds="clip").fit(cosines, relevant.astype(np.float64))
    points, where = np.unique(curve.X_thresholds_, return_index=True)
    # The rule of succession: what was seen s times out of s is not certain.
    values = np.clip(curve.y_thresholds_[where], 1 / (len(relevant) + 2), 1 - 1 / (hits + 2))
    values = np.maximum.accumulate(values)
    return Calibration(
        pairs.by, tuple(points.tolist()), tuple(values.tolist()), min(pairs.cosines.shape), hits / len(relevant)
    )


def calibration_error(
    calibration: Calibration, view: Representation, labels: Tensor, contents: Contents
) -> float | None:
    """Expected calibration error (Naeini, Cooper and Hauskrecht, AAAI 2015) among the first `SHOWN` hits of each image
    and each text, in `BINS` bins of equal width: the mean of |share that is relevant - mean probability| over the bins,
    each as often as it has hits. In [0, 1]. None where these pairs cannot show what the calibration is about.
    """
    pairs = _compared(view, labels, contents, None)
    if pairs.by != calibration.by:
        return None
    sure, true = [], []
    for cosines, relevant in ((pairs.cosines, pairs.relevant), (pairs.cosines.T, pairs.relevant.T)):
        best = cosines.topk(min(SHOWN, cosines.shape[1]), dim=1)
        sure.append(calibration.probability(best.values, cosines.shape[1]).flatten())
        true.append(relevant.gather(1, best.indices).double().flatten())
    probabilities, outcomes = torch.cat(sure), torch.cat(true)
    number = (probabilities * BINS).long().clamp_max(BINS - 1)
    gaps = torch.zeros(BINS, dtype=torch.float64).index_add(0, number, outcomes - probabilities)
    return float(gaps.abs().sum() / len(probabilities))


@dataclass(frozen=True)
class _Compared:
    """Of images with texts: their cosines [i, t], float64, and which belong together, [i, t], bool."""

    by: By
    cosines: Tensor
    relevant: Tensor


def _compared(view: Representation, labels: Tensor, contents: Contents, generator: torch.Generator | None) -> _Compared:
    """The distinct images and texts of the pairs that can tell.

    Args:
        generator: draws `AT_MOST` of each; the first of them are taken without one.
    """
    by: By = "class" if int((labels >= 0).sum()) > 1 else "partner"
    rows = (labels >= 0).nonzero().squeeze(1) if by == "class" else torch.arange(len(labels))
    if len(rows) > AT_MOST:
        order = torch.arange(len(rows)) if generator is None else torch.randperm(len(rows), generator=generator)
        rows = rows[order[:AT_MOST].sort().values]
    pictures, texts = contents.pictures[rows], contents.texts[rows]
    images, captions = first_of_each(pictures), first_of_each(texts)
    cosines = unit(view.image[rows][images]) @ unit(view.text[rows][captions]).T
    if by == "class":
        classes = labels[rows]
        return _Compared(by, cosines, classes[images][:, None] == classes[captions][None, :])
    relevant = torch.zeros(len(images), len(captions), dtype=torch.bool)
    number = [torch.unique(numbers, return_inverse=True)[1] for numbers in (pictures, texts)]
    relevant[number[0], number[1]] = True
    return _Compared(by, cosines, relevant)
