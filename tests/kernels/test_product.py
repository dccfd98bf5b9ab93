"""The matrix product: the same numbers from either library, in full precision whatever the settings say."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dckt_kernels import mk_mmd
from dckt_kernels import product as module
from dckt_kernels.product import full_precision, product
from tests.kernels.conftest import Rows
from tests.kernels.yardstick import relative_errors

needs_onednn = pytest.mark.skipif(not module._onednn_is_faster(), reason="oneDNN is not used on this processor")


@pytest.fixture(params=["onednn", "blas"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each library, for products of any size."""
    if request.param == "onednn" and not module._onednn_is_faster():
        pytest.skip("oneDNN is not used on this processor")
    monkeypatch.setattr(module, "SMALL", 0)
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", request.param == "onednn")
    return str(request.param)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 70),
    inner=st.integers(1, 300),
    columns=st.integers(1, 70),
    strides=st.tuples(st.booleans(), st.booleans()),
    biased=st.booleans(),
)
def test_both_libraries_give_the_product(
    rows: int, inner: int, columns: int, strides: tuple[bool, bool], biased: bool
) -> None:
    a = numbers(inner, rows).t() if strides[0] else numbers(rows, inner + 3)[:, 3:]
    b = numbers(columns, inner, seed=1).t() if strides[1] else numbers(inner + 1, columns, seed=1)[1:]
    bias = numbers(columns, 2, seed=2)[:, 1] if biased else None  # as a stranger may pass it: not contiguous
    expected = a.double() @ b.double() + (0 if bias is None else bias.double())
    found = [product(a, b, bias)]
    if module._onednn_is_faster():
        found.append(module._by_onednn(a, b, bias))
    for value in found:
        torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-5 * inner**0.5)


@needs_onednn
def test_large_products_of_float32_go_to_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, ...]] = []
    by_onednn = module._by_onednn

    def spy(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
        asked.append(tuple(a.shape))
        return by_onednn(a, b, bias)

    monkeypatch.setattr(module, "_by_onednn", spy)
    large, small = numbers(128, 200), numbers(8, 200)
    product(large, large.t())
    product(small, small.t())
    product(large.double(), large.double().t())
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    product(large, large.t())
    assert asked == [(128, 200)]


def test_a_torch_without_the_operator_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
        raise AttributeError("no such operator")

    monkeypatch.setattr(module, "_by_onednn", missing)
    module._onednn_is_faster.cache_clear()
    try:
        assert not module._onednn_is_faster()
        a = numbers(128, 200)
        assert torch.equal(product(a, a.t()), a @ a.t())
    finally:
        module._onednn_is_faster.cache_clear()


@pytest.mark.usefixtures("way", "library")
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_the_mmd_is_exact_with_either(rows: Rows, offset: float) -> None:
    value, grad = relative_errors(*rows(41, 37, 1271, offset=offset))
    assert value < 2e-6
    assert grad < 2e-6


@pytest.mark.usefixtures("way", "library")
def test_the_same_bits_each_time(rows: Rows) -> None:
    x, y = rows(41, 37, 1271)
    assert len({float(mk_mmd(x, y)) for _ in range(3)}) == 1


@pytest.mark.parametrize("precision", ["bf16", "tf32", "ieee", "none"])
def test_products_are_in_full_precision_and_the_setting_comes_back(precision: str) -> None:
    setting = torch.backends.mkldnn.matmul
    before = setting.fp32_precision
    try:
        setting.fp32_precision = precision
        with full_precision("cpu"):
            assert setting.fp32_precision in ("ieee", "none")
        assert setting.fp32_precision == precision
    finally:
        setting.fp32_precision = before


def test_autocast_is_off_within() -> None:
    a = numbers(4, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (a @ a).dtype == torch.bfloat16
        with full_precision("cpu"):
            assert (a @ a).dtype == torch.float32
        assert (a @ a).dtype == torch.bfloat16
