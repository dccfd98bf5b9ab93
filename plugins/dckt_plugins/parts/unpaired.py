"""Images and texts of the target of which nobody knows which belong together, beside the source's pairs.

What parts that align the two media have to begin with. A guard works without labels: the source must say more about the
target than the same source with its pairs shuffled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dckt_core import Formula, Known, Material, Medium, StepAsideError, Value
from dckt_kernels import sinkhorn_of_costs
from dckt_plugins.parts.cca import CorrelatedPart, Correlation, Scale, correlate, principal_axes
from dckt_plugins.parts.classifiers import MediumClassifier

FEWEST = 64
"""Images, and texts; fewer say too little."""
MOST = 4000
"""Images, and texts, evenly spaced where there are more: all of one are compared with all of the other."""
DRAWS, JUDGED, JUDGES_EPS, JUDGES_TOLERANCE = 10, 400, 0.6, 1e-3
"""Of the guard: shuffled sources, items a medium, and a plan of standardised cosines that is good enough to judge by.
"""
SOURCE_C = 0.01
AXES = 400
"""Principal axes in which wide features are compared: maps are made anew time and again."""


@dataclass(frozen=True)
class Unpaired:
    """Standardised features of the source's pairs and of the target's unpaired items, float64. `meet` makes one.

    Attributes:
        source_images, source_texts: [p, d_i] and [p, d_t], row by row.
        images, texts: the target's [n, d_i] and [m, d_t].
        source: what is known of the source.
        scales, turns: by medium, from the target's features to such rows.
        judged: how far the source's pairs say more about the target than when shuffled, in standard deviations.
    """

    source_images: Tensor
    source_texts: Tensor
    images: Tensor
    texts: Tensor
    source: Known
    scales: Mapping[Medium, Scale]
    turns: Mapping[Medium, Tensor]
    judged: float

    def maps(self, a: Tensor, b: Tensor) -> Correlation:
        """The target's maps, for axes of images [d_i, k] and of texts [d_t, k]."""
        return Correlation(self.scales, {"image": self.turns["image"] @ a, "text": self.turns["text"] @ b})

    def among_source_classes(self) -> tuple[Tensor, Tensor] | None:
        """What classifiers of the source's classes say of images [n, C] and texts [m, C]; None without labels."""
        source = self.source
        labels = source.image_labels[: source.pairs]
        told = labels >= 0
        if len(torch.unique(labels[told])) < 2:
            return None
        sides = []
        for rows, items in ((self.source_images, self.images), (self.source_texts, self.texts)):
            whole = Scale(torch.zeros(rows.shape[1]), torch.ones(rows.shape[1]))
            classifier = MediumClassifier.fit(rows[told], labels[told], classes=source.classes, c=SOURCE_C, scale=whole)
            sides.append(classifier(items).double())
        return sides[0], sides[1]


def meet(material: Material, *, ridge: float, related: float) -> Unpaired:
    """The target's unpaired items and the source's pairs, each standardised by itself.

    Args:
        related: standard deviations by which the source must beat a shuffled one.

    Raises:
        StepAsideError: the target has no unpaired images and texts, or too few, or the source says nothing about them.
    """
    source, target = material.source, material.target
    images, texts = _some(target.images[target.pairs :]), _some(target.texts[target.pairs :])
    if not len(images) and not len(texts):
        raise StepAsideError("the target has no unpaired items")
    if min(len(images), len(texts)) < FEWEST:
        raise StepAsideError(
            f"the target has {len(images)} unpaired images and {len(texts)} unpaired texts, and {FEWEST} of each "
            "are wanted"
        )
    if source.pairs < 2:
        raise StepAsideError("the source has no pairs to begin with")
    material.rows("correlation", "image", images[:1])  # it must be there: what the source alone says
    scales: dict[Medium, Scale] = {"image": Scale.of(images), "text": Scale.of(texts)}
    own = {"image": Scale.of(source.images[: source.pairs]), "text": Scale.of(source.texts[: source.pairs])}
    x, y = own["image"](source.images[: source.pairs]), own["text"](source.texts[: source.pairs])
    u, v = scales["image"](images), scales["text"](texts)
    turns = [principal_axes(torch.cat(rows), AXES) for rows in ((x, u), (y, v))]
    x, u, y, v = x @ turns[0], u @ turns[0], y @ turns[1], v @ turns[1]
    judged = relatedness(x, y, u, v, ridge=ridge, generator=material.generator("shuffled sources"))
    if judged < related:
        raise StepAsideError(
            "the source's pairs say no more about the target's images and texts than the same pairs shuffled "
            f"({judged:+.1f} standard deviations, and {related:g} are wanted)"
        )
    return Unpaired(x, y, u, v, source, scales, {"image": turns[0], "text": turns[1]}, judged)


