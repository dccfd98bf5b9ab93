"""`two_sample_test`: are two samples of one distribution? By MMD and permutations, for tens of rows or millions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from dckt_kernels.two_sample.features import FeatureMap, nystrom, random_features
from dckt_kernels.two_sample.kernels import FAMILIES, Family, Kernel, family
from dckt_kernels.two_sample.rows import Rows, pair, unit

Method = Literal["auto", "exact", "features", "nystrom", "agg", "fuse"]
METHODS: tuple[Method, ...] = get_args(Method)

EXACT_ROWS = 4000
"""Pooled rows up to which `auto`, `agg` and `fuse` take all pairs."""
FEATURES, LANDMARKS = 1024, 256
GROUPS = 8192
"""Groups of rows at most that are dealt out together where features are used."""
FEWEST = 50
"""Groups of the smaller sample."""
AGGREGATED: tuple[Family, ...] = ("gaussian", "laplace")
"""Families of `agg` and `fuse`, each with all its bandwidths."""
ROWS_AT_ONCE = 512
ROUNDING = 1e-12
"""By this much deals may differ that are the same samples in another order; kernels are about 1 at most."""


@dataclass(frozen=True)
class TwoSampleTest:
    """How far apart two samples are, and how often chance takes them as far.

    Attributes:
        mmd: the biased squared MMD, at least 0; of the mean of the kernels.
        p_value: the share of dealings, the observed one included, that lie at least as far apart; in (0, 1].
        method: that was used: `auto` is told as what it chose.
        left_out: rows of x, and of y, that no group had room for; none but with features of many rows.
        by_chance: the squared MMD that one dealing in twenty lies beyond, the 95 % quantile of all.
    """

    mmd: float
    p_value: float
    method: str = "exact"
    left_out: tuple[int, int] = (0, 0)
    by_chance: float = 0.0


@torch.no_grad()
def two_sample_test(
    x: Any,
    y: Any,
    *,
    method: Method = "auto",
    kernel: Family = "gaussian",
    permutations: int = 999,
    stacked: int = 1,
    features: int | None = None,
    generator: torch.Generator,
) -> TwoSampleTest:
    """Tests the hypothesis that the rows of x [n, d] and y [m, d] come from one distribution.

    Pooled rows are dealt out anew to samples of the same sizes; p = (1 + dealings at least as far apart) / (1 +
    permutations), which holds its level exactly for every number of permutations (Gretton et al., 2012, section 5.1;
    Phipson and Smyth, 2010). The smallest p is 1 / (1 + permutations).

    Rows are centred and brought to a mean squared distance of 1: a common factor or offset changes nothing.

    Args:
        x: a tensor or a NumPy array, a memory-mapped one too, of real numbers.
        y: the same.
        method: - `exact`: all pairs, in float64: O((n + m)^2 (d + permutations)) operations.
            - `features`: the means of random Fourier features, in float32: O((n + m) d) operations, memory for a block
              of rows. Where there are many, groups of rows that follow one another are dealt out whole, which are as
              exchangeable; of a sample that is far larger than the other, evenly spaced groups are enough.
            - `nystrom`: the same with the features of landmark rows, for any kernel.
            - `agg`: several kernels and bandwidths, by the smallest of their p-values, held to level by what dealings
              have for theirs (after MMDAgg, Schrab et al., 2023: all kernels weigh the same).
            - `fuse`: by the soft maximum of their statistics, each in units of its scatter over dealings (after
              MMD-FUSE, Biggs et al., 2023).
            - `auto`: `exact` for up to 4,000 rows in all, else `features`, or `nystrom` where a kernel has none.
        kernel: see `dckt_kernels.two_sample.kernels`; the mean of five bandwidths where it has them. `agg` and `fuse`
            take `gaussian` and `laplace`, whatever it says.
        stacked: how many rows belong together: x is `stacked` blocks of n / stacked rows, row i of every block is one
            observation's, and so is y. Observations are dealt out whole, as rows of one are not independent.
        features: how many; 1,024 random ones by default, or 256 landmarks.
        generator: on the CPU.

    Raises:
        ValueError, TypeError: what is asked for cannot be computed.
    """
    samples = pair(x, y)
    _check(samples, method, kernel, permutations, stacked, features)
    total = len(samples[0]) + len(samples[1])
    kernels = family(kernel)
    if method in ("agg", "fuse"):
        kernels = tuple(one for name in AGGREGATED for one in family(name))
    chosen = method
    if method == "auto":
        chosen = "exact" if total <= EXACT_ROWS else "nystrom" if kernel in ("energy", "polynomial") else "features"
    mean, scale = unit(samples)
    whole = chosen == "exact" or (chosen in ("agg", "fuse") and total <= EXACT_ROWS)
    if whole:
        values, left_out = _by_all_pairs(samples, kernels, mean, scale, permutations, stacked, generator), (0, 0)
    else:
        maps = _maps(chosen, kernels, samples, mean, scale, features, generator)
        values, left_out = _by_features(samples, maps, mean, scale, permutations, stacked, generator)
    p_value = _p_value(values, chosen)
    found = values.mean(dim=0).clamp_min(0.0)
    return TwoSampleTest(float(found[0]), p_value, chosen, left_out, by_chance=float(found.quantile(0.95)))


def _p_value(values: Tensor, method: str) -> float:
    """Of what each kernel says of each dealing [kernels, 1 + permutations], the observed one first."""
    if method == "agg":
        # Each kernel's p-value of every dealing among all of them; the smaller the least, the further apart.
        ranked = torch.stack([_at_least(row) for row in values])
        statistic = -ranked.amin(dim=0).double()
    elif method == "fuse":
        scatter = values.std(dim=1, keepdim=True).clamp_min(ROUNDING)
        statistic = (values / scatter).logsumexp(dim=0)
        return float((statistic >= statistic[0] - ROUNDING / float(scatter.min())).double().mean())
    else:
        statistic = values.mean(dim=0)
    return float((statistic >= statistic[0] - ROUNDING).double().mean())


def _at_least(values: Tensor) -> Tensor:
    """For each value [b] how many of all are at least as large [b]."""
    ascending = values.sort().values
    return len(values) - torch.searchsorted(ascending, values - ROUNDING, side="left")


def _dealings(n: int, m: int, permutations: int, generator: torch.Generator) -> Tensor:
    """1 / n for the units of the first sample and -1 / m for the others [n + m, 1 + permutations]: as they are, then
    dealt out anew.
    """
    dealt = torch.tensor([1 / n] * n + [-1 / m] * m, dtype=torch.float64)
    orders = [torch.arange(n + m), *(torch.randperm(n + m, generator=generator) for _ in range(permutations))]
    return dealt[torch.stack(orders, dim=1)]


def _by_all_pairs(
    samples: tuple[Rows, Rows],
    kernels: Sequence[Kernel],
    mean: Tensor,
    scale: float,
    permutations: int,
    stacked: int,
    generator: torch.Generator,
) -> Tensor:
    """The biased squared MMD by each kernel of each dealing [kernels, 1 + permutations]."""
    n, m = (len(rows) // stacked for rows in samples)
    both = [rows.take(slice(None)).reshape(stacked, -1, rows.width).transpose(0, 1) for rows in samples]
    z = (torch.cat(both).flatten(0, 1) - mean) * scale  # an observation's rows in sequence
    signs = _dealings(n, m, permutations, generator).repeat_interleave(stacked, dim=0).to(z.device) / stacked
    values = z.new_zeros(len(kernels), signs.shape[1])
    for start in range(0, len(z), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        for number, kernel in enumerate(kernels):
            values[number] += (signs[rows] * (kernel.matrix(z[rows], z) @ signs)).sum(dim=0)
    return values


def _maps(
    method: str,
    kernels: Sequence[Kernel],
    samples: tuple[Rows, Rows],
    mean: Tensor,
    scale: float,
    features: int | None,
    generator: torch.Generator,
) -> list[FeatureMap]:
    """One map for each statistic: one of all kernels together, or one of each where they are aggregated."""
    if method == "nystrom":
        count = features or LANDMARKS
        total = len(samples[0]) + len(samples[1])
        drawn = torch.randperm(total, generator=generator)[:count].sort().values
        in_x = drawn < len(samples[0])
        parts = [samples[0].take(drawn[in_x]), samples[1].take(drawn[~in_x] - len(samples[0]))]
        return [nystrom(kernels, (torch.cat(parts) - mean) * scale)]
    count, width = features or FEATURES, samples[0].width
    if method == "features":
        return [random_features(kernels, count, width, generator)]
    return [random_features([kernel], count // len(kernels), width, generator) for kernel in kernels]


def _by_features(
    samples: tuple[Rows, Rows],
    maps: Sequence[FeatureMap],
    mean: Tensor,
    scale: float,
    permutations: int,
    stacked: int,
    generator: torch.Generator,
) -> tuple[Tensor, tuple[int, int]]:
    """The squared distance of both samples' mean features for each map and dealing, and how many rows had no group."""
    counts = [len(rows) // stacked for rows in samples]
    size, groups = _groups(counts[0], counts[1])
    sums: list[list[Tensor]] = [[] for _ in maps]
    for rows, chosen in zip(samples, groups, strict=True):
        for number, summed in enumerate(_grouped(rows, maps, mean, scale, chosen, size, stacked)):
            sums[number].append(summed)
    signs = _dealings(len(groups[0]), len(groups[1]), permutations, generator).to(mean.device)
    values = [(torch.cat(parts).T @ signs).square().sum(dim=0) for parts in sums]
    of_x, of_y = ((count - len(chosen) * size) * stacked for count, chosen in zip(counts, groups, strict=True))
    return torch.stack(values), (of_x, of_y)


def _groups(n: int, m: int) -> tuple[int, tuple[Tensor, Tensor]]:
    """How many observations are dealt out together, and the numbers of each sample's groups, GROUPS at most in all.

    The smaller sample has FEWEST groups where it can. Should the larger then have too many, evenly spaced ones are
    taken: the smaller one's scatter is what a test has to bear with.
    """
    size = max(1, min(-(-(n + m) // GROUPS), min(n, m) // min(FEWEST, GROUPS // 4)))
    of_x, of_y = n // size, m // size
    room = GROUPS - min(of_x, of_y)
    first, second = (torch.arange(min(count, room)) * count // min(count, room) for count in (of_x, of_y))
    return size, (first, second)


def _grouped(
    rows: Rows, maps: Sequence[FeatureMap], mean: Tensor, scale: float, chosen: Tensor, size: int, stacked: int
) -> list[Tensor]:
    """Mean features of the groups that were chosen [g, k], by map, float64."""
    found: list[list[Tensor]] = [[] for _ in maps]
    observations, within = len(rows) // stacked, torch.arange(size)
    for some in torch.split(chosen, max(1, 4096 // size)):
        places = (some[:, None] * size + within).flatten()
        parts = [((rows.take(places + block * observations) - mean) * scale).float() for block in range(stacked)]
        for number, of in enumerate(maps):
            means = [of(part).view(len(some), size, -1).double().mean(dim=1) for part in parts]
            found[number].append(torch.stack(means).mean(dim=0))
    return [torch.cat(parts) for parts in found]


def _check(
    samples: tuple[Rows, Rows], method: str, kernel: str, permutations: int, stacked: int, features: int | None
) -> None:
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r} (known: {', '.join(METHODS)})")
    if kernel not in FAMILIES:
        raise ValueError(f"unknown kernel {kernel!r} (known: {', '.join(FAMILIES)})")
    for rows in samples:
        if stacked < 1 or len(rows) % stacked:
            raise ValueError(f"stacked = {stacked} does not divide the {len(rows)} rows of {rows.name}")
    if permutations < 1:
        raise ValueError(f"permutations = {permutations} must be at least 1")
    if features is not None and features < 2:
        raise ValueError(f"features = {features} must be at least 2")
