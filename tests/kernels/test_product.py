"""The matrix product: the same numbers from either library, in full precision whatever the settings say."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from dckt_kernels import mk_mmd
from dckt_kernels import product as module
from dckt_kernels.product import full_precision, product
from tests.support.processes import ended, forked
from tests.support.tolerance import assert_same
from tests.support.yardstick import PROMISED, Rows, relative_errors

pytestmark = pytest.mark.numerics

needs_onednn = pytest.mark.skipif(not module.onednn_is_faster(), reason="oneDNN is not used on this processor")


@pytest.fixture(params=["onednn", "blas"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each library, for products of any size."""
    if request.param == "onednn" and not module.onednn_is_faster():
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
    scale = float((a.square() @ b.square() + (0 if bias is None else bias.square())).sqrt().max())
    found = [product(a, b, bias, batch=[rows])]
    if module.onednn_is_faster():
        found.append(module._by_onednn(a, b, bias))
    for value in found:
        assert_same(value, expected, terms=inner + 1, scale=scale)


@needs_onednn
def test_large_products_of_float32_go_to_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, ...]] = []
    by_onednn = module._by_onednn

    def spy(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
        asked.append(tuple(a.shape))
        return by_onednn(a, b, bias)

    monkeypatch.setattr(module, "_by_onednn", spy)

    def square(rows: Tensor) -> None:
        product(rows, rows.t(), batch=[len(rows)])

    large = numbers(128, 200)
    square(large)
    square(large[:16])  # too little work
    square(large.double())
    square(large[:127])  # a size of its own
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    square(large)
    assert asked == [(128, 200)]


def test_a_torch_without_the_operator_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    before = module.onednn_is_faster()

    def missing(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
        raise AttributeError("no such operator")

    with monkeypatch.context() as patched:
        patched.setattr(module, "_by_onednn", missing)
        module._probe.cache_clear()
        a = numbers(128, 200)
        if before:
            assert not module.onednn_is_faster()
        assert torch.equal(product(a, a.t(), batch=[128]), a @ a.t())
    assert module.onednn_is_faster() == before, "what was not there for a while is not remembered as missing"


@pytest.mark.parametrize("what", ["double", "fake"])
def test_the_probe_does_not_depend_on_what_surrounds_it(what: str) -> None:
    before = module.onednn_is_faster()
    module._probe.cache_clear()
    try:
        if what == "double":
            torch.set_default_dtype(torch.float64)
            assert module.onednn_is_faster() == before
        else:
            with FakeTensorMode():
                module.onednn_is_faster()
    finally:
        torch.set_default_dtype(torch.float32)
    assert module.onednn_is_faster() == before


@needs_onednn
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_batches_of_many_sizes_do_not_fill_the_memory(tmp_path: Path) -> None:
    """Each new shape costs oneDNN a megabyte of code that it keeps: 200 of them would be 300 MB."""

    def resident() -> float:
        found = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())
        assert found is not None
        return int(found[1]) / 1024

    def call(n: int, m: int) -> None:
        x, y = numbers(n, 256).requires_grad_(), numbers(m, 256, seed=1)
        mk_mmd(x, y).backward()

    def many() -> None:
        draw = random.Random(0)
        call(500, 500)
        before = resident()
        for _ in range(200):
            call(draw.randint(100, 500), draw.randint(100, 500))
        (tmp_path / "grown").write_text(str(resident() - before))

    assert ended(forked(many)) == 0
    assert float((tmp_path / "grown").read_text()) < 100


@pytest.mark.usefixtures("way", "library")
@pytest.mark.parametrize("offset", [0.0, 1000.0])
@pytest.mark.parametrize(("n", "m"), [(41, 37), (32, 48)])
def test_the_mmd_is_exact_with_either(rows: Rows, n: int, m: int, offset: float) -> None:
    value, grad = relative_errors(*rows(n, m, 1271, offset=offset))
    assert value <= PROMISED
    assert grad <= PROMISED


@pytest.mark.usefixtures("way", "library")
def test_the_same_bits_each_time(rows: Rows) -> None:
    x, y = rows(41, 37, 1271)
    assert len({float(mk_mmd(x, y)) for _ in range(3)}) == 1


class TestFullPrecision:
    """The setting of oneDNN's products, which inherits from that of oneDNN, which inherits from that of torch."""

    @pytest.fixture(autouse=True)
    def _settings(self) -> Iterator[None]:
        places = (torch.backends, torch.backends.mkldnn, torch.backends.mkldnn.matmul)
        yield
        for place in places:
            place.fp32_precision = "none"

    @pytest.mark.parametrize("precision", ["bf16", "tf32", "ieee"])
    def test_a_setting_of_its_own_comes_back(self, precision: str) -> None:
        setting = torch.backends.mkldnn.matmul
        setting.fp32_precision = precision
        with full_precision("cpu"):
            assert setting.fp32_precision == "ieee"
        assert setting.fp32_precision == precision

    def test_an_inherited_one_stays_inherited(self) -> None:
        setting = torch.backends.mkldnn.matmul
        torch.backends.mkldnn.fp32_precision = "bf16"
        with full_precision("cpu"):
            assert setting.fp32_precision == "ieee"
        assert setting.fp32_precision == "bf16"
        torch.backends.mkldnn.fp32_precision = "ieee"
        assert setting.fp32_precision == "ieee"

    def test_it_holds_until_the_last_thread_is_done(self) -> None:
        setting = torch.backends.mkldnn.matmul
        setting.fp32_precision = "bf16"
        inside, leave = threading.Event(), threading.Event()

        def other() -> None:
            with full_precision("cpu"):
                inside.set()
                assert leave.wait(10)

        thread = threading.Thread(target=other)
        with full_precision("cpu"):
            thread.start()
            assert inside.wait(10)
        assert setting.fp32_precision == "ieee"
        leave.set()
        thread.join()
        assert setting.fp32_precision == "bf16"

    def test_the_setting_comes_back_after_an_error(self) -> None:
        setting = torch.backends.mkldnn.matmul
        setting.fp32_precision = "bf16"
        with pytest.raises(ValueError, match="first"), full_precision("cpu"):
            raise ValueError("first")
        assert setting.fp32_precision == "bf16"

    def test_the_mmd_asks_for_it(self, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
        setting, seen = torch.backends.mkldnn.matmul, []
        setting.fp32_precision = "bf16"
        mm = torch.mm
        monkeypatch.setattr(torch, "mm", lambda *given: (seen.append(setting.fp32_precision), mm(*given))[1])
        x, y = rows(5, 6, 7)
        mk_mmd(x.requires_grad_(), y).backward()
        assert len(seen) == 2
        assert set(seen) == {"ieee"}


def test_autocast_is_off_within() -> None:
    a = numbers(4, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (a @ a).dtype == torch.bfloat16
        with full_precision("cpu"):
            assert (a @ a).dtype == torch.float32
        assert (a @ a).dtype == torch.bfloat16
