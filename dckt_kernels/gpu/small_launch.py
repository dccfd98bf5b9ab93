"""Small layers, all together: tables that say which program does what, and the three launches."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from dckt_kernels.gpu import configs
from dckt_kernels.ladder import ladder_of
from dckt_kernels.options import Layer, Options, Precision
from dckt_kernels.pair_weights import PairWeights

ALIGNMENT = 16  # bytes; and elements of a row, so that every row begins aligned


@dataclass(frozen=True)
class Plan:
    """What follows from the shapes alone. Cached: a training step uses the same one each time."""

    slabs: tuple[int, ...]
    gram_offsets: tuple[int, ...]
    mean_offsets: tuple[int, ...]
    row_offsets: tuple[int, ...]
    matrix_offsets: tuple[int, ...]
    gram_size: int
    matrix_size: int
    gram_programs: Tensor  # [P, 4] int32
    ladder_programs: Tensor  # [P, 3] int32
    gradient_programs: Tensor  # [P, 3] int32
    gram: configs.Launch
    ladder: configs.Launch
    gradient: configs.Launch


@lru_cache(maxsize=64)
def plan(shapes: tuple[tuple[int, int, int], ...], precision: str, half: bool, device: torch.device) -> Plan:
    """shapes: (n, m, d) of each layer."""
    totals = [n + m for n, m, _ in shapes]
    gram = configs.partial_gram(max(totals), precision, half)
    ladder = configs.ladder()
    gradient = configs.gradient(max(totals), "tf32" if half else precision)
    slabs, programs, ladders, gradients = [], [], [], []
    for layer, ((_, _, d), total) in enumerate(zip(shapes, totals, strict=True)):
        slabs.append(_tiles(d, configs.slab_width(total)))
        tiles = range(_tiles(total, gram.blocks["BLOCK_N"]))
        programs += [(layer, slab, i, j) for slab in range(slabs[-1]) for i in tiles for j in tiles]
        blocks = _tiles(total, ladder.blocks["BLOCK_R"])
        ladders += [(layer, block, blocks) for block in range(blocks)]
        gradients += [
            (layer, i, j)
            for j in range(_tiles(d, gradient.blocks["BLOCK_D"]))
            for i in range(_tiles(total, gradient.blocks["BLOCK_M"]))
        ]
    squares = [total * (_tiles(total, 16) * 16) for total in totals]  # rows are stored padded
    shares = [slab * square for slab, square in zip(slabs, squares, strict=True)]

    def table(rows: Sequence[tuple[int, ...]]) -> Tensor:
        return torch.tensor(rows, dtype=torch.int32, device=device)

    return Plan(
        slabs=tuple(slabs),
        gram_offsets=_starts(shares),
        mean_offsets=_starts([d for _, _, d in shapes]),
        row_offsets=tuple(sum(totals[:layer]) for layer in range(len(totals))),
        matrix_offsets=_starts(squares),
        gram_size=sum(shares) + 16 * len(shares),
        matrix_size=sum(squares) + 16 * len(squares),
        gram_programs=table(programs),
        ladder_programs=table(ladders),
        gradient_programs=table(gradients),
        gram=gram,
        ladder=ladder,
        gradient=gradient,
    )


class SmallLayers:
    """One call on L layers: `forward` is two launches, `backward` the third."""

    def __init__(self, layers: Sequence[Layer], options: Options, precision: Precision) -> None:
        self.device, self.dtype = layers[0].x.device, layers[0].x.dtype
        self.options, self.precision, self.ladder = options, precision, ladder_of(options)
        self.pairs = [(_unit_stride(layer.x), _unit_stride(layer.y)) for layer in layers]
        self.shapes = tuple((x.shape[0], y.shape[0], x.shape[1]) for x, y in self.pairs)
        self.half = self.dtype in (torch.bfloat16, torch.float16)
        self.plan = plan(self.shapes, precision, self.half, self.device)
        self.aligned = all(
            rows.data_ptr() % ALIGNMENT == 0 and rows.stride(0) % ALIGNMENT == 0 and rows.shape[1] % ALIGNMENT == 0
            for pair in self.pairs
            for rows in pair
        )
        made = self.plan
        rows = [
            (n, m, x.stride(0), y.stride(0), d, configs.slab_width(n + m), *starts)
            for (x, y), (n, m, d), *starts in zip(
                self.pairs,
                self.shapes,
                made.slabs,
                made.gram_offsets,
                made.mean_offsets,
                made.row_offsets,
                made.matrix_offsets,
                strict=True,
            )
        ]
        addresses = [[x.data_ptr() for x, _ in self.pairs], [y.data_ptr() for _, y in self.pairs]]
        unbiased = options.estimator == "unbiased"
        weights = [PairWeights.of(layer.x, layer.y, layer.weights_x, layer.weights_y, unbiased) for layer in layers]
        numbers = [
            (w.total, w.off_diagonal, w.xx, w.xy, w.yy, layer.sigma or 0.0)
            for w, layer in zip(weights, layers, strict=True)
        ]
        self.tables = self._table(rows, torch.int64)
        self.addresses = self._table(addresses, torch.int64)
        self.numbers = self._table(numbers, torch.float32)
        self.powers = self._table(self.ladder.powers, torch.float32)
        self.v = torch.cat([w.v for w in weights])
        self.mean = self._empty(sum(d + 16 for _, _, d in self.shapes))
        self.matrix = self._empty(made.matrix_size)
        self.sigma_slope = self._empty(len(layers))

    def forward(self, gradient: bool) -> Tensor:
        """The values [L]; keeps M for `backward` where a gradient is wanted."""
        from dckt_kernels.gpu import small_kernels

        made, layers = self.plan, len(self.pairs)
        values = self._empty(layers)
        gram = self._empty(made.gram_size)
        counters = torch.empty(layers, dtype=torch.int32, device=self.device)
        parts = torch.empty(2, len(made.ladder_programs), dtype=torch.float64, device=self.device)
        small_kernels.partial_gram[(len(made.gram_programs),)](
            self.addresses[0],
            self.addresses[1],
            self.tables,
            self.numbers,
            made.gram_programs,
            self.v,
            self.mean,
            gram,
            counters,
            DTYPE=triton_dtype(self.dtype),
            ALIGNED=self.aligned,
            HALF=self.half,
            PRECISION=self.precision,
            UPCAST=interpreting(),
            **made.gram.options(),
        )
        blocks = -(-max(n + m for n, m, _ in self.shapes) // made.ladder.blocks["BLOCK_R"])
        small_kernels.ladder[(len(made.ladder_programs),)](
            self.tables,
            self.numbers,
            made.ladder_programs,
            self.v,
            gram,
            self.powers,
            parts[0],
            parts[1],
            counters,
            values,
            self.sigma_slope,
            self.matrix,
            self.ladder.widest,
            K=len(self.ladder.powers),
            DOUBLING=self.ladder.doubling,
            GRADIENT=gradient,
            BANDWIDTH_GRAD=self.options.bandwidth_grad,
            BLOCK_P=max(2, 1 << (blocks - 1).bit_length()),
            **made.ladder.options(),
        )
        return values

    def backward(self, incoming: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Gradients by x [n, d] and y [m, d] of each layer, given those of the values [L]."""
        from dckt_kernels.gpu import small_kernels

        outs = [torch.empty(n + m, d, dtype=self.dtype, device=self.device) for n, m, d in self.shapes]
        made = self.plan
        small_kernels.gradient[(len(made.gradient_programs),)](
            self.addresses[0],
            self.addresses[1],
            self.tables,
            made.gradient_programs,
            self.v,
            self.mean,
            self.matrix,
            self.sigma_slope,
            incoming.to(torch.float32).contiguous(),
            self._table([out.data_ptr() for out in outs], torch.int64),
            DTYPE=triton_dtype(self.dtype),
            ALIGNED=self.aligned,
            BANDWIDTH_GRAD=self.options.bandwidth_grad,
            PRECISION="tf32" if self.half else self.precision,
            **made.gradient.options(),
        )
        return [(out[:n], out[n:]) for out, (n, _, _) in zip(outs, self.shapes, strict=True)]

    def _empty(self, size: int) -> Tensor:
        return torch.empty(size, dtype=torch.float32, device=self.device)

    def _table(self, values: Any, dtype: torch.dtype) -> Tensor:
        return torch.tensor(values, dtype=dtype).to(self.device, non_blocking=True)


def triton_dtype(dtype: torch.dtype) -> Any:
    import triton.language as tl

    return {torch.float32: tl.float32, torch.bfloat16: tl.bfloat16, torch.float16: tl.float16}[dtype]


def interpreting() -> bool:
    """Whether kernels run in Triton's interpreter, on the CPU, instead of being compiled."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def _unit_stride(rows: Tensor) -> Tensor:
    """The rows with their values side by side; copied only where they are not."""
    return rows if rows.stride(1) == 1 or rows.shape[1] == 1 else rows.contiguous()


def _tiles(size: int, block: int) -> int:
    return -(-size // block)


def _starts(sizes: Sequence[int]) -> tuple[int, ...]:
    """Where each of several arrays begins, one after the other, each at a multiple of 16."""
    aligned = [_tiles(size, 16) * 16 for size in sizes]
    return tuple(sum(aligned[:index]) for index in range(len(aligned)))
