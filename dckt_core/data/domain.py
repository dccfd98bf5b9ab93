"""A domain as the networks see it: each split's inputs of both media and its labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dckt_core.contract.pairs import Pair, PairSet, Role, Split
from dckt_core.data.inputs import Inputs


@dataclass(frozen=True)
class Batch:
    """Inputs and labels of n pairs, on the device."""

    image: Tensor
    text: Tensor
    labels: Tensor  # [n], int64


@dataclass(frozen=True)
class SplitData:
    """One split of a domain; row i of `image`, `text` and `labels` is `pairs[i]`."""

    pairs: Sequence[Pair]
    image: Inputs
    text: Inputs
    labels: Tensor  # [N], int64

    def __len__(self) -> int:
        return len(self.pairs)

    def batch(self, rows: Tensor, device: torch.device) -> Batch:
        """The pairs of some rows [n]."""
        return Batch(self.image[rows].to(device), self.text[rows].to(device), self.labels[rows].to(device))


@dataclass(frozen=True)
class Domain:
    """Source or target, ready to train on."""

    role: Role
    pair_set: PairSet
    splits: Mapping[Split, SplitData]

    @property
    def classes(self) -> int:
        return len(self.pair_set.classes)

    @property
    def train(self) -> SplitData:
        return self.splits["train"]
