"""The part `transport`: images and texts of which nobody knows which belong together, paired by optimal transport.

From the correlation of the source's pairs, in rounds: cosines of the target's images with its texts, and of what the
source's classifiers say of both; a plan between them (unbalanced, so that a class that one medium has more of need not
be matched); each image with the mean of the texts that the plan gives it, and each text with its images, as pseudo-
pairs beside the source's pairs; the correlation anew. (Unpaired alignment by transport: SOTAlign, arXiv 2602.23353.)

The plan's entropy is chosen without labels: neighbours within a medium should be neighbours still by what the plan
gives them of the other medium.

Two guards work without labels. The source must say more about the target than the same source with its pairs shuffled.
And what the source alone says stays in the representation, so that a plan that went wrong costs little.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dckt_core import Material, PartContext, advising
from dckt_kernels import sinkhorn
from dckt_plugins.parts.catalogue import TransportOptions
from dckt_plugins.parts.cca import correlate
from dckt_plugins.parts.unpaired import AlignedPart, Unpaired, evenly, meet

ENTROPIES = (0.05, 0.07, 0.1, 0.14, 0.2)
"""Of the plan, to choose from."""
CHOOSES, NEIGHBOURS = 1000, 10
"""Items a medium by which the entropy is chosen, and neighbours of each."""


Axes = tuple[Tensor, Tensor]
"""Of images [d_i, k] and of texts [d_t, k], or rows of both."""


@dataclass(frozen=True)
class _Aligned:
    """Axes of images [d_i, k] and of texts [d_t, k], and what the last plan gives: texts [n, d_t], images [m, d_i]."""

    of_images: Tensor
    of_texts: Tensor
    given_texts: Tensor
    given_images: Tensor


class TransportPart(AlignedPart):
    """Places in the space of the source's pairs and of the target's pseudo-pairs."""

    def __init__(self, options: TransportOptions, context: PartContext) -> None:
        super().__init__(options.floor)
        self._options = options

    def fit(self, material: Material) -> None:
        """Steps aside where the target has no unpaired images and texts, or the source says nothing about them."""
        options = self._options
        with advising(lambda: "in the transport between images and texts", "leave the part 'transport' out"):
            met = meet(material, ridge=options.ridge, related=options.related)
            hints = self._hints(met)
            start = correlate(met.source_images, met.source_texts, width=options.width, ridge=options.ridge)
            eps = options.eps or self._choose_eps(met, start, hints, material)
            aligned = self._align(met, met.images, met.texts, start, hints, eps)
            self._maps = met.maps(aligned.of_images, aligned.of_texts)
        material.note(
            f"{len(met.images)} images and {len(met.texts)} texts in {options.rounds} rounds; the source says more "
            f"about them than a shuffled one by {met.judged:.0f} standard deviations"
        )

    def _align(self, met: Unpaired, u: Tensor, v: Tensor, start: Axes, hints: Axes, eps: float) -> _Aligned:
        """Images u [n, d_i] and texts v [m, d_t], beside the source's pairs, from the axes of these alone."""
        options, x, y, (a, b) = self._options, met.source_images, met.source_texts, start
        for _ in range(options.rounds):
            # Half the squared distance of such rows is a constant less the cosine and the weighted hint.
            images, texts = (
                torch.cat([F.normalize(places, dim=1), hint], dim=1).float()
                for places, hint in zip((u @ a, v @ b), hints, strict=True)
            )
            plan = sinkhorn(images, texts, eps=2 * eps, rho=2 * options.rho or None)
            given_texts, given_images = plan.project(v).double(), plan.project_transposed(u).double()
            images, texts = torch.cat([x, u, given_images]), torch.cat([y, given_texts, v])
            a, b = correlate(images, texts, width=options.width, ridge=options.ridge)
        return _Aligned(a, b, given_texts, given_images)

    def _choose_eps(self, met: Unpaired, start: Axes, hints: Axes, material: Material) -> float:
        """Where most neighbours within a medium are neighbours still by what the plan gives them of the other one."""
        rows, columns = evenly(len(met.images), CHOOSES), evenly(len(met.texts), CHOOSES)
        u, v = met.images[rows], met.texts[columns]
        some = hints[0][rows], hints[1][columns]
        agreement = {}
        for eps in ENTROPIES:
            aligned = self._align(met, u, v, start, some, eps)
            agreement[eps] = (kept_neighbours(u, aligned.given_texts) + kept_neighbours(v, aligned.given_images)) / 2
        best = max(agreement, key=lambda eps: agreement[eps])
        told = ", ".join(f"{share:.3f} with {eps:g}" for eps, share in agreement.items())
        material.note(f"eps is {best:g}: share of neighbours within a medium that the plan keeps: {told}")
        return best

    def _hints(self, met: Unpaired) -> Axes:
        """Rows of images [n, C] and of texts [m, C] whose products are the weighted hint: the cosine of the roots of
        what classifiers of the source's classes say of both. Without such classifiers they have no columns.
        """
        said = met.among_source_classes()
        if said is None:
            return met.images.new_zeros(len(met.images), 0), met.texts.new_zeros(len(met.texts), 0)
        of_images, of_texts = (self._options.hint**0.5 * F.normalize(p.sqrt(), dim=1) for p in said)
        return of_images, of_texts


def kept_neighbours(items: Tensor, given: Tensor, count: int = NEIGHBOURS) -> float:
    """Share in [0, 1] of each item's nearest others by cosine, rows [n, d], that are so too by `given` [n, e]."""
    count = min(count, len(items) - 1)
    nearest = []
    for rows in (items, given):
        unit = F.normalize(rows, dim=1)
        cosines = (unit @ unit.T).fill_diagonal_(-2.0)
        nearest.append(torch.zeros_like(cosines).scatter_(1, cosines.topk(count, dim=1).indices, 1.0))
    return float((nearest[0] * nearest[1]).sum() / (count * len(items)))


def build(options: TransportOptions, context: PartContext) -> TransportPart:
    return TransportPart(options, context)
