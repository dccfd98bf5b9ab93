"""Nearest class mean: how near an item lies to the mean of each class, in each medium by itself.

The common representation is softmax(cos(x, mean of class c) / T) over the classes c, of standardised features x.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dckt_apps.experiment.baselines.fitting import Fitted, Represent, Sample, Scale, best_of
from dckt_core.contract.protocols import Representation

TEMPERATURES = (1.0, 0.3, 0.1, 0.03, 0.01)
"""T, one for both media, chosen by mAP on validation."""


class Means:
    """Class means of one medium."""

    def __init__(self, rows: Tensor, labels: Tensor) -> None:
        self.scale = Scale.of(rows)
        scaled = self.scale(rows)
        classes = range(int(labels.max()) + 1)
        self.means = F.normalize(torch.stack([scaled[labels == label].mean(dim=0) for label in classes]), dim=1)

    def __call__(self, rows: Tensor, temperature: float) -> Tensor:
        """Features [n, d] to probabilities [n, C], float64."""
        return (F.normalize(self.scale(rows), dim=1) @ self.means.T / temperature).softmax(dim=1)


def fit(train: Sample, val: Sample, generator: torch.Generator) -> Fitted:
    """The means of both media, and the temperature that does best on validation. Draws nothing."""
    image, text = Means(train.image, train.labels), Means(train.text, train.labels)

    def at(temperature: float) -> Represent:
        return lambda images, texts: Representation(image(images, temperature), text(texts, temperature))

    return best_of((({"temperature": t}, at(t)) for t in TEMPERATURES), val)
