"""Two-sample tests: level, power beside scipy's and hyppo's, and the time and memory of a million rows a side.

python benchmarks/two_sample.py level|power|large [--simulations N] [--rows N] [--threads N]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from scipy.stats import binom, energy_distance, ks_2samp, permutation_test
from torch import Tensor

from dckt_bench.memory import Peak
from dckt_kernels import two_sample_test

METHODS = ("exact", "features", "nystrom", "agg", "fuse")
ALPHA = 0.05


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def level(simulations: int) -> None:
    """How often p <= .05 for two samples of one distribution, beside where a level of 5 % lies in 95 % of such runs."""
    low, high = (binom.ppf(q, simulations, ALPHA) / simulations for q in (0.025, 0.975))
    print(f"rejected at {ALPHA:.0%} in {simulations} simulations; a level of 5 % gives {low:.3f} to {high:.3f}")
    for method in METHODS:
        hits = 0
        for seed in range(simulations):
            generator = seeded(seed)
            x, y = torch.randn(60, 5, generator=generator), torch.randn(40, 5, generator=generator)
            found = two_sample_test(x, y, method=method, permutations=99, features=128, generator=generator)
            hits += found.p_value <= ALPHA
        print(f"  {method:10s} {hits / simulations:.4f}", flush=True)


def shifted(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    x, y = torch.randn(100, 10, generator=generator), torch.randn(100, 10, generator=generator)
    return x, y + 0.2


def wider(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    x, y = torch.randn(100, 10, generator=generator), torch.randn(100, 10, generator=generator)
    return x, 1.25 * y


def wavy(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """One column: a flat density, and a wave of three periods."""
    x, y = (torch.rand(count, 1, generator=generator) for count in (100, 1000))
    kept = torch.rand(1000, generator=generator) < (1 + torch.cos(6 * torch.pi * y[:, 0])) / 2
    return x, y[kept][:100]


def power(simulations: int) -> None:
    """How often p <= .05 for samples that differ."""
    peers: dict[str, Callable[[Tensor, Tensor, int], float]] = {
        "scipy, energy distance, column by column (Bonferroni)": _scipy_energy,
        "scipy, Kolmogorov and Smirnov, column by column (Bonferroni)": _scipy_ks,
    }
    try:
        from hyppo.ksample import MMD

        peers["hyppo, MMD of the median distance"] = lambda x, y, seed: float(
            MMD().test(x.double().numpy(), y.double().numpy(), reps=99, auto=False, random_state=seed).pvalue
        )
    except ImportError:
        print("hyppo is not installed")
    for make in (shifted, wider, wavy):
        print(f"{make.__name__}: rejected at {ALPHA:.0%} in {simulations} simulations")
        for method in METHODS:
            ps = [
                two_sample_test(*make(seeded(seed)), method=method, permutations=99, generator=seeded(seed)).p_value
                for seed in range(simulations)
            ]
            print(f"  {method:10s} {sum(p <= ALPHA for p in ps) / simulations:.3f}", flush=True)
        for name, test in peers.items():
            ps = [test(*make(seeded(seed)), seed) for seed in range(simulations)]
            print(f"  {name} {sum(p <= ALPHA for p in ps) / simulations:.3f}", flush=True)


def _scipy_energy(x: Tensor, y: Tensor, seed: int) -> float:
    ps = [
        permutation_test(
            (x[:, column].numpy(), y[:, column].numpy()),
            energy_distance,
            n_resamples=99,
            alternative="greater",
            rng=seed,
        ).pvalue
        for column in range(x.shape[1])
    ]
    return min(ps) * len(ps)


def _scipy_ks(x: Tensor, y: Tensor, seed: int) -> float:
    return min(ks_2samp(a.numpy(), b.numpy()).pvalue for a, b in zip(x.T, y.T, strict=True)) * x.shape[1]


def large(rows: int, threads: int) -> None:
    """The time and the memory beyond the rows themselves of so many a side, 128 values each."""
    torch.set_num_threads(threads)
    x, y = (torch.randn(rows, 128, generator=seeded(seed)) for seed in (0, 1))
    two_sample_test(x[:5000], y[:5000], generator=seeded(0))
    for method in ("features", "nystrom", "agg"):
        with Peak(torch.device("cpu")) as peak:
            begin, busy = time.perf_counter(), time.process_time()
            found = two_sample_test(x, y, method=method, generator=seeded(0))
            seconds, worked = time.perf_counter() - begin, time.process_time() - busy
        print(
            f"{method:10s} {rows:,} + {rows:,} rows: {seconds:.0f} s, {worked:.0f} s of processors, {threads} threads, "
            f"{peak.megabytes:.0f} MB, p {found.p_value:.3f}, {found.left_out} left out",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("level", "power", "large"))
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    if given.what == "large":
        large(given.rows, given.threads)
        return
    torch.set_num_threads(1)
    {"level": level, "power": power}[given.what](given.simulations)


if __name__ == "__main__":
    main()
