"""The Triton kernels in Triton's interpreter against the float64 reference. Run by test_interpreter.py, in a process
of its own: TRITON_INTERPRET must be set before triton is imported."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch
from torch import Tensor

from dckt_kernels import mk_mmd, mk_mmd_many, sinkhorn_divergence
from dckt_kernels.gpu import chips, configs, weights
from dckt_kernels.pair_weights import PairWeights
from dckt_kernels.transport import exponentials
from tests.support.tolerance import rounding
from tests.support.yardstick import PROMISED

pytestmark = pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")  # NumPy computes masked lanes too

assert os.environ.get("TRITON_INTERPRET") == "1"
torch.set_num_threads(1)

Shape = tuple[int, int, int]
SHAPES: list[Shape] = [(20, 21, 601), (1, 3, 40), (64, 64, 96), (1, 1, 16)]
"""Among them one of two slabs of columns and one whose two tiles of rows are full."""
TILES: dict[str, Shape] = {"small": (40, 30, 33), "large": (110, 40, 70)}
"""By path: more than one tile of rows, or than one chunk of them either way, the last not full; no more than that, for
the interpreter takes its time for each block of pairs."""


@pytest.fixture(autouse=True)
def empty_is_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that a kernel should have written and did not shows as NaN."""
    plain = torch.empty

    def empty(*size: Any, **how: Any) -> Tensor:
        made = plain(*size, **how)
        return made.fill_(float("nan")) if made.is_floating_point() else made.fill_(-1)

    monkeypatch.setattr(torch, "empty", empty)


