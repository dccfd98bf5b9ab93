"""What baselines share: samples of features, standardisation, the choice by validation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dckt_core.contract.protocols import Representation
from dckt_core.data.domain import SplitData
from dckt_core.evaluation.scoring import pair_aps


@dataclass(frozen=True)
class Sample:
    """Features of n pairs under frozen encoders: image [n, d], text [n, e], labels [n] int64."""

    image: Tensor
    text: Tensor
    labels: Tensor

    @classmethod
    def of(cls, data: SplitData) -> Sample:
        """A split whose inputs are features."""
        rows = torch.arange(len(data))
        return cls(data.image[rows], data.text[rows], data.labels)


Represent = Callable[[Tensor, Tensor], Representation]
"""Image features [n, d] and text features [m, e] to common representations, image [n, c] and text [m, c]."""


@dataclass(frozen=True)
class Fitted:
    """A method that has learnt, and what it chose on validation, JSON-able."""

    represent: Represent
    choice: Mapping[str, Any]


Baseline = Callable[[Sample, Sample, torch.Generator], Fitted]
"""Training pairs, validation pairs and a generator for every draw, to a method that has learnt."""


def validation_map(represent: Represent, val: Sample) -> float:
    """mAP on validation, the mean of both directions."""
    return float(pair_aps(represent(val.image, val.text), val.labels).mean())


def best_of(candidates: Iterable[tuple[Mapping[str, Any], Represent]], val: Sample) -> Fitted:
    """The candidate of highest mAP on validation; of equal ones the first, so grids begin with the simplest."""
    scored = [(validation_map(represent, val), Fitted(represent, choice)) for choice, represent in candidates]
    return max(scored, key=lambda pair: pair[0])[1]


@dataclass(frozen=True)
class Scale:
    """Standardisation of features, learnt from training rows: mean 0 and variance 1 in each column."""

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> Scale:
        """Of rows [n, d]; a column that never changes is left unscaled."""
        rows = rows.double()
        deviation = rows.std(dim=0, correction=0)
        return cls(rows.mean(dim=0), torch.where(deviation > 0, deviation, 1.0))

    def __call__(self, rows: Tensor) -> Tensor:
        return (rows.double() - self.mean) / self.deviation
