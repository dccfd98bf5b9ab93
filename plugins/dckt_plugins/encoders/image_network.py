"""How a library's image network becomes an encoder: its last feature row of square pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from dckt_core import Encoder, UsageError
from dckt_plugins.encoders.pictures import Fit, Normalized, squares
from dckt_plugins.encoders.weights import one_line


class ImageNetwork(nn.Module):
    """RGB pictures, uint8 [n, 3, s, s], to features [n, dim].

    It stays in eval mode: where it is trained, dropout draws no random numbers, and batch normalisation keeps the
    statistics that it came with, as batches are small and those of two domains differ.

    Args:
        unit: scales each row to length 1.
    """

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float], unit: bool = False) -> None:
        super().__init__()
        self.unit = unit
        self.normalized = Normalized(mean, std)
        self.network = network
        self.eval()

    def train(self, mode: bool = True) -> Self:
        return super().train(False)

    def forward(self, pictures: Tensor) -> Tensor:
        rows: Tensor = self.network(self.normalized(pictures)).flatten(1)
        return F.normalize(rows, dim=1) if self.unit else rows


def image_encoder(
    network: nn.Module,
    *,
    name: str,
    weights: str,
    size: int,
    mean: Sequence[float],
    std: Sequence[float],
    resampling: Image.Resampling,
    fit: Fit = "shortest",
    unit: bool = False,
    space: str | None = None,
    trainable: bool,
) -> Encoder:
    """The encoder of a network from normalized pictures [n, 3, size, size] to features [n, ...].

    Args:
        name: encoder and model, such as `torchvision/resnet50`; for the fingerprint and errors.
        weights: names the weights in the fingerprint.
        fit: how a picture becomes a square; see `pictures.squares`.
        unit: scale each row to length 1.
        space: as of `Encoder`.

    Raises:
        UsageError: the network does not take pictures of this size.
    """
    module = ImageNetwork(network, mean, std, unit)
    try:
        with torch.no_grad():
            dim = module(torch.zeros(1, 3, size, size, dtype=torch.uint8)).shape[1]
    except Exception as error:
        raise UsageError(f"{name} does not take pictures of size={size}: {one_line(error)}") from None
    how = "/".join([fit] * (fit != "shortest") + ["unit"] * unit + [weights])
    return Encoder(
        prepare=lambda items: squares(items, size, resampling, fit),
        module=module,
        dim=dim,
        fingerprint=f"{name}/{size}/{resampling.name.lower()}/{_numbers(mean)}/{_numbers(std)}/{how}",
        trainable=trainable,
        space=space,
    )


def _numbers(values: Sequence[float]) -> str:
    return ",".join(f"{value:g}" for value in values)
