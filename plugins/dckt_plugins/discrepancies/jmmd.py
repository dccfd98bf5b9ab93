"""`jmmd`: joint MMD over the layers of a path (Long et al., Joint Adaptation Networks, 2017)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Le

from dckt_core import DiscrepancySpec, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from dckt_core import Discrepancy, DiscrepancyContext


@dataclass(frozen=True)
class Options:
    """What `--discrepancy-opt` takes."""

    kernel_num: Annotated[int, Ge(1), Le(32), "K, how many Gaussians are averaged at each layer"] = 5
    kernel_mul: Annotated[float, Ge(0.01), Le(100), "ratio of neighbouring bandwidths"] = 2.0


@hookimpl
def dckt_discrepancies() -> Iterable[DiscrepancySpec[Any]]:
    return [
        DiscrepancySpec(
            name="jmmd",
            summary="joint MMD: the product of the kernels of a path's layers",
            options=Options,
            build=_build,
            api="1.0",
        )
    ]


def joint_mmd(layers: Sequence[tuple[Tensor, Tensor]], *, kernel_num: int = 5, kernel_mul: float = 2.0) -> Tensor:
    """Squared MMD (biased) under the product over layers of each layer's multi-bandwidth kernel.

    layers: (source [n, d_l], target [m, d_l]) for each layer l; row i is the same sample at every layer. The kernel
    of a layer is the mean of K Gaussians around the mean squared distance of its pooled rows, as for `mmd`.
    """
    import torch

    from dckt_kernels import mean_distance_bandwidth

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


def _build(options: Options, context: DiscrepancyContext) -> Discrepancy:
    class JointMMD:
        def many(self, layers: Mapping[str, tuple[Tensor, Tensor]], progress: float) -> Mapping[str, Tensor]:
            """Layers of one path (image, text, common) share its joint value, each its part of it."""
            paths: dict[str, list[str]] = {}
            for name in layers:
                paths.setdefault(name.split("_")[0], []).append(name)
            values: dict[str, Tensor] = {}
            for members in paths.values():
                joint = joint_mmd(
                    [layers[name] for name in members],
                    kernel_num=options.kernel_num,
                    kernel_mul=options.kernel_mul,
                )
                values |= {name: joint / len(members) for name in members}
            return values

    return JointMMD()
