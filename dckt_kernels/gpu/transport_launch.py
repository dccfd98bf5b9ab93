"""One half of Sinkhorn's step on a GPU, with nothing of size n m in memory."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from dckt_kernels.gpu import configs
from dckt_kernels.gpu.chips import Chip
from dckt_kernels.gpu.launch import on_device
from dckt_kernels.options import Precision

BEYOND = -3e38
ROWS, COLUMNS = 128, 64
"""Rows are stored in multiples of these, of which every block size is a divisor."""


def stored(x: Tensor) -> Tensor:
    """Rows x [n, d] with zeros beyond, up to whole blocks."""
    return pad(x, (0, -x.shape[1] % COLUMNS, 0, -len(x) % ROWS)).contiguous()


def log_sums(x: Tensor, y: Tensor, potentials: Tensor, precision: Precision, chip: Chip) -> Tensor:
    """log sum_j exp(x_i . y_j + potential_j) [n], float64, of float32 rows x and y as `stored` gives them.

    potentials [m] may be fewer than the rows of y; the sums are then those of so many.
    """
    from dckt_kernels.gpu import transport_kernels

    product = chip.architecture.product(precision)
    launch = configs.fitting(configs.log_sums(product, chip.architecture), chip.architecture)
    (n, d), m = x.shape, len(y)
    potentials = pad(potentials.float(), (0, m - len(potentials)), value=BEYOND)
    high, wide = launch.blocks["BLOCK_M"], launch.blocks["BLOCK_N"]
    tiles = -(-n // high)
    shares = max(1, min(configs.WAVES * chip.multiprocessors // tiles, -(-m // wide)))
    share = -(-m // (shares * wide)) * wide
    shares = -(-m // share)
    sums = torch.empty(shares, n, dtype=torch.float32, device=x.device)
    with on_device(x.device):
        transport_kernels.log_sums[(tiles, shares)](
            x, y, potentials, sums, n, m, d, share, PRECISION=product, **launch.blocks, **launch.options(chip.nvidia)
        )
    return sums.double().logsumexp(dim=0)
