"""Canonical correlation analysis: directions of both media along which paired items correlate most. Knows no labels.

On the first principal components of standardised features: with more columns than pairs there is always a perfect
correlation, and it means nothing. For whitened components the canonical directions are the singular vectors of the
cross-covariance (Hotelling 1936), so scikit-learn's PCA and PLSSVD give them exactly, and thousands of times faster
than its iterative CCA. The common representation is an item's canonical variates, or these times their correlations
(Rasiwasia et al., ACM Multimedia 2010, brought the first to retrieval).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor

from dckt_apps.experiment.baselines.fitting import MIN_PAIRS, Fitted, Material, Represent, Scale
from dckt_apps.experiment.baselines.pls import Projection, cut
from dckt_core.contract.protocols import Representation

PRINCIPAL = (8, 16, 32, 64, 128, 256)
"""Principal components of each medium, as far as pairs and columns allow; besides, as many as these do allow."""

VARIATES = (2, 4, 8, 16, 32, 64, 128, 256)
"""Canonical variates, no more than principal components. Both numbers, and whether variates count by their correlation,
are chosen on validation; where there is none, they are the largest, and do."""


class Whitened:
    """Standardised features of one medium as uncorrelated columns of variance 1, the largest component first.

    Args:
        rows: [n, d], of which they are learnt.
        most: at most so many.
    """

    def __init__(self, rows: Tensor, most: int) -> None:
        from sklearn.decomposition import PCA

        self.scale = Scale.of(rows)
        scaled = self.scale(rows)
        self.model = PCA(min(most, *scaled.shape), whiten=True, svd_solver="full").fit(scaled.numpy())
        spread = torch.from_numpy(self.model.singular_values_)
        tiny = max(scaled.shape) * torch.finfo(rows.dtype).eps * spread[0]
        self.columns = max(1, int((spread > tiny).sum()))  # what is left beyond is rounding, blown up
        self.learnt = self(rows)

    def __call__(self, rows: Tensor) -> Tensor:
        """Features [n, d] to components [n, columns], float64."""
        if not len(rows):
            return torch.zeros(0, self.columns, dtype=torch.float64)
        return torch.from_numpy(self.model.transform(self.scale(rows).numpy()))[:, : self.columns]


class Analysis:
    """Canonical correlation analyses of the target's pairs, or of those of both domains.

    Where no pair is the target's but images and texts of other pairs are, these say how its features are standardised.

    Raises:
        NothingToLearnError: there are no pairs.
    """

    def __init__(self, material: Material, *, both: bool) -> None:
        images, texts = material.pairs(both=both)
        self.image, self.text = Whitened(images, max(PRINCIPAL)), Whitened(texts, max(PRINCIPAL))
        self.most = min(self.image.columns, self.text.columns)
        target = material.target
        if not target.pairs and min(len(target.images), len(target.texts)) >= MIN_PAIRS:
            self.image.scale, self.text.scale = Scale.of(target.images), Scale.of(target.texts)

    def of(self, principal: int, *, weighted: bool) -> Represent:
        """All variates of the first principal components."""
        learnt = self.image.learnt[:, :principal], self.text.learnt[:, :principal]
        project = Projection(*learnt, principal)
        scores = project(*learnt)
        correlations = (scores.image * scores.text).mean(dim=0) if weighted else torch.ones(principal)

        def represent(images: Tensor, texts: Tensor) -> Representation:
            found = project(self.image(images)[:, :principal], self.text(texts)[:, :principal])
            return Representation(found.image * correlations, found.text * correlations)

        return represent

    def largest(self) -> Represent:
        """What is taken where there is nothing to choose by."""
        return self.of(self.most, weighted=True)

    def candidates(self) -> Iterator[tuple[Mapping[str, Any], Represent]]:
        """Each number of principal components, cut to each number of variates."""
        for principal, weighted in product(_up_to(PRINCIPAL, self.most), (False, True)):
            represent = self.of(principal, weighted=weighted)
            for variates in _up_to(VARIATES, principal):
                choice = {"principal_components": principal, "variates": variates, "weighted": weighted}
                yield choice, cut(represent, variates)


def fit(material: Material) -> Fitted:
    """Over the target's pairs. Draws nothing."""
    return _fit(material, both=False)


def fit_both(material: Material) -> Fitted:
    """Over the pairs of both domains. Draws nothing."""
    return _fit(material, both=True)


def _fit(material: Material, *, both: bool) -> Fitted:
    analysis = Analysis(material, both=both)
    if not material.judge:
        return Fitted(analysis.largest(), {"principal_components": analysis.most, "weighted": True})
    return material.judge.best_of(analysis.candidates())


def _up_to(counts: Sequence[int], most: int) -> list[int]:
    """Those below `most`, and itself."""
    return [*(count for count in counts if count < most), most]
