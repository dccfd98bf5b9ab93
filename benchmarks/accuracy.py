"""Relative error of value and gradient in float32, against explicit differences in float64, where distances are hard.

python benchmarks/accuracy.py > benchmarks/accuracy.csv
"""

from __future__ import annotations

import csv
import sys
from contextlib import redirect_stdout

import torch
from torch import Tensor

from dckt_bench.providers import PROVIDERS
from dckt_kernels import mk_mmd

N, D = 64, 512


def cases() -> dict[str, tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)

    def rows(count: int) -> Tensor:
        return torch.randn(count, D, generator=generator)

    x, y = rows(N), 1.1 * rows(N) + 0.1
    jitter = 1e-3 * rows(N)
    twins_x, twins_y = (torch.cat([z[: N // 2], z[: N // 2] + jitter[: N // 2]]) for z in (x, y))
    return {
        "offset 0": (x, y),
        "offset 100": (x + 100, y + 100),
        "offset 1000": (x + 1000, y + 1000),
        "near-duplicates": (twins_x + 10, twins_y + 10),
        "collapsed": (1000 + 1e-3 * x, 1000 + 1e-3 * y),
    }


def value_and_gradient(loss: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    return loss.detach().double(), torch.cat(torch.autograd.grad(loss, (x, y))).double()


def main() -> None:
    torch.set_num_threads(1)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["rows", "provider", "value_error", "gradient_error"])
    for case, (x, y) in cases().items():
        exact_x, exact_y = x.double().requires_grad_(), y.double().requires_grad_()
        expected, expected_grad = value_and_gradient(mk_mmd(exact_x, exact_y, backend="reference"), exact_x, exact_y)
        for name in ("dckt", "gram", "cdist", "geomloss"):
            if PROVIDERS[name].missing:
                continue
            x, y = x.detach().requires_grad_(), y.detach().requires_grad_()
            with redirect_stdout(sys.stderr):  # peers that print must not spoil the table
                value, grad = value_and_gradient(PROVIDERS[name].loss([(x, y)]), x, y)
            error = float((value - expected).abs() / expected)
            grad_error = float((grad - expected_grad).norm() / expected_grad.norm())
            writer.writerow([case, name, f"{error:.1e}", f"{grad_error:.1e}"])


if __name__ == "__main__":
    main()
