"""Pictures as network inputs: squares of one size, and their colours brought to what the network was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from dckt_core import ImageItem

Fit = Literal["shortest", "longest", "squash"]
"""How a picture becomes a square; see `squares`."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Normalized(nn.Module):
    """RGB pictures, uint8 [n, 3, s, s], to float ones: (x / 255 - mean) / deviation, a colour at a time."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        return (pictures.float() / 255 - self.mean) / self.std


def squares(
    items: Sequence[ImageItem],
    size: int,
    resampling: Image.Resampling = Image.Resampling.BILINEAR,
    fit: Fit = "shortest",
) -> Tensor:
    """Pictures as uint8 [n, 3, size, size], scaled with antialiasing.

    Args:
        fit: `shortest`: the shorter side becomes `size`, and the centre is cut out. `longest`: the longer one does, on
            black. `squash`: both do, whatever becomes of the shapes in it.

    Raises:
        DataError: a picture cannot be read.
    """
    if not items:
        return torch.empty(0, 3, size, size, dtype=torch.uint8)
    return torch.stack([_square(item.open(size), size, resampling, fit) for item in items])


def _square(picture: Image.Image, size: int, resampling: Image.Resampling, fit: Fit) -> Tensor:
    width, height = picture.size
    if fit == "longest":
        picture = ImageOps.pad(picture, (size, size), resampling)
    elif fit == "squash":
        picture = picture.resize((size, size), resampling)
    else:
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        picture = picture.resize((size, size), resampling, box=(left, top, left + side, top + side))
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()
