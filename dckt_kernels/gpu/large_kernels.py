"""Triton kernels for many rows: the pairs are computed tile by tile, and only a chunk of them is ever stored.

pair_tiles       tiles of pairs: products, Gaussians, their part of the value and of A (dMMD^2/dZ = A Z - diag(A 1) Z)
chunk_gradient   a chunk of A times its rows of Z, less A's sums times Z, added to the gradient

Z is stored with zeros beyond its N rows and d columns, up to whole blocks, and A with what follows from them, which is
zeros: so every load is aligned and none is masked.
"""

from __future__ import annotations

import triton
import triton.language as tl

from dckt_kernels.gpu.small_kernels import rungs


@triton.jit
def place(tile, high, wide, GROUP: tl.constexpr):
    """The row and the column of a tile among high x wide, int32. Tiles that follow each other lie in GROUP rows, so
    that programs that run side by side read the same rows of Z."""
    group = tile // (GROUP * wide)
    rows = tl.minimum(high - group * GROUP, GROUP)
    rest = tile % (GROUP * wide)
    return tl.cast(group * GROUP + rest % rows, tl.int32), tl.cast(rest // rows, tl.int32)


@triton.jit
def pair_tiles(
    z,  # [N, d] 16-bit or float32: the centred rows
    norms,  # [N] float32: their squared norms
    v,  # [N] float32: sample weights, 0 beyond the rows
    shrink,  # [1] float32: 1 / sigma_max, or 0 where all rows are the same
    powers,  # [K] float32
    numbers,  # [5] float32: two that are not used, then xx, xy, yy
    parts,  # out [programs, BLOCK_M] float64: parts of the value, to which this launch adds
    slopes,  # out [rows of the chunk, stride] float32: A (not written without GRADIENT)
    n,
    d,  # a multiple of BLOCK_D
    begin,  # the chunk's rows: this one to `end`; without GRADIENT all of them
    end,
    left,  # its columns: this one to `right`
    right,
    stride,  # of slopes
    tiles,  # so many are walked over by all programs together
    K: tl.constexpr,
    DOUBLING: tl.constexpr,
    GRADIENT: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,  # equal without GRADIENT
    BLOCK_D: tl.constexpr,
    GROUP: tl.constexpr,
    HALF: tl.constexpr,
    PRECISION: tl.constexpr,
    UPCAST: tl.constexpr,
):
    high, wide = tl.cdiv(end - begin, BLOCK_M), tl.cdiv(right - left, BLOCK_N)
    if not GRADIENT:
        # The value alone needs each pair of blocks once: block i of rows meets i, i + 1, ..., half way round a circle.
        count = wide
        wide = count // 2 + 1
    across = tl.arange(0, BLOCK_D)
    row_offsets = tl.arange(0, BLOCK_M)[:, None] * d + across[None, :]
    column_offsets = tl.arange(0, BLOCK_N)[:, None] * d + across[None, :]
    at = parts + tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    value = tl.load(at)
    for tile in range(tl.program_id(0), tiles, tl.num_programs(0)):
        i, j = place(tile, high, wide, GROUP)
        times = 1.0
        if not GRADIENT:
            # Each stands for its mirror image too, but for those on the diagonal, and for those just half way round,
            # where both are met.
            times = tl.where((j == 0) | (2 * j == count), 1.0, 2.0)
            j = (i + j) % count
        row, column = begin + i * BLOCK_M, left + j * BLOCK_N
        a_base, b_base = z + tl.cast(row, tl.int64) * d, z + tl.cast(column, tl.int64) * d
        acc = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
        for start in range(0, d, BLOCK_D):
            a, b = tl.load(a_base + start + row_offsets), tl.load(b_base + start + column_offsets)
            if HALF:
                if UPCAST:  # the interpreter multiplies the raw bits of bfloat16
                    a, b = a.to(tl.float32), b.to(tl.float32)
                acc = tl.dot(a, tl.trans(b), acc)
            else:
                acc = tl.dot(a, tl.trans(b), acc, input_precision=PRECISION)
        rows, columns = row + tl.arange(0, BLOCK_M), column + tl.arange(0, BLOCK_N)
        distance = tl.maximum(tl.load(norms + rows)[:, None] + tl.load(norms + columns)[None, :] - 2 * acc, 0.0)
        off_diagonal = rows[:, None] != columns[None, :]
        scale = tl.load(shrink)
        kernel, slope = rungs(tl.where(off_diagonal, -distance * scale, 0.0), powers, K, DOUBLING)
        same_x = (rows < n)[:, None] & (columns < n)[None, :]
        same_y = (rows >= n)[:, None] & (columns >= n)[None, :]
        c = tl.where(same_x, tl.load(numbers + 2), tl.where(same_y, tl.load(numbers + 4), tl.load(numbers + 3)))
        c = tl.where(off_diagonal, c * tl.load(v + rows)[:, None] * tl.load(v + columns)[None, :], 0.0)
        # All c add up to 0 (unbiased: without the diagonal), so k - 1 serves as well as k; its diagonal is 0.
        value += times * tl.sum(c.to(tl.float64) * (kernel.to(tl.float64) - K), axis=1)
        if GRADIENT:
            out = slopes + tl.cast(i * BLOCK_M, tl.int64) * stride + j * BLOCK_N
            out += tl.arange(0, BLOCK_M)[:, None] * stride + tl.arange(0, BLOCK_N)[None, :]
            tl.store(out, slope * c * (4.0 * scale / K))
    tl.store(at, value)


@triton.jit
def chunk_gradient(
    slopes,  # [rows of the chunk, stride] float32: A
    z,  # [N, d] 16-bit or float32: the centred rows
    out,  # out [N, d] float32, to which this launch adds, but in the first chunk of a row
    d,  # a multiple of BLOCK_D
    begin,
    end,
    left,
    right,
    stride,
    BLOCK_M: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_K: tl.constexpr,
    GROUP: tl.constexpr,
    PRECISION: tl.constexpr,
):
    i, j = place(tl.program_id(0), tl.cdiv(end - begin, BLOCK_M), d // BLOCK_D, GROUP)
    across = tl.arange(0, BLOCK_D)
    a_base = slopes + tl.cast(i * BLOCK_M, tl.int64) * stride
    a_offsets = tl.arange(0, BLOCK_M)[:, None] * stride + tl.arange(0, BLOCK_K)[None, :]
    b_base = z + tl.cast(left, tl.int64) * d + j * BLOCK_D
    b_offsets = tl.arange(0, BLOCK_K)[:, None] * d + across[None, :]
    acc = tl.zeros((BLOCK_M, BLOCK_D), dtype=tl.float32)
    sums = tl.zeros((BLOCK_M,), dtype=tl.float32)
    for start in range(0, right - left, BLOCK_K):
        a, b = tl.load(a_base + start + a_offsets), tl.load(b_base + b_offsets)
        sums += tl.sum(a, axis=1)
        acc = tl.dot(a, b.to(tl.float32), acc, input_precision=PRECISION)
        b_base += BLOCK_K * d
    base = tl.cast(begin + i * BLOCK_M, tl.int64) * d + j * BLOCK_D
    offsets = tl.arange(0, BLOCK_M)[:, None] * d + across[None, :]
    acc -= sums[:, None] * tl.load(z + base + offsets).to(tl.float32)
    if left > 0:
        acc += tl.load(out + base + offsets)
    tl.store(out + base + offsets, acc)
