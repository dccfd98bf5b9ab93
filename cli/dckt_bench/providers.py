"""The contestants. Each says what it computes, so that it can be held to it before it is timed.

Peers that are a snippet or a class of a few lines are written here from their formula; packages are called as they are.
All use K = 5 and kernel_mul = 2, and the bandwidth rule of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

from dckt_bench.workloads import Pairs
from dckt_kernels import compat
from dckt_kernels.api import mk_mmd, mk_mmd_many
from dckt_kernels.bandwidth import mean_distance_bandwidth

K = 5
ALPHAS = (0.125, 0.25, 0.5, 1.0, 2.0)  # tllib's own choice in its examples
SCALES = (0.25, 0.5, 1.0, 2.0, 4.0)  # pytorch-adapt: get_kernel_scales(-2, 2, 5)

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Provider:
    """A name, a loss over all pairs of a workload, and the same in float64 by this package as the yardstick.

    `bytes_needed(N, d)` is about what forward and backward hold at once for one float32 layer.
    """

    name: str
    loss: Callable[[Pairs], Tensor]
    expected: Callable[[Pairs], Tensor]
    bytes_needed: Callable[[int, int], float]
    needs: tuple[str, ...] = ()
    equal_batches: bool = False

    @property
    def missing(self) -> str:
        """The first package this provider needs and does not find, or ''."""
        return next((name for name in self.needs if find_spec(name) is None), "")


def _summed(loss: Loss) -> Callable[[Pairs], Tensor]:
    return lambda pairs: torch.stack([loss(x, y) for x, y in pairs]).sum()


def _ours(pairs: Pairs) -> Tensor:
    return mk_mmd(*pairs[0]) if len(pairs) == 1 else mk_mmd_many(pairs).sum()


def _ladder(distances: Tensor, sigma: Tensor) -> Tensor:
    return torch.stack([torch.exp(-distances / (sigma * 2.0 ** (k - K // 2))) for k in range(K)]).sum(0)


def _mean_off_diagonal(distances: Tensor) -> Tensor:
    rows = distances.shape[0]
    return distances.detach().sum() / (rows * (rows - 1))


def _biased(kernel: Tensor, n: int) -> Tensor:
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - kernel[:n, n:].mean() - kernel[n:, :n].mean()


def gram(x: Tensor, y: Tensor) -> Tensor:
    """Distances from a Gram matrix, the rest by autograd."""
    z = torch.cat([x, y])
    norms = z.square().sum(1)
    distances = (norms[:, None] + norms[None] - 2 * z @ z.t()).clamp_min(0)
    return _biased(_ladder(distances, _mean_off_diagonal(distances)), x.shape[0]) / K


def cdist(x: Tensor, y: Tensor) -> Tensor:
    """Distances from torch.cdist, the rest by autograd."""
    z = torch.cat([x, y])
    distances = torch.cdist(z, z).square()
    return _biased(_ladder(distances, _mean_off_diagonal(distances)), x.shape[0]) / K


def snippet(x: Tensor, y: Tensor) -> Tensor:
    """Explicit differences of all pairs, N x N x d, the sum of K Gaussians."""
    z = torch.cat([x, y])
    distances = (z[None] - z[:, None]).square().sum(2)
    return _biased(_ladder(distances, _mean_off_diagonal(distances)), x.shape[0])


def tllib(x: Tensor, y: Tensor) -> Tensor:
    """Explicit differences once for each kernel, the mean over all N^2 pairs as bandwidth, unbiased."""
    n = x.shape[0]
    z = torch.cat([x, y])
    kernel = torch.zeros((), dtype=z.dtype, device=z.device)
    for alpha in ALPHAS:
        distances = (z[None] - z[:, None]).square().sum(2)
        kernel = kernel + torch.exp(-distances / (2 * alpha * distances.detach().mean()))
    index = torch.full((2 * n, 2 * n), -1 / n**2, dtype=z.dtype, device=z.device)
    index[:n, :n] = index[n:, n:] = 1 / (n * (n - 1))
    index.fill_diagonal_(0)
    return (kernel * index).sum() + 2 / (n - 1)


@cache
def _compile(loss: Loss) -> Loss:
    return torch.compile(loss, dynamic=False)


def gram_compiled(x: Tensor, y: Tensor) -> Tensor:
    """`gram`, fused by torch.compile."""
    return _compile(gram)(x, y)


@cache
def _pytorch_adapt_loss() -> Loss:
    from pytorch_adapt.layers import MMDLoss

    loss: Loss = MMDLoss(kernel_scales=torch.tensor(SCALES), mmd_type="quadratic")
    return loss


def pytorch_adapt(x: Tensor, y: Tensor) -> Tensor:
    """The package's MMDLoss: median bandwidth, unbiased, mean of K Gaussians."""
    return _pytorch_adapt_loss()(x, y)


