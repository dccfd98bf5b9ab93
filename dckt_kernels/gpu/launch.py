"""The Triton backend: which layers go through which kernels."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from dckt_kernels.derivatives import Asked
from dckt_kernels.gpu import chips, configs, large_launch, small_launch
from dckt_kernels.gpu.chips import Chip, Product
from dckt_kernels.gpu.small_launch import Rest
from dckt_kernels.options import Options, Precision

FACTORS = 5  # tensors that small_launch.forward keeps for its gradient


@dataclass(frozen=True)
class Triton:
    """What is kept: FACTORS tensors for all small layers together, if there are any, then each large one's gradient.

    Attributes:
        rest: sigma and the sample weights of each layer.
        precision: of float32 products, as the call has it.
        chip: that of the rows.
    """

    options: Options
    rest: Sequence[Rest]
    precision: Precision
    chip: Chip

    def compute(self, rows: Sequence[Tensor], gradient: bool) -> tuple[Tensor, list[Tensor]]:
        with on_device(rows[0].device):
            product = self._product(rows)
            small, large = _sorted(rows)
            values: dict[int, Tensor] = {}
            kept: list[Tensor] = []
            if small:
                found, kept = small_launch.forward(
                    _of(small, rows), [self.rest[n] for n in small], self.options, product, self.chip, gradient
                )
                values = dict(zip(small, found, strict=True))
            for n in large:
                x, y = rows[2 * n], rows[2 * n + 1]
                values[n], grad = large_launch.forward(x, y, self.rest[n], self.options, product, self.chip, gradient)
                kept += [] if grad is None else [grad]
            return torch.stack([values[n] for n in range(len(values))]), kept

    def gradients(self, asked: Asked) -> list[Tensor | None]:
        rows, incoming = asked.rows, asked.incoming
        with on_device(rows[0].device):
            small, large = _sorted(rows)
            grads: list[Tensor | None] = [None] * len(rows)
            if small:
                factors = torch.stack([incoming[n] for n in small])
                found = small_launch.backward(
                    factors,
                    _of(small, rows),
                    asked.kept[:FACTORS],
                    self.options,
                    self._product(rows),
                    self.chip,
                    asked.dtype,
                )
                for n, by_x, by_y in zip(small, found[::2], found[1::2], strict=True):
                    grads[2 * n : 2 * n + 2] = by_x, by_y
            for n, grad in zip(large, asked.kept[FACTORS if small else 0 :], strict=True):
                grads[2 * n : 2 * n + 2] = asked.by_rows(n, grad * incoming[n])
            return [grad if need else None for grad, need in zip(grads, asked.needed, strict=True)]

    def total(self, parts: Tensor) -> Tensor:
        return parts

    def _product(self, rows: Sequence[Tensor]) -> Product:
        """That of float32 numbers; with rows of 16 bits only the gradient has any, which is as exact as TF32 then."""
        half = rows[0].dtype in small_launch.HALVES
        return self.chip.architecture.product("tf32" if half else self.precision)


def call(options: Options, rest: Sequence[Rest], precision: Precision, device: torch.device) -> Triton:
    """L layers on a device that `chip_of` knows, float32, bfloat16 or float16, "biased" or "unbiased"."""
    chip = chip_of(device)
    if chip is None:
        raise ValueError(f"the Triton kernels do not know the chip behind {device}")
    return Triton(options, rest, precision, chip)


def chip_of(device: torch.device) -> Chip | None:
    """The chip that kernels for a device run on, if the table has it; a CPU's is Triton's interpreter, if it is on."""
    if device.type == "cuda":
        return chips.of(device)
    return chips.INTERPRETER if small_launch.interpreting() else None


def _sorted(rows: Sequence[Tensor]) -> tuple[list[int], list[int]]:
    """The small layers and the large ones."""
    layers = range(len(rows) // 2)
    small = [n for n in layers if len(rows[2 * n]) + len(rows[2 * n + 1]) <= configs.SMALL_ROWS]
    return small, [n for n in layers if n not in small]


def _of(layers: Sequence[int], rows: Sequence[Tensor]) -> list[Tensor]:
    return [rows[2 * n + side] for n in layers for side in (0, 1)]


def on_device(device: torch.device) -> AbstractContextManager[object]:
    """Triton launches on the current device, which need not be that of the rows."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
