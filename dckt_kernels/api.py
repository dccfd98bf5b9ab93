"""`mk_mmd` and `mk_mmd_many`: what is asked for is checked here, and the backend that answers is chosen here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor

from dckt_kernels import derivatives, operator, reference, subsampled
from dckt_kernels.backend import resolve_backend
from dckt_kernels.closed_form import ClosedForm
from dckt_kernels.options import (
    PRECISIONS,
    Backend,
    Estimator,
    Layer,
    Number,
    Options,
    Precision,
    check_pairs,
    check_weights,
    checked_sigma,
    widened,
)

T = TypeVar("T")


def mk_mmd(
    x: Tensor,
    y: Tensor,
    *,
    kernel_num: int = 5,
    kernel_mul: float = 2.0,
    sigma: Number | None = None,
    estimator: Estimator = "biased",
    weights_x: Tensor | None = None,
    weights_y: Tensor | None = None,
    bandwidth_grad: bool = False,
    precision: Precision = "tf32x3",
    backend: Backend | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Squared multi-bandwidth MMD between the rows of x [n, d] and y [m, d] -> scalar, differentiable in x and y.

    k(a, b) = (1/K) sum_k exp(-||a - b||^2 / sigma_k), the MEAN of K = kernel_num Gaussians with
    sigma_k = sigma * kernel_mul ** (k - K // 2), k = 0 .. K - 1.

    Rows may be float64, float32, bfloat16 or float16, with any strides; float64 gives float64, the others float32. x
    and y may differ in dtype: both are taken in the wider, and each has its gradient in its own. Autocast does not
    reach inside. Rows that all coincide give 0 and a gradient of 0. With row weights u_i of x and w_j of y (1 where not
    given) the estimators are

    - `biased`: sum u_i u_j k(x_i, x_j) / (sum u)^2 + sum w_i w_j k(y_i, y_j) / (sum w)^2 -
      2 sum u_i w_j k(x_i, y_j) / (sum u sum w). Never negative but for rounding.
    - `unbiased`: the same, the first two sums and their divisors over i != j. May be negative.
    - `linear`: mean of k(x, x') + k(y, y') - k(x, y') - k(x', y) over consecutive rows (x, x', y, y'), each row used
      once (Gretton et al. 2012, lemma 14). O(N d).
    - `quadruple`: the same mean over max(n, m) random quadruples, drawn from `generator`. O(N d).

    Args:
        kernel_num: K, at least 1.
        kernel_mul: the ratio of neighbouring bandwidths, > 0. The widest may be 2^64 times the narrowest.
        sigma: None for the mean of ||z_i - z_j||^2 over ordered pairs i != j of the pooled rows Z = [X; Y], or a fixed
            number > 0, of Python, of NumPy or a tensor. The mean is a constant to the gradient unless `bandwidth_grad`.
        estimator: see above.
        weights_x: [n], finite, >= 0; a mask is a weight of 0. Others are an error, but in the Triton kernels on a GPU,
            where nobody waits to look at them, they make the value NaN. Only proportions within x and within y matter
            to the estimate (in `linear` and `quadruple` each term is weighted by the product of its four rows'
            weights). The mean distance takes them as they are: sum v_i v_j ||z_i - z_j||^2 / sum v_i v_j over i != j,
            v = [u; w].
        weights_y: [m], the same.
        bandwidth_grad: let the gradient pass through the mean distance.
        precision: of the matrix products of the Triton kernels in float32. The closed form has full float32 on a CPU;
            on CUDA it keeps to torch's own setting for TF32.
        backend: None for the first that can serve the call: `triton` (CUDA and ROCm), `closed_form` (torch, any
            device). `reference` is explicit differences in float64, the only one with second derivatives.
        generator: of the random quadruples.

    Raises:
        ValueError, TypeError: what is asked for cannot be computed.
    """
    values = mk_mmd_many(
        [(x, y)],
        kernel_num=kernel_num,
        kernel_mul=kernel_mul,
        sigma=sigma,
        estimator=estimator,
        weights_x=None if weights_x is None else [weights_x],
        weights_y=None if weights_y is None else [weights_y],
        bandwidth_grad=bandwidth_grad,
        precision=precision,
        backend=backend,
        generator=generator,
    )
    return values[0]


