"""A common factor of all rows: none of the result depends on it. test_interpreter.py runs this file again in Triton's
interpreter.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from dckt_kernels import compat, mean_distance_bandwidth, mk_mmd, mk_mmd_many, two_sample_test
from tests.support.tolerance import assert_same, rounding
from tests.support.yardstick import INTERPRETED, PROMISED, Rows, value_and_gradients

pytestmark = [
    pytest.mark.numerics,
    pytest.mark.usefixtures("both_sizes"),
    pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning"),
]

BACKEND: Any = "triton" if INTERPRETED else "closed_form"
SIZE = (9, 10, 70) if INTERPRETED else (20, 21, 70)
"""n, m and d of most tests; the interpreter takes its time for each block of pairs."""
WEIGHTS = torch.linspace(0, 1, SIZE[0])
EXPONENTS = [-126, -67, 63, 123] if INTERPRETED else [-126, -100, -67, -50, 0, 50, 63, 100, 123]
"""Of powers of two, which scale exactly: 1e-38, 8e-31, 7e-21, ..., 1e19, 1e30, 1e37."""

in_torch = partial(pytest.param, marks=pytest.mark.skipif(INTERPRETED, reason="no Triton kernel takes part"))


def bounded(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Numbers of few digits, which scale exactly down to the smallest there are: multiples of 1/1024, at most 4."""
    x, y = ((z.clamp(-4, 4) * 1024).round() / 1024 for z in pair)
    return x, y


@pytest.mark.parametrize("exponent", EXPONENTS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"estimator": "unbiased", "bandwidth_grad": True},
        {"weights_x": WEIGHTS},
        {"sigma": 100.0},
        in_torch({"estimator": "linear"}),
        in_torch({"estimator": "linear", "sigma": 100.0}),
        in_torch({"backend": "reference"}),
    ],
    ids=str,
)
def test_float32(rows: Rows, exponent: int, options: dict[str, Any]) -> None:
    x, y = bounded(rows(*SIZE))
    how = {"backend": BACKEND} | options
    expected, expected_grad = value_and_gradients(x.double(), y.double(), **(how | {"backend": "reference"}))
    factor = 2.0**exponent
    if "sigma" in how:
        how["sigma"] *= factor**2
    value, grad = value_and_gradients(x * factor, y * factor, **how)
    allowed = rounding(torch.float32, 20 * 70) if "linear" in how.values() else 2 * PROMISED  # plain torch, or kernels
    assert abs(float(value) - float(expected)) <= allowed * abs(float(expected))
    error = grad.double() * factor - expected_grad
    # Of gradients near 1e-40 float32 has few digits left.
    coarse = factor * 2.0**-149 * grad.numel() ** 0.5
    assert float(error.norm()) <= allowed * float(expected_grad.norm()) + coarse


@pytest.mark.skipif(INTERPRETED, reason="the Triton kernels have no float64")
@pytest.mark.parametrize("exponent", [-900, -520, 520, 900])
@pytest.mark.parametrize("options", [{}, {"estimator": "linear"}, {"backend": "reference"}], ids=str)
def test_float64(rows: Rows, exponent: int, options: dict[str, Any]) -> None:
    x, y = bounded(rows(*SIZE, dtype=torch.float64))
    expected, expected_grad = value_and_gradients(x, y, **options)
    value, grad = value_and_gradients(x * 2.0**exponent, y * 2.0**exponent, **options)
    assert_same(value, expected, terms=41**2, scale=1)
    assert_same(grad * 2.0**exponent, expected_grad, terms=41**2)


@pytest.mark.parametrize(("dtype", "factors"), [(torch.float16, (2.0**-12, 2.0**13)), (torch.bfloat16, (1e-37, 1e37))])
def test_halves(rows: Rows, dtype: torch.dtype, factors: tuple[float, float]) -> None:
    x, y = (z.to(dtype) for z in bounded(rows(*SIZE)))
    for factor in factors:
        wide = 2.0 ** round(math.log2(factor))
        value = mk_mmd(x * wide, y * wide, backend=BACKEND)
        assert float(value) == pytest.approx(float(mk_mmd(x, y, backend="reference")), rel=4 * torch.finfo(dtype).eps)


def test_columns_and_layers_of_very_different_lengths(rows: Rows) -> None:
    """Short columns do not count beside long ones, and each layer has a scale of its own."""
    x, y = bounded(rows(20, 21, 1200))
    columns = torch.ones(1200)
    columns[600:] = 2.0**-90
    (tiny, huge) = ((z * columns * 2.0**-30 for z in (x, y)), (z * 2.0**100 for z in (x, y)))
    values = mk_mmd_many([tuple(tiny), tuple(huge), (x, y)], backend=BACKEND)
    expected = mk_mmd_many([(x[:, :600], y[:, :600]), (x, y), (x, y)], backend="reference")
    for value, exact in zip(values.tolist(), expected.tolist(), strict=True):
        assert value == pytest.approx(exact, rel=2 * PROMISED)


