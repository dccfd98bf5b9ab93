"""Triton kernels for many rows: the pairs are computed tile by tile, and only a panel of them is ever stored.

pair_tile        a tile of pairs: product, Gaussians, its part of the value and of A (dMMD^2/dZ = A Z - diag(A 1) Z)
panel_gradient   a panel of rows of A times Z, less their sums times Z
"""

from __future__ import annotations

import triton
import triton.language as tl

from dckt_kernels.gpu.small_kernels import rungs


@triton.jit
def pair_tile(
    z,  # [N, d] DTYPE: the centred rows
    norms,  # [N] float32: their squared norms
    v,  # [N] float32: sample weights
    shrink,  # [1] float32: 1 / sigma_max, or 0 where all rows are the same
    powers,  # [K] float32
    parts,  # out [row tiles, column tiles] float64: parts of the value
    slopes,  # out [rows of the panel, N] float32: A (not written without GRADIENT)
    xx,
    xy,
    yy,
    n,
    total,
    d,
    begin,  # first row of the panel
    end,  # row after its last
    K: tl.constexpr,
    DOUBLING: tl.constexpr,
    GRADIENT: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_D: tl.constexpr,
    HALF: tl.constexpr,
    PRECISION: tl.constexpr,
    UPCAST: tl.constexpr,
):
    row_tile, column_tile = tl.program_id(1), tl.program_id(0)
    rows = begin + row_tile * BLOCK_M + tl.arange(0, BLOCK_M)
    columns = column_tile * BLOCK_N + tl.arange(0, BLOCK_N)
    part = parts + row_tile * tl.num_programs(0) + column_tile
    row_inside, column_inside = rows < end, columns < total
    mirrored = 1.0
    if not GRADIENT:
        # The value alone needs the upper triangle only: each pair above the diagonal stands for two.
        if column_tile * BLOCK_N + BLOCK_N <= begin + row_tile * BLOCK_M:
            tl.store(part, 0.0)
            return
        mirrored = 2.0
    row_base = z + rows.to(tl.int64) * d
    column_base = z + columns.to(tl.int64) * d
    acc = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
    for start in range(0, d, BLOCK_D):
        inner = start + tl.arange(0, BLOCK_D)
        a = tl.load(row_base[:, None] + inner[None, :], mask=row_inside[:, None] & (inner < d)[None, :], other=0.0)
        b = tl.load(
            column_base[:, None] + inner[None, :], mask=column_inside[:, None] & (inner < d)[None, :], other=0.0
        )
        if HALF:
            if UPCAST:  # the interpreter multiplies the raw bits of bfloat16
                a, b = a.to(tl.float32), b.to(tl.float32)
            acc = tl.dot(a, tl.trans(b), acc)
        else:
            acc = tl.dot(a, tl.trans(b), acc, input_precision=PRECISION)
    row_norms = tl.load(norms + rows, mask=row_inside, other=0.0)
    column_norms = tl.load(norms + columns, mask=column_inside, other=0.0)
    distance = tl.maximum(row_norms[:, None] + column_norms[None, :] - 2 * acc, 0.0)
    off_diagonal = rows[:, None] != columns[None, :]
    scale = tl.load(shrink)
    kernel, slope = rungs(tl.where(off_diagonal, -distance * scale, 0.0), powers, K, DOUBLING)
    same_x = (rows < n)[:, None] & (columns < n)[None, :]
    same_y = (rows >= n)[:, None] & (columns >= n)[None, :]
    c = tl.where(same_x, xx, tl.where(same_y, yy, xy))
    u = tl.load(v + rows, mask=row_inside, other=0.0)[:, None] * tl.load(v + columns, mask=column_inside, other=0.0)
    c = tl.where(row_inside[:, None] & column_inside[None, :] & off_diagonal, c * u, 0.0)
    if not GRADIENT:
        c = tl.where(rows[:, None] < columns[None, :], c, 0.0)
    # All c add up to 0 (unbiased: without the diagonal), so k - 1 serves as well as k; its diagonal is 0.
    tl.store(part, mirrored * tl.sum(tl.sum(c.to(tl.float64) * (kernel.to(tl.float64) - K), axis=1), axis=0))
    if GRADIENT:
        out = slopes + (rows - begin).to(tl.int64)[:, None] * total + columns[None, :]
        tl.store(out, slope * c * (4.0 * scale / K), mask=row_inside[:, None] & column_inside[None, :])


@triton.jit
def panel_gradient(
    slopes,  # [rows of the panel, N] float32: A
    z,  # [N, d] DTYPE: the centred rows
    out,  # out [N, d] float32
    total,
    d,
    begin,
    end,
    BLOCK_M: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_K: tl.constexpr,
    PRECISION: tl.constexpr,
):
    rows = begin + tl.program_id(1) * BLOCK_M + tl.arange(0, BLOCK_M)
    columns = tl.program_id(0) * BLOCK_D + tl.arange(0, BLOCK_D)
    row_inside, column_inside = rows < end, columns < d
    a_base = slopes + (rows - begin).to(tl.int64) * total
    acc = tl.zeros((BLOCK_M, BLOCK_D), dtype=tl.float32)
    sums = tl.zeros((BLOCK_M,), dtype=tl.float32)
    for start in range(0, total, BLOCK_K):
        inner = start + tl.arange(0, BLOCK_K)
        a = tl.load(a_base[:, None] + inner[None, :], mask=row_inside[:, None] & (inner < total)[None, :], other=0.0)
        pointers = z + inner.to(tl.int64)[:, None] * d + columns[None, :]
        b = tl.load(pointers, mask=(inner < total)[:, None] & column_inside[None, :], other=0.0)
        sums += tl.sum(a, axis=1)
        acc = tl.dot(a, b.to(tl.float32), acc, input_precision=PRECISION)
    inside = row_inside[:, None] & column_inside[None, :]
    offsets = rows.to(tl.int64)[:, None] * d + columns[None, :]
    own = tl.load(z + offsets, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + offsets, acc - sums[:, None] * own, mask=inside)
