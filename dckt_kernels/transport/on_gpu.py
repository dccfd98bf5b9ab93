"""Sinkhorn's walks on a GPU: both half steps by Triton's `log_sums`, nothing of size n m in memory."""

from __future__ import annotations

import torch
from torch import Tensor

from dckt_kernels.gpu import configs
from dckt_kernels.gpu.transport_launch import log_sums
from dckt_kernels.options import Precision
from dckt_kernels.transport.exponentials import OfRows, Streamed, Update


class OnGpu(Streamed):
    """As `Streamed`, but that a sweep forms the pairs twice, once for the rows and once for the columns.

    Args:
        exponents: of float32 rows.
        precision: of the products.
    """

    exponents: OfRows

    def __init__(self, exponents: OfRows, precision: Precision = "tf32x3") -> None:
        super().__init__(exponents)
        self._precision = configs.on_chip(precision, amd=torch.version.hip is not None)

    def sweep(self, phi: Tensor, psi: Tensor, update: Update) -> tuple[Tensor, Tensor]:
        x, y, half_x, half_y = self.exponents.x, self.exponents.y, self.exponents.half_x, self.exponents.half_y
        rows = log_sums(x, y, psi - half_y, self._precision) + (phi - half_x)
        new = update(slice(0, len(phi)), rows)
        return new, log_sums(y, x, new - half_x, self._precision) + (psi - half_y)
