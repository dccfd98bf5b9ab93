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

from dckt_core import Material, Medium, PartContext, advising
from dckt_plugins.parts.catalogue import TransportOptions
from dckt_plugins.parts.cca import Correlation, correlate
from dckt_plugins.parts.unpaired import Unpaired, beside, meet
from dckt_plugins.sinkhorn import shares, sinkhorn


class TransportPart:
    """Places in the space of the source's pairs and of the target's pseudo-pairs."""

    def __init__(self, options: TransportOptions, context: PartContext) -> None:
        self._options = options
        self._maps: Correlation | None = None

    def fit(self, material: Material) -> None:
        """Steps aside where the target has no unpaired images and texts, or the source says nothing about them."""
        options = self._options
        with advising(lambda: "in the transport between images and texts", "leave the part 'transport' out"):
            met = meet(material, ridge=options.ridge, related=options.related)
            self._maps = met.maps(*self._rounds(met))
        material.note(
            f"{len(met.images)} images and {len(met.texts)} texts in {options.rounds} rounds; the source says more "
            f"about them than a shuffled one by {met.judged:.0f} standard deviations"
        )

    def _rounds(self, met: Unpaired) -> tuple[Tensor, Tensor]:
        """Axes of images and of texts."""
        options, hint = self._options, self._hint(met)
        x, y, u, v = met.source_images, met.source_texts, met.images, met.texts
        a, b = correlate(x, y, width=options.width, ridge=options.ridge)
        for _ in range(options.rounds):
            similarity = F.normalize(u @ a, dim=1) @ F.normalize(v @ b, dim=1).T + options.hint * hint
            plan = sinkhorn(similarity, options.eps, rho=options.rho or None)
            images = torch.cat([x, u, shares(plan.T) @ u])
            texts = torch.cat([y, shares(plan) @ v, v])
            a, b = correlate(images, texts, width=options.width, ridge=options.ridge)
        return a, b

    @staticmethod
    def _hint(met: Unpaired) -> Tensor:
        """Cosines of the roots of what classifiers of the source's classes say of target images and texts [n, m]."""
        said = met.among_source_classes()
        if said is None:
            return torch.zeros(len(met.images), len(met.texts), dtype=torch.float64)
        of_images, of_texts = (F.normalize(probabilities.sqrt(), dim=1) for probabilities in said)
        return of_images @ of_texts.T

    def rows(self, medium: Medium, features: Tensor, before: Mapping[str, Tensor]) -> Tensor:
        """Features [n, d] to unit rows: places by transport, and with the weight `floor` those by the source alone."""
        assert self._maps is not None
        return beside(before["correlation"], self._options.floor, self._maps.place(medium, features.cpu()))

    def state_dict(self) -> dict[str, Tensor]:
        assert self._maps is not None
        return self._maps.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self._maps = Correlation.of_state(state)


def build(options: TransportOptions, context: PartContext) -> TransportPart:
    return TransportPart(options, context)
