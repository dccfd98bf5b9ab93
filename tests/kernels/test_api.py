"""What a caller meets: several layers at once, dtypes, strides, autocast, functional gradients, and clear errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from dckt_kernels import mean_distance_bandwidth, mk_mmd, mk_mmd_many, resolve_backend
from tests.support.tolerance import assert_same
from tests.support.yardstick import Rows, value_and_gradients

pytestmark = pytest.mark.numerics

SIZES = [(9, 7, 5), (30, 30, 64), (4, 11, 3)]


@pytest.mark.parametrize("backend", ["closed_form", "reference"])
@pytest.mark.parametrize("estimator", ["biased", "unbiased", "linear"])
def test_many_is_one_after_the_other(rows: Rows, backend: Any, estimator: Any) -> None:
    pairs = [tuple(z.requires_grad_() for z in rows(*size)) for size in SIZES]
    sigmas = [None, 12.0, None]
    weights = [None, torch.linspace(0.1, 1, 30), None]
    many = mk_mmd_many(pairs, sigma=sigmas, weights_x=weights, estimator=estimator, backend=backend)
    one = [
        mk_mmd(x, y, sigma=sigma, weights_x=w, estimator=estimator, backend=backend)
        for (x, y), sigma, w in zip(pairs, sigmas, weights, strict=True)
    ]
    assert many.shape == (3,)
    assert torch.equal(many, torch.stack(one))
    factors = torch.tensor([1.0, -2.0, 0.5])
    leaves = [z for pair in pairs for z in pair]
    together = torch.autograd.grad((factors * many).sum(), leaves)
    apart = torch.autograd.grad((factors * torch.stack(one)).sum(), leaves)
    for a, b in zip(together, apart, strict=True):
        assert_same(a, b, terms=60**2)


def test_the_same_rows_in_several_layers_add_up(rows: Rows) -> None:
    x, y = (z.requires_grad_() for z in rows(9, 7, 5, dtype=torch.float64))
    (thrice,) = torch.autograd.grad(mk_mmd_many([(x, y), (x, y), (y, x)]).sum(), x)
    (once,) = torch.autograd.grad(mk_mmd(x, y), x)
    assert_same(thrice, 3 * once, terms=16**2)


def test_any_stride(rows: Rows) -> None:
    x, y = rows(20, 16, 12)
    expected, grad = value_and_gradients(x, y)
    wide = torch.zeros(20, 24)
    wide[:, ::2] = x
    for a, b in ((x.t().contiguous().t(), y), (wide[:, ::2], y), (x, y.flip(0).flip(0)), (x, y[:1].expand(16, 12))):
        value, _ = value_and_gradients(a, b)
        contiguous, _ = value_and_gradients(a.contiguous(), b.contiguous())
        assert_same(value, contiguous, terms=36**2, scale=1)
    leaf = x.t().contiguous().requires_grad_()
    (by_leaf,) = torch.autograd.grad(mk_mmd(leaf.t(), y), leaf)
    assert_same(by_leaf.t(), grad[:20], terms=36**2)
    assert expected > 0


@pytest.mark.parametrize(
    ("given", "result"),
    [
        (torch.float64, torch.float64),
        (torch.float32, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
    ],
)
@pytest.mark.parametrize("options", [{}, {"estimator": "linear"}, {"backend": "reference"}], ids=str)
def test_dtype_of_the_result(rows: Rows, given: torch.dtype, result: torch.dtype, options: dict[str, Any]) -> None:
    value, grad = value_and_gradients(*rows(8, 6, 4, dtype=given), **options)
    assert value.dtype == result
    assert value.shape == ()
    assert grad.dtype == given


MIXED = [
    (torch.float32, torch.float64, torch.float64),
    (torch.bfloat16, torch.float32, torch.float32),
    (torch.float16, torch.bfloat16, torch.float32),
    (torch.float64, torch.float16, torch.float64),
]


@pytest.mark.parametrize(("of_x", "of_y", "wider"), MIXED, ids=str)
@pytest.mark.parametrize("options", [{}, {"estimator": "linear"}, {"backend": "reference"}], ids=str)
def test_different_dtypes_are_taken_in_the_wider(
    rows: Rows, of_x: torch.dtype, of_y: torch.dtype, wider: torch.dtype, options: dict[str, Any]
) -> None:
    x, y = rows(8, 6, 4)
    x, y = x.to(of_x).requires_grad_(), y.to(of_y).requires_grad_()
    wide_x, wide_y = (z.detach().to(wider).requires_grad_() for z in (x, y))
    values = mk_mmd_many([(x, y), (y, y[:5])], **options)
    expected = mk_mmd_many([(wide_x, wide_y), (wide_y, wide_y[:5])], **options)
    assert torch.equal(values, expected)
    by_wide = torch.autograd.grad(expected.sum(), (wide_x, wide_y))
    for z, found, other in zip((x, y), torch.autograd.grad(values.sum(), (x, y)), by_wide, strict=True):
        assert found.dtype == z.dtype
        assert_same(found, other.to(z.dtype), terms=1)
    assert mean_distance_bandwidth(x, y).dtype == wider


def test_functional_gradients(rows: Rows) -> None:
    x, y = rows(9, 7, 5, dtype=torch.float64)
    _, expected = value_and_gradients(x, y)
    by_x, by_y = torch.func.grad(mk_mmd, argnums=(0, 1))(x, y)
    assert_same(torch.cat([by_x, by_y]), expected, terms=16**2)
    value, back = torch.func.vjp(mk_mmd, x, y)
    assert_same(torch.cat(back(2 * torch.ones_like(value))), 2 * expected, terms=16**2)


def test_the_backend_can_be_asked_for(rows: Rows) -> None:
    x, _ = rows(3, 1, 2)
    assert resolve_backend(x) == "closed_form"
    assert resolve_backend(x, "reference") == "reference"


def test_no_global_random_state_is_used(rows: Rows) -> None:
    x, y = rows(9, 7, 5)
    before = torch.get_rng_state()
    for estimator in ("biased", "unbiased", "linear", "quadruple"):
        mk_mmd(x, y, estimator=estimator, generator=torch.Generator().manual_seed(0))
    assert torch.equal(before, torch.get_rng_state())


A = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("x", "y", "options", "error", "message"),
    [
        (A, A[:, :2], {}, ValueError, "x has 3 features a row and y has 2"),
        (A[:0], A, {}, ValueError, r"x is empty: shape \[0, 3\]"),
        (A, A[:, :0], {}, ValueError, r"y is empty: shape \[4, 0\]"),
        (A[0], A, {}, ValueError, r"x must be a matrix \[rows, features\], not of shape \[3\]"),
        (A.long(), A.long(), {}, TypeError, "x must be float64, float32, bfloat16 or float16, not torch.int64"),
        (A, A[:1], {"estimator": "unbiased"}, ValueError, "estimator 'unbiased' needs at least 2 rows in y, got 1"),
        (A, A, {"estimator": "u"}, ValueError, "unknown estimator 'u'"),
        (A, A, {"backend": "cuda"}, ValueError, "unknown backend 'cuda'"),
        (A, A, {"precision": "fp8"}, ValueError, "unknown precision 'fp8'"),
        (A, A, {"kernel_mul": 0.0}, ValueError, "kernel_mul must be finite and > 0, not 0.0"),
        (A, A, {"kernel_mul": float("inf")}, ValueError, "kernel_mul must be finite"),
        (A, A, {"kernel_num": 0}, ValueError, "kernel_num must be a whole number >= 1, not 0"),
        (A, A, {"kernel_num": 2.0}, ValueError, "kernel_num must be a whole number"),
        (A, A, {"sigma": 0.0}, ValueError, "sigma must be finite and > 0, not 0.0"),
        (A, A, {"sigma": float("nan")}, ValueError, "sigma must be finite"),
        (A.numpy(), A, {}, TypeError, "x must be a torch tensor, not numpy.ndarray: convert it with torch.from_numpy"),
        (A, A.tolist(), {}, TypeError, "y must be a torch tensor, not list: convert it with torch.as_tensor"),
        (A.to_sparse(), A, {}, TypeError, r"x must be dense, not torch.sparse_coo: convert it with to_dense\(\)"),
        (A.to("meta"), A.to("meta"), {}, TypeError, "x is on the meta device, where there are no numbers"),
        (A, A * 1j, {}, TypeError, "y must be float64, float32, bfloat16 or float16, not torch.complex64"),
        (A, A, {"sigma": "3"}, TypeError, "sigma must be a number, not '3'"),
        (A, A, {"sigma": torch.ones(2)}, TypeError, r"sigma must be a number, not tensor\(\[1., 1.\]\)"),
        (A, A, {"sigma": A}, TypeError, r"sigma must be a number, not tensor\(\[\["),
        (A, A, {"sigma": 1j}, TypeError, "sigma must be a number, not 1j"),
        (A, A, {"sigma": torch.tensor(-1.0)}, ValueError, "sigma must be finite and > 0, not -1.0"),
        (A, A, {"sigma": torch.tensor(1.0).requires_grad_()}, ValueError, "sigma requires a gradient, which a fixed"),
        (A, A, {"weights_x": [1.0] * 4}, TypeError, "weights_x must be a torch tensor, not list: convert it"),
        (A, A, {"weights_x": torch.ones(4) * 1j}, TypeError, "weights_x must be real, not torch.complex64"),
        (A, A, {"sigma": 1.0, "bandwidth_grad": True}, ValueError, "a fixed sigma has no gradient"),
        (A, A, {"weights_x": torch.ones(3)}, ValueError, r"weights_x has shape \[3\], expected \[4\]"),
        (A, A, {"weights_y": torch.tensor([1.0, float("nan"), 1, 1])}, ValueError, "weights_y holds a value that is"),
        (A, A, {"weights_y": torch.tensor([1.0, -1, 1, 1])}, ValueError, "weights_y holds a negative value"),
        (A, A, {"weights_x": torch.zeros(4)}, ValueError, "needs at least 1 row"),
        (A, A, {"weights_x": torch.ones(4).requires_grad_()}, ValueError, "weights_x requires a gradient"),
        (
            A,
            A,
            {"weights_x": torch.tensor([1.0, 0, 0, 0]), "estimator": "unbiased"},
            ValueError,
            "needs at least 2 row",
        ),
        (A, A, {"estimator": "quadruple"}, ValueError, "pass generator=torch.Generator"),
    ],
)
def test_errors_are_one_clear_line(x: Any, y: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        mk_mmd(x, y, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("sigma", [np.float32(2), np.float64(2), np.int64(2), np.array(2.0), torch.tensor(2.0), 2])
def test_a_number_of_any_kind_is_a_bandwidth(sigma: Any) -> None:
    expected = mk_mmd(A, 2 * A, sigma=2.0)
    assert torch.equal(mk_mmd(A, 2 * A, sigma=sigma), expected)
    assert torch.equal(mk_mmd_many([(A, 2 * A), (A, A)], sigma=[sigma, None])[0], expected)
    assert torch.equal(mk_mmd_many([(A, 2 * A), (A, 2 * A)], sigma=sigma)[1], expected)


def test_errors_name_the_layer() -> None:
    with pytest.raises(ValueError, match="pair 1: x has 3 features a row and y has 2"):
        mk_mmd_many([(A, A), (A, A[:, :2])])
    with pytest.raises(ValueError, match="sigma has 1 entries for 2 pairs"):
        mk_mmd_many([(A, A), (A, A)], sigma=[1.0])
    with pytest.raises(TypeError, match="pair 1: y is on the meta device"):
        mk_mmd_many([(A, A), (A, A.to("meta"))])
    with pytest.raises(ValueError, match="no pair"):
        mk_mmd_many([])
