"""The part `correlation`: canonical correlations over all training pairs of both domains, whatever their classes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from dckt_core import Known, Material, Medium, PartContext, StepAsideError, advising
from dckt_plugins.parts.catalogue import CorrelationOptions
from dckt_plugins.parts.cca import Correlation

MOST_PAIRS = 4096
"""Of features with more values than this so many pairs are correlated: time grows with the smaller number's cube."""


class CorrelationPart:
    """Places by correlation."""

    def __init__(self, options: CorrelationOptions) -> None:
        self._options = options
        self._maps = Correlation(0, 0, 0)

    def fit(self, material: Material) -> None:
        """Steps aside where nobody knows a pair, of the source or of the target."""
        domains = (material.source, material.target)
        if not sum(known.pairs for known in domains):
            raise StepAsideError("there are no training pairs")
        images, texts = paired(*domains)
        dims = images.shape[1], texts.shape[1]
        material.note(f"{len(images)} pairs, up to {max(dims)} values each")
        with advising(
            lambda: "in the correlation of images and texts", "leave it out, or take an encoder with fewer values"
        ):
            self._maps = Correlation(*dims, self._options.width).fit(images, texts, self._options.ridge)

    def rows(self, medium: Medium, features: Tensor, before: Mapping[str, Tensor]) -> Tensor:
        """Features [n, d] to [n, width]."""
        features = features.cpu().float()
        return self._maps.images(features) if medium == "image" else self._maps.texts(features)

    def state_dict(self) -> dict[str, Tensor]:
        return dict(self._maps.state_dict())

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        sizes = (len(state["image_axes"]), len(state["text_axes"]), state["image_axes"].shape[1])
        self._maps = Correlation(*sizes)
        self._maps.load_state_dict(dict(state))


def paired(source: Known, target: Known) -> tuple[Tensor, Tensor]:
    """Images and texts of both domains' pairs, row by row; some of them where features are very wide."""
    domains = (source, target)
    rows = [torch.arange(known.pairs) for known in domains]
    if max(target.images.shape[1], target.texts.shape[1]) > MOST_PAIRS:
        rows = _some(rows, MOST_PAIRS)
    images = torch.cat([known.images[chosen] for known, chosen in zip(domains, rows, strict=True)])
    texts = torch.cat([known.texts[chosen] for known, chosen in zip(domains, rows, strict=True)])
    return images, texts


def _some(rows: list[Tensor], most: int) -> list[Tensor]:
    """At most so many of both domains' row numbers, evenly spaced in each, half of them or more of the target's."""
    source, target = map(len, rows)
    of_target = min(target, max(most // 2, most - source))
    counts = (min(source, most - of_target), of_target)
    return [
        chosen[torch.arange(count) * len(chosen) // max(count, 1)] for chosen, count in zip(rows, counts, strict=True)
    ]


def build(options: CorrelationOptions, context: PartContext) -> CorrelationPart:
    return CorrelationPart(options)