class AlignedPart(CorrelatedPart):
    """A part that aligns the two media. What the source alone says stays beside its places, with the weight `floor`."""

    def __init__(self, floor: float) -> None:
        self._floor = floor

    def rows(self, medium: Medium, features: Tensor, before: Mapping[str, Tensor]) -> Tensor:
        """Features [n, d] to unit rows [n, k + l]: k places by the maps, and l by the source alone."""
        source_alone = self._floor**0.5 * F.normalize(before["correlation"], dim=1)
        return F.normalize(torch.cat([self.place(medium, features), source_alone], dim=1), dim=1)

    def formula(self, medium: Medium, features: Value, before: Mapping[str, Value], note: Formula) -> Value:
        """What `rows` computes."""
        source_alone = note.sum([note.unit(before["correlation"])], [self._floor**0.5])
        return note.unit(note.join([super().formula(medium, features, before, note), source_alone]))


def relatedness(
    x: Tensor, y: Tensor, u: Tensor, v: Tensor, *, ridge: float, generator: torch.Generator, width: int = 256
) -> float:
    """How far the source's pairs say more about the target than when shuffled, in standard deviations of these.

    The score is the correlation of the similarities of images u [n, d_i] among themselves with those of the texts
    v [m, d_t] that one plan gives them: it needs no label and no pair of the target.
    """
    count = min(JUDGED, len(u), len(v))
    u = u[torch.randperm(len(u), generator=generator)[:count]]
    v = v[torch.randperm(len(v), generator=generator)[:count]]
    among_images = _centred(F.normalize(u, dim=1) @ F.normalize(u, dim=1).T)
    among_texts = F.normalize(v, dim=1) @ F.normalize(v, dim=1).T
    above = torch.triu_indices(count, count, 1)

    def score(texts: Tensor) -> Tensor:
        a, b = correlate(x, texts, width=width, ridge=ridge)
        cosines = F.normalize(u @ a, dim=1) @ F.normalize(v @ b, dim=1).T
        standard = (cosines - cosines.mean()) / cosines.std().clamp_min(1e-12)
        plan = sinkhorn_of_costs(-standard, eps=JUDGES_EPS, tolerance=JUDGES_TOLERANCE)
        carried = _centred(plan.project(plan.project(among_texts).T))
        return torch.corrcoef(torch.stack([among_images[above[0], above[1]], carried[above[0], above[1]]]))[0, 1]

    shuffled = [score(y[torch.randperm(len(y), generator=generator)]) for _ in range(DRAWS)]
    chance = torch.stack(shuffled)
    return float((score(y) - chance.mean()) / chance.std().clamp_min(1e-12))


def _centred(kernel: Tensor) -> Tensor:
    mean = kernel.mean(dim=0)
    return kernel - mean - mean[:, None] + mean.mean()


def evenly(count: int, most: int) -> Tensor:
    """Row numbers out of `count`, at most `most` of them, evenly spaced: int64."""
    taken = min(count, most)
    return torch.arange(taken) * count // max(taken, 1)


def _some(features: Tensor) -> Tensor:
    return features[evenly(len(features), MOST)]
