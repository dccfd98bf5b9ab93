"""Small layers, all together: tables that say which program does what, and the three launches."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dckt_kernels.gpu import configs
from dckt_kernels.gpu.chips import Chip, Product
from dckt_kernels.gpu.tables import once, table
from dckt_kernels.gpu.weights import pooled
from dckt_kernels.ladder import ladder_of
from dckt_kernels.options import Options

ALIGNMENT = 16  # bytes; and elements of a row, so that every row begins aligned
SHAPE = 13  # numbers about a layer in the kernels' table of shapes (small_kernels.SHAPE)
HALVES = (torch.bfloat16, torch.float16)

Shape = tuple[int, int, int, int, int]
"""Of a layer: n, m, the strides of x and of y, d."""


@dataclass(frozen=True)
class Plan:
    """What follows from the shapes alone. Made once: a training step uses the same one each time."""

    shapes: Tensor  # [L, SHAPE] int64
    gram_programs: Tensor  # [P, 4] int32
    ladder_programs: Tensor  # [P, 3] int32
    gradient_programs: Tensor  # [P, 3] int32
    gram: configs.Launch
    ladder: configs.Launch
    gradient: configs.Launch
    slabs: int
    mean_size: int
    gram_size: int
    matrix_size: int
    grad_starts: tuple[int, ...]
    grad_size: int


@once
def plan(shapes: tuple[Shape, ...], product: Product, chip: Chip, device: torch.device) -> Plan:
    """That of L layers on a chip. product: of float32 numbers."""
    totals = [n + m for n, m, *_ in shapes]
    columns = [d for *_, d in shapes]

    def slab_widths(split: int) -> list[int]:
        return [max(configs.NARROWEST_SLAB, configs.slab_width(total) // split) for total in totals]

    gram = configs.partial_gram(product, chip.architecture)
    tiles = [_tiles(total, gram.blocks["BLOCK_N"]) ** 2 for total in totals]

    def grams(split: int) -> int:
        widths = slab_widths(split)
        return sum(_tiles(d, width) * tile for d, width, tile in zip(columns, widths, tiles, strict=True))

    def ladders(launch: configs.Launch) -> int:
        return sum(_tiles(total, launch.blocks["BLOCK_R"]) for total in totals)

    # No narrower than it takes: each slab's share of a Gram matrix is written and read.
    split = next((s for s in configs.SPLITS if grams(s) >= chip.multiprocessors), configs.SPLITS[-1])
    ladder = configs.busy(configs.ladder(), chip, ladders)
    gradient = configs.gradient(product, chip.architecture)
    widths = slab_widths(split)
    slabs = [_tiles(d, width) for d, width in zip(columns, widths, strict=True)]
    gram_programs, ladder_programs, gradient_programs = [], [], []
    for layer, (d, total) in enumerate(zip(columns, totals, strict=True)):
        high = range(_tiles(total, gram.blocks["BLOCK_N"]))
        gram_programs += [(layer, slab, i, j) for slab in range(slabs[layer]) for i in high for j in high]
        blocks = _tiles(total, ladder.blocks["BLOCK_R"])
        ladder_programs += [(layer, block, blocks) for block in range(blocks)]
        gradient_programs += [
            (layer, i, j)
            for j in range(_tiles(d, gradient.blocks["BLOCK_D"]))
            for i in range(_tiles(total, gradient.blocks["BLOCK_M"]))
        ]
    squares = [total * (_tiles(total, 16) * 16) for total in totals]  # rows are stored padded
    gram_starts, gram_size = _starts([slab * square for slab, square in zip(slabs, squares, strict=True)])
    mean_starts, mean_size = _starts(columns)
    matrix_starts, matrix_size = _starts(squares)
    grad_starts, grad_size = _starts([total * d for total, d in zip(totals, columns, strict=True)])
    numbers = zip(
        *zip(*shapes, strict=True),
        widths,
        slabs,
        gram_starts,
        mean_starts,
        [sum(totals[:layer]) for layer in range(len(totals))],
        matrix_starts,
        [sum(slabs[:layer]) for layer in range(len(slabs))],
        grad_starts,
        strict=True,
    )

    def there(rows: Sequence[tuple[int, ...]], dtype: torch.dtype) -> Tensor:
        return torch.tensor(rows, dtype=dtype, device=device)

    return Plan(
        shapes=there(list(numbers), torch.int64),
        gram_programs=there(gram_programs, torch.int32),
        ladder_programs=there(ladder_programs, torch.int32),
        gradient_programs=there(gradient_programs, torch.int32),
        gram=gram,
        ladder=ladder,
        gradient=gradient,
        slabs=sum(slabs),
        mean_size=mean_size,
        gram_size=gram_size,
        matrix_size=matrix_size,
        grad_starts=grad_starts,
        grad_size=grad_size,
    )


Rest = tuple[float | None, Tensor | None, Tensor | None]
"""sigma and the sample weights of a layer."""


@dataclass(frozen=True)
class _Rows:
    """The rows of L layers as the kernels take them."""

    xs: tuple[Tensor, ...]
    ys: tuple[Tensor, ...]
    plan: Plan
    half: bool
    aligned: bool

    @classmethod
    def of(cls, rows: Sequence[Tensor], product: Product, chip: Chip) -> _Rows:
        xs, ys = (tuple(_unit_stride(z) for z in side) for side in (rows[::2], rows[1::2]))
        half = rows[0].dtype in HALVES and chip.architecture.halves
        shapes = tuple((len(x), len(y), x.stride(0), y.stride(0), x.shape[1]) for x, y in zip(xs, ys, strict=True))
        return cls(
            xs=xs,
            ys=ys,
            plan=plan(shapes, product, chip, rows[0].device),
            half=half,
            aligned=all(_aligned(z) for z in xs + ys),
        )


def forward(
    rows: Sequence[Tensor], rest: Sequence[Rest], options: Options, product: Product, chip: Chip, gradient: bool
) -> tuple[Tensor, list[Tensor]]:
    """The values [L] of x_0, y_0, x_1, ..., and where a gradient is wanted what `backward` takes. Two launches."""
    from dckt_kernels.gpu import small_kernels

    given, device, layers = _Rows.of(rows, product, chip), rows[0].device, len(rows) // 2
    made, ladder, unbiased = given.plan, ladder_of(options), options.estimator == "unbiased"
    weights = [pooled(x, y, u, w, unbiased) for x, y, (_, u, w) in zip(given.xs, given.ys, rest, strict=True)]
    v = torch.cat([of_rows for of_rows, _ in weights])
    sigmas = table(tuple(n for sigma, _, _ in rest for n in math.frexp(sigma or 0.0)), torch.float32, device)
    numbers = torch.cat([torch.stack([sums for _, sums in weights]), sigmas.view(layers, 2)], dim=1)
    powers = table(tuple(ladder.powers), torch.float32, device)
    mean, gram, matrix, values, sigma_slope = (
        torch.empty(size, dtype=torch.float32, device=device)
        for size in (made.mean_size, made.gram_size, made.matrix_size, layers, layers)
    )
    exponents, tops, counters = (
        torch.empty(size, dtype=torch.int32, device=device) for size in (made.slabs, layers, layers)
    )
    parts = torch.empty(2, len(made.ladder_programs), dtype=torch.float64, device=device)
    small_kernels.partial_gram[(len(made.gram_programs),)](
        given.xs,
        given.ys,
        made.shapes,
        numbers,
        made.gram_programs,
        v,
        mean,
        gram,
        exponents,
        counters,
        LAYERS=layers,
        ALIGNED=given.aligned,
        HALF=given.half,
        PRECISION=product,
        UPCAST=interpreting(),
        **made.gram.blocks,
        **made.gram.options(chip.nvidia),
    )
    blocks = _tiles(
        max(len(x) + len(y) for x, y in zip(given.xs, given.ys, strict=True)), made.ladder.blocks["BLOCK_R"]
    )
    small_kernels.ladder[(len(made.ladder_programs),)](
        made.shapes,
        numbers,
        made.ladder_programs,
        v,
        gram,
        exponents,
        powers,
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
        **made.ladder.blocks,
        **made.ladder.options(chip.nvidia),
    )
    return values, [v, mean, matrix, sigma_slope, tops] if gradient else []


def backward(
    incoming: Tensor,
    rows: Sequence[Tensor],
    kept: Sequence[Tensor],
    options: Options,
    product: Product,
    chip: Chip,
    dtype: torch.dtype | None,
) -> list[Tensor]:
    """The gradients by x_0, y_0, x_1, ..., given those of the values [L]. One launch. dtype: None for the rows' own."""
    from dckt_kernels.gpu import small_kernels

    given, device = _Rows.of(rows, product, chip), rows[0].device
    made = given.plan
    grads = torch.empty(made.grad_size, dtype=dtype or rows[0].dtype, device=device)
    v, mean, matrix, sigma_slope, tops = kept
    small_kernels.gradient[(len(made.gradient_programs),)](
        given.xs,
        given.ys,
        made.shapes,
        made.gradient_programs,
        v,
        mean,
        matrix,
        sigma_slope,
        tops,
        incoming.to(torch.float32).contiguous(),
        grads,
        LAYERS=len(given.xs),
        ALIGNED=given.aligned,
        BANDWIDTH_GRAD=options.bandwidth_grad,
        PRECISION=product,
        **made.gradient.blocks,
        **made.gradient.options(chip.nvidia),
    )
    found = []
    for start, x, y in zip(made.grad_starts, given.xs, given.ys, strict=True):
        (n, d), m = x.shape, len(y)
        found += [grads[start : start + n * d].view(n, d), grads[start + n * d : start + (n + m) * d].view(m, d)]
    return found


def interpreting() -> bool:
    """Whether kernels run in Triton's interpreter, on the CPU, instead of being compiled."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def _unit_stride(rows: Tensor) -> Tensor:
    """The rows with their values side by side; copied only where they are not."""
    return rows if rows.stride(1) == 1 or rows.shape[1] == 1 else rows.contiguous()


def _aligned(rows: Tensor) -> bool:
    """Whether every row begins and ends at a multiple of ALIGNMENT."""
    return rows.data_ptr() % ALIGNMENT == 0 and rows.stride(0) % ALIGNMENT == 0 and rows.shape[1] % ALIGNMENT == 0


def _tiles(size: int, block: int) -> int:
    return -(-size // block)


def _starts(sizes: Sequence[int]) -> tuple[tuple[int, ...], int]:
    """Where each of several arrays begins, one after the other, each at a multiple of 16; and the length of all."""
    aligned = [_tiles(size, 16) * 16 for size in sizes]
    return tuple(sum(aligned[:index]) for index in range(len(aligned))), sum(aligned)
