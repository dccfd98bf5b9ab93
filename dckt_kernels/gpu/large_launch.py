"""A large layer: its gradient formed panel by panel in the forward pass."""

from __future__ import annotations

import torch
from torch import Tensor

from dckt_kernels.bandwidth import centred
from dckt_kernels.gpu import configs
from dckt_kernels.gpu.small_launch import Rest, interpreting, upload
from dckt_kernels.ladder import ladder_of
from dckt_kernels.options import Options, Precision
from dckt_kernels.pair_weights import PairWeights
from dckt_kernels.scale import LONGEST, SHORTEST, to_unit

PANEL_CELLS = 2**26
"""Pairs of a panel: 256 MiB of float32."""
COLLAPSED = 16 * torch.finfo(torch.float32).tiny


def forward(
    x: Tensor, y: Tensor, rest: Rest, options: Options, precision: Precision, gradient: bool
) -> tuple[Tensor, Tensor | None]:
    """The value [] of x [n, d] and y [m, d], and where asked for its gradient by both [N, d], float32.

    Beside Z and its gradient, N d each, only a panel of pairs is held. Nothing waits for the device but sample
    weights, whose sums are read.
    """
    from dckt_kernels.gpu import large_kernels

    sigma, weights_x, weights_y = rest
    ladder = ladder_of(options)
    weights = PairWeights.of(x, y, weights_x, weights_y, options.estimator == "unbiased")
    n, v = weights.n, weights.v
    half = x.dtype in (torch.bfloat16, torch.float16)
    given = None if weights.uniform else v
    z, scale = to_unit(torch.cat([x, y]).float(), given)
    z = centred(z, given)
    if half:
        z = z.to(x.dtype)  # rounded after centring; norms below are those of the rounded rows
    total, d = z.shape
    norms = z.float().square().sum(1)
    if sigma is not None:
        # A sigma so wide that all kernels are 1 is a little narrower instead, and one so narrow that all are 0 wider.
        wide = torch.full((), sigma, dtype=torch.float64, device=z.device) * scale.double().square()
        width = wide.clamp(SHORTEST, LONGEST).float()
    elif weights.off_diagonal > 0:
        width = ((v @ norms) * (2 * weights.total / weights.off_diagonal)).float()
    else:
        width = torch.zeros((), device=z.device)
    collapsed = width <= COLLAPSED
    shrink = torch.where(collapsed, 0.0, 1 / (width * ladder.widest)).reshape(1)
    _, powers = upload([], ladder.powers, z.device)

    tile, product = configs.tile("tf32" if half else precision), configs.panel_gradient("tf32" if half else precision)
    panel = min(total, max(128, PANEL_CELLS // total // 128 * 128)) if gradient else total
    slopes = torch.empty(panel * total if gradient else 1, dtype=torch.float32, device=z.device)
    grad = torch.empty(total if gradient else 0, d, dtype=torch.float32, device=z.device)
    columns = -(-total // tile.blocks["BLOCK_N"])
    value = torch.zeros((), dtype=torch.float64, device=z.device)
    for begin in range(0, total, panel):
        end = min(begin + panel, total)
        rows = -(-(end - begin) // tile.blocks["BLOCK_M"])
        parts = torch.empty(rows, columns, dtype=torch.float64, device=z.device)
        large_kernels.pair_tile[(columns, rows)](
            z,
            norms,
            v,
            shrink,
            powers,
            parts,
            slopes,
            weights.xx,
            weights.xy,
            weights.yy,
            n,
            total,
            d,
            begin,
            end,
            K=len(ladder.powers),
            DOUBLING=ladder.doubling,
            GRADIENT=gradient,
            HALF=half,
            PRECISION=precision,
            UPCAST=interpreting(),
            **tile.options(),
        )
        value += parts.sum()
        if gradient:
            grid = (-(-d // product.blocks["BLOCK_D"]), -(-(end - begin) // product.blocks["BLOCK_M"]))
            large_kernels.panel_gradient[grid](
                slopes,
                z,
                grad,
                total,
                d,
                begin,
                end,
                PRECISION="tf32" if half else precision,
                **product.options(),
            )
    value = torch.where(collapsed, 0.0, value / len(ladder.powers)).float()
    if gradient and options.bandwidth_grad and sigma is None and weights.off_diagonal > 0:
        # MMD^2 is unchanged when Z grows by s and sigma by s^2, so dMMD^2/dsigma = -(Z . grad) / (2 sigma).
        slope = -(z.float() * grad).sum() / (2 * width) * (4 * weights.total / weights.off_diagonal)
        grad = torch.where(collapsed, grad, grad + slope * v[:, None] * z.float())
    return value, grad.mul_(scale) if gradient else None