@pytest.fixture(params=["small", "large"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both paths; that of large layers with several chunks, of several rows of tiles, walked over by two programs."""
    if request.param == "large":
        monkeypatch.setattr(configs, "SMALL_ROWS", 0)
        monkeypatch.setattr(configs, "CHUNK_CELLS", 64 * 64)
    return str(request.param)


def guarded(rows: Tensor) -> Tensor:
    """The same rows inside a larger buffer of NaN: what is read beside them shows."""
    n, d = rows.shape
    buffer = torch.full((n + 2, d + 7), float("nan"), dtype=rows.dtype)
    buffer[1 : n + 1, 3 : d + 3] = rows
    return buffer[1 : n + 1, 3 : d + 3]


def made(shape: Shape, dtype: torch.dtype = torch.float32, offset: float = 0.0) -> tuple[Tensor, Tensor]:
    n, m, d = shape
    generator = torch.Generator().manual_seed(n + 31 * m + d)
    x, y = torch.randn(n, d, generator=generator), 1.1 * torch.randn(m, d, generator=generator) + 0.3
    return guarded((x + offset).to(dtype)), guarded((y + offset).to(dtype))


def errors(pairs: list[tuple[Tensor, Tensor]], **how: Any) -> tuple[float, float]:
    """Largest relative error of the values and of the gradients, whose incoming ones differ from 1 and each other."""
    incoming = torch.linspace(0.5, 2.0, len(pairs))
    found = []
    for backend, dtype in (("triton", None), ("reference", torch.float64)):
        leaves = [tuple(rows.detach().to(dtype or rows.dtype).requires_grad_() for rows in pair) for pair in pairs]
        if dtype is None:  # a leaf that keeps the guard bands round it
            leaves = [tuple(rows.detach().requires_grad_() for rows in pair) for pair in pairs]
        values = mk_mmd_many(leaves, backend=backend, **how)
        (values * incoming.to(values.dtype)).sum().backward()
        found.append((values.detach().double(), [rows.grad.double() for pair in leaves for rows in pair]))
    (values, grads), (expected, expected_grads) = found
    value = float(((values - expected).abs() / expected.abs().clamp_min(1e-6)).max())
    grad = max(float((g - e).norm() / e.norm().clamp_min(1e-6)) for g, e in zip(grads, expected_grads, strict=True))
    return value, grad


def test_odd_shapes_together(path: str) -> None:
    value, grad = errors([made(shape) for shape in [*SHAPES, TILES[path]]])
    assert value <= 2 * PROMISED
    assert grad <= PROMISED


@pytest.mark.parametrize(
    "how",
    [
        {"estimator": "unbiased"},
        {"kernel_mul": 3.0, "kernel_num": 4},
        {"kernel_num": 1},
        {"kernel_mul": 0.5},
        {"sigma": 50.0},
        {"bandwidth_grad": True},
    ],
)
def test_options(path: str, how: dict[str, Any]) -> None:
    value, grad = errors([made((20, 21, 127)), made((33, 40, 64))], **how)
    assert value <= 2 * PROMISED
    assert grad <= PROMISED


@pytest.mark.parametrize("bandwidth_grad", [False, True])
def test_weights_and_masks(path: str, bandwidth_grad: bool) -> None:
    pairs = [made((20, 21, 50)), made((40, 9, 64))]
    weights = [torch.linspace(0, 2, 20), None]
    masks = [None, (torch.arange(9) % 3 > 0).float()]
    value, grad = errors(pairs, weights_x=weights, weights_y=masks, bandwidth_grad=bandwidth_grad)
    assert value <= 2 * PROMISED
    assert grad <= PROMISED


@pytest.mark.parametrize("offset", [100.0, 1000.0])
def test_a_large_common_offset_costs_nothing(path: str, offset: float) -> None:
    value, grad = errors([made((20, 21, 128), offset=offset)])
    assert value <= 2 * PROMISED
    assert grad <= PROMISED


@pytest.mark.parametrize(("dtype", "bound"), [(torch.bfloat16, 1e-2), (torch.float16, 2e-3)])
def test_half_inputs_are_centred_before_they_are_rounded(path: str, dtype: torch.dtype, bound: float) -> None:
    """The reference sees the same half numbers, so what differs is the arithmetic alone; its bound is the dtype's."""
    value, grad = errors([made((20, 21, 128), dtype=dtype)])
    assert value <= bound
    assert grad <= bound


def test_a_chip_that_multiplies_no_halves_takes_them_as_float32(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chips, "INTERPRETER", chips.Chip("sm_75", chips.ARCHITECTURES["sm_75"], multiprocessors=1))
    value, grad = errors([made((20, 21, 40), dtype=torch.float16)])
    assert value <= 2 * PROMISED  # nothing but the rows is rounded
    assert grad <= 2e-3


@pytest.mark.parametrize(
    "given",
    [[1.0, -1.0, 1.0], [1.0, float("nan"), 1.0], [1.0, float("inf"), 1.0], [0.0, 0.0, 0.0], [1e-13, 0.0, 0.0]],
)
def test_weights_that_cannot_be_used_show_where_nobody_looks_at_them(
    given: list[float], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU, which would have to be waited for."""
    monkeypatch.setattr("dckt_kernels.api.check_weights", lambda weights, *_: weights)
    x, y = made((3, 4, 8))
    value = mk_mmd(x, y, weights_x=torch.tensor(given), backend="triton")
    assert torch.isnan(value)


def test_sums_of_weights_are_those_of_the_closed_form() -> None:
    x, y = made((5, 7, 3))
    u, w = 1e20 * torch.arange(5.0), 1e20 * torch.linspace(0.5, 2, 7)
    for unbiased in (False, True):
        v, sums = weights.pooled(x, y, u, w, unbiased)
        expected = PairWeights.of(x, y, u, w, unbiased)
        assert torch.equal(v, expected.v)
        numbers = (expected.total, expected.off_diagonal, expected.xx, expected.xy, expected.yy)
        torch.testing.assert_close(sums, torch.tensor(numbers))


def test_collapsed_rows_give_nothing(path: str) -> None:
    x = guarded(torch.full((30, 8), 5.0)).requires_grad_()
    loss = mk_mmd(x, torch.full((20, 8), 5.0), backend="triton")
    (gradient,) = torch.autograd.grad(loss, x)
    assert float(loss) == 0
    assert bool((gradient == 0).all())


def test_identical_batches_are_at_zero(path: str) -> None:
    x, _ = made((24, 1, 32))
    assert abs(float(mk_mmd(x, x.clone(), backend="triton"))) <= rounding(torch.float32)


def test_the_value_alone(path: str) -> None:
    x, y = made(TILES[path])
    with torch.no_grad():
        value = mk_mmd(x, y, backend="triton")
    assert float(value) == pytest.approx(float(mk_mmd(x, y, backend="reference")), rel=2 * PROMISED)


def test_nan_shows(path: str) -> None:
    x, y = made((20, 21, 32))
    x[3, 5] = float("nan")
    assert torch.isnan(mk_mmd(x, y, backend="triton"))


def test_same_bits_each_time(path: str) -> None:
    x, y = made(TILES[path])
    x.requires_grad_()
    results = []
    for _ in range(2):
        value = mk_mmd(x, y, backend="triton")
        results.append((value.detach(), *torch.autograd.grad(value, x)))
    assert all(torch.equal(first, second) for first, second in zip(*results, strict=True))


def test_any_stride(path: str) -> None:
    x, y = made((20, 21, 64))
    plain = mk_mmd(x, y, backend="triton")
    assert torch.equal(mk_mmd(x.t().contiguous().t(), y[:, :].clone(), backend="triton"), plain)


def test_a_second_derivative_names_the_backend_that_has_it() -> None:
    x, y = made((8, 8, 16))
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(mk_mmd(x, y, backend="triton"), x, create_graph=True)
    with pytest.raises(RuntimeError, match="reference"):
        gradient.sum().backward()


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    from dckt_kernels.gpu import small_kernels

    counted: list[str] = []
    for name in ("partial_gram", "ladder", "gradient"):
        kernel = getattr(small_kernels, name)

        class Counted:
            def __init__(self, kernel: Any, name: str) -> None:
                self.kernel, self.name = kernel, name

            def __getitem__(self, grid: Any) -> Any:
                counted.append(self.name)
                return self.kernel[grid]

        monkeypatch.setattr(small_kernels, name, Counted(kernel, name))
    return counted


def test_six_layers_take_three_launches(launches: list[str]) -> None:
    pairs = [made(shape) for shape in ((8, 8, 96),) * 4 + ((16, 16, 96),) * 2]
    leaves = [(x.requires_grad_(), y) for x, y in pairs]
    mk_mmd_many(leaves, backend="triton").sum().backward()
    assert launches == ["partial_gram", "ladder", "gradient"]


# --- transport ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(70, 100, 33), (1, 3, 40), (64, 64, 16)])
@pytest.mark.parametrize("rho", [None, 0.5])
def test_transport(shape: Shape, rho: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several tiles of rows, several shares of the columns, several panels of what is applied."""
    monkeypatch.setattr(configs, "WAVES", 3)
    monkeypatch.setattr(exponentials, "PANEL", 1)
    x, y = made(shape)
    found, exact = [], []
    for numbers, backend in ((found, "triton"), (exact, "reference")):
        u, v = x.clone().requires_grad_(), y.clone().requires_grad_()
        value = sinkhorn_divergence(u, v, eps=30.0, rho=rho, tolerance=1e-6, max_sweeps=5000, backend=backend).value
        numbers += [value.detach(), *torch.autograd.grad(value, (u, v))]
    terms, distance = sum(shape[:2]) ** 2 * shape[2], float(exact[0].abs().max()) + 2 * shape[2]
    torch.testing.assert_close(found[0], exact[0], rtol=0, atol=rounding(torch.float32, terms) * distance)
    for ours, theirs in zip(found[1:], exact[1:], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=rounding(torch.float32, terms))
