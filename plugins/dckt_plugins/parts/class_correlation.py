"""The part `class-correlation`: the correlation once more, now that classes are known or believed in.

Beside the pairs themselves, each image is paired with the mean text of its class, and each text with the mean image:
what a pair says of its class counts for all others of it. The students say how much each pair is of each class.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dckt_core import Material, PartContext, StepAsideError
from dckt_plugins.parts.catalogue import CorrelationOptions
from dckt_plugins.parts.cca import Correlation
from dckt_plugins.parts.correlation import CorrelationPart, pairs, varied

LEAST = 1e-9


class ClassCorrelationPart(CorrelationPart):
    """Places by a correlation that knows of classes."""

    def fit(self, material: Material) -> None:
        """Steps aside where the target has no pairs, or there are no students."""
        target = material.target
        of_source, (images, texts) = pairs(material.source, target)
        if len(images) < 2:
            raise StepAsideError("the target has no pairs")
        try:
            said = [material.rows("students", "image", images), material.rows("students", "text", texts)]
        except KeyError:
            raise StepAsideError("there are no students who could say what class a pair is of") from None
        belief = (said[0] * said[1]).sqrt() + LEAST
        belief = belief / belief.sum(dim=1, keepdim=True)
        if len(images) == target.pairs:
            labels = target.image_labels[: target.pairs]
            belief[labels >= 0] = F.one_hot(labels[labels >= 0], belief.shape[1]).to(belief.dtype)
        weight = self._source_weight(material)
        (source_images, source_texts), own = of_source, torch.ones(3 * len(images))
        weights = torch.cat([own, torch.full((len(source_images),), weight)]) if weight else own
        self._maps = varied(
            Correlation.fit(
                torch.cat([images, images, _class_means(belief, images), *([source_images] if weight else [])]),
                torch.cat([texts, _class_means(belief, texts), texts, *([source_texts] if weight else [])]),
                width=self._options.width,
                ridge=self._options.ridge,
                weights=weights,
            )
        )


def _class_means(belief: Tensor, features: Tensor) -> Tensor:
    """The mean features of each item's class [n, d], by belief in classes [n, C]."""
    return belief @ (belief.T @ features / belief.sum(dim=0).clamp_min(LEAST)[:, None])


def build(options: CorrelationOptions, context: PartContext) -> ClassCorrelationPart:
    return ClassCorrelationPart(options)
