"""The part `transport`: images and texts of which nobody knows which belong together, paired by optimal transport.

From the correlation of the source's pairs, in rounds: cosines of the target's images with its texts, and of what the
source's classifiers say of both; a plan between them (unbalanced, so that a class that one medium has more of need not
be matched); each image with the mean of the texts that the plan gives it, and each text with its images, as pseudo-
pairs beside the source's pairs; the correlation anew. (Unpaired alignment by transport: SOTAlign, arXiv 2602.23353.)

Two guards work without labels. The source must say more about the target than the same source with its pairs shuffled.
And what the source alone says stays in the representation, so that a plan that went wrong costs little.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from dckt_core import Known, Material, Medium, PartContext, StepAsideError, advising
from dckt_plugins.parts.catalogue import TransportOptions
from dckt_plugins.parts.cca import Correlation, Scale, correlate, principal_axes
from dckt_plugins.parts.classifiers import MediumClassifier
from dckt_plugins.sinkhorn import shares, sinkhorn

FEWEST = 64
"""Images, and texts; of fewer a plan says too little."""
MOST = 4000
"""Images, and texts, evenly spaced where there are more: a plan has as many entries as both multiplied."""
DRAWS, JUDGED, JUDGES_EPS, JUDGES_ROUNDS = 10, 400, 0.6, 50
"""Of the guard: shuffled sources, items a medium, and a plan of standardised cosines that is good enough to judge by.
"""
SOURCE_C = 0.01
AXES = 400
"""Principal axes in which wide features are compared: the correlations are made anew in every round."""


class TransportPart:
    """Places in the space of the source's pairs and of the target's pseudo-pairs."""

    def __init__(self, options: TransportOptions, context: PartContext) -> None:
        self._options = options
        self._maps: Correlation | None = None

    def fit(self, material: Material) -> None:
        """Steps aside where the target has no unpaired images and texts, or the source says nothing about them."""
        source, target, options = material.source, material.target, self._options
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
        scales = {"image": Scale.of(images), "text": Scale.of(texts)}
        own = {"image": Scale.of(source.images[: source.pairs]), "text": Scale.of(source.texts[: source.pairs])}
        x, y = own["image"](source.images[: source.pairs]), own["text"](source.texts[: source.pairs])
        u, v = scales["image"](images), scales["text"](texts)
        turns = [principal_axes(torch.cat(rows), AXES) for rows in ((x, u), (y, v))]
        x, u, y, v = x @ turns[0], u @ turns[0], y @ turns[1], v @ turns[1]
        with advising(lambda: "in the transport between images and texts", "leave the part 'transport' out"):
            judged = relatedness(x, y, u, v, ridge=options.ridge, generator=material.generator("shuffled sources"))
            if judged < options.related:
                raise StepAsideError(
                    "the source's pairs say no more about the target's images and texts than the same pairs shuffled "
                    f"({judged:+.1f} standard deviations, and {options.related:g} are wanted)"
                )
            hint = self._hint(source, x, y, u, v)
            a, b = self._rounds(x, y, u, v, hint)
        self._maps = Correlation(
            {"image": scales["image"], "text": scales["text"]}, {"image": turns[0] @ a, "text": turns[1] @ b}
        )
        material.note(
            f"{len(images)} images and {len(texts)} texts in {options.rounds} rounds; the source says more about them "
            f"than a shuffled one by {judged:.0f} standard deviations"
        )

    def _rounds(self, x: Tensor, y: Tensor, u: Tensor, v: Tensor, hint: Tensor) -> tuple[Tensor, Tensor]:
        """Axes of images and of texts, from source pairs x, y and unpaired target items u, v, all standardised."""
        options = self._options
        a, b = correlate(x, y, width=options.width, ridge=options.ridge)
        for _ in range(options.rounds):
            similarity = F.normalize(u @ a, dim=1) @ F.normalize(v @ b, dim=1).T + options.hint * hint
            plan = sinkhorn(similarity, options.eps, rho=options.rho or None)
            images = torch.cat([x, u, shares(plan.T) @ u])
            texts = torch.cat([y, shares(plan) @ v, v])
            a, b = correlate(images, texts, width=options.width, ridge=options.ridge)
        return a, b

    @staticmethod
    def _hint(source: Known, x: Tensor, y: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """Cosines of the roots of what classifiers of the source's classes say of target images and texts [n, m]."""
        labels = source.image_labels[: source.pairs]
        told = labels >= 0
        if len(torch.unique(labels[told])) < 2:
            return torch.zeros(len(u), len(v), dtype=torch.float64)
        sides = []
        for rows, items in ((x, u), (y, v)):
            whole = Scale(torch.zeros(rows.shape[1]), torch.ones(rows.shape[1]))
            classifier = MediumClassifier.fit(rows[told], labels[told], classes=source.classes, c=SOURCE_C, scale=whole)
            sides.append(F.normalize(classifier(items).double().sqrt(), dim=1))
        return sides[0] @ sides[1].T

    def rows(self, medium: Medium, features: Tensor, before: Mapping[str, Tensor]) -> Tensor:
        """Features [n, d] to unit rows: places by transport, and with the weight `floor` those by the source alone."""
        assert self._maps is not None
        own = self._maps.place(medium, features.cpu())
        floor = F.normalize(before["correlation"], dim=1)
        return F.normalize(torch.cat([own, self._options.floor**0.5 * floor], dim=1), dim=1)

    def state_dict(self) -> dict[str, Tensor]:
        assert self._maps is not None
        return self._maps.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self._maps = Correlation.of_state(state)


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
        given = shares(sinkhorn(standard, JUDGES_EPS, rounds=JUDGES_ROUNDS))
        carried = _centred(given @ among_texts @ given.T)
        return torch.corrcoef(torch.stack([among_images[above[0], above[1]], carried[above[0], above[1]]]))[0, 1]

    shuffled = [score(y[torch.randperm(len(y), generator=generator)]) for _ in range(DRAWS)]
    chance = torch.stack(shuffled)
    return float((score(y) - chance.mean()) / chance.std().clamp_min(1e-12))


def _centred(kernel: Tensor) -> Tensor:
    mean = kernel.mean(dim=0)
    return kernel - mean - mean[:, None] + mean.mean()


def _some(features: Tensor) -> Tensor:
    count = min(len(features), MOST)
    return features[torch.arange(count) * len(features) // max(count, 1)]


def build(options: TransportOptions, context: PartContext) -> TransportPart:
    return TransportPart(options, context)
