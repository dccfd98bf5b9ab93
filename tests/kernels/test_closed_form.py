"""Both ways over the pairs, against explicit differences in float64: value, gradient, accuracy where peers lose it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dckt_kernels import closed_form, mk_mmd, panels
from tests.support.tolerance import assert_same
from tests.support.yardstick import PROMISED, Rows, assert_exact, relative_errors, value_and_gradients

pytestmark = pytest.mark.numerics

SHAPES = [(1, 1, 1), (1, 5, 3), (2, 2, 4), (41, 37, 127), (16, 33, 8), (64, 64, 256), (17, 16, 1)]


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(("n", "m", "d"), SHAPES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kernel_num": 1},
        {"kernel_num": 4, "kernel_mul": 1.7},
        {"kernel_num": 3, "kernel_mul": 0.5},
        {"kernel_mul": 1.0},
        {"sigma": 7.5},
        {"estimator": "unbiased"},
    ],
    ids=str,
)
def test_value_and_gradient(rows: Rows, n: int, m: int, d: int, options: dict[str, Any]) -> None:
    if options.get("estimator") == "unbiased" and min(n, m) < 2:
        pytest.skip("the unbiased estimate needs two rows")
    x, y = rows(n, m, d, dtype=torch.float64)
    assert_exact(x, y, incoming=-2.5, **options)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
@pytest.mark.parametrize("sides", ["x", "y", "xy"])
def test_weights_and_the_gradient_through_the_bandwidth(rows: Rows, estimator: str, sides: str) -> None:
    x, y = rows(37, 20, 9, dtype=torch.float64)
    generator = torch.Generator().manual_seed(5)
    options: dict[str, Any] = {"estimator": estimator}
    for side, z in (("x", x), ("y", y)):
        if side in sides:
            options[f"weights_{side}"] = torch.rand(z.shape[0], generator=generator, dtype=torch.float64)
            options[f"weights_{side}"][3] = 0
    for bandwidth_grad in (False, True):
        assert_exact(x, y, bandwidth_grad=bandwidth_grad, **options)


@pytest.mark.usefixtures("way")
def test_a_mask_is_as_good_as_leaving_rows_out(rows: Rows) -> None:
    x, y = rows(30, 25, 6, dtype=torch.float64)
    keep_x, keep_y = torch.arange(30) % 3 != 0, torch.arange(25) < 20
    masks = {"weights_x": keep_x.double(), "weights_y": keep_y.double()}
    for options in ({}, {"estimator": "unbiased"}, {"bandwidth_grad": True}):
        value, grad = value_and_gradients(x, y, **masks, **options)
        fewer, fewer_grad = value_and_gradients(x[keep_x], y[keep_y], **options)
        assert_same(value, fewer, terms=55**2, scale=1)
        kept = torch.cat([keep_x, keep_y])
        assert_same(grad[kept], fewer_grad, terms=55**2)
        assert not grad[~kept].any()


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("options", [{"sigma": 3.0}, {"bandwidth_grad": True}], ids=str)
def test_gradcheck(rows: Rows, options: dict[str, Any]) -> None:
    x, y = (z.requires_grad_() for z in rows(5, 4, 3, dtype=torch.float64))
    assert torch.autograd.gradcheck(lambda a, b: mk_mmd(a, b, **options), (x, y))


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(("offset", "spread"), [(0, 1), (100, 1), (1000, 1), (1000, 0.01), (0, 1e-3), (0, 1e3)])
def test_float32_is_exact_to_rounding(rows: Rows, offset: float, spread: float) -> None:
    x, y = rows(48, 40, 256, offset=offset, spread=spread)
    value, grad = relative_errors(x, y)
    assert value <= PROMISED
    assert grad <= PROMISED


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("apart", [0.0, 1e-3, 1e-1])
def test_near_duplicates_within_a_batch(rows: Rows, apart: float) -> None:
    x, y = rows(20, 20, 256, offset=10)
    generator = torch.Generator().manual_seed(1)
    x, y = (torch.cat([z, z + apart * torch.randn(z.shape, generator=generator)]) for z in (x, y))
    value, grad = relative_errors(x, y)
    assert value <= PROMISED
    assert grad <= PROMISED


@pytest.mark.usefixtures("way")
def test_batches_nearly_the_same(rows: Rows) -> None:
    """The value goes to 0 then, being a difference of means near 1: it is as exact as those. Rows differ by 1 / 100."""
    x, _ = rows(40, 1, 256, offset=10)
    y = x + 1e-2 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    value, grad = value_and_gradients(x, y)
    exact, exact_grad = value_and_gradients(x.double(), y.double(), backend="reference")
    assert float(exact) < 1e-5
    assert abs(float(value) - float(exact)) < torch.finfo(torch.float32).eps / 6
    assert float((grad - exact_grad).norm() / exact_grad.norm()) < 100 * PROMISED / 2


@pytest.mark.usefixtures("way")
def test_collapsed_far_from_the_origin(rows: Rows) -> None:
    """A spread of a few units in the last place: what Gram and cdist versions turn into noise."""
    x, y = rows(40, 40, 256, offset=1000, spread=5e-4)
    assert len(torch.unique(x)) < 100
    value, grad = relative_errors(x, y)
    assert value <= PROMISED
    assert grad <= PROMISED


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("at", [0.0, 0.1, -1234.567, 3e-30])
@pytest.mark.parametrize("options", [{}, {"estimator": "unbiased"}, {"bandwidth_grad": True}], ids=str)
def test_rows_all_the_same_give_zero(at: float, options: dict[str, Any]) -> None:
    x, y = torch.full((23, 50), at), torch.full((18, 50), at)
    value, grad = value_and_gradients(x, y, **options)
    assert float(value) == 0
    assert not grad.any()


@pytest.mark.usefixtures("way")
def test_one_row_apart_from_rows_all_the_same() -> None:
    x, y = torch.full((23, 50), 0.1), torch.full((18, 50), 0.1)
    x[4, 7] = 0.1 + 1e-7
    value, grad = relative_errors(x, y)
    assert value <= PROMISED
    assert grad <= 2e-3  # 20 mean distances away from all others: 1 / 1000 of what a gradient of such rows can be


@pytest.mark.usefixtures("way")
def test_nan_shows(rows: Rows) -> None:
    x, y = rows(20, 18, 5)
    x[3, 2] = float("nan")
    value, grad = value_and_gradients(x, y)
    assert value.isnan()
    assert grad.isnan().any()


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_rows_are_computed_in_float32(rows: Rows, dtype: torch.dtype) -> None:
    x, y = rows(33, 20, 64, offset=3, dtype=dtype)
    value, grad = value_and_gradients(x, y)
    exact, exact_grad = value_and_gradients(x.float(), y.float())
    assert value.dtype == torch.float32
    assert grad.dtype == dtype
    assert torch.equal(value, exact)
    assert torch.equal(grad, exact_grad.to(dtype))


@pytest.mark.usefixtures("way")
def test_the_same_bits_each_time(rows: Rows) -> None:
    x, y = rows(41, 37, 127)
    first, again = value_and_gradients(x, y), value_and_gradients(x, y)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])


@pytest.mark.usefixtures("way")
def test_without_gradient_the_value_is_the_same(rows: Rows) -> None:
    x, y = rows(41, 37, 127)
    with torch.no_grad():
        value = mk_mmd(x.requires_grad_(), y)
    assert not value.requires_grad
    assert torch.equal(value, value_and_gradients(x, y)[0])


@pytest.mark.usefixtures("way")
def test_gradient_on_one_side_only(rows: Rows) -> None:
    x, y = rows(20, 33, 7)
    _, both = value_and_gradients(x, y)
    (by_x,) = torch.autograd.grad(mk_mmd(x.requires_grad_(), y), x)
    (by_y,) = torch.autograd.grad(mk_mmd(x.detach(), y.requires_grad_()), y)
    assert_same(torch.cat([by_x, by_y]), both, terms=53**2)


@pytest.mark.usefixtures("way")
def test_x_and_y_may_share_storage(rows: Rows) -> None:
    z, _ = rows(40, 1, 6, dtype=torch.float64)
    z.requires_grad_()
    (grad,) = torch.autograd.grad(mk_mmd(z[:25], z[15:]), z)
    (exact,) = torch.autograd.grad(mk_mmd(z[:25], z[15:], backend="reference"), z)
    assert_same(grad, exact, terms=50**2)
    (zero,) = torch.autograd.grad(mk_mmd(z, z), z)
    assert_same(zero, torch.zeros_like(zero), terms=80**2, scale=float(exact.abs().max()))


@pytest.mark.usefixtures("way")
def test_backward_twice_through_a_kept_graph(rows: Rows) -> None:
    x, y = (z.requires_grad_() for z in rows(20, 18, 5))
    value = mk_mmd(x, y)
    first = torch.autograd.grad(3 * value, (x, y), retain_graph=True)
    again = torch.autograd.grad(3 * value, (x, y))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.usefixtures("way")
def test_second_derivatives_are_refused_by_name(rows: Rows) -> None:
    x, y = (z.requires_grad_() for z in rows(20, 18, 5))
    (grad,) = torch.autograd.grad(mk_mmd(x, y), x, create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivatives: pass backend='reference'"):
        torch.autograd.grad(grad.sum(), x)


def test_the_graph_holds_no_pairs_times_features(rows: Rows) -> None:
    """What backward keeps: M and Z, N (N + d) numbers, and the inputs themselves."""
    x, y = (z.requires_grad_() for z in rows(30, 20, 300))
    kept: list[torch.Tensor] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        mk_mmd(x, y)
    assert sum(tensor.numel() for tensor in kept) == 50 * 50 + 2 * 50 * 300


@pytest.mark.parametrize("n", [closed_form.DENSE_ROWS // 2, closed_form.DENSE_ROWS // 2 + 1])
def test_both_sides_of_the_border_between_the_ways(rows: Rows, n: int) -> None:
    x, y = rows(n, n, 8)
    value, grad = relative_errors(x, y)
    assert value <= PROMISED
    assert grad <= PROMISED


def test_blocks_never_cross_from_x_to_y(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panels, "BLOCK_ROWS", 4)
    cells = set()
    for a, b in panels._upper_triangle(6, 13):
        assert (a.stop <= 6 or a.start >= 6) and (b.stop <= 6 or b.start >= 6)
        block = {(i, j) for i in range(a.start, a.stop) for j in range(b.start, b.stop)}
        block |= {(j, i) for i, j in block}
        assert not cells & block
        cells |= block
    assert len(cells) == 13 * 13


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
@pytest.mark.parametrize("sigma", [0.005, 0.5, 5.0])
def test_a_bandwidth_too_narrow_for_float32(rows: Rows, sigma: float, estimator: str) -> None:
    """Near-duplicates under a fixed bandwidth far below their lengths, where a Gram matrix in float32 says nothing."""
    x, _ = rows(41, 37, 127)
    y = x[:37] + 1e-3 * rows(37, 41, 127)[0]
    value, grad = relative_errors(x, y, incoming=-2.5, sigma=sigma, estimator=estimator)
    assert value <= PROMISED
    assert grad <= PROMISED


@pytest.mark.usefixtures("way")
def test_what_is_computed_in_float64_comes_back_in_the_rows_dtype(rows: Rows) -> None:
    x, y = (z.requires_grad_() for z in rows(9, 8, 30))
    value = mk_mmd(x, y, sigma=1e-4)
    value.backward()
    assert x.grad is not None
    assert value.dtype == x.grad.dtype == torch.float32


@pytest.mark.usefixtures("way")
def test_two_domains_far_apart_under_the_bandwidth_of_one(rows: Rows) -> None:
    x, y = rows(50, 40, 64)
    value, grad = relative_errors(x, y + 1000, sigma=50.0)
    assert value <= PROMISED
    assert grad <= PROMISED
