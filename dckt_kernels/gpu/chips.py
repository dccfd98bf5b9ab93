"""The architecture table: what Triton makes of a product on each chip, and what the chip gives a program.

Every row is compiled ahead of time by the tests (dckt_bench/static.py). Chips that it does not hold have the closed
form, but for NVIDIA's that come after one of its rows, whose code theirs is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch

from dckt_kernels.options import Precision

Product = Literal["tf32", "tf32x3", "ieee", "bf16x3", "bf16x6"]
"""How float32 numbers are multiplied: as they are (ieee), rounded to TF32, or as sums of TF32 or bfloat16 numbers,
whose products are exact. bf16x3 keeps 16 bits of each factor, where TF32 has 11; tf32x3 keeps 22, bf16x6 all 24."""


@dataclass(frozen=True)
class Architecture:
    """What follows from a chip's name.

    Attributes:
        tf32: the product that stands for precision "tf32", at least as exact.
        tf32x3: the product that stands for "tf32x3".
        halves: whether rows of bfloat16 and float16 are multiplied as they are; if not, as float32.
        shared: bytes of shared memory that a program may use.
        warp: threads of a warp (of a wave, on AMD).
        crowded: products for which blocks of 64 rows take more registers than a thread has.
        scalar: why products have no matrix instructions where they have none, by product.
    """

    tf32: Product
    tf32x3: Product
    shared: int
    halves: bool = True
    warp: int = 32
    crowded: tuple[Product, ...] = ()
    scalar: str = "NVIDIA's tensor cores do not take float32"

    def product(self, precision: Precision) -> Product:
        """The product that a call's precision is on this chip."""
        return {"tf32": self.tf32, "tf32x3": self.tf32x3, "ieee": "ieee"}[precision]

    def rows(self, product: Product) -> int:
        """Of a block."""
        return 32 if product in self.crowded else 64


KIB = 1024
ARCHITECTURES: dict[str, Architecture] = {
    "sm_75": Architecture(
        "ieee", "ieee", 64 * KIB, halves=False, scalar="Triton uses no tensor cores before sm_80, whatever the numbers"
    ),
    "sm_80": Architecture("tf32", "tf32x3", 163 * KIB),
    "sm_86": Architecture("tf32", "tf32x3", 99 * KIB),
    "sm_89": Architecture("tf32", "tf32x3", 99 * KIB),
    "sm_90": Architecture("tf32", "tf32x3", 227 * KIB),
    "sm_100": Architecture("tf32", "tf32x3", 227 * KIB),
    "sm_120": Architecture("tf32", "tf32x3", 99 * KIB),
    "gfx90a": Architecture("ieee", "ieee", 64 * KIB, warp=64, scalar=""),
    "gfx942": Architecture("tf32", "ieee", 64 * KIB, warp=64, scalar=""),
    "gfx950": Architecture("bf16x3", "bf16x6", 160 * KIB, warp=64, scalar=""),
    "gfx1100": Architecture(
        "bf16x3",
        "bf16x6",
        64 * KIB,
        crowded=("ieee", "bf16x6"),
        scalar="RDNA 3 multiplies matrices of 16-bit numbers only",
    ),
}


@dataclass(frozen=True)
class Chip:
    """A device: its architecture, and what was asked of it at run time.

    Attributes:
        name: the row of ARCHITECTURES, or "interpreter".
    """

    name: str
    architecture: Architecture
    multiprocessors: int

    @property
    def nvidia(self) -> bool:
        return self.name.startswith("sm_")


INTERPRETER = Chip("interpreter", Architecture("tf32", "tf32x3", 2**31), multiprocessors=1)


def row_of(name: str) -> str | None:
    """The row of ARCHITECTURES that serves a chip, by the name of its instructions; None if there is none."""
    if name in ARCHITECTURES:
        return name
    if re.fullmatch(r"gfx110\d", name):
        return "gfx1100"  # smaller chips of one generation
    if re.fullmatch(r"sm_\d+", name):
        earlier = [row for row in ARCHITECTURES if row.startswith("sm_") and _number(row) < _number(name)]
        return max(earlier, key=_number, default=None)
    return None


@lru_cache(maxsize=64)
def of(device: torch.device) -> Chip | None:
    """The chip behind a device of CUDA or ROCm, whose properties are read once; None if no row serves it, or it has
    less shared memory than its row says."""
    found = torch.cuda.get_device_properties(device)
    name = found.gcnArchName.split(":")[0] if torch.version.hip else f"sm_{found.major}{found.minor}"
    row = row_of(name)
    if row is None:
        return None
    architecture = ARCHITECTURES[row]
    shared = getattr(found, "shared_memory_per_block_optin", 0) or architecture.shared  # AMD's do not say
    return Chip(row, architecture, found.multi_processor_count) if shared >= architecture.shared else None


def _number(name: str) -> int:
    return int(name.removeprefix("sm_"))
