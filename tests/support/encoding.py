"""Encoders of the box put to use: their features, and networks of the libraries they come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dckt_core.base.rng import seeded_construction
from dckt_core.contract.pairs import TextItem
from dckt_core.contract.protocols import Encoder
from dckt_core.data.features import compute_features


def features(encoder: Encoder, items: Sequence[Any], batch: int = 4) -> Tensor:
    """The features [n, dim] of items, on the CPU."""
    return compute_features(encoder, items, device=torch.device("cpu"), batch=batch)


def encode(encoder: Encoder, *lines: str, batch: int = 4) -> Tensor:
    """The features [n, dim] of texts."""
    return features(encoder, [TextItem(str(n), line) for n, line in enumerate(lines)], batch)


def seeded(construct: Callable[..., nn.Module], *args: Any, **options: Any) -> nn.Module:
    """A library's network with weights of a seed, in eval mode, its statistics as if it had seen data."""
    with seeded_construction(1, "test"):
        network = construct(*args, **options)
        for name, value in network.named_buffers():
            if name.endswith("running_mean"):
                value.uniform_(-0.1, 0.1)
            elif name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
    return network.eval()
