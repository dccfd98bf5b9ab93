"""`jmmd`: joint MMD over the layers of a path (Long et al., Joint Adaptation Networks, 2017)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from dckt_core import DiscrepancyContext
from dckt_kernels import mean_distance_bandwidth
from dckt_plugins.discrepancies.catalogue import JMMDOptions


class JointMMD:
    """Layers of one path (image, text, common) share its joint value, each its part of it."""

    def __init__(self, options: JMMDOptions, context: DiscrepancyContext) -> None:
        self._options = options

    def many(self, layers: Mapping[str, tuple[Tensor, Tensor]], progress: float) -> Mapping[str, Tensor]:
        paths: dict[str, list[str]] = {}
        for name in layers:
            paths.setdefault(name.split("_")[0], []).append(name)
        kernel_num, kernel_mul = self._options.kernel_num, self._options.kernel_mul
        values: dict[str, Tensor] = {}
        for members in paths.values():
            joint = joint_mmd([layers[name] for name in members], kernel_num=kernel_num, kernel_mul=kernel_mul)
            values |= {name: joint / len(members) for name in members}
        return values


def joint_mmd(layers: Sequence[tuple[Tensor, Tensor]], *, kernel_num: int = 5, kernel_mul: float = 2.0) -> Tensor:
    """Squared MMD (biased) under the product over layers of each layer's multi-bandwidth kernel.

    layers: (source [n, d_l], target [m, d_l]) for each layer l; row i is the same sample at every layer. The kernel
    of a layer is the mean of K Gaussians around the mean squared distance of its pooled rows, as for `mmd`.
    """
    n = len(layers[0][0])
    kernel = None
    for source, target in layers:
        rows = torch.cat([source, target])
        rows = rows - rows.mean(dim=0).detach()
        squares = rows.square().sum(dim=1)
        distances = (squares[:, None] + squares - 2 * rows @ rows.T).clamp_min(0)
        sigma = mean_distance_bandwidth(source.detach(), target.detach())
        sigma = torch.where(sigma > 0, sigma, torch.ones_like(sigma))
        steps = range(-(kernel_num // 2), kernel_num - kernel_num // 2)
        layer = torch.stack([torch.exp(-distances / (sigma * kernel_mul**step)) for step in steps]).mean(dim=0)
        kernel = layer if kernel is None else kernel * layer
    assert kernel is not None
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()
