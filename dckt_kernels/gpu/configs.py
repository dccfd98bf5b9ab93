"""Block sizes and warps, chosen beforehand: a table instead of tuning at run time.

Where a kernel has several, the largest is the first and the last fits every chip; a chip takes the first that it has
the shared memory for. The tests compile each for the architectures that take it, and hold it to no spills and to its
`shared` (dckt_bench/static.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dckt_kernels.gpu.chips import KIB, Architecture, Chip, Product

SMALL_ROWS = 512
"""Layers of at most so many pooled rows are small: one launch serves them all together."""
CHUNK_CELLS = 2**26
"""Pairs of a large layer that are held at once: 256 MiB of float32."""
WAVES = 2
"""Programs a multiprocessor that walk over the tiles of a large layer."""
SMALL, LARGE = 56 * KIB, 80 * KIB
"""Bytes of shared memory that blocks of at most 64 rows take at most, and those of 128 rows."""
MOST_REGISTERS = 255
"""That a thread can have on NVIDIA's chips."""
GROUP = 8
"""Rows of tiles that programs of a large layer walk along side by side."""
SPLITS = (1, 2, 4)
"""Into so many parts the slabs of small layers may be split to keep a chip busy, down to NARROWEST_SLAB columns."""
NARROWEST_SLAB = 128


@dataclass(frozen=True)
class Launch:
    """How one kernel is compiled.

    Attributes:
        blocks: sizes, powers of two.
        num_warps: of a program.
        num_stages: of the pipeline that loads.
        shared: bytes of shared memory that a program takes at most, on any architecture that has these blocks.
    """

    blocks: dict[str, int]
    num_warps: int
    num_stages: int
    shared: int

    def options(self, nvidia: bool) -> dict[str, Any]:
        """What Triton is told when it compiles, but for the block sizes."""
        # Else NVIDIA's assembler takes fewer, and spills some, where that lets one more program be resident.
        limit = {"maxnreg": MOST_REGISTERS} if nvidia else {}
        return {"num_warps": self.num_warps, "num_stages": self.num_stages, **limit}


def fitting(launches: Sequence[Launch], architecture: Architecture) -> Launch:
    """The first that an architecture has the shared memory for; the last fits all."""
    return next((launch for launch in launches if launch.shared <= architecture.shared), launches[-1])


def busy(launches: Sequence[Launch], chip: Chip, programs: Callable[[Launch], int]) -> Launch:
    """The first, largest blocks that give every multiprocessor a program; else the last, which makes the most."""
    return next((launch for launch in launches if programs(launch) >= chip.multiprocessors), launches[-1])


def slab_width(rows: int) -> int:
    """Columns that one program of `partial_gram` takes: more rows, larger shares, so fewer of them."""
    return 512 if rows <= 128 else 1024


def partial_gram(product: Product, architecture: Architecture) -> Launch:
    high = architecture.rows(product)
    return Launch({"BLOCK_N": high, "BLOCK_D": _deep(product, architecture)}, _warps(high), 2, SMALL)


def ladder() -> list[Launch]:
    return [Launch({"BLOCK_R": 16, "BLOCK_C": 32}, 8, 1, KIB), Launch({"BLOCK_R": 8, "BLOCK_C": 32}, 4, 1, KIB)]


def gradient(product: Product, architecture: Architecture) -> Launch:
    high = architecture.rows(product)
    return Launch({"BLOCK_M": high, "BLOCK_D": 64, "BLOCK_K": _deep(product, architecture)}, 8, 2, SMALL)


def pair_tiles(product: Product, architecture: Architecture, gradient: bool, half: bool) -> list[Launch]:
    """For the pairs of a large layer; square where the value alone is asked for. half: of 16-bit rows."""
    high = architecture.rows(product)
    # So many that each of a program's threads loads 16 bytes at once: AMD's waves make twice as many threads.
    deep = 64 if half and architecture.warp == 64 else 32
    small = Launch({"BLOCK_M": high, "BLOCK_N": high, "BLOCK_D": deep, "GROUP": GROUP}, _warps(high), 2, SMALL)
    if product != "tf32" or not gradient:
        return [small]
    return [Launch({"BLOCK_M": 128, "BLOCK_N": 64, "BLOCK_D": 32, "GROUP": GROUP}, 8, 3, LARGE), small]


def chunk_gradient(product: Product, architecture: Architecture) -> list[Launch]:
    high = architecture.rows(product)
    small = Launch({"BLOCK_M": high, "BLOCK_D": 64, "BLOCK_K": 32, "GROUP": GROUP}, 8, 2, SMALL)
    if product != "tf32":
        return [small]
    return [Launch({"BLOCK_M": 128, "BLOCK_D": 64, "BLOCK_K": 32, "GROUP": GROUP}, 8, 3, LARGE), small]


def log_sums(product: Product, architecture: Architecture) -> list[Launch]:
    """For the walks of a transport."""
    high = architecture.rows(product)
    small = Launch({"BLOCK_M": high, "BLOCK_N": 64, "BLOCK_D": 32}, 8, 2, SMALL)
    if product != "tf32":
        return [small]
    return [Launch({"BLOCK_M": 128, "BLOCK_N": 64, "BLOCK_D": 32}, 8, 3, LARGE), small]


def _deep(product: Product, architecture: Architecture) -> int:
    """Of the sums of a product whose rows may lie anywhere: without matrix units a thread holds all their addresses."""
    return 16 if product == "ieee" and architecture.scalar else 32


def _warps(high: int) -> int:
    """For a square of so many rows."""
    return 8 if high >= 64 else 4
