"""The common space in which images and texts are compared: by itself the target network's class probabilities.

Two more parts may stand beside them. The source network's class probabilities say what an item would be among the
source's classes; the correlation says where its features lie among those of all pairs, whatever their classes. Each
part is scaled to length 1 times the root of its weight, so that the cosine of two items is the weighted mean of the
parts' cosines.
"""

from __future__ import annotations

from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dckt_core.config import Part, RepresentationConfig
from dckt_core.contract.protocols import Representation
from dckt_core.method.correlation import Correlation
from dckt_core.method.network import DomainNetwork

PARTS: tuple[Part, ...] = ("source", "correlation")


def choices(config: RepresentationConfig) -> list[tuple[Part, ...]]:
    """What may be left out of the common representation: nothing, first, or any of the parts that have a weight."""
    parts = [part for part in PARTS if getattr(config, part)]
    return [left_out for count in range(len(parts) + 1) for left_out in combinations(parts, count)]


class CommonSpace(nn.Module):
    """Encodes either medium by itself.

    Args:
        target: the target network.
        source: the source network, or None to leave its part out, as for what learnt nothing from the source.
        correlation: likewise.
        config: the weights of the parts.
    """

    def __init__(
        self,
        target: DomainNetwork,
        config: RepresentationConfig,
        *,
        source: DomainNetwork | None = None,
        correlation: Correlation | None = None,
    ) -> None:
        super().__init__()
        self.target = target
        self.source = source if config.source else None
        self.correlation = correlation if config.correlation else None
        self.config = config

    @property
    def dim(self) -> int:
        """D: the number of target classes where there is one part, or the sum of the parts' widths."""
        widths = [self.target.fc10.out_features]
        widths += [] if self.source is None else [self.source.fc10.out_features]
        widths += [] if self.correlation is None else [self.correlation.image_axes.shape[1]]
        return sum(widths)

    @torch.no_grad()
    def represent(self, images: Tensor | None, texts: Tensor | None) -> Representation:
        """Common representations of image inputs [n, ...] and text inputs [m, ...]: [n, D] and [m, D], float32."""
        view = self.target.represent(images, texts)
        if self.source is None and self.correlation is None:
            return view
        parts = [(self.config.target, view)]
        if self.source is not None:
            parts.append((self.config.source, self.source.represent(images, texts)))
        if self.correlation is not None:
            nothing = view.image.new_zeros((0, self.correlation.image_axes.shape[1]))
            image = nothing if images is None else self.correlation.images(images)
            text = nothing if texts is None else self.correlation.texts(texts)
            parts.append((self.config.correlation, Representation(image.float(), text.float())))
        return Representation(
            torch.cat([weight**0.5 * F.normalize(part.image, dim=1) for weight, part in parts], dim=1),
            torch.cat([weight**0.5 * F.normalize(part.text, dim=1) for weight, part in parts], dim=1),
        )
