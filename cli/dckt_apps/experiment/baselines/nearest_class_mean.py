"""Nearest class mean: how near an item lies to the mean of each class, in each medium by itself.

The common representation is softmax(cos(x, mean of class c) / T) over the classes c, of standardised features x.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dckt_apps.experiment.baselines.fitting import Fitted, Material, Represent, Scale
from dckt_core.contract.protocols import Representation

TEMPERATURES = (1.0, 0.3, 0.1, 0.03, 0.01)
"""T, one for both media, chosen on validation."""

USUAL = 0.1
"""T where there is no validation."""


class Means:
    """Class means of one medium, of rows [n, d] and labels [n]."""

    def __init__(self, rows: Tensor, labels: Tensor, classes: int) -> None:
        self.scale, self.classes = Scale.of(rows), classes
        self.there = torch.unique(labels)
        self.means = class_means(self.scale(rows), labels)

    def __call__(self, rows: Tensor, temperature: float) -> Tensor:
        """Features [n, d] to probabilities [n, C], float64; 0 of a class without an item."""
        found = torch.zeros(len(rows), self.classes, dtype=torch.float64)
        found[:, self.there] = probabilities(self.scale(rows), self.means, temperature)
        return found


def class_means(rows: Tensor, labels: Tensor) -> Tensor:
    """Unit means [k, d] of rows [n, d], of each class that labels [n] name, in their order."""
    return F.normalize(torch.stack([rows[labels == label].mean(dim=0) for label in torch.unique(labels)]), dim=1)


def probabilities(rows: Tensor, means: Tensor, temperature: float) -> Tensor:
    """Softmax of the cosines of rows [n, d] to unit means [k, d]: [n, k]."""
    return (F.normalize(rows, dim=1) @ means.T / temperature).softmax(dim=1)


def fit(material: Material) -> Fitted:
    """The means of both media, and the temperature that does best on validation. Draws nothing."""
    classes = material.target.classes
    image, text = (Means(*material.labelled("image"), classes), Means(*material.labelled("text"), classes))

    def at(temperature: float) -> Represent:
        return lambda images, texts: Representation(image(images, temperature), text(texts, temperature))

    temperatures = TEMPERATURES if material.judge else (USUAL,)
    return material.judge.best_of(({"temperature": t}, at(t)) for t in temperatures)
