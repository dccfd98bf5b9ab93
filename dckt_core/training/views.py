"""What the sampler and the evaluation look at: a split through a network in eval mode, in batches."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, cached_property
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from dckt_core.data.domain import Domain, SplitData
from dckt_core.network import DomainNetwork
from dckt_core.protocols import Representation
from dckt_core.training.engine import Engine


class Encodes(Protocol):
    """A network, or a common space that several make up."""

    def represent(self, images: Tensor | None, texts: Tensor | None) -> Representation: ...


VIEW_BATCH = 256
"""Pairs that pass a network at once when nothing is learnt; rows do not influence one another in eval mode."""


def _batches(count: int) -> Iterator[Tensor]:
    for start in range(0, count, VIEW_BATCH):
        yield torch.arange(start, min(start + VIEW_BATCH, count))


@torch.no_grad()
def represent(network: Encodes, data: SplitData, device: torch.device) -> Representation:
    """Common representations of all pairs of a split, on the CPU: image [N, D], text [N, D]."""
    parts = []
    for rows in _batches(len(data)):
        part = network.represent(data.image[rows].to(device), data.text[rows].to(device))
        parts.append((part.image.cpu(), part.text.cpu()))
    images, texts = zip(*parts, strict=True)
    return Representation(torch.cat(images), torch.cat(texts))


@torch.no_grad()
def layer_outputs(network: DomainNetwork, data: SplitData, name: str, device: torch.device) -> Tensor:
    """One layer's outputs for all pairs of a split, on the CPU; `common_*`: image rows first, then text rows."""
    images, texts = [], []
    for rows in _batches(len(data)):
        batch = data.batch(rows, device)
        if not name.startswith("text_"):
            images.append(getattr(network(batch.image, None), name).cpu())
        if not name.startswith("image_"):
            texts.append(getattr(network(None, batch.text), name).cpu())
    return torch.cat([*images, *texts])


class LiveSamplerState:
    """A `protocols.SamplerState` over the networks as they are now. Nothing is computed before it is asked for."""

    def __init__(
        self,
        *,
        iteration: int,
        source: tuple[nn.Module, Domain],
        target: tuple[nn.Module, Domain],
        generator: torch.Generator,
        engine: Engine,
    ) -> None:
        self.iteration = iteration
        self.generator = generator
        self.labels = target[1].train.labels
        self.source_labels = source[1].train.labels
        self._networks = {"source": source[0], "target": target[0]}
        self._data = {"source": source[1].train, "target": target[1].train}
        self._engine = engine
        self.layer = cache(self._layer)

    @cached_property
    def _by_source(self) -> Representation:
        with self._engine.evaluating(self._networks["source"]) as network:
            return represent(network, self._data["target"], self._engine.device)

    @cached_property
    def _by_target(self) -> Representation:
        with self._engine.evaluating(self._networks["target"]) as network:
            return represent(network, self._data["target"], self._engine.device)

    def target_by_source(self) -> Representation:
        return self._by_source

    def target_by_target(self) -> Representation:
        return self._by_target

    def target_losses(self) -> Tensor:
        rows = torch.arange(len(self.labels))
        view = self._by_target
        probability = torch.stack([view.image[rows, self.labels], view.text[rows, self.labels]])
        return -probability.clamp_min(torch.finfo(probability.dtype).tiny).log().sum(dim=0)

    def _layer(self, domain: Literal["source", "target"], name: str) -> Tensor:
        with self._engine.evaluating(self._networks[domain]) as network:
            return layer_outputs(network, self._data[domain], name, self._engine.device)
