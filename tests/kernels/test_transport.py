"""Entropic optimal transport against what theorems say of it, and against the float64 reference."""

from __future__ import annotations

import math
import re
import warnings
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from dckt_kernels import UnsettledWarning, sinkhorn, sinkhorn_divergence, sinkhorn_of_costs
from dckt_kernels.transport import exponentials
from tests.support.tolerance import assert_same

pytestmark = pytest.mark.numerics

TOLERANCE = 1e-11
EXACT: dict[str, Any] = {"tolerance": TOLERANCE, "max_sweeps": 20_000}
LEFT = 1_000 * TOLERANCE
"""What iterations leave that end at an error of TOLERANCE, where a round takes a thousandth of the error at least."""
RHOS = st.sampled_from([None, 0.5, 5.0])
MEMORIES = ("kept", "streamed")


def rows(n: int, d: int, *, seed: int = 0, shift: float = 0.0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def similarity(seed: int, n: int, m: int) -> Tensor:
    return torch.rand(n, m, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def divergence(x: Tensor, y: Tensor, eps: float = 1.0, rho: float | None = None) -> Tensor:
    return sinkhorn_divergence(x, y, eps=eps, rho=rho, **EXACT).value


@pytest.fixture(autouse=True)
def several_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 16 rows each, so that what is added up over panels is."""
    monkeypatch.setattr(exponentials, "PANEL", 1)


# --- the plan ----------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(2, 40), st.integers(2, 9), st.sampled_from([1.0, 0.1]))
def test_both_marginals_hold(seed: int, n: int, m: int, eps: float) -> None:
    found = sinkhorn_of_costs(-similarity(seed, n, m), eps=eps, **EXACT)
    assert found.error <= TOLERANCE
    plan = found.dense()
    assert_same(plan.sum(0), torch.full((m,), 1 / m, dtype=torch.float64), terms=n * m)  # what was scaled last
    assert float((plan.sum(1) - 1 / n).abs().sum()) <= TOLERANCE + 1e-14 * n * m
    for mine, sums in zip(found.masses(), (plan.sum(1), plan.sum(0)), strict=True):
        assert_same(mine, sums, terms=n * m)


def test_weights_are_the_marginals() -> None:
    x, y = rows(20, 3), rows(7, 3, seed=1)
    a, b = (torch.rand(n, generator=torch.Generator().manual_seed(n), dtype=torch.float64) + 0.1 for n in (20, 7))
    b *= a.sum() / b.sum()
    found = sinkhorn(x, y, eps=0.5, weights_x=a, weights_y=b, **EXACT)
    of_rows, of_columns = found.masses()
    torch.testing.assert_close(of_rows, a, rtol=0, atol=LEFT)
    torch.testing.assert_close(of_columns, b, rtol=0, atol=LEFT)
    doubled = sinkhorn(torch.cat([x, x]), y, eps=0.5, weights_x=torch.cat([a, a]) / 2, weights_y=b, **EXACT)
    torch.testing.assert_close(doubled.value, found.value, rtol=LEFT, atol=LEFT)


@pytest.mark.parametrize("memory", MEMORIES)
def test_the_plan_is_what_potentials_say(memory: Any) -> None:
    """P_ij = a_i b_j exp((f_i + g_j - C_ij) / eps)."""
    x, y = rows(21, 4), rows(9, 4, seed=1)
    found = sinkhorn(x, y, eps=0.7, memory=memory, **EXACT)
    costs = (x[:, None] - y).square().sum(dim=2)
    plan = ((found.f[:, None] + found.g - costs) / 0.7).exp() / (21 * 9)
    assert_same(found.dense(), plan, terms=1000)
    assert found.mass == pytest.approx(1)


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("rho", [None, 0.4])
def test_products_with_the_plan_need_no_plan(memory: Any, rho: float | None) -> None:
    x, y = rows(37, 4), rows(18, 4, seed=1)
    found = sinkhorn(x, y, eps=0.5, rho=rho, memory=memory)
    plan, u, v = found.dense(), rows(37, 3, seed=2), rows(18, 5, seed=3)
    assert_same(found.apply(v), plan @ v, terms=1000)
    assert_same(found.apply_transposed(u), plan.T @ u, terms=1000)
    assert_same(found.project(v), plan @ v / plan.sum(1, keepdim=True), terms=1000)
    assert_same(found.project_transposed(u), (plan.T @ u) / plan.sum(0)[:, None], terms=1000)
    assert_same(found.shares().sum(1), torch.ones(37), terms=18, dtype=torch.float64)
    of_rows, of_columns = found.matches()
    assert torch.equal(of_rows, plan.argmax(1))
    assert torch.equal(of_columns, plan.argmax(0))


@pytest.mark.parametrize("memory", MEMORIES)
def test_a_row_of_nearly_no_mass_has_shares_all_the_same(memory: Any) -> None:
    x, y = torch.tensor([[0.0, 0.0], [30.0, 0.0]]), torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    found = sinkhorn(x, y, eps=1.0, rho=1.0, memory=memory)
    assert float(found.dense()[1].sum()) == 0, "smaller than any number"
    expected = (-(x[:, None] - y).square().sum(dim=2).double() + found.g).softmax(dim=1)
    assert_same(found.shares(), expected, terms=1000)
    assert_same(found.project(y), expected @ y.double(), terms=1000)
    mirrored = sinkhorn(y, x, eps=1.0, rho=1.0, memory=memory)
    assert_same(mirrored.project_transposed(y), expected @ y.double(), terms=1000)


def test_little_entropy_finds_the_matching() -> None:
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    z = 0.2 * similarity(1, 12, 12) + torch.eye(12, dtype=torch.float64)[order]
    found = sinkhorn_of_costs(-z, eps=0.003)
    assert torch.equal(found.matches()[0], order.argsort().argsort())
    assert torch.isfinite(found.dense()).all()


@pytest.mark.parametrize("memory", MEMORIES)
def test_an_entropy_of_a_thousandth_in_float32(memory: Any) -> None:
    """Exponents reach from 0 to -4,000: most of the plan is smaller than any number."""
    x = torch.nn.functional.normalize(rows(48, 16).float(), dim=1)
    y = torch.nn.functional.normalize(rows(48, 16, seed=1).float() + x, dim=1)
    found = sinkhorn(x, y, eps=1e-3, memory=memory, max_sweeps=20_000)
    assert found.error <= 1e-4
    costs = (x[:, None] - y).square().sum(dim=2).double()
    matching = float(costs.numpy()[linear_sum_assignment(costs.numpy())].mean())
    assert float(found.value) == pytest.approx(matching + 1e-3 * math.log(48), abs=1e-3), "the entropy of a matching"


def test_unbalanced_leaves_alone_what_has_no_partner() -> None:
    z = torch.eye(6, dtype=torch.float64)
    z[5] = -1.0
    held, loose = (sinkhorn_of_costs(-z, eps=0.05, rho=rho).shares() for rho in (None, (0.05, 0.05)))
    assert held.shape == loose.shape == (6, 6)
    mass = sinkhorn_of_costs(-z, eps=0.05, rho=0.05).masses()[0]
    assert float(mass[5] / mass.sum()) < 0.01
    one_side = sinkhorn_of_costs(1 - z, eps=0.05, rho=(0.05, None), **EXACT).masses()
    assert float(one_side[0][5]) < 1 / 6 - 0.05, "rows may be left"
    torch.testing.assert_close(one_side[1], torch.full_like(one_side[1], 1 / 6), rtol=0, atol=LEFT)


PROBLEMS = [
    (eps, rho, cost)
    for eps in (0.1, 1.0, 20.0)
    for rho in (None, 1.0, (0.5, None), (2.0, 0.3))
    for cost in ("squared", "cosine")
    if (eps, rho, cost) != (0.1, None, "squared")  # 80,000 sweeps of the reference; none of the others takes 150
]


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 40),
    m=st.integers(1, 20),
    seed=st.integers(0, 999),
    problem=st.sampled_from(PROBLEMS),
    memory=st.sampled_from(MEMORIES),
)
def test_values_and_gradients_are_the_references(
    n: int, m: int, seed: int, problem: tuple[Any, ...], memory: Any
) -> None:
    (eps, rho, cost), found, exact = problem, [], []
    for numbers, how in ((found, {"memory": memory}), (exact, {"backend": "reference"})):
        x, y = rows(n, 5, seed=seed).requires_grad_(), rows(m, 5, seed=seed + 1, shift=0.5).requires_grad_()
        value = sinkhorn(x, y, eps=eps, rho=rho, cost=cost, tolerance=TOLERANCE, max_sweeps=100_000, **how).value
        numbers += [value.detach(), *torch.autograd.grad(value, (x, y))]
    for mine, theirs in zip(found, exact, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-7)


# --- dtypes and scales --------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("rho", [None, 1.0])
def test_float32_says_what_float64_says(rho: float | None, memory: Any) -> None:
    x, y = rows(16, 32), rows(12, 32, seed=1, shift=0.3)
    single = [tensor.float().requires_grad_() for tensor in (x, y)]
    double = [tensor.clone().requires_grad_() for tensor in (x, y)]
    terms, distance = 28**2 * 32, float((x[:, None] - y).square().sum(dim=2).mean())
    values = [
        sinkhorn_divergence(*pair, eps=10.0, rho=rho, memory=memory, tolerance=1e-6).value for pair in (single, double)
    ]
    assert values[0].dtype == torch.float32
    assert_same(values[0], values[1], terms=terms, scale=distance)
    slopes = [torch.autograd.grad(value, pair) for value, pair in zip(values, (single, double), strict=True)]
    for ours, exact in zip(*slopes, strict=True):
        assert_same(ours, exact, terms=terms)
        assert float(exact.abs().max()) > 1e-3


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_halves_are_taken_as_float32_and_get_gradients_of_their_own(dtype: torch.dtype) -> None:
    x, y = rows(8, 4).to(dtype).requires_grad_(), rows(6, 4, seed=1).float()
    value = sinkhorn(x, y, eps=1.0).value
    assert value.dtype == torch.float32
    assert torch.autograd.grad(value, x)[0].dtype == dtype
    assert_same(value, sinkhorn(x.detach().float(), y, eps=1.0).value, terms=48 * 4)


def test_autocast_does_not_reach_inside() -> None:
    x, y = rows(40, 8).float(), rows(30, 8, seed=1).float()
    plain = sinkhorn(x, y, eps=1.0).value
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(sinkhorn(x, y, eps=1.0).value, plain)


def test_a_common_offset_changes_nothing_and_a_common_factor_its_square() -> None:
    x, y = rows(9, 3), rows(8, 3, seed=1)
    value = divergence(x, y, 0.5)
    assert float(divergence(x + 1e4, y + 1e4, 0.5)) == pytest.approx(float(value), rel=1e-6)
    assert float(divergence(100 * x, 100 * y, 5_000.0)) == pytest.approx(1e4 * float(value), rel=1e-6)


def test_far_apart_and_far_from_the_origin_nothing_overflows() -> None:
    x, y = rows(5, 3, shift=1e4).float(), rows(6, 3, seed=1, shift=-1e4).float()
    x.requires_grad_()
    value = sinkhorn_divergence(x, y, eps=1e-2, warn=False).value
    assert float(value) == pytest.approx(12e8, rel=1e-3)
    assert torch.isfinite(torch.autograd.grad(value, x)[0]).all()


# --- the divergence -----------------------------------------------------------------------------------------


@given(n=st.integers(1, 8), m=st.integers(1, 8), d=st.integers(1, 9), seed=st.integers(0, 999), rho=RHOS)
@settings(max_examples=40, deadline=None)
def test_it_is_zero_for_equal_rows_and_positive_else_whichever_comes_first(
    n: int, m: int, d: int, seed: int, rho: float | None
) -> None:
    x, y = rows(n, d, seed=seed), rows(m, d, seed=seed + 1)
    assert float(divergence(x, x, d, rho)) == pytest.approx(0, abs=LEFT * d)
    assert float(divergence(x, x.flip(0), d, rho)) == pytest.approx(0, abs=LEFT * d)
    assert float(divergence(x, y, d, rho)) > 0
    assert float(divergence(x, y, d, rho)) == pytest.approx(float(divergence(y, x, d, rho)), abs=LEFT * d)


@pytest.mark.parametrize("eps", [3.0, 10.0, 100.0])
def test_rows_moved_by_t_are_the_square_of_t_away(eps: float) -> None:
    x, t = rows(7, 3), torch.tensor([0.5, -2.0, 1.0], dtype=torch.float64)
    assert float(divergence(x, x + t, eps)) == pytest.approx(float(t.square().sum()), rel=LEFT)


def test_little_entropy_gives_the_cost_of_the_best_matching_and_much_that_of_the_means() -> None:
    x, y = rows(6, 2), rows(6, 2, seed=1, shift=1.0)
    cost = (x[:, None] - y).square().sum(dim=2).numpy()
    matching = float(cost[linear_sum_assignment(cost)].mean())
    assert float(sinkhorn_divergence(x, y, eps=2e-3).value) == pytest.approx(matching, rel=1e-2)
    means = float((x.mean(0) - y.mean(0)).square().sum())
    assert float(divergence(x, y, 1e5)) == pytest.approx(means, rel=1e-3)


def test_one_row_against_one_is_their_distance_and_less_where_mass_may_be_left() -> None:
    """Without choice of a plan but for its mass p: p c + eps kl(p | 1) + 2 rho kl(p | 1), least at exp(-c / (...))."""
    x, y = torch.zeros(1, 1, dtype=torch.float64), torch.full((1, 1), 2.0, dtype=torch.float64)
    assert float(divergence(x, y)) == pytest.approx(4.0)
    eps, rho = 0.5, 3.0
    expected = (eps + 2 * rho) * (1 - torch.tensor(-4.0 / (eps + 2 * rho), dtype=torch.float64).exp())
    assert float(divergence(x, y, eps, rho)) == pytest.approx(float(expected))


def test_firm_marginals_are_those_of_the_balanced_plan() -> None:
    x, y = rows(5, 3), rows(7, 3, seed=1, shift=0.5)
    assert float(divergence(x, y, rho=1e5)) == pytest.approx(float(divergence(x, y)), rel=1e-3)
    assert float(divergence(x, y, rho=0.1)) < float(divergence(x, y, rho=1.0)) < float(divergence(x, y))


@pytest.mark.parametrize("rho", [None, 0.7])
@pytest.mark.parametrize(("n", "m"), [(4, 4), (3, 6)])
def test_the_gradient_is_that_of_the_value(n: int, m: int, rho: float | None) -> None:
    """Though no iteration is differentiated, finite differences of the whole, iterations and all, say the same."""
    x, y = rows(n, 3).requires_grad_(), rows(m, 3, seed=1, shift=0.5).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: divergence(x, y, 0.8, rho), (x, y), eps=1e-5, atol=1e-6)


def test_a_second_derivative_is_refused() -> None:
    x, y = rows(4, 3).requires_grad_(), rows(5, 3, seed=1)
    (first,) = torch.autograd.grad(divergence(x, y), x, create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivatives"):
        torch.autograd.grad(first.sum(), x)


def test_inside_a_compiled_function() -> None:
    """The compiler leaves it as it is, and goes on behind it."""
    x, y = rows(9, 3).float().requires_grad_(), rows(8, 3, seed=1).float()

    def loss(x: Tensor) -> Tensor:
        return 3 * sinkhorn(2 * x, y, eps=1.0).value + 1

    (plain,) = torch.autograd.grad(loss(x), x)
    compiled = torch.compile(loss, backend="aot_eager")(x)
    assert_same(compiled, loss(x), terms=100)
    assert_same(torch.autograd.grad(compiled, x)[0], plain, terms=100)


# --- how far the iterations came ----------------------------------------------------------------------------


def test_longer_steps_need_fewer_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = rows(60, 4), rows(60, 4, seed=1, shift=0.3)
    ours = sinkhorn(x, y, eps=1.0, **EXACT)
    monkeypatch.setattr("dckt_kernels.transport.relaxation.LARGEST", 1.0)
    plain = sinkhorn(x, y, eps=1.0, **EXACT)
    assert ours.sweeps < plain.sweeps / 2
    torch.testing.assert_close(ours.value, plain.value, rtol=LEFT, atol=0)


def test_what_was_not_reached_is_said() -> None:
    x, y = rows(30, 4), rows(30, 4, seed=1, shift=0.3)
    with pytest.warns(UnsettledWarning, match=r"after 3 sweeps the marginals are off by \d\.\de-\d\d, more than"):
        found = sinkhorn(x, y, eps=0.05, max_sweeps=3)
    assert found.sweeps == 3
    plan = found.dense()
    off = (plan.sum(1) - 1 / 30).abs().sum() + (plan.sum(0) - 1 / 30).abs().sum()
    assert found.error == pytest.approx(float(off), abs=1e-9), "the error is that of the plan"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sinkhorn(x, y, eps=0.05, max_sweeps=3, warn=False)
        sinkhorn(x, y, eps=5.0)


# --- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"eps": 0.0}, "eps must be finite and > 0, not 0.0"),
        ({"x": torch.full((3, 2), 1e25)}, "costs may be 2.6e+50, too large for eps = 1: take a larger one"),
        ({"rho": -1.0}, "rho must be finite and > 0, not -1.0"),
        ({"tolerance": float("nan")}, "tolerance must be finite and > 0, not nan"),
        ({"max_sweeps": 1}, "max_sweeps must be at least 2, not 1"),
        ({"cost": "l1"}, "unknown cost 'l1' (known: squared, cosine)"),
        ({"memory": "disk"}, "unknown memory 'disk' (known: auto, kept, streamed)"),
        ({"weights_x": torch.tensor([0.0, 1.0, 1.0])}, "weights_x holds a 0: leave rows of no weight out"),
        (
            {"weights_x": torch.ones(3)},
            "weights_x sum to 3 and weights_y to 1: with both marginals held they must agree",
        ),
        ({"cost": "cosine", "x": torch.zeros(3, 2)}, "x holds a row of zeros, which has no cosine"),
        ({"x": torch.full((3, 2), float("inf"))}, "x holds a value that is not finite"),
        ({"y": torch.zeros(4, 3)}, "x has 2 features a row and y has 3"),
    ],
)
def test_bad_input(change: dict[str, Any], message: str) -> None:
    arguments = {"x": rows(3, 2).float(), "y": rows(4, 2).float(), "eps": 1.0, **change}
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        sinkhorn(arguments.pop("x"), arguments.pop("y"), **arguments)


@pytest.mark.parametrize("number", [None, "1", True, [1.0]])
def test_what_is_no_number(number: Any) -> None:
    with pytest.raises(TypeError, match="^eps must be a number, not "):
        sinkhorn(rows(3, 2), rows(4, 2), eps=number)


@pytest.mark.parametrize("costs", [torch.zeros(3), torch.zeros(0, 3), torch.zeros(2, 2).half()])
def test_bad_costs(costs: Tensor) -> None:
    with pytest.raises(ValueError, match="costs must be a float32 or float64 matrix"):
        sinkhorn_of_costs(costs, eps=1.0)
    with pytest.raises(ValueError, match="costs holds a value that is not finite"):
        sinkhorn_of_costs(torch.tensor([[1.0, float("nan")]]), eps=1.0)
