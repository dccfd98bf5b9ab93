"""Random generators: every draw in dckt comes from one that is named, so the same seed gives the same bits on CPU."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


def seed_for(seed: int, purpose: str) -> int:
    """A seed in [0, 2^63) for one purpose of a run, independent of every other purpose's."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator_for(seed: int, purpose: str) -> torch.Generator:
    """A CPU generator seeded by `seed_for`."""
    return torch.Generator().manual_seed(seed_for(seed, purpose))


@contextmanager
def seeded_construction(seed: int, purpose: str) -> Iterator[None]:
    """Lets library code that knows only the global generator draw from a seeded one, and puts the global one back."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(seed, purpose))
        yield


def undrawn_linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer without values: the default ones would be drawn from the global generator, and in vain."""
    return nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")
