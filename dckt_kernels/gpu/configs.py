"""Block sizes and warps, chosen beforehand: a small table instead of tuning at run time.

Each row is compiled for sm_80, sm_90 and gfx942 by the tests, which hold it to no spills and to the chips' shared
memory (dckt_bench/static.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dckt_kernels.options import Precision

SMALL_ROWS = 512
"""Layers of at most so many pooled rows are small: one launch serves them all together."""


@dataclass(frozen=True)
class Launch:
    """How one kernel is compiled: its block sizes, warps and pipeline stages."""

    blocks: dict[str, int]
    num_warps: int
    num_stages: int

    def options(self) -> dict[str, Any]:
        return {**self.blocks, "num_warps": self.num_warps, "num_stages": self.num_stages}


def on_chip(precision: Precision, amd: bool) -> Precision:
    """The precision of float32 products as a chip has it: AMD's multiply float32 as it is where others split it."""
    return "ieee" if amd and precision == "tf32x3" else precision


def slab_width(rows: int) -> int:
    """Columns that one program of `partial_gram` takes: more rows, larger shares, so fewer of them."""
    return 512 if rows <= 128 else 1024


def partial_gram(rows: int, precision: str, half: bool) -> Launch:
    """For layers of at most `rows` pooled rows."""
    if rows <= 16:
        return Launch({"BLOCK_N": 16, "BLOCK_D": 64}, 4, 2)
    if rows <= 64 or (precision != "tf32" and not half):
        return Launch({"BLOCK_N": 64, "BLOCK_D": 32}, 8, 2)
    return Launch({"BLOCK_N": 128, "BLOCK_D": 32}, 8, 2)


def ladder() -> Launch:
    return Launch({"BLOCK_R": 16, "BLOCK_C": 32}, 4, 1)


def gradient(rows: int, precision: str) -> Launch:
    if rows <= 64 or precision != "tf32":
        return Launch({"BLOCK_M": 64, "BLOCK_D": 64, "BLOCK_K": 32}, 8, 2)
    return Launch({"BLOCK_M": 128, "BLOCK_D": 64, "BLOCK_K": 32}, 8, 2)


def tile(precision: str) -> Launch:
    """For the blocks of pairs of a large layer."""
    if precision == "tf32":
        return Launch({"BLOCK_M": 128, "BLOCK_N": 64, "BLOCK_D": 32}, 8, 3)
    return Launch({"BLOCK_M": 64, "BLOCK_N": 64, "BLOCK_D": 32}, 8, 2)


def panel_gradient(precision: str) -> Launch:
    if precision == "tf32":
        return Launch({"BLOCK_M": 128, "BLOCK_D": 64, "BLOCK_K": 32}, 8, 3)
    return Launch({"BLOCK_M": 64, "BLOCK_D": 64, "BLOCK_K": 32}, 8, 2)


def log_sums(precision: str) -> Launch:
    """For the walks of a transport."""
    if precision == "tf32":
        return Launch({"BLOCK_M": 128, "BLOCK_N": 64, "BLOCK_D": 32}, 8, 3)
    return Launch({"BLOCK_M": 64, "BLOCK_N": 64, "BLOCK_D": 32}, 8, 2)
