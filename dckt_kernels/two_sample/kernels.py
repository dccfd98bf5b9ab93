"""Kernels of two-sample tests, on rows in units of their own mean distance, and what their features are drawn from.

With D = ||x - y||^2 and a bandwidth s, both in units of the mean squared distance of the pooled rows:

    gaussian             exp(-D / s)
    laplace              exp(-sqrt(D / s))
    imq                  (1 + D / s)^(-1/2), the inverse multiquadric
    rational-quadratic   (1 + D / s)^-1
    energy               (||x|| + ||y|| - ||x - y||) / 2: half the energy distance (Sejdinovic et al., 2013)
    polynomial           (x . y / d + 1)^3, of rows that are centred
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

Family = Literal["gaussian", "laplace", "imq", "rational-quadratic", "energy", "polynomial"]
FAMILIES: tuple[Family, ...] = get_args(Family)
WITHOUT_BANDWIDTH: tuple[Family, ...] = ("energy", "polynomial")
LADDER = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Bandwidths of a family that has them."""


@dataclass(frozen=True)
class Kernel:
    """One kernel.

    Attributes:
        bandwidth: s; without meaning for `energy` and `polynomial`.
    """

    family: Family
    bandwidth: float = 1.0

    def matrix(self, x: Tensor, y: Tensor) -> Tensor:
        """[n, m] for rows x [n, d] and y [m, d]."""
        products = x @ y.T
        if self.family == "polynomial":
            return (products / x.shape[1] + 1).pow(3)
        norms_x, norms_y = x.square().sum(1), y.square().sum(1)
        squares = _squares(norms_x[:, None] + norms_y, products, x.shape[1])
        if self.family == "energy":
            return (norms_x.sqrt()[:, None] + norms_y.sqrt() - squares.sqrt()) / 2
        squares = squares / self.bandwidth
        if self.family == "gaussian":
            return squares.neg().exp()
        if self.family == "laplace":
            return squares.sqrt().neg().exp()
        return squares.add(1).pow(-0.5 if self.family == "imq" else -1.0)

    def frequencies(self, count: int, width: int, generator: torch.Generator) -> Tensor:
        """[width, count], drawn from the kernel's spectral density (Rahimi and Recht, 2007).

        `imq` and `rational-quadratic` are mixtures of Gaussians over a Gamma-distributed scale, `laplace` has a
        multivariate Cauchy density.

        Raises:
            ValueError: the family has no such density.
        """
        if self.family in WITHOUT_BANDWIDTH:
            raise ValueError(f"kernel '{self.family}' has no random features: take method 'nystrom' or 'exact'")
        drawn = torch.randn(width, count, generator=generator, dtype=torch.float64)
        if self.family == "laplace":
            cauchy: Tensor = drawn / torch.randn(count, generator=generator, dtype=torch.float64).abs()
            return cauchy / math.sqrt(self.bandwidth)
        if self.family == "gaussian":
            return drawn * math.sqrt(2 / self.bandwidth)
        # Gamma(1/2) is half a squared normal number, Gamma(1) the half sum of two.
        normals = torch.randn(1 if self.family == "imq" else 2, count, generator=generator, dtype=torch.float64)
        return drawn * (normals.square().sum(dim=0) / self.bandwidth).sqrt()


def _squares(norms: Tensor, products: Tensor, width: int) -> Tensor:
    """Squared distances [n, m], of the sums of both squared norms and the products.

    What is no more than rounding is 0: of rows that coincide a root would make 1e-16 to 1e-8, whose digits are those of
    the processor.
    """
    squares = norms - 2 * products
    return squares.where(squares > width * torch.finfo(norms.dtype).eps * norms, 0.0)


def family(name: Family) -> tuple[Kernel, ...]:
    """All bandwidths of a family."""
    return (Kernel(name),) if name in WITHOUT_BANDWIDTH else tuple(Kernel(name, bandwidth) for bandwidth in LADDER)
