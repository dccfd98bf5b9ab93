"""Triton kernel for transport: what each row holds, the pairs being formed tile by tile and never stored.

log_sums    log sum_j exp(x_i . y_j + potential_j), over a share of the columns

Rows are stored up to whole blocks, so that every load is aligned and none is masked.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def log_sums(
    x,  # [n, d] float32
    y,  # [m, d] float32
    potentials,  # [m] float32, -3e38 beyond the rows of y
    sums,  # out [shares, n] float32
    n,
    total,  # m
    d,
    share,  # columns of a program, a multiple of BLOCK_N
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_D: tl.constexpr,
    PRECISION: tl.constexpr,
):
    rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    across = tl.arange(0, BLOCK_D)
    a_base = x + tl.program_id(0).to(tl.int64) * BLOCK_M * d
    a_offsets = tl.arange(0, BLOCK_M)[:, None] * d + across[None, :]
    b_offsets = tl.arange(0, BLOCK_N)[:, None] * d + across[None, :]
    begin = tl.program_id(1) * share
    # Sums are relative to the largest exponent so far, which a first finite one replaces.
    largest = tl.full((BLOCK_M,), -3.0e38, dtype=tl.float32)
    summed = tl.zeros((BLOCK_M,), dtype=tl.float32)
    for first in range(begin, min(begin + share, total), BLOCK_N):
        b_base = y + tl.cast(first, tl.int64) * d
        acc = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
        for start in range(0, d, BLOCK_D):
            a, b = tl.load(a_base + start + a_offsets), tl.load(b_base + start + b_offsets)
            acc = tl.dot(a, tl.trans(b), acc, input_precision=PRECISION)
        exponents = acc + tl.load(potentials + first + tl.arange(0, BLOCK_N))[None, :]
        new = tl.maximum(largest, tl.max(exponents, axis=1))
        summed = summed * tl.exp(largest - new) + tl.sum(tl.exp(exponents - new[:, None]), axis=1)
        largest = new
    tl.store(sums + tl.program_id(1).to(tl.int64) * n + rows, largest + tl.log(summed))
