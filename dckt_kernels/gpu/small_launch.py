"""Small layers, all together: tables that say which program does what, and the three launches."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from dckt_kernels.gpu import configs
from dckt_kernels.ladder import ladder_of
from dckt_kernels.options import Options, Precision
from dckt_kernels.pair_weights import PairWeights

ALIGNMENT = 16  # bytes; and elements of a row, so that every row begins aligned
SHAPE = 12  # numbers about a layer in the kernels' table of shapes (small_kernels.SHAPE)


@dataclass(frozen=True)
class Plan:
    """What follows from the shapes alone. Cached: a training step uses the same one each time."""

    slabs: tuple[int, ...]
    gram_offsets: tuple[int, ...]
    mean_offsets: tuple[int, ...]
    row_offsets: tuple[int, ...]
    matrix_offsets: tuple[int, ...]
    exponent_offsets: tuple[int, ...]
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
        exponent_offsets=tuple(sum(slabs[:layer]) for layer in range(len(slabs))),
        gram_size=sum(shares) + 16 * len(shares),
        matrix_size=sum(squares) + 16 * len(squares),
        gram_programs=table(programs),
        ladder_programs=table(ladders),
        gradient_programs=table(gradients),
        gram=gram,
        ladder=ladder,
        gradient=gradient,
    )


Rest = tuple[float | None, Tensor | None, Tensor | None]
"""sigma and the sample weights of a layer."""


@dataclass(frozen=True)
class _Rows:
    """The rows of L layers as the kernels take them."""

    pairs: list[tuple[Tensor, Tensor]]
    plan: Plan
    half: bool
    aligned: bool

    @classmethod
    def of(cls, rows: Sequence[Tensor], precision: Precision) -> _Rows:
        pairs = [(_unit_stride(x), _unit_stride(y)) for x, y in zip(rows[::2], rows[1::2], strict=True)]
        half = rows[0].dtype in (torch.bfloat16, torch.float16)
        return cls(
            pairs=pairs,
            plan=plan(tuple((len(x), *y.shape) for x, y in pairs), precision, half, rows[0].device),
            half=half,
            aligned=all(
                z.data_ptr() % ALIGNMENT == 0 and z.stride(0) % ALIGNMENT == 0 and z.shape[1] % ALIGNMENT == 0
                for pair in pairs
                for z in pair
            ),
        )

    def table(self) -> list[int]:
        """[L, SHAPE], then the addresses of all x and those of all y."""
        made = self.plan
        starts = zip(
            made.slabs,
            made.gram_offsets,
            made.mean_offsets,
            made.row_offsets,
            made.matrix_offsets,
            made.exponent_offsets,
            strict=True,
        )
        shapes = [
            (len(x), len(y), x.stride(0), y.stride(0), x.shape[1], configs.slab_width(len(x) + len(y)), *start)
            for (x, y), start in zip(self.pairs, starts, strict=True)
        ]
        addresses = [x.data_ptr() for x, _ in self.pairs] + [y.data_ptr() for _, y in self.pairs]
        return [number for shape in shapes for number in shape] + addresses


def forward(
    rows: Sequence[Tensor], rest: Sequence[Rest], options: Options, precision: Precision, gradient: bool
) -> tuple[Tensor, list[Tensor]]:
    """The values [L] of x_0, y_0, x_1, ..., and where a gradient is wanted what `backward` takes. Two launches."""
    from dckt_kernels.gpu import small_kernels

    given, device = _Rows.of(rows, precision), rows[0].device
    made, pairs, layers, ladder = given.plan, given.pairs, len(given.pairs), ladder_of(options)
    unbiased = options.estimator == "unbiased"
    weights = [PairWeights.of(x, y, u, w, unbiased) for (x, y), (_, u, w) in zip(pairs, rest, strict=True)]
    numbers = [
        number
        for w, (sigma, _, _) in zip(weights, rest, strict=True)
        for number in (w.total, w.off_diagonal, w.xx, w.xy, w.yy, *math.frexp(sigma or 0.0))
    ]
    table, reals = upload(given.table(), [*numbers, *ladder.powers], device)
    shapes, x_addresses, y_addresses = _parts(table, layers)
    v = torch.cat([w.v for w in weights])
    mean = _floats(sum(x.shape[1] + 16 for x, _ in pairs), device)
    gram, matrix = _floats(made.gram_size, device), _floats(made.matrix_size, device)
    values, sigma_slope = _floats(layers, device), _floats(layers, device)
    exponents, tops, counters = (
        torch.empty(size, dtype=torch.int32, device=device) for size in (sum(made.slabs), layers, layers)
    )
    parts = torch.empty(2, len(made.ladder_programs), dtype=torch.float64, device=device)
    small_kernels.partial_gram[(len(made.gram_programs),)](
        x_addresses,
        y_addresses,
        shapes,
        reals,
        made.gram_programs,
        v,
        mean,
        gram,
        exponents,
        counters,
        DTYPE=triton_dtype(rows[0].dtype),
        ALIGNED=given.aligned,
        HALF=given.half,
        PRECISION=precision,
        UPCAST=interpreting(),
        **made.gram.options(),
    )
    blocks = -(-max(len(x) + len(y) for x, y in pairs) // made.ladder.blocks["BLOCK_R"])
    small_kernels.ladder[(len(made.ladder_programs),)](
        shapes,
        reals,
        made.ladder_programs,
        v,
        gram,
        exponents,
        reals[len(numbers) :],
        parts[0],
        parts[1],
        counters,
        values,
        tops,
        sigma_slope,
        matrix,
        ladder.widest,
        K=len(ladder.powers),
        DOUBLING=ladder.doubling,
        GRADIENT=gradient,
        BANDWIDTH_GRAD=options.bandwidth_grad,
        BLOCK_P=max(2, 1 << (blocks - 1).bit_length()),
        **made.ladder.options(),
    )
    return values, [v, mean, matrix, sigma_slope, tops] if gradient else []


def backward(
    incoming: Tensor,
    rows: Sequence[Tensor],
    kept: Sequence[Tensor],
    options: Options,
    precision: Precision,
    dtype: torch.dtype | None,
) -> list[Tensor]:
    """The gradients by x_0, y_0, x_1, ..., given those of the values [L]. One launch. dtype: None for the rows' own."""
    from dckt_kernels.gpu import small_kernels

    given, device, layers = _Rows.of(rows, precision), rows[0].device, len(rows) // 2
    dtype = dtype or rows[0].dtype
    outs = [torch.empty(len(x) + len(y), x.shape[1], dtype=dtype, device=device) for x, y in given.pairs]
    table, _ = upload([*given.table(), *(out.data_ptr() for out in outs)], [], device)
    shapes, x_addresses, y_addresses = _parts(table, layers)
    v, mean, matrix, sigma_slope, tops = kept
    small_kernels.gradient[(len(given.plan.gradient_programs),)](
        x_addresses,
        y_addresses,
        shapes,
        given.plan.gradient_programs,
        v,
        mean,
        matrix,
        sigma_slope,
        tops,
        incoming.to(torch.float32).contiguous(),
        y_addresses[layers:],
        DTYPE=triton_dtype(rows[0].dtype),
        OUT=triton_dtype(dtype),
        ALIGNED=given.aligned,
        BANDWIDTH_GRAD=options.bandwidth_grad,
        PRECISION="tf32" if given.half else precision,
        **given.plan.gradient.options(),
    )
    return [part for out, (x, _) in zip(outs, given.pairs, strict=True) for part in (out[: len(x)], out[len(x) :])]


def upload(integers: Sequence[int], reals: Sequence[float], device: torch.device) -> tuple[Tensor, Tensor]:
    """Both as tensors there, int64 and float32, in one copy that the host does not wait for."""
    room = _tiles(len(integers), 2) * 2  # the second begins aligned to 16 bytes
    words = torch.zeros(room + _tiles(len(reals), 2), dtype=torch.int64, pin_memory=device.type == "cuda")
    words[: len(integers)] = torch.tensor(integers, dtype=torch.int64)
    words[room:].view(torch.float32)[: len(reals)] = torch.tensor(reals, dtype=torch.float32)
    there = words.to(device, non_blocking=True)
    return there[: len(integers)], there[room:].view(torch.float32)


def _parts(table: Tensor, layers: int) -> tuple[Tensor, Tensor, Tensor]:
    """Shapes, addresses of x, and those of y with all that follows."""
    shapes = SHAPE * layers
    return table[:shapes], table[shapes : shapes + layers], table[shapes + layers :]


def _floats(size: int, device: torch.device) -> Tensor:
    return torch.empty(size, dtype=torch.float32, device=device)


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
