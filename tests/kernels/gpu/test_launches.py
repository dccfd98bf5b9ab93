"""What a call launches, copies, holds and waits for, without a GPU: tensors that have a device and no numbers, and a
recorder in the place of every kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from tests.support.needs import part

part("triton")

from dckt_kernels import mk_mmd_many, resolve_backend
from dckt_kernels.derivatives import MMD
from dckt_kernels.gpu import chips, configs, large_kernels, launch, small_kernels, small_launch, tables
from dckt_kernels.gpu.large_launch import Walk
from dckt_kernels.options import PRECISIONS, Precision

H100 = chips.Chip("sm_90", chips.ARCHITECTURES["sm_90"], multiprocessors=132)
DCKT = ((64, 64, 4096),) * 4 + ((128, 128, 4096),) * 2
KERNELS = {
    small_kernels: ("partial_gram", "ladder", "gradient"),
    large_kernels: ("pair_tiles", "chunk_gradient"),
}

Launched = list[tuple[str, tuple[int, ...], tuple[Any, ...]]]
"""Kernel, grid, arguments."""


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Launched]:
    """An H100 that is none: what a call launches there, in order."""
    seen: Launched = []

    def recorder(name: str) -> Any:
        class Kernel:
            def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
                return lambda *args, **_: seen.append((name, grid, args))

        return Kernel()

    for module, names in KERNELS.items():
        for name in names:
            monkeypatch.setattr(module, name, recorder(name))
    monkeypatch.setattr(chips, "of", lambda device: H100)
    monkeypatch.setattr(launch, "on_device", lambda device: nullcontext())
    monkeypatch.setattr(small_launch, "_aligned", lambda rows: True)  # these have no address
    forget()
    with FakeTensorMode():
        yield seen
    forget()


def forget() -> None:
    """What was made once: tensors that are none must not outlive a test, nor others come into it."""
    for made in (tables.table, small_launch.plan):
        made.cache_clear()  # type: ignore[attr-defined]
        made.captured.clear()  # type: ignore[attr-defined]


class Refused(TorchDispatchMode):
    """Fails at whatever makes the host wait for the device or the device for the host."""

    WAITS = ("_local_scalar_dense", "item", "is_nonzero", "nonzero", "equal", "masked_select", "unique")

    def __torch_dispatch__(self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        assert name not in self.WAITS, f"{function} reads from the device"
        result = function(*args, **(kwargs or {}))
        tensors = [value for value in (*args, *(kwargs or {}).values(), result) if isinstance(value, Tensor)]
        assert {tensor.device.type for tensor in tensors} <= {"cuda"}, f"{function} takes or makes a tensor on the host"
        for indices in (value for value in args if name.startswith("index") and isinstance(value, list)):
            assert all(index is None or index.device.type == "cuda" for index in indices), f"{function} copies an index"
        return result


def made(shapes: tuple[tuple[int, int, int], ...], dtype: torch.dtype = torch.float32) -> list[tuple[Tensor, Tensor]]:
    return [
        tuple(torch.randn(rows, d, device="cuda", dtype=dtype, requires_grad=True) for rows in (n, m))  # type: ignore[misc]
        for n, m, d in shapes
    ]


def backward(values: Tensor) -> tuple[Tensor, ...]:
    """The gradients by all rows. Not by torch's engine, which asks a driver for the device."""
    return MMD.backward(values.grad_fn, torch.ones_like(values))[2:]  # type: ignore[return-value]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("how", [{}, {"sigma": 3.0, "estimator": "unbiased"}, {"bandwidth_grad": True}])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shapes", [DCKT, ((700, 900, 100), (8, 8, 16))], ids=["small", "large"])
