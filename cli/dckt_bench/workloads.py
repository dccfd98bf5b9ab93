"""What is measured: the shapes of one call."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor

Pairs = list[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Workload:
    """One call: the (n, m, d) of each pair of feature matrices."""

    name: str
    layers: tuple[tuple[int, int, int], ...]

    def pairs(self, dtype: torch.dtype, device: torch.device, seed: int = 0) -> Pairs:
        """Random rows, the second domain shifted and wider, the same for the same seed. Leaves that want a gradient."""
        generator = torch.Generator().manual_seed(seed)

        def rows(count: int, d: int, scale: float, shift: float) -> Tensor:
            z = torch.randn(count, d, generator=generator, dtype=torch.float32) * scale + shift
            return z.to(device=device, dtype=dtype).requires_grad_()

        return [(rows(n, d, 1.0, 0.0), rows(m, d, 1.1, 0.1)) for n, m, d in self.layers]

    @property
    def pooled(self) -> tuple[tuple[int, int], ...]:
        """(N, d) of each layer, N = n + m."""
        return tuple((n + m, d) for n, m, d in self.layers)


# The six terms of the method at batch 64: fc6 and fc7 of the image and of the text, then fc8 and fc9 of both stacked.
DCKT = Workload("dckt", ((64, 64, 4096),) * 4 + ((128, 128, 4096),) * 2)

DEFAULT = ("64x4096", "256x4096", "1024x1024", "4096x256", "dckt")


def parse(text: str) -> Workload:
    """ "64x4096" is 64 + 64 rows of 4096, "41:37x1271" is 41 + 37 rows, "dckt" the six layers of the method."""
    if text == "dckt":
        return DCKT
    match = re.fullmatch(r"(\d+)(?::(\d+))?x(\d+)", text)
    if not match or 0 in (sizes := [int(size) for size in match.groups(default=match[1])]):
        raise ValueError(f"{text!r} is no shape: write NxD, N:MxD or dckt, for example 64x4096")
    n, m, d = sizes
    return Workload(text, ((n, m, d),))
