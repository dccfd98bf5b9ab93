"""What is asked for: the layers and the options of one call, checked once, and the ladder of bandwidths they mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal, NamedTuple, SupportsFloat, get_args

import torch
from torch import Tensor

Estimator = Literal["biased", "unbiased", "linear", "quadruple"]
Precision = Literal["tf32x3", "tf32", "ieee"]
Backend = Literal["triton", "closed_form", "reference"]

Number = float | SupportsFloat
"""One number: Python's, NumPy's, or a tensor of no dimensions."""

ESTIMATORS: tuple[str, ...] = get_args(Estimator)
PRECISIONS: tuple[str, ...] = get_args(Precision)
BACKENDS: tuple[str, ...] = get_args(Backend)
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
WIDEST_LADDER = 64
"""Powers of two from the narrowest bandwidth to the widest: as many below the mean distance as float64 tells apart in
squared distances from a Gram matrix, to some 1e-6, and as many above."""


@dataclass(frozen=True)
class Options:
    """The kernel and the estimator: everything that is not data."""

    kernel_num: int = 5
    kernel_mul: float = 2.0
    estimator: Estimator = "biased"
    bandwidth_grad: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.kernel_num, bool) or not isinstance(self.kernel_num, int) or self.kernel_num < 1:
            raise ValueError(f"kernel_num must be a whole number >= 1, not {self.kernel_num!r}")
        if not (math.isfinite(self.kernel_mul) and self.kernel_mul > 0):
            raise ValueError(f"kernel_mul must be finite and > 0, not {self.kernel_mul!r}")
        if (self.kernel_num - 1) * abs(math.log2(self.kernel_mul)) > WIDEST_LADDER:
            raise ValueError(
                f"kernel_num {self.kernel_num} and kernel_mul {self.kernel_mul:g} ask for bandwidths that differ by a "
                f"factor of more than 2^{WIDEST_LADDER}, which float64 does not resolve"
            )
        if self.estimator not in ESTIMATORS:
            raise ValueError(f"unknown estimator {self.estimator!r} (known: {', '.join(ESTIMATORS)})")

    @property
    def ladder(self) -> list[float]:
        """sigma_k / sigma = kernel_mul ** (k - kernel_num // 2), for k = 0 .. kernel_num - 1."""
        return [self.kernel_mul ** (k - self.kernel_num // 2) for k in range(self.kernel_num)]


class Layer(NamedTuple):
    """One pair of feature matrices and what belongs to it alone. x [n, d], y [m, d], weights [n] and [m]."""

    x: Tensor
    y: Tensor
    sigma: float | None
    weights_x: Tensor | None
    weights_y: Tensor | None


def check_pairs(pairs: Sequence[tuple[Tensor, Tensor]], options: Options) -> None:
    """Raise a one-line ValueError or TypeError naming the layer whose matrices cannot be compared."""
    if not pairs:
        raise ValueError("no pair of feature matrices was given")
    for layer, (x, y) in enumerate(pairs):
        where = f"pair {layer}: " if len(pairs) > 1 else ""
        for name, rows in (("x", x), ("y", y)):
            _check_kind(rows, f"{where}{name}")
            if rows.ndim != 2:
                raise ValueError(f"{where}{name} must be a matrix [rows, features], not of shape {list(rows.shape)}")
            if rows.dtype not in DTYPES:
                raise TypeError(f"{where}{name} must be float64, float32, bfloat16 or float16, not {rows.dtype}")
            if rows.shape[0] == 0 or rows.shape[1] == 0:
                raise ValueError(f"{where}{name} is empty: shape {list(rows.shape)}")
            if options.estimator != "biased" and rows.shape[0] < 2:
                raise ValueError(f"{where}estimator {options.estimator!r} needs at least 2 rows in {name}, got 1")
            if rows.device != pairs[0][0].device:
                first = "x" if len(pairs) == 1 else "x of pair 0"
                raise ValueError(f"{where}{name} is on {rows.device} and {first} on {pairs[0][0].device}")
        if x.shape[1] != y.shape[1]:
            raise ValueError(f"{where}x has {x.shape[1]} features a row and y has {y.shape[1]}")


def _check_kind(rows: object, what: str) -> None:
    """Raise a one-line TypeError unless `rows` is a tensor that holds its numbers one beside the other."""
    if not isinstance(rows, Tensor):
        kind = f"{type(rows).__module__}.{type(rows).__name__}".removeprefix("builtins.")
        advice = "torch.from_numpy" if kind == "numpy.ndarray" else "torch.as_tensor"
        raise TypeError(f"{what} must be a torch tensor, not {kind}: convert it with {advice}")
    if rows.layout != torch.strided:
        raise TypeError(f"{what} must be dense, not {rows.layout}: convert it with to_dense()")
    if rows.is_meta:
        raise TypeError(f"{what} is on the meta device, where there are no numbers")


def checked_sigma(sigma: Number | None) -> float | None:
    """None, or a finite and positive number as Python's float; else a one-line ValueError or TypeError."""
    if sigma is None:
        return None
    shape = getattr(sigma, "shape", ())
    if isinstance(sigma, bool | str | bytes) or shape != () or not hasattr(sigma, "__float__"):
        raise TypeError(f"sigma must be a number, not {_in_one_line(sigma)}")
    if getattr(sigma, "requires_grad", False):
        raise ValueError("sigma requires a gradient, which a fixed bandwidth does not have: pass sigma.detach()")
    number = float(sigma)
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"sigma must be finite and > 0, not {number!r}")
    return number


def _in_one_line(value: object) -> str:
    return " ".join(f"{value!r}".split())[:80]


def check_weights(
    weights: Tensor | None, rows: Tensor, name: str, estimator: str, values: bool = True
) -> Tensor | None:
    """The sample weights [rows] in the dtype of the computation, or a one-line error.

    Values are looked at only where `values` says so, and in eager mode: a traced graph cannot branch on them.
    """
    if weights is None:
        return None
    _check_kind(weights, name)
    if weights.is_complex():
        raise TypeError(f"{name} must be real, not {weights.dtype}")
    if weights.shape != rows.shape[:1]:
        raise ValueError(f"{name} has shape {list(weights.shape)}, expected [{rows.shape[0]}], one weight a row")
    if weights.device != rows.device:
        raise ValueError(f"{name} is on {weights.device}, the rows are on {rows.device}")
    if weights.requires_grad:
        raise ValueError(f"{name} requires a gradient, which sample weights do not have: pass {name}.detach()")
    weights = weights.to(accumulation_dtype(rows.dtype))
    if values and not torch.compiler.is_compiling():
        if not bool(torch.isfinite(weights).all()):
            raise ValueError(f"{name} holds a value that is not finite")
        if bool((weights < 0).any()):
            raise ValueError(f"{name} holds a negative value")
        needed = 1 if estimator == "biased" else 2
        if int((weights > 0).sum()) < needed:
            raise ValueError(f"{name}: estimator {estimator!r} needs at least {needed} row(s) of positive weight")
    return weights


def accumulation_dtype(*dtypes: torch.dtype) -> torch.dtype:
    """The dtype of sums and of the result: float64 stays, everything else is float32."""
    return torch.float64 if torch.float64 in dtypes else torch.float32


def widened(pairs: Sequence[tuple[Tensor, Tensor]]) -> list[tuple[Tensor, Tensor]]:
    """The same rows in one dtype, the least that holds all of theirs."""
    first = pairs[0][0].dtype
    if all(x.dtype == first and y.dtype == first for x, y in pairs):
        return list(pairs)
    dtype = reduce(torch.promote_types, [z.dtype for pair in pairs for z in pair])
    return [(x.to(dtype), y.to(dtype)) for x, y in pairs]
