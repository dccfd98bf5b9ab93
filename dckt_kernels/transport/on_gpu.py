"""Sinkhorn's walks on a GPU: both half steps by Triton's `log_sums`, nothing of size n m in memory."""

from __future__ import annotations

from torch import Tensor

from dckt_kernels.gpu.launch import chip_of
from dckt_kernels.gpu.transport_launch import log_sums, stored
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
        chip = chip_of(exponents.device)
        assert chip is not None
        self._chip, self._precision = chip, precision
        self._x, self._y = stored(exponents.x), stored(exponents.y)

    def sweep(self, phi: Tensor, psi: Tensor, update: Update) -> tuple[Tensor, Tensor]:
        x, y, half_x, half_y = self._x, self._y, self.exponents.half_x, self.exponents.half_y
        rows = log_sums(x, y, psi - half_y, self._precision, self._chip)[: len(phi)] + (phi - half_x)
        new = update(slice(0, len(phi)), rows)
        return new, log_sums(y, x, new - half_x, self._precision, self._chip)[: len(psi)] + (psi - half_y)