def mk_mmd_many(
    pairs: Sequence[tuple[Tensor, Tensor]],
    *,
    kernel_num: int = 5,
    kernel_mul: float = 2.0,
    sigma: Number | Sequence[Number | None] | None = None,
    estimator: Estimator = "biased",
    weights_x: Sequence[Tensor | None] | None = None,
    weights_y: Sequence[Tensor | None] | None = None,
    bandwidth_grad: bool = False,
    precision: Precision = "tf32x3",
    backend: Backend | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """`mk_mmd` of several layers in one call -> [L], one value a layer, for the caller to weigh and add.

    Everything that is not listed here is as in `mk_mmd`.

    Args:
        pairs: (x [n, d], y [m, d]) a layer; n, m and d may differ between layers. All are taken in the widest dtype
            among them, and must be on one device.
        sigma: one entry a layer, each may be None; a single one serves all layers.
        weights_x: one entry a layer, each may be None.
        weights_y: the same.
    """
    options = Options(kernel_num, float(kernel_mul), estimator, bandwidth_grad)
    check_pairs(pairs, options)
    pairs = widened(pairs)
    if precision not in PRECISIONS:
        raise ValueError(f"unknown precision {precision!r} (known: {', '.join(PRECISIONS)})")
    chosen = resolve_backend(pairs[0][0], backend)
    count = len(pairs)
    given = _per_layer(sigma, count, "sigma") if isinstance(sigma, Sequence) else [sigma] * count
    sigmas = [checked_sigma(value) for value in given]
    if bandwidth_grad and None not in sigmas:
        raise ValueError("bandwidth_grad=True needs sigma=None: a fixed sigma has no gradient")
    # To look at weights on a GPU it would have to be waited for: there the kernels make a NaN of what cannot be used.
    look = not (chosen == "triton" and pairs[0][0].is_cuda and estimator in ("biased", "unbiased"))
    layers = [
        Layer(
            x,
            y,
            s,
            check_weights(u, x, "weights_x", estimator, look),
            check_weights(w, y, "weights_y", estimator, look),
        )
        for (x, y), s, u, w in zip(
            pairs,
            sigmas,
            _per_layer(weights_x, count, "weights_x"),
            _per_layer(weights_y, count, "weights_y"),
            strict=True,
        )
    ]
    if estimator in ("linear", "quadruple"):
        return _subsampled(layers, options, generator)
    if chosen == "reference":
        return torch.stack([reference.mmd(x, y, options, s, u, w) for x, y, s, u, w in layers])
    if torch.compiler.is_compiling():
        return operator.mmd_many(layers, options, chosen, precision)
    rest = [(layer.sigma, layer.weights_x, layer.weights_y) for layer in layers]
    call: derivatives.Call = ClosedForm(options, rest)
    if chosen == "triton":
        from dckt_kernels import gpu

        call = gpu.call(options, rest, precision, pairs[0][0].device)
    return derivatives.mmd(call, [z for layer in layers for z in (layer.x, layer.y)])


def _subsampled(layers: Sequence[Layer], options: Options, generator: torch.Generator | None) -> Tensor:
    values = []
    for x, y, sigma, weights_x, weights_y in layers:
        n, m = x.shape[0], y.shape[0]
        if options.estimator == "linear":
            quadruples = subsampled.consecutive(n, m, x.device)
        elif generator is None:
            raise ValueError("estimator 'quadruple' draws rows at random: pass generator=torch.Generator()")
        else:
            quadruples = subsampled.random(n, m, x.device, generator)
        values.append(subsampled.mmd(x, y, options, sigma, weights_x, weights_y, quadruples))
    return torch.stack(values)


def _per_layer(values: Sequence[T | None] | None, count: int, name: str) -> list[T | None]:
    if values is None:
        return [None] * count
    if len(values) != count:
        raise ValueError(f"{name} has {len(values)} entries for {count} pairs")
    return list(values)
