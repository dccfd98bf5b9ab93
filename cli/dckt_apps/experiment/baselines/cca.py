"""Canonical correlation analysis: directions of both media along which paired items correlate most. Knows no labels.

On the first principal components of standardised features: with more columns than pairs there is always a perfect
correlation, and it means nothing. For whitened components the canonical directions are the singular vectors of the
cross-covariance (Hotelling 1936), so scikit-learn's PCA and PLSSVD give them exactly, and thousands of times faster
than its iterative CCA. The common representation is an item's canonical variates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from dckt_apps.experiment.baselines.fitting import Fitted, Represent, Sample, Scale, best_of
from dckt_apps.experiment.baselines.pls import Projection, cut
from dckt_core.contract.protocols import Representation

PRINCIPAL = (8, 16, 32, 64, 128)
"""Principal components of each medium, as far as pairs and columns allow."""

VARIATES = (2, 4, 8, 16, 32, 64, 128)
"""Canonical variates, no more than principal components. Both are chosen by mAP on validation."""


class Whitened:
    """Standardised features of one medium as uncorrelated columns of variance 1, the largest component first."""

    def __init__(self, rows: Tensor, most: int) -> None:
        from sklearn.decomposition import PCA

        self.scale = Scale.of(rows)
        scaled = self.scale(rows)
        rank = min(most, int(torch.linalg.matrix_rank(scaled)))  # what is left beyond is rounding, blown up
        self.model = PCA(rank, whiten=True, svd_solver="full").fit(scaled.numpy())

    @property
    def columns(self) -> int:
        return int(self.model.n_components_)

    def __call__(self, rows: Tensor) -> Tensor:
        """Features [n, d] to components [n, columns], float64."""
        return torch.from_numpy(self.model.transform(self.scale(rows).numpy()))


def fit(train: Sample, val: Sample, generator: torch.Generator) -> Fitted:
    """One analysis for each number of principal components, cut to each number of variates. Draws nothing."""
    return best_of(_candidates(train), val)


def _candidates(train: Sample) -> Iterator[tuple[Mapping[str, Any], Represent]]:
    image, text = Whitened(train.image, max(PRINCIPAL)), Whitened(train.text, max(PRINCIPAL))
    most = min(image.columns, text.columns)
    for principal in [count for count in PRINCIPAL if count <= most] or [most]:
        represent = _analysis(train, image, text, principal)
        for variates in [count for count in VARIATES if count <= principal] or [principal]:
            yield {"principal_components": principal, "variates": variates}, cut(represent, variates)


def _analysis(train: Sample, image: Whitened, text: Whitened, principal: int) -> Represent:
    project = Projection(image(train.image)[:, :principal], text(train.text)[:, :principal], principal)

    def represent(images: Tensor, texts: Tensor) -> Representation:
        return project(image(images)[:, :principal], text(texts)[:, :principal])

    return represent
