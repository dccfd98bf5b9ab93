"""Multinomial logistic regression on the rows of items: scikit-learn fits it, and it is kept as plain tensors."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import torch
from torch import Tensor

from dckt_core import Formula, Value

ITERATIONS = 200
TOLERANCE = 1e-3
"""Of the gradient: probabilities have settled long before the last digit of a weight."""
STATE = ("weight", "bias", "taught", "classes")


class Logistic:
    """Rows [n, d] to class probabilities [n, C]; a class that it was not taught has probability 0.

    Args:
        weight, bias: [k, d] and [k].
        taught: numbers of the k classes.
        classes: C.
    """

    def __init__(self, weight: Tensor, bias: Tensor, taught: Tensor, classes: int) -> None:
        self.weight, self.bias, self.taught, self.classes = weight, bias, taught, classes

    @classmethod
    def fit(cls, rows: Tensor, labels: Tensor, *, classes: int, c: float, weights: Tensor | None = None) -> Logistic:
        """Learns from rows [n, d] with labels [n], int64, of two classes or more, and weights [n] of the items.

        c: inverse strength of the L2 penalty.
        """
        # A second that a run which is only read back need not wait.
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(C=c, max_iter=ITERATIONS, tol=TOLERANCE)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a classifier that has nearly converged is as good
            warnings.simplefilter("ignore", RuntimeWarning)  # the search for a step tries some that are too large
            model.fit(rows.float().numpy(), labels.numpy(), sample_weight=None if weights is None else weights.numpy())
        # As it will be read back: in another layout a product has other last bits.
        weight, bias = torch.from_numpy(model.coef_).float().contiguous(), torch.from_numpy(model.intercept_).float()
        if len(model.classes_) == 2:  # scikit-learn keeps one row for two classes: the logit of the second
            weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
        return cls(weight, bias, torch.from_numpy(model.classes_).long(), classes)

    def __call__(self, rows: Tensor) -> Tensor:
        """Probabilities [n, C] of rows [n, d], float32."""
        probabilities = (rows.float() @ self.weight.T + self.bias).softmax(dim=1)
        spread = probabilities.new_zeros(len(rows), self.classes)
        spread[:, self.taught] = probabilities
        return spread

    def formula(self, rows: Value, note: Formula) -> Value:
        """What calling it computes."""
        spread = torch.eye(self.classes)[self.taught]
        return note.linear(note.softmax(note.linear(rows, self.weight.T, self.bias)), spread)

    def state_dict(self) -> dict[str, Tensor]:
        return {
            "weight": self.weight,
            "bias": self.bias,
            "taught": self.taught,
            "classes": torch.tensor(self.classes),
        }

    @classmethod
    def of_state(cls, state: Mapping[str, Tensor], name: str) -> Logistic:
        """What `state_dict` gave, kept under `name.`."""
        weight, bias, taught, classes = (state[f"{name}.{key}"] for key in STATE)
        return cls(weight, bias, taught, int(classes))


def named(states: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Several states as one, each under its name and a dot."""
    return {f"{name}.{key}": value for name, state in states.items() for key, value in state.items()}


def under(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The members of a state whose names begin with `name.`, without it."""
    start = f"{name}."
    return {key.removeprefix(start): value for key, value in state.items() if key.startswith(start)}