def geomloss(x: Tensor, y: Tensor) -> Tensor:
    """K calls of the package's SamplesLoss("gaussian"), one a bandwidth: it has one bandwidth a call."""
    from geomloss import SamplesLoss

    sigma = float(mean_distance_bandwidth(x.detach(), y.detach()))
    blurs = [(sigma * 2.0 ** (k - K // 2) / 2) ** 0.5 for k in range(K)]
    values = [SamplesLoss("gaussian", blur=blur, backend="tensorized")(x, y) for blur in blurs]
    return 2 * torch.stack(values).mean()


def keops(x: Tensor, y: Tensor) -> Tensor:
    """The three kernel sums by KeOps' LazyTensor, which holds no N x N matrix."""
    from pykeops.torch import LazyTensor

    sigma = float(mean_distance_bandwidth(x.detach(), y.detach()))

    def mean(a: Tensor, b: Tensor) -> Tensor:
        distances = ((LazyTensor(a[:, None, :]) - LazyTensor(b[None, :, :])) ** 2).sum(-1)
        kernel = sum((-distances / (sigma * 2.0 ** (k - K // 2))).exp() for k in range(K))
        total: Tensor = kernel.sum(1)
        return total.sum() / (K * a.shape[0] * b.shape[0])

    return mean(x, x) + mean(y, y) - 2 * mean(x, y)


def _like_snippet(x: Tensor, y: Tensor) -> Tensor:
    return compat.snippet_mmd(x, y, kernel_num=K)


def _like_tllib(x: Tensor, y: Tensor) -> Tensor:
    return compat.tllib_mmd(x, y, ALPHAS)


def _like_pytorch_adapt(x: Tensor, y: Tensor) -> Tensor:
    return compat.pytorch_adapt_mmd(x, y, SCALES)


def _few(rows: int, d: int) -> float:
    return 4.0 * (4 * rows * d) + 4.0 * (3 * rows * rows if rows <= 1024 else 2 * 1024**2)


def _squares(count: int) -> Callable[[int, int], float]:
    return lambda rows, d: 4.0 * (count * rows * rows + 4 * rows * d)


def _cubes(count: int) -> Callable[[int, int], float]:
    return lambda rows, d: 4.0 * count * rows * rows * d


_OURS = _summed(mk_mmd)

PROVIDERS: dict[str, Provider] = {
    provider.name: provider
    for provider in (
        Provider("dckt", _ours, _OURS, _few),
        Provider("gram", _summed(gram), _OURS, _squares(24)),
        Provider("cdist", _summed(cdist), _OURS, _squares(26)),
        Provider(
            "gram-compiled",
            _summed(gram_compiled),
            _OURS,
            _squares(12),
        ),
        Provider("snippet", _summed(snippet), _summed(_like_snippet), _cubes(3)),
        Provider("tllib", _summed(tllib), _summed(_like_tllib), _cubes(3 * K), equal_batches=True),
        Provider(
            "pytorch-adapt",
            _summed(pytorch_adapt),
            _summed(_like_pytorch_adapt),
            _squares(16),
            needs=("pytorch_adapt", "pytorch_metric_learning", "torchmetrics", "pkg_resources"),
        ),
        Provider("geomloss", _summed(geomloss), _OURS, _squares(20), needs=("geomloss",)),
        Provider("keops", _summed(keops), _OURS, _few, needs=("pykeops",)),
    )
}
