"""A sampler's view of the world, made up."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from dckt_core.contract.protocols import Representation


@dataclass
class FakeState:
    """A progressive iteration with made-up representations; asks after other views are errors."""

    view: Representation
    labels: Tensor
    iteration: int = 1
    generator: torch.Generator = field(default_factory=lambda: torch.Generator().manual_seed(0))
    source_labels: Tensor = field(default_factory=lambda: torch.zeros(1).long())

    def target_by_source(self) -> Representation:
        return self.view

    def target_by_target(self) -> Representation:
        raise AssertionError("not the method's business")

    def target_losses(self) -> Tensor:
        raise AssertionError("not the method's business")

    def layer(self, domain: str, name: str) -> Tensor:
        raise AssertionError("not the method's business")


def made_up(pairs: int = 40, classes: int = 5, *, noise: float = 1.0, seed: int = 0) -> tuple[Representation, Tensor]:
    """Class probabilities that tell the classes apart, more or less."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(pairs) % classes
    logits = 2.0 * torch.nn.functional.one_hot(labels, 8)

    def media() -> Tensor:
        return (logits + noise * torch.randn(pairs, 8, generator=generator)).softmax(dim=1)

    return Representation(media(), media()), labels
