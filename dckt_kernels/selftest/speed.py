"""Forward and backward against what one writes without these kernels, in turns within one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from dckt_kernels import mk_mmd
from dckt_kernels.selftest.checks import Check, Figures, Place

ROUNDS = 7
ON_A_GPU = ((64, 4096), (1024, 1024), (4096, 256))
ON_A_CPU = ((64, 4096), (256, 1024), (512, 256))
"""Rows a side, and their width."""


def speed(place: Place, shapes: Sequence[tuple[int, int]]) -> Iterator[Check]:
    for n, d in shapes:
        yield Check(f"speed at {n} + {n} rows of {d}", partial(compared, place, n, d))


def compared(place: Place, n: int, d: int) -> Figures:
    """Median seconds of each, and how many times as long as ours the others take."""
    x, y = place.rows(n, n, d)
    contenders: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "dckt": lambda x, y: mk_mmd(x, y, backend=place.backend),
        "gram": _gram,
        "cdist": _cdist,
    }
    for call in contenders.values():
        _seconds(place, call, x, y)  # compiles, fills caches
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, call in contenders.items():
            taken[name].append(_seconds(place, call, x, y))
    seconds = {name: statistics.median(times) for name, times in taken.items()}
    ratios = {f"{name}_over_dckt": seconds[name] / seconds["dckt"] for name in ("gram", "cdist")}
    return {"seconds": seconds, **ratios, "rounds": ROUNDS}


def _seconds(place: Place, call: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> float:
    _settle(place)
    begun = time.perf_counter()
    torch.autograd.grad(call(x, y), (x, y))
    _settle(place)
    return time.perf_counter() - begun


def _settle(place: Place) -> None:
    if place.device.type == "cuda":
        torch.cuda.synchronize(place.device)


def _gram(x: Tensor, y: Tensor) -> Tensor:
    """The Gram matrix with autograd."""
    z = torch.cat([x, y])
    norms = z.square().sum(1)
    return _from_distances(norms[:, None] + norms[None, :] - 2 * z @ z.T, len(x))


def _cdist(x: Tensor, y: Tensor) -> Tensor:
    """torch.cdist with autograd."""
    z = torch.cat([x, y])
    return _from_distances(torch.cdist(z, z).square(), len(x))


def _from_distances(distances: Tensor, n: int) -> Tensor:
    rows = len(distances)
    sigma = distances.detach().sum() / (rows * (rows - 1))
    kernel = torch.stack([torch.exp(-distances / (sigma * 2.0 ** (k - 2))) for k in range(5)]).mean(0)
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()
