"""What the curriculum and the evaluation look at: a split through a network in eval mode, in batches."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from dckt_core.contract.protocols import Representation, Represents
from dckt_core.data.domain import SplitData

VIEW_BATCH = 256
"""Pairs that pass a network at once when nothing is learnt; rows do not influence one another in eval mode."""


def batches(count: int) -> Iterator[Tensor]:
    """Rows 0 to count - 1, as many at once as pass a network."""
    for start in range(0, count, VIEW_BATCH):
        yield torch.arange(start, min(start + VIEW_BATCH, count))


@torch.no_grad()
def represent(network: Represents, data: SplitData, device: torch.device) -> Representation:
    """Common representations of all pairs of a split, on the CPU: image [N, D], text [N, D]."""
    parts = []
    for rows in batches(len(data)):
        part = network.represent(data.image[rows].to(device), data.text[rows].to(device))
        parts.append((part.image.cpu(), part.text.cpu()))
    images, texts = zip(*parts, strict=True)
    return Representation(torch.cat(images), torch.cat(texts))


@torch.no_grad()
def layer_outputs(network: nn.Module, data: SplitData, name: str, device: torch.device) -> Tensor:
    """One layer's outputs for all pairs of a split, on the CPU; `common_*`: image rows first, then text rows."""
    images, texts = [], []
    for rows in batches(len(data)):
        batch = data.batch(rows, device)
        if not name.startswith("text_"):
            images.append(getattr(network(batch.image, None), name).cpu())
        if not name.startswith("image_"):
            texts.append(getattr(network(None, batch.text), name).cpu())
    return torch.cat([*images, *texts])
