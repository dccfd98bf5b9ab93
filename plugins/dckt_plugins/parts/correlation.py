"""The part `correlation`: what images and texts have in common, over all training pairs of both domains.

How much a source pair counts beside a target pair is chosen by held-out target pairs, without labels: the source comes
in where they find each other clearly better with it. A source that has nothing to say is left out.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from dckt_core import Known, Material, Medium, PartContext, StepAsideError, advising, reciprocal_ranks, standard_errors
from dckt_plugins.parts.catalogue import CorrelationOptions
from dckt_plugins.parts.cca import CorrelatedPart, Correlation

MOST_PAIRS = 4096
"""Of features with more values than this so many pairs are correlated: time grows with the smaller number's cube."""
FOLDS = 2
FEWEST = 16
"""Target pairs; with fewer nothing can be held out."""
CLEARLY = 2.0
"""The source comes in where held-out pairs find each other earlier with it by more standard errors than this."""


class CorrelationPart(CorrelatedPart):
    """Places by correlation."""

    def __init__(self, options: CorrelationOptions) -> None:
        self._options = options

    def fit(self, material: Material) -> None:
        """Steps aside where nobody knows a pair, of the source or of the target."""
        source, target = material.source, material.target
        if source.pairs + target.pairs < 2:
            raise StepAsideError("there are no training pairs")
        advice = "leave it out, or take an encoder with fewer values"
        with advising(lambda: "in the correlation of images and texts", advice):
            weight = self._source_weight(material)
            self._maps = varied(self._fit(*pairs(source, target), weight))

    def _source_weight(self, material: Material) -> float:
        """How much a source pair counts beside a target pair."""
        source, target, weight = material.source, material.target, self._options.source_weight
        if target.pairs < 2 or not source.pairs or not weight:
            return weight
        if target.pairs < FEWEST:
            material.note(f"a source pair counts {weight:g}; {target.pairs} target pairs are too few to judge it by")
            return weight
        of_source, of_target = pairs(source, target)
        order = torch.randperm(len(of_target[0]), generator=material.generator("held-out pairs"))
        ranks: dict[float, list[Tensor]] = {0.0: [], weight: []}
        for fold in range(FOLDS):
            held = order[fold::FOLDS]
            rest = torch.cat([order[other::FOLDS] for other in range(FOLDS) if other != fold])
            images, texts = of_target
            for tried in ranks:
                maps = self._fit(of_source, (images[rest], texts[rest]), tried)
                ranks[tried].append(
                    reciprocal_ranks(maps.place("image", images[held]), maps.place("text", texts[held]))
                )
        without, beside = (torch.cat(ranks[tried]) for tried in (0.0, weight))
        errors = standard_errors(beside - without)
        chosen = weight if errors > CLEARLY else 0.0
        material.note(
            f"a source pair counts {chosen:g}: held-out target pairs find each other at a mean reciprocal rank of "
            f"{beside.mean():.3f} with the source, {without.mean():.3f} without ({errors:+.1f} standard errors)"
        )
        return chosen

    def _fit(self, of_source: tuple[Tensor, Tensor], of_target: tuple[Tensor, Tensor], weight: float) -> Correlation:
        domains = (of_source, of_target) if weight or not len(of_target[0]) else (of_target,)
        counts = [len(images) for images, _ in domains]
        weights = torch.ones(sum(counts))
        if len(domains) == 2 and counts[1]:
            weights[: counts[0]] = weight
        return Correlation.fit(
            torch.cat([images for images, _ in domains]),
            torch.cat([texts for _, texts in domains]),
            width=self._options.width,
            ridge=self._options.ridge,
            weights=weights,
        )

    def rows(self, medium: Medium, features: Tensor, before: Mapping[str, Tensor]) -> Tensor:
        """Features [n, d] to unit rows [n, width]."""
        return self.place(medium, features)


def varied(maps: Correlation) -> Correlation:
    """The maps themselves, as long as they have an axis.

    Raises:
        StepAsideError: they have none, since a medium whose items are all equal correlates with nothing.
    """
    if not maps.axes["image"].shape[1]:
        raise StepAsideError("the images of the pairs that it learns from are all equal, or their texts are")
    return maps


Pairs = tuple[Tensor, Tensor]


def pairs(source: Known, target: Known) -> tuple[Pairs, Pairs]:
    """Images and texts of each domain's pairs, row by row; some of them where features are very wide."""
    counts = [source.pairs, target.pairs]
    if max(target.images.shape[1], target.texts.shape[1]) > MOST_PAIRS:
        of_target = min(target.pairs, max(MOST_PAIRS // 2, MOST_PAIRS - source.pairs))
        counts = [min(source.pairs, MOST_PAIRS - of_target), of_target]
    rows = [
        torch.arange(count) * known.pairs // max(count, 1)
        for known, count in zip((source, target), counts, strict=True)
    ]
    first, second = (
        (known.images[chosen], known.texts[chosen]) for known, chosen in zip((source, target), rows, strict=True)
    )
    return first, second


def build(options: CorrelationOptions, context: PartContext) -> CorrelationPart:
    return CorrelationPart(options)
