"""Multinomial logistic regression on standardised features: scikit-learn fits it, and it is kept as plain tensors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

FLOOR = 1e-6
"""Added to a feature's standard deviation: one that never changes has no weight."""
ITERATIONS = 200
STATE = ("mean", "scale", "weight", "bias", "taught", "classes")


class Logistic:
    """Features [n, d] to class probabilities [n, C]; a class that it was not taught has probability 0.

    Args:
        mean, scale: [d], what a feature is standardised with.
        weight, bias: [k, d] and [k].
        taught: numbers of the k classes.
        classes: C.
    """

    def __init__(self, mean: Tensor, scale: Tensor, weight: Tensor, bias: Tensor, taught: Tensor, classes: int) -> None:
        self.mean, self.scale, self.weight, self.bias, self.taught = mean, scale, weight, bias, taught
        self.classes = classes

    @classmethod
    def fit(
        cls,
        features: Tensor,
        labels: Tensor,
        *,
        classes: int,
        c: float,
        weights: Tensor | None = None,
        standardise: bool = True,
    ) -> Logistic:
        """Learns from features [n, d] with labels [n] of two classes or more, and weights [n] of the items."""
        mean, scale = features.new_zeros(features.shape[1]), features.new_ones(features.shape[1])
        if standardise:
            mean, scale = features.mean(dim=0), 1 / (features.std(dim=0, correction=0) + FLOOR)
        model = LogisticRegression(C=c, max_iter=ITERATIONS)
        rows = ((features - mean) * scale).numpy()
        model.fit(rows, labels.numpy(), sample_weight=None if weights is None else weights.numpy())
        weight, bias = torch.from_numpy(model.coef_).float(), torch.from_numpy(model.intercept_).float()
        if len(model.classes_) == 2:  # scikit-learn keeps one row for two classes: the logit of the second
            weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
        return cls(mean, scale, weight, bias, torch.from_numpy(model.classes_).long(), classes)

    def __call__(self, features: Tensor) -> Tensor:
        """Probabilities [n, C] of features [n, d]."""
        logits = (features - self.mean) * self.scale @ self.weight.T + self.bias
        rows = logits.new_zeros(len(features), self.classes)
        rows[:, self.taught] = logits.softmax(dim=1)
        return rows

    def state_dict(self) -> dict[str, Tensor]:
        return {
            "mean": self.mean,
            "scale": self.scale,
            "weight": self.weight,
            "bias": self.bias,
            "taught": self.taught,
            "classes": torch.tensor(self.classes),
        }

    @classmethod
    def of_state(cls, state: Mapping[str, Tensor], name: str) -> Logistic:
        """What `state_dict` gave, kept under `name.`."""
        mean, scale, weight, bias, taught, classes = (state[f"{name}.{key}"] for key in STATE)
        return cls(mean, scale, weight, bias, taught, int(classes))
