"""Squared MMD and its gradient in closed form, in plain torch: no autograd graph, no N x N x d tensor.

Z = [X; Y] is centred, N = n + m. With c_ij the weight of the pair (i, j) in the estimate and k the mean of K Gaussians,

    MMD^2     = sum_ij c_ij k(D_ij),              D_ij = ||z_i - z_j||^2
    dMMD^2/dZ = M Z,   M = A - diag(A 1),         A_ij = -4 c_ij k'(D_ij)

so the gradient is one matrix product. Two ways to walk over the pairs: dense.py keeps M from forward to backward, for
batches; panels.py holds one block of A at a time and forms the gradient in the forward pass, for everything larger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dckt_kernels.dense import dense
from dckt_kernels.derivatives import Asked
from dckt_kernels.options import Options
from dckt_kernels.pair_weights import PairWeights
from dckt_kernels.panels import panels
from dckt_kernels.product import product

DENSE_ROWS = 1024  # up to so many pooled rows N the N x N matrix is kept


@dataclass(frozen=True)
class ClosedForm:
    """What is kept: for each layer two tensors whose product is its gradient [N, d].

    They are M [N, N] and Z [N, d] from `dense`, an empty tensor and the gradient itself from `panels`.

    Attributes:
        rest: sigma and the sample weights of each layer.
    """

    options: Options
    rest: Sequence[tuple[float | None, Tensor | None, Tensor | None]]

    def compute(self, rows: Sequence[Tensor], gradient: bool) -> tuple[Tensor, list[Tensor]]:
        values: list[Tensor] = []
        factors: list[Tensor] = []
        for x, y, (sigma, weights_x, weights_y) in zip(rows[::2], rows[1::2], self.rest, strict=True):
            weights = PairWeights.of(x, y, weights_x, weights_y, self.options.estimator == "unbiased")
            if x.shape[0] + y.shape[0] <= DENSE_ROWS:
                value, m, z = dense(x, y, self.options, sigma, weights, gradient)
                factors += [] if m is None else [m, z]
            else:
                value, grad = panels(x, y, self.options, sigma, weights, gradient)
                factors += [] if grad is None else [grad.new_empty(0), grad]
            values.append(value)
        return torch.stack(values), factors

    def gradients(self, asked: Asked) -> list[Tensor | None]:
        return [grad for layer in range(len(asked.rows) // 2) for grad in _layer_gradient(asked, layer)]

    def total(self, parts: Tensor) -> Tensor:
        return parts


def _layer_gradient(asked: Asked, layer: int) -> list[Tensor | None]:
    """The gradients by x and y, where needed, from the factors of `ClosedForm`; what is not needed is not computed."""
    both = slice(2 * layer, 2 * layer + 2)
    (x, y), (m, z), (need_x, need_y) = asked.rows[both], asked.kept[both], asked.needed[both]
    if not (need_x or need_y):
        return [None, None]
    n, incoming = x.shape[0], asked.incoming[layer]
    kept = slice(0 if need_x else n, None if need_y else n)
    grad = product(m[kept] * incoming, z, batch=[len(m), n]) if m.ndim == 2 else z[kept] * incoming
    return [
        grad[:n].to(asked.dtype or x.dtype) if need_x else None,
        grad[grad.shape[0] - y.shape[0] :].to(asked.dtype or y.dtype) if need_y else None,
    ]
