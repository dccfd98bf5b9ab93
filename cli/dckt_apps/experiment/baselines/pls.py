"""Partial least squares: directions of both media along which paired items covary most. Knows no labels.

The singular vectors of the two media's cross-covariance (scikit-learn's PLSSVD) on standardised features; the common
representation is an item's scores. Sharma and Jacobs, "Bypassing synthesis: PLS for face recognition with pose, low
resolution and sketch", CVPR 2011, brought it to retrieval across media.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dckt_apps.experiment.baselines.fitting import Fitted, Material, Represent, Scale
from dckt_core.contract.protocols import Representation

COMPONENTS = (2, 4, 8, 16, 32, 64, 128)
"""How many directions, as far as pairs and columns allow; chosen on validation, and the most where there is none."""


class Projection:
    """Scores of rows that are centred and scaled already, the most covarying direction first."""

    def __init__(self, image: Tensor, text: Tensor, components: int) -> None:
        from sklearn.cross_decomposition import PLSSVD

        self.model = PLSSVD(components, scale=False).fit(image.numpy(), text.numpy())

    def __call__(self, image: Tensor, text: Tensor) -> Representation:
        """Rows [n, d] and [m, e] to scores [n, components] and [m, components], float64."""
        return Representation(
            image @ torch.from_numpy(self.model.x_weights_), text @ torch.from_numpy(self.model.y_weights_)
        )


def cut(represent: Represent, count: int) -> Represent:
    """The first `count` columns of a representation."""

    def first(images: Tensor, texts: Tensor) -> Representation:
        whole = represent(images, texts)
        return Representation(whole.image[:, :count], whole.text[:, :count])

    return first


def fit(material: Material) -> Fitted:
    """One decomposition, cut to each number of components. Draws nothing."""
    images, texts = material.pairs(both=False)
    image, text = Scale.of(images), Scale.of(texts)
    most = min(max(COMPONENTS), len(images) - 1, images.shape[1], texts.shape[1])
    project = Projection(image(images), text(texts), most)

    def represent(images: Tensor, texts: Tensor) -> Representation:
        return project(image(images), text(texts))

    counts = [count for count in COMPONENTS if count < most] if material.judge else []
    return material.judge.best_of(({"components": count}, cut(represent, count)) for count in [*counts, most])
