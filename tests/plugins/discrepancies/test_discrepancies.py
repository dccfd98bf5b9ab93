"""What `mmd`, `coral` and `jmmd` measure, against formulas written out at length."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dckt_core.base.errors import UsageError
from dckt_core.contract.protocols import LayerwiseDiscrepancy
from dckt_kernels import mk_mmd
from dckt_plugins.discrepancies.coral import coral
from dckt_plugins.discrepancies.jmmd import joint_mmd
from tests.support.tolerance import assert_same

pytestmark = pytest.mark.numerics


def rows(n: int, d: int, *, seed: int = 0, shift: float = 0.0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def with_gradient(*tensors: Tensor) -> tuple[Tensor, ...]:
    return tuple(tensor.clone().requires_grad_() for tensor in tensors)


# --- coral ----------------------------------------------------------------------------------------------------


@given(n=st.integers(2, 9), m=st.integers(2, 9), d=st.integers(1, 12), seed=st.integers(0, 999))
@settings(max_examples=50, deadline=None)
def test_coral_is_the_distance_of_covariances(n: int, m: int, d: int, seed: int) -> None:
    source, target = rows(n, d, seed=seed, shift=3.0), rows(m, d, seed=seed + 1)
    difference = torch.cov(source.T).reshape(d, d) - torch.cov(target.T).reshape(d, d)
    expected = float(difference.square().sum()) / (4 * d * d)
    shifted = float(source.square().sum() + target.square().sum()) ** 2 / d**2
    assert_same(coral(source, target), expected, terms=(n + m) * d**2, scale=shifted)


def test_coral_by_hand() -> None:
    """Variances 2 and 8 in one dimension: (2 - 8)^2 / 4."""
    assert float(coral(torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [5.0]]))) == 9.0


def test_coral_sees_no_shift_and_no_order() -> None:
    source = rows(6, 4)
    assert_same(coral(source, source.flip(0) + 7.0), 0, terms=6 * 4, scale=7.0)


def test_coral_has_the_right_gradient() -> None:
    source, target = with_gradient(rows(5, 3), rows(4, 3, seed=1))
    assert torch.autograd.gradcheck(coral, (source, target))


def test_coral_needs_two_rows() -> None:
    with pytest.raises(ValueError, match="at least two rows"):
        coral(rows(1, 3), rows(4, 3))


# --- jmmd -----------------------------------------------------------------------------------------------------


def naive_joint_mmd(layers: list[tuple[Tensor, Tensor]], kernel_num: int, kernel_mul: float) -> float:
    """The definition, pair of rows by pair of rows."""
    n, m = len(layers[0][0]), len(layers[0][1])
    pooled = [torch.cat(layer) for layer in layers]
    total = n + m
    sigmas = []
    for z in pooled:
        distances = [float((z[i] - z[j]).square().sum()) for i in range(total) for j in range(total) if i != j]
        sigmas.append(sum(distances) / len(distances))

    def kernel(i: int, j: int) -> float:
        product = 1.0
        for z, sigma in zip(pooled, sigmas, strict=True):
            distance = float((z[i] - z[j]).square().sum())
            bandwidths = [sigma * kernel_mul ** (k - kernel_num // 2) for k in range(kernel_num)]
            product *= sum(math.exp(-distance / bandwidth) for bandwidth in bandwidths) / kernel_num
        return product

    def mean(left: range, right: range) -> float:
        return sum(kernel(i, j) for i in left for j in right) / (len(left) * len(right))

    first, second = range(n), range(n, total)
    return mean(first, first) + mean(second, second) - 2 * mean(first, second)


@pytest.mark.parametrize(("kernel_num", "kernel_mul"), [(1, 2.0), (2, 3.0), (5, 2.0)])
@pytest.mark.parametrize(("n", "m"), [(4, 4), (3, 6)])
def test_joint_mmd_is_the_definition(n: int, m: int, kernel_num: int, kernel_mul: float) -> None:
    layers = [(rows(n, d, seed=d, shift=1.0), rows(m, d, seed=d + 50)) for d in (5, 2, 3)]
    value = joint_mmd(layers, kernel_num=kernel_num, kernel_mul=kernel_mul)
    assert_same(value, naive_joint_mmd(layers, kernel_num, kernel_mul), terms=(n + m) ** 2, scale=1)


@given(n=st.integers(2, 8), m=st.integers(2, 8), d=st.integers(1, 6), kernels=st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_joint_of_one_layer_is_mk_mmd(n: int, m: int, d: int, kernels: int) -> None:
    source, target = rows(n, d, shift=0.5), rows(m, d, seed=1)
    joint = joint_mmd([(source, target)], kernel_num=kernels)
    assert_same(joint, mk_mmd(source, target, kernel_num=kernels), terms=(n + m) ** 2, scale=1)


def test_joint_mmd_has_the_gradient_of_a_constant_bandwidth() -> None:
    source, target = with_gradient(rows(5, 3, shift=1.0), rows(4, 3, seed=1))
    joint = torch.autograd.grad(joint_mmd([(source, target)]), (source, target))
    single = torch.autograd.grad(mk_mmd(source, target), (source, target))
    for ours, theirs in zip(joint, single, strict=True):
        assert_same(ours, theirs, terms=9**2)
        assert float(ours.abs().max()) > 1e-3


def test_joint_mmd_of_equal_rows_is_zero_without_nan() -> None:
    source, target = with_gradient(torch.ones(3, 2), torch.ones(4, 2))
    value = joint_mmd([(source, target), (source, target)])
    assert value.item() == 0.0
    assert all(torch.isfinite(slope).all() for slope in torch.autograd.grad(value, (source, target)))


def test_joint_mmd_sees_what_each_layer_alone_does_not(build: Any) -> None:
    """Each layer has the same rows in both domains, but they go together in another way."""
    first = torch.tensor([[0.0], [0.0], [1.0], [1.0]], dtype=torch.float64)
    second = torch.tensor([[0.0], [1.0], [0.0], [1.0]], dtype=torch.float64)
    apart, together = (first, first), (first, second[[0, 2, 1, 3]])
    assert torch.equal(torch.sort(second, dim=0).values, first), "the margins are the same"
    assert_same(mk_mmd(*together), 0, terms=8**2, scale=1)
    assert_same(joint_mmd([apart, together]), 0, terms=8**2, scale=1)
    assert float(joint_mmd([apart, (first, second)])) > 0.01


def test_a_path_shares_its_joint_value(build: Any) -> None:
    layers = {
        name: (rows(5, d, seed=d, shift=1.0), rows(5, d, seed=d + 50))
        for d, name in enumerate(("image_fc6", "text_fc6", "image_fc7", "common_fc8"), start=2)
    }
    values = build("jmmd", kernel_num=3).many(layers, 0.5)
    assert list(values) == ["image_fc6", "image_fc7", "text_fc6", "common_fc8"]
    image = joint_mmd([layers["image_fc6"], layers["image_fc7"]], kernel_num=3)
    assert_same(values["image_fc6"] + values["image_fc7"], image, terms=10**2, scale=1)
    assert float(values["image_fc6"]) == float(values["image_fc7"])
    for alone in ("text_fc6", "common_fc8"):
        assert_same(values[alone], joint_mmd([layers[alone]], kernel_num=3), terms=10**2, scale=1)


# --- mmd ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{}, {"estimator": "unbiased"}, {"kernel_num": 1, "kernel_mul": 3.0}, {"sigma": 2.5}, {"estimator": "linear"}],
)
def test_mmd_is_mk_mmd_at_every_layer(build: Any, options: dict[str, Any]) -> None:
    layers = {name: (rows(6, d, seed=d, shift=1.0), rows(6, d, seed=d + 9)) for name, d in (("a", 3), ("b", 7))}
    values = build("mmd", **options).many(layers, 0.0)
    assert list(values) == ["a", "b"]
    for name, (source, target) in layers.items():
        expected = mk_mmd(source, target, **options)
        assert_same(values[name], expected, terms=12**2, scale=1)
        assert float(values[name]) != 0.0


def test_mmd_of_quadruples_draws_from_the_runs_seed(build: Any) -> None:
    layers = {"a": (rows(8, 3, shift=1.0), rows(8, 3, seed=1))}

    def values(seed: int) -> list[float]:
        discrepancy = build("mmd", estimator="quadruple", seed=seed)
        return [float(discrepancy.many(layers, 0.0)["a"]) for _ in range(3)]

    assert values(0) == values(0)
    assert values(0) != values(1)
    assert len(set(values(0))) == 3, "every call draws anew"


def test_mmd_passes_its_precision_on(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def spy(pairs: Any, *, precision: str, **_: Any) -> Tensor:
        seen.append(precision)
        return torch.zeros(len(pairs))

    monkeypatch.setattr("dckt_plugins.discrepancies.mmd.mk_mmd_many", spy)
    for options in ({}, {"precision": "ieee"}):
        build("mmd", **options).many({"a": (rows(4, 3), rows(4, 3))}, 0.0)
    assert seen == ["tf32x3", "ieee"]


@pytest.mark.parametrize("options", [{"precision": "tf32"}, {"estimator": "linear"}], ids=str)
def test_what_does_not_go_with_a_global_batch_is_refused(build: Any, options: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="global_batch"):
        build("mmd", global_batch="true", **options)


def test_mmd_lets_gradients_through(build: Any) -> None:
    source, target = with_gradient(rows(5, 3, shift=1.0), rows(4, 3, seed=1))
    value = build("mmd").many({"a": (source, target)}, 0.0)["a"]
    slopes = torch.autograd.grad(value, (source, target))
    # A step against the gradient brings the domains nearer.
    nearer = build("mmd").many({"a": (source - slopes[0], target - slopes[1])}, 0.0)["a"]
    assert nearer.item() < value.item()


# --- the contract ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "layerwise"), [("mmd", True), ("jmmd", True), ("adversarial", True), ("coral", False)]
)
def test_which_form_each_has(build: Any, name: str, layerwise: bool) -> None:
    assert isinstance(build(name, layers={"image_fc6": 4}), LayerwiseDiscrepancy) is layerwise


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mmd", {"estimator": "biassed"}, r"expected biased\|unbiased\|linear\|quadruple, not 'biassed'"),
        ("mmd", {"kernel_num": "0"}, "'kernel_num'"),
        ("mmd", {"sigma": "0"}, "'sigma'"),
        ("jmmd", {"kernel_mul": "-1"}, "'kernel_mul'"),
        ("adversarial", {"hiden": "4"}, "did you mean 'hidden'"),
        ("adversarial", {"strength": "nan"}, "'strength'"),
        ("coral", {"x": "1"}, "'x'"),
    ],
)
def test_bad_options(build: Any, name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build(name, **options)
