"""One half of Sinkhorn's step on a GPU, with nothing of size n m in memory."""

from __future__ import annotations

import torch
from torch import Tensor

from dckt_kernels.gpu import configs
from dckt_kernels.gpu.launch import on_device
from dckt_kernels.options import Precision

PROGRAMS = 264
"""At least so many, where there are columns to share: two for each multiprocessor of a large GPU."""


def log_sums(x: Tensor, y: Tensor, potentials: Tensor, precision: Precision) -> Tensor:
    """log sum_j exp(x_i . y_j + potential_j) [n], float64, of float32 rows x [n, d] and y [m, d] of one stride."""
    from dckt_kernels.gpu import transport_kernels

    launch = configs.log_sums(precision)
    (n, d), m = x.shape, len(y)
    high, wide = launch.blocks["BLOCK_M"], launch.blocks["BLOCK_N"]
    tiles = -(-n // high)
    shares = max(1, min(PROGRAMS // tiles, -(-m // wide)))
    share = -(-m // (shares * wide)) * wide
    shares = -(-m // share)
    sums = torch.empty(shares, n, dtype=torch.float32, device=x.device)
    with on_device(x.device):
        transport_kernels.log_sums[(tiles, shares)](
            x, y, potentials.float(), sums, n, m, d, x.stride(0), share, PRECISION=precision, **launch.options()
        )
    return sums.double().logsumexp(dim=0)
