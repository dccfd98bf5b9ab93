"""Small encoders that remember what was asked of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dckt_core.contract.pairs import ImageItem, TextItem
from dckt_core.contract.protocols import Encoder


@dataclass
class Spy:
    """Small encoders, and what was asked of them: the ids of each `prepare`, the rows of each forward pass."""

    prepared: list[list[str]] = field(default_factory=list)
    forward: list[int] = field(default_factory=list)

    def images(self, **changes: Any) -> Encoder:
        """The mean colour of an image, [n, 3] in [0, 1]."""

        def prepare(items: Sequence[ImageItem]) -> Tensor:
            self.prepared.append([item.id for item in items])
            return torch.stack([torch.from_numpy(np.asarray(item.open(), np.float32) / 255) for item in items])

        return self._encoder(prepare, lambda rows: rows.mean(dim=(1, 2)), 3, changes)

    def texts(self, **changes: Any) -> Encoder:
        """Length of a text and number of its blanks, [n, 2]."""

        def prepare(items: Sequence[TextItem]) -> Tensor:
            self.prepared.append([item.id for item in items])
            return torch.tensor([[len(item.text), item.text.count(" ")] for item in items])

        return self._encoder(prepare, lambda rows: rows.float(), 2, changes)

    def _encoder(
        self, prepare: Callable[[Any], Tensor], compute: Callable[[Tensor], Tensor], dim: int, changes: dict[str, Any]
    ) -> Encoder:
        spy = self

        class Module(nn.Module):
            def forward(self, rows: Tensor) -> Tensor:
                assert not self.training
                assert not torch.is_grad_enabled()
                spy.forward.append(len(rows))
                return compute(rows)

        fields = {"prepare": prepare, "module": Module(), "dim": dim, "fingerprint": "spy-1", **changes}
        return Encoder(**fields)
