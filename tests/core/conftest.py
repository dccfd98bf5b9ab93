from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
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


@pytest.fixture
def spy() -> Spy:
    return Spy()


@pytest.fixture
def pictures(tmp_path: Path) -> list[ImageItem]:
    """Seven images of one colour each."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(7):
        Image.new("RGB", (4, 4), (30 * number, 255 - 30 * number, number)).save(folder / f"{number}.png")
    return [ImageItem(f"image {number}", folder / f"{number}.png") for number in range(7)]


@pytest.fixture
def colours() -> Tensor:
    """The features of `pictures` under `Spy.images`."""
    return torch.tensor([[30 * number, 255 - 30 * number, number] for number in range(7)]) / 255


@pytest.fixture
def texts() -> list[TextItem]:
    return [TextItem(f"text {number}", " ".join(["word"] * number)) for number in range(5)]
