"""Pairs as items: five pairs of one picture with five texts are one picture and five texts."""

from __future__ import annotations

import torch
from torch import Tensor

from dckt_core.contract.protocols import Representation
from dckt_core.evaluation.cosines import repeated_rows, unit

SAME = 1e-5
"""Unit vectors this near to each other may be one representation that was computed twice in float32."""


def first_of_each(numbers: Tensor) -> Tensor:
    """The first row at which each distinct number stands, for numbers [N], in the numbers' order: int64."""
    distinct, number = torch.unique(numbers.cpu(), return_inverse=True)
    first = torch.full((len(distinct),), len(number))
    return first.scatter_reduce_(0, number, torch.arange(len(number)), "amin")


def alike(view: Representation, pictures: Tensor, texts: Tensor) -> Representation:
    """The same, with one representation for each picture and each text, where theirs differ by rounding alone.

    A network may give the same input other last bits in another batch, and items of equal content would then no longer
    tie. Ones that differ by more, as features that are kept by pair may, are left as they are.

    Args:
        pictures, texts: numbers [N], int64, that pairs of the same picture, or of the same text, share.
    """

    def shared(rows: Tensor, numbers: Tensor) -> Tensor:
        rows = rows.cpu()
        first = first_of_each(numbers)[torch.unique(numbers.cpu(), return_inverse=True)[1]]
        near = (unit(rows) - unit(rows[first])).norm(dim=1) <= SAME
        return torch.where(near[:, None], rows[first], rows)

    return Representation(shared(view.image, pictures), shared(view.text, texts))


def equal_items(rows: Tensor, numbers: Tensor) -> int:
    """How many distinct items have the representation of another one, for rows [N, C] and the items' numbers [N]."""
    repeated, original = repeated_rows(unit(rows)[first_of_each(numbers)])
    return len(repeated) + len(torch.unique(original))
