"""Made-up pictures, texts and training states: what the checks feed to plugins. The same bits each time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from torch import Tensor

from dckt_core.base.rng import generator_for
from dckt_core.contract.names import LAYERS, is_common
from dckt_core.contract.pairs import MEDIA, ImageItem, TextItem
from dckt_core.contract.protocols import Representation

SIZES = ((50, 37), (33, 64), (40, 40), (9, 6))
"""Width and height of the pictures: wide, high, square, smaller than any encoder's input."""

TEXTS = (
    "Two dogs run along the beach.",
    "Dogs",
    "犬が海辺を走る",
    "كلبان يركضان على الشاطئ",
    "🐶🐶🌊",
    "",
    "first line\nsecond line",
    " ".join(f"word{n}" for n in range(400)),
)
"""A caption, a short one, other scripts, emoji alone, nothing, two lines, more words than most encoders read."""

TRAINING_TEXTS = (
    "a dog runs along the beach",
    "two dogs run after a ball",
    "a cat sleeps on the sofa",
    "the cat looks at the dog",
    "waves break on the beach",
) * 4

MEDIA_WIDTH, COMMON_WIDTH = 12, 8


def pictures(folder: Path) -> list[ImageItem]:
    """Pictures of noise in a folder; the third is a grey one."""
    generator = generator_for(0, "pictures")
    items = []
    for number, (width, height) in enumerate(SIZES):
        mode, channels = ("L", 1) if number == 2 else ("RGB", 3)
        noise = torch.randint(0, 256, (width * height * channels,), generator=generator, dtype=torch.uint8)
        path = folder / f"picture-{number}.png"
        Image.frombytes(mode, (width, height), noise.numpy().tobytes()).save(path)
        items.append(ImageItem(f"picture-{number}", path))
    return items


def texts() -> list[TextItem]:
    return [TextItem(f"text-{number}", text) for number, text in enumerate(TEXTS)]


def layer_widths() -> dict[str, int]:
    """Width of each layer that a discrepancy is attached to."""
    return {name: COMMON_WIDTH if is_common(name) else MEDIA_WIDTH for name in LAYERS}


def layer_rows(seed: int, *, pairs: int = 16, apart: float = 1.0) -> dict[str, tuple[Tensor, Tensor]]:
    """Source and target rows of every layer after its ReLU, with gradient; common layers have a row for each medium.

    apart: how far the target's rows lie from the source's on average, in standard deviations.
    """
    generator = generator_for(seed, "layers")

    def rows(count: int, width: int, shift: float) -> Tensor:
        values = torch.randn(count, width, generator=generator) + shift
        return values.relu().requires_grad_()

    counts = {name: pairs * (2 if is_common(name) else 1) for name in LAYERS}
    return {
        name: (rows(counts[name], width, 0.5), rows(counts[name], width, 0.5 + apart))
        for name, width in layer_widths().items()
    }


class MadeUpState:
    """A `protocols.SamplerState` with views that tell classes apart more or less; source and target classes differ.

    iteration, generator: as for a sampler in training.
    pairs, source_pairs, classes, source_classes: sizes of the two training splits.
    """

    def __init__(
        self,
        iteration: int,
        generator: torch.Generator,
        *,
        pairs: int = 24,
        source_pairs: int = 30,
        classes: int = 4,
        source_classes: int = 5,
    ) -> None:
        self.iteration = iteration
        self.generator = generator
        self.labels = torch.arange(pairs) % classes
        self.source_labels = torch.arange(source_pairs) % source_classes
        drawn = generator_for(iteration, "sampler state")
        self._by_source = self._representation(source_classes, drawn)
        self._by_target = self._representation(classes, drawn)
        self._layers = {
            (domain, name): torch.randn(len(labels) * (2 if is_common(name) else 1), width, generator=drawn).relu()
            for domain, labels in (("source", self.source_labels), ("target", self.labels))
            for name, width in layer_widths().items()
        }

    def _representation(self, classes: int, drawn: torch.Generator) -> Representation:
        signal = 2.0 * torch.nn.functional.one_hot(self.labels % classes, classes)
        media = [(signal + torch.randn(signal.shape, generator=drawn)).softmax(dim=1) for _ in MEDIA]
        return Representation(*media)

    def target_by_source(self) -> Representation:
        return self._by_source

    def target_by_target(self) -> Representation:
        return self._by_target

    def target_losses(self) -> Tensor:
        rows = torch.arange(len(self.labels))
        both = torch.stack([self._by_target.image[rows, self.labels], self._by_target.text[rows, self.labels]])
        return -both.log().sum(dim=0)

    def layer(self, domain: Literal["source", "target"], name: str) -> Tensor:
        return self._layers[domain, name]

    def tensors(self) -> Sequence[Tensor]:
        """Everything that a sampler is shown."""
        views = (self._by_source, self._by_target)
        shown = [tensor for view in views for tensor in (view.image, view.text)]
        return [self.labels, self.source_labels, *shown, *self._layers.values()]