def test_a_call_copies_nothing_and_waits_for_nothing(
    launched: Launched,
    shapes: tuple[tuple[int, int, int], ...],
    dtype: torch.dtype,
    how: dict[str, Any],
    weighted: bool,
) -> None:
    pairs = made(shapes, dtype)
    if weighted:
        how = {**how, "weights_x": [torch.ones(n, device="cuda") for n, _, _ in shapes]}
    mk_mmd_many(pairs, **how)  # tables that follow from shapes and options are made once
    launched.clear()
    with Refused():
        values = mk_mmd_many(pairs, **how)
        grads = backward(values)
    assert [grad.shape for grad in grads] == [rows.shape for pair in pairs for rows in pair]
    expected = ["partial_gram", "ladder", "gradient"]
    if shapes is not DCKT:
        expected[2:2] = ["pair_tiles", "chunk_gradient"]
    assert [name for name, _, _ in launched] == expected


@pytest.mark.parametrize("n", [8, 700], ids=["small", "large"])
def test_kernels_are_launched_on_the_device_of_the_rows(
    launched: Launched, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Triton launches on the current device, which need not be theirs."""
    events: list[tuple[torch.device, int]] = []

    @contextmanager
    def current(device: torch.device) -> Iterator[None]:
        before = len(launched)
        yield
        events.append((device, len(launched) - before))

    monkeypatch.setattr(launch, "on_device", current)
    x, y = (torch.randn(n, 16, device="cuda:1", requires_grad=True) for _ in range(2))
    backward(mk_mmd_many([(x, y)]))
    assert {device for device, _ in events} == {torch.device("cuda", 1)}
    assert sum(count for _, count in events) == len(launched) > 0


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: float(x.sum()),
        lambda x: torch.tensor([1.0], device="cuda"),
        lambda x: x.cpu(),
        lambda x: x[[0, 1]],
    ],
    ids=["read", "table", "copy", "index"],
)
def test_what_waits_is_noticed(launched: Launched, wait: Callable[[Tensor], object]) -> None:
    x = torch.randn(4, 4, device="cuda")
    with pytest.raises((AssertionError, RuntimeError)), Refused():
        wait(x)


def test_tables_are_not_made_while_a_graph_is_captured(launched: Launched, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs, others = made(((8, 8, 32),)), made(((9, 8, 32),))
    mk_mmd_many(pairs)
    monkeypatch.setattr(tables, "capturing", lambda: True)
    mk_mmd_many(pairs)
    with pytest.raises(RuntimeError, match="after one call with the same shapes and options"):
        mk_mmd_many(others)
    tables.table.cache_clear()  # type: ignore[attr-defined]
    small_launch.plan.cache_clear()  # type: ignore[attr-defined]
    mk_mmd_many(pairs)  # what a graph reads is never let go


# --- many rows ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("total", [10**6, 5 * 10**6])
@pytest.mark.parametrize("d", [128, 256, 4096])
@pytest.mark.parametrize("precision", ["tf32", "tf32x3"])
def test_chunks_of_many_rows_are_bounded_and_fill_the_chip(total: int, d: int, precision: Precision) -> None:
    walk = Walk.of(total // 128 * 128, d, True, precision, False, H100)
    assert 4 * walk.rows * walk.columns <= 4 * configs.CHUNK_CELLS
    chunks = list(walk.chunks())
    assert len(chunks) <= 1.1 * total**2 / configs.CHUNK_CELLS
    whole = [chunk for chunk in chunks if (chunk[1] - chunk[0], chunk[3] - chunk[2]) == (walk.rows, walk.columns)]
    assert len(whole) >= 0.85 * len(chunks)  # the rest lie at the edges
    for begin, end, _, _, tiles in whole[:3]:
        assert tiles >= walk.programs == configs.WAVES * H100.multiprocessors
        assert H100.multiprocessors <= walk.strips(end - begin) < 2**31


def test_chunks_hold_each_pair_once() -> None:
    walk = Walk.of(128 * 700, 128, True, "tf32x3", False, H100)
    chunks = list(walk.chunks())
    assert sum((end - begin) * (right - left) for begin, end, left, right, _ in chunks) == walk.total**2
    assert len({(begin, left) for begin, _, left, _, _ in chunks}) == len(chunks) > 100
    # Those of the same rows add to their gradient one after the other, the first of them writing it.
    assert [left for begin, _, left, _, _ in chunks if begin == 0] == sorted({left for _, _, left, _, _ in chunks})


def test_a_value_of_many_rows_is_one_launch(launched: Launched) -> None:
    """Of one grid and with one number a thread to be added up, whatever the number of rows."""
    for n in (500_000, 2_500_000):
        launched.clear()
        with torch.no_grad():
            x, y = (torch.randn(n, 16, device="cuda") for _ in range(2))
            mk_mmd_many([(x, y)])
        ((name, grid, args),) = launched
        assert (name, grid) == ("pair_tiles", (264,))
        parts = next(arg for arg in args if isinstance(arg, Tensor) and arg.dtype == torch.float64)
        assert parts.shape == (264, 64)
        blocks = -(-2 * n // 128) * 2
        assert args[-1] == blocks * (blocks // 2 + 1)  # each pair of blocks once


# --- few rows -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["tf32", "tf32x3", "ieee"])
@pytest.mark.parametrize("shapes", [DCKT, ((64, 64, 4096),)], ids=["six", "one"])
def test_small_layers_keep_every_multiprocessor_busy(
    launched: Launched, shapes: tuple[tuple[int, int, int], ...], precision: str
) -> None:
    pairs = made(shapes)
    backward(mk_mmd_many(pairs, precision=precision))  # type: ignore[arg-type]
    programs = {name: grid[0] for name, grid, _ in launched}
    least = H100.multiprocessors if shapes is DCKT else 64
    assert min(programs["partial_gram"], programs["gradient"]) >= least


# --- chips ----------------------------------------------------------------------------------------------------


def test_each_chip_has_blocks_that_fit() -> None:
    for architecture in chips.ARCHITECTURES.values():
        for precision in PRECISIONS:
            product = architecture.product(precision)  # type: ignore[arg-type]
            taken = [configs.partial_gram(product, architecture), configs.gradient(product, architecture)]
            for launches in (
                configs.pair_tiles(product, architecture, True, half=True),
                configs.pair_tiles(product, architecture, False, half=False),
                configs.chunk_gradient(product, architecture),
                configs.log_sums(product, architecture),
            ):
                taken.append(configs.fitting(launches, architecture))
                assert launches[-1].shared <= min(each.shared for each in chips.ARCHITECTURES.values())
            assert all(0 < launch.shared <= architecture.shared for launch in taken)


@pytest.mark.parametrize(
    ("properties", "row"),
    [
        ({"major": 9, "minor": 0, "shared_memory_per_block_optin": 232448}, "sm_90"),
        ({"major": 9, "minor": 0, "shared_memory_per_block_optin": 65536}, None),  # less than its row says
        ({"major": 6, "minor": 1, "shared_memory_per_block_optin": 49152}, None),
        ({"gcnArchName": "gfx90a:sramecc+:xnack-"}, "gfx90a"),
        ({"gcnArchName": "gfx1030"}, None),
    ],
)
def test_a_device_is_asked_what_it_has(
    properties: dict[str, Any], row: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = SimpleNamespace(**properties, multi_processor_count=77)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: found)
    monkeypatch.setattr(torch.version, "hip", "7.0" if "gcnArchName" in properties else None)
    chip = chips.of.__wrapped__(torch.device("cuda", 0))
    assert (chip and chip.name, chip and chip.multiprocessors) == (row, row and 77)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("sm_75", "sm_75"),
        ("sm_70", None),
        ("sm_87", "sm_86"),
        ("sm_103", "sm_100"),
        ("sm_121", "sm_120"),
        ("gfx1102", "gfx1100"),
        ("gfx942", "gfx942"),
        ("gfx906", None),
        ("gfx1201", None),
    ],
)
def test_chips_are_served_by_a_row_of_the_table(name: str, row: str | None) -> None:
    assert chips.row_of(name) == row


def test_a_chip_that_is_not_in_the_table_has_the_closed_form(
    launched: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.randn(4, 4, device="cuda")
    assert resolve_backend(x) == "triton"
    monkeypatch.setattr(chips, "of", lambda device: None)
    assert resolve_backend(x) == "closed_form"
    with pytest.raises(ValueError, match="cannot run on cuda"):
        resolve_backend(x, "triton")