def test_a_common_offset_of_very_long_rows(rows: Rows) -> None:
    x, y = bounded(rows(*SIZE))
    value = mk_mmd((x + 1000) * 2.0**100, (y + 1000) * 2.0**100, backend=BACKEND)
    assert float(value) == pytest.approx(float(mk_mmd(x, y, backend="reference")), rel=2 * PROMISED)


@pytest.mark.parametrize("far", [1e30, -1e37])
def test_masked_rows_do_not_set_the_scale(rows: Rows, far: float) -> None:
    x, y = bounded(rows(*SIZE))
    short, masked = x * 2.0**-80, x * 2.0**-80
    masked[5] = far
    keep = torch.arange(SIZE[0]) != 5
    value = mk_mmd(masked, y * 2.0**-80, weights_x=keep.float())
    assert float(value) == pytest.approx(
        float(mk_mmd(short[keep], y * 2.0**-80, backend="reference")), rel=2 * PROMISED
    )


@pytest.mark.parametrize("factor", [1e-30, 1e30])
@pytest.mark.parametrize("estimator", ["biased", "unbiased", "linear"])
def test_a_common_factor_of_the_weights_changes_nothing(rows: Rows, factor: float, estimator: Any) -> None:
    x, y = rows(*SIZE)
    weights = torch.linspace(0.1, 1, SIZE[0]), torch.linspace(1, 0.2, SIZE[1])

    def weighted(by: float) -> tuple[Tensor, Tensor]:
        how = {"weights_x": by * weights[0], "weights_y": by * weights[1]}
        return value_and_gradients(x, y, estimator=estimator, bandwidth_grad=True, backend=BACKEND, **how)

    for found, expected in zip(weighted(factor), weighted(1.0), strict=True):
        assert_same(found, expected, terms=41**2, scale=1)


def test_weights_of_the_sides_too_far_apart() -> None:
    x, weights = torch.ones(4, 3), torch.full((4,), 1e-20)
    if INTERPRETED:  # on a GPU nobody waits for the sums
        assert torch.isnan(mk_mmd(x, x, weights_x=weights, backend=BACKEND))
        return
    with pytest.raises(ValueError, match="weights_x add up to 4e-20 and weights_y to 4: too far apart to compare"):
        mk_mmd(x, x, weights_x=weights, backend=BACKEND)


@pytest.mark.parametrize("factor", [2.0**-100, 2.0**100])
def test_what_else_there_is(rows: Rows, factor: float) -> None:
    x, y = bounded(rows(12, 12, 20))
    generator = torch.Generator()
    test, expected = (
        two_sample_test(by * x, by * y, permutations=50, generator=generator.manual_seed(0)) for by in (factor, 1.0)
    )
    assert test.p_value == expected.p_value
    assert test.mmd == pytest.approx(expected.mmd)
    for loss in (compat.snippet_mmd, compat.tllib_mmd, compat.pytorch_adapt_mmd):
        assert_same(loss(factor * x, factor * y), loss(x, y), terms=24**2, scale=5)
    width = mean_distance_bandwidth(factor * x.double(), factor * y.double())
    assert float(width) == pytest.approx(factor**2 * float(mean_distance_bandwidth(x.double(), y.double())))


@pytest.mark.parametrize("sigma", [1e-300, 1e-45, 1e-36, 1e36, 1e300])
def test_a_fixed_bandwidth_far_from_all_distances(rows: Rows, sigma: float) -> None:
    x, y = rows(6, 7, 5)
    value, grad = value_and_gradients(x, y, sigma=sigma, backend=BACKEND)
    assert_same(value, 1 / 6 + 1 / 7 if sigma < 1 else 0.0, terms=13**2, scale=1)
    assert float(grad.abs().max()) <= 1e-27


@pytest.mark.parametrize(
    ("number", "mul"), [(9, 2.0), (12, 0.5), (20, 2.0), (33, 2.0), (65, 2.0), (33, 4.0), (65, 1.4)]
)
def test_long_ladders(rows: Rows, number: int, mul: float) -> None:
    how: dict[str, Any] = {"kernel_num": number, "kernel_mul": mul}
    x, y = rows(*SIZE)
    expected, expected_grad = value_and_gradients(x.double(), y.double(), backend="reference", **how)
    value, grad = value_and_gradients(x, y, backend=BACKEND, **how)
    assert abs(float(value) - float(expected)) <= 2 * PROMISED * abs(float(expected))
    assert float((grad - expected_grad).norm()) <= 2 * PROMISED * float(expected_grad.norm())


@pytest.mark.parametrize(("number", "mul"), [(66, 2.0), (121, 2.0), (121, 0.5), (5, 1e30), (3, 1e300)])
def test_ladders_that_nothing_resolves(number: int, mul: float) -> None:
    x = torch.ones(4, 3)
    with pytest.raises(ValueError, match=rf"^kernel_num {number} and kernel_mul .* more than 2\^64, .*$"):
        mk_mmd(x, x, kernel_num=number, kernel_mul=mul, backend=BACKEND)
