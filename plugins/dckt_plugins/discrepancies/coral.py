"""`coral`: distance of the domains' second moments (Sun and Saenko, Deep CORAL, 2016)."""

from __future__ import annotations

from torch import Tensor

from dckt_core import Discrepancy, DiscrepancyContext, NoOptions


def build(options: NoOptions, context: DiscrepancyContext) -> Discrepancy:
    return coral


def coral(source: Tensor, target: Tensor) -> Tensor:
    """||C_s - C_t||_F^2 / (4 d^2) for covariances C of source [n, d] and target [m, d], n, m >= 2.

    The d x d covariances are never formed: with centred rows X and Y,
    ||C_s - C_t||^2 = ||XX'||^2/(n-1)^2 + ||YY'||^2/(m-1)^2 - 2 ||XY'||^2/((n-1)(m-1)), which is O((n+m)^2 d).

    Raises:
        ValueError: fewer than two rows on a side.
    """
    if min(len(source), len(target)) < 2:
        raise ValueError("a covariance needs at least two rows")
    x = (source - source.mean(dim=0)) / (len(source) - 1) ** 0.5
    y = (target - target.mean(dim=0)) / (len(target) - 1) ** 0.5
    squares: Tensor = (x @ x.T).square().sum() + (y @ y.T).square().sum() - 2 * (x @ y.T).square().sum()
    return squares / (4 * source.shape[1] ** 2)
