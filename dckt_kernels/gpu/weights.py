"""Sample weights on the device: their sums are formed where they lie, so that the host waits for none."""

from __future__ import annotations

import torch
from torch import Tensor

from dckt_kernels.gpu.tables import table
from dckt_kernels.pair_weights import FAINTEST, pair_sums


def pooled(
    x: Tensor, y: Tensor, weights_x: Tensor | None, weights_y: Tensor | None, unbiased: bool
) -> tuple[Tensor, Tensor]:
    """v [n + m] and sum v, sum_{i != j} v_i v_j, xx, xy, yy [5] as `PairWeights` has them, float32.

    Weights that cannot be used (not finite, negative, too few, the sums of both sides too far apart) make all five NaN,
    which the value then is: to raise an error the host would have to wait.
    """
    n, m, device = len(x), len(y), x.device
    if weights_x is None and weights_y is None:
        counted = pair_sums(float(n), float(n), float(m), float(m), unbiased)
        return torch.ones(n + m, dtype=torch.float32, device=device), table(counted, torch.float32, device)
    given = ((weights_x, n), (weights_y, m))
    sides = [torch.ones(rows, device=device) if w is None else w for w, rows in given]
    v = torch.cat([side.double() for side in sides])
    v = v * torch.ldexp(torch.ones_like(v[0]), -torch.frexp(v.amax()).exponent)
    sums = torch.stack([v[:n].sum(), v[:n].square().sum(), v[n:].sum(), v[n:].square().sum()])
    x_sum, x_squares, y_sum, y_squares = sums.unbind()
    enough = 2 if unbiased else 1
    usable = torch.isfinite(v).all() & (v >= 0).all()
    usable &= ((v[:n] > 0).sum() >= enough) & ((v[n:] > 0).sum() >= enough)
    usable &= torch.minimum(x_sum, y_sum) > FAINTEST * torch.maximum(x_sum, y_sum)
    numbers = torch.stack(pair_sums(x_sum, x_squares, y_sum, y_squares, unbiased))
    return v.float(), numbers.masked_fill(~usable, float("nan")).float()
