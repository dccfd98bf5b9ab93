"""The adaptive keep rate: how likely each target pair takes part in an iteration. Formulas: docs/method.md."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from dckt_core import SamplerState
from dckt_plugins.samplers.catalogue import KeepRateOptions

Rule = Literal["paper", "code"]

ITERATION_CAP = 20
"""Rule `code` counts iterations up to here."""


def keep_rate(ap: Tensor, state: SamplerState, options: KeepRateOptions, iterations: int) -> Tensor:
    """How likely each pair is kept [Q] in the state's iteration, of `iterations`, given its AP^q [Q].

    Rules `paper` and `code`: as `keep_probability`; `share`: alpha for the best iteration / iterations of each class.
    """
    if options.rule == "share":
        return options.alpha * keep_share(ap, state.labels, min(1.0, state.iteration / iterations))
    return keep_probability(ap, state.iteration, options.rule, options.alpha)


def keep_probability(ap: Tensor, iteration: int, rule: Rule, alpha: float) -> Tensor:
    """Probability [Q] in [0, alpha] to keep each pair, given its AP^q [Q], in iteration 1, 2, ...

    rule `paper`: alpha (1 - log2((max AP - AP^q) / (max AP iter) + 1));
    rule `code`: alpha (1 - ln((max AP - AP^q) / min(iter, 20) + 1)), which falls below 0 and is clamped.
    The pair of highest AP^q has probability alpha. Where max AP = 0 no pair stands out and all have it.

    Raises:
        ValueError: iteration < 1, alpha outside (0, 1], an unknown rule.
    """
    if iteration < 1:
        raise ValueError(f"iteration = {iteration} must be 1 or more")
    if not 0 < alpha <= 1:
        raise ValueError(f"alpha = {alpha} must lie in (0, 1]")
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


def keep_share(ap: Tensor, labels: Tensor, share: float) -> Tensor:
    """1 for the pairs of highest AP^q [Q] in each class of `labels` [Q], so many that they are `share` of it; else 0.

    Class by class, since over all classes at once the easy ones would leave no room for the others.
    """
    kept = torch.zeros_like(ap)
    for label in torch.unique(labels):
        members = (labels == label).nonzero().squeeze(1)
        count = math.ceil(share * len(members))
        kept[members[ap[members].argsort(descending=True, stable=True)[:count]]] = 1
    return kept


def draw(probability: Tensor, generator: torch.Generator) -> Tensor:
    """Rows kept, each with its own probability [Q]: int64, in order, perhaps none."""
    chance = torch.rand(len(probability), generator=generator, dtype=torch.float64)
    return (chance < probability).nonzero().squeeze(1)
