"""Triton kernel for transport: what each row holds, the pairs being formed tile by tile and never stored.

log_sums    log sum_j exp(x_i . y_j + potential_j), over a share of the columns
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def log_sums(
    x,  # [n, d] float32, rows `stride` apart
    y,  # [m, d] float32, the same
    potentials,  # [m] float32
    sums,  # out [shares, n] float32
    n,
    total,  # m
    d,
    stride,
    share,  # columns of a program, a multiple of BLOCK_N
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_D: tl.constexpr,
    PRECISION: tl.constexpr,
):
    rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    row_inside = rows < n
    row_base = x + rows.to(tl.int64) * stride
    begin = tl.program_id(1) * share
    # Sums are relative to the largest exponent so far, which a first finite one replaces.
    largest = tl.full((BLOCK_M,), -3.0e38, dtype=tl.float32)
    summed = tl.zeros((BLOCK_M,), dtype=tl.float32)
    for first in range(begin, min(begin + share, total), BLOCK_N):
        columns = first + tl.arange(0, BLOCK_N)
        column_inside = columns < total
        column_base = y + columns.to(tl.int64) * stride
        acc = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
        for start in range(0, d, BLOCK_D):
            inner = start + tl.arange(0, BLOCK_D)
            a = tl.load(row_base[:, None] + inner[None, :], mask=row_inside[:, None] & (inner < d)[None, :], other=0.0)
            b = tl.load(
                column_base[:, None] + inner[None, :], mask=column_inside[:, None] & (inner < d)[None, :], other=0.0
            )
            acc = tl.dot(a, tl.trans(b), acc, input_precision=PRECISION)
        exponents = acc + tl.load(potentials + columns, mask=column_inside, other=0.0)[None, :]
        exponents = tl.where(column_inside[None, :], exponents, -3.0e38)
        new = tl.maximum(largest, tl.max(exponents, axis=1))
        summed = summed * tl.exp(largest - new) + tl.sum(tl.exp(exponents - new[:, None]), axis=1)
        largest = new
    tl.store(sums + tl.program_id(1) * n + rows, largest + tl.log(summed), mask=row_inside)
