"""AP^q, the cross-media domain consistency of each target pair, and the probability to keep it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dckt_core.metrics import average_precisions
from dckt_core.protocols import Representation

ITERATION_CAP = 20
"""Rule `code` counts iterations up to here."""


def domain_consistency(view: Representation, labels: Tensor) -> Tensor:
    """AP^q [Q] in [0, 2]: AP of image q against all texts plus AP of text q against all images, own pair included.

    view: the target pairs' common representations under the source network; labels [Q]: target classes.
    """
    image = average_precisions(view.image, view.text, labels, labels)
    text = average_precisions(view.text, view.image, labels, labels)
    return image + text


def keep_probability(ap: Tensor, iteration: int, *, rule: str, alpha: float) -> Tensor:
    """Probability [Q] in [0, alpha] to keep each pair, given its AP^q [Q], in iteration 1, 2, ...

    rule `paper`: alpha (1 - log2((max - AP) / (max iter) + 1));
    rule `code`: alpha (1 - ln((max - AP) / min(iter, 20) + 1)), clamped at 0. Where max(AP) = 0 all get alpha.
    """
    highest = ap.max()
    if highest <= 0:
        return torch.full_like(ap, alpha)
    behind = highest - ap
    if rule == "paper":
        rate = 1 - torch.log1p(behind / (highest * iteration)) / math.log(2)
    elif rule == "code":
        rate = 1 - torch.log1p(behind / min(iteration, ITERATION_CAP))
    else:
        raise ValueError(f"unknown rule '{rule}'")
    return alpha * rate.clamp(0, 1)


def draw(probability: Tensor, ap: Tensor, generator: torch.Generator) -> tuple[Tensor, bool]:
    """Rows kept, each with its own probability [Q], int64; and whether none was, so that the highest AP^q stands in."""
    kept = torch.rand(len(probability), generator=generator, dtype=torch.float64) < probability
    if kept.any():
        return kept.nonzero().squeeze(1), False
    return ap.argmax().reshape(1), True
