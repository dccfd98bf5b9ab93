"""Every kernel compiled ahead of time for three chips, its machine code held to the bars. No GPU is needed."""

from __future__ import annotations

import pytest
import torch

from tests.support.needs import absent, part

part("triton")

from dckt_bench import static
from dckt_kernels.gpu import configs
from dckt_kernels.gpu.small_launch import plan

TARGETS = ("sm_80", "sm_90", "gfx942")
CASES = [
    pytest.param(case, target, id=f"{target}-{case.kernel}-{case.precision}")
    for target in TARGETS
    for case in static.cases(target)
]


@pytest.mark.parametrize(("case", "target"), CASES)
def test_machine_code_meets_the_bars(case: static.Case, target: str) -> None:
    try:
        report = static.compile_case(case, target)
    except static.MissingLinkerError as error:
        absent(str(error))
    assert report.fails == ""
    assert 0 < report.registers <= (512 if target.startswith("gfx") else 255)
    assert report.shared_bytes <= static.SHARED_LIMIT[target]


def test_every_kernel_is_compiled_in_every_precision_that_a_chip_has() -> None:
    names = {"partial_gram", "gradient", "pair_tile", "panel_gradient"}
    for target, precisions in (
        ("sm_80", {"ieee", "tf32", "tf32x3", "bf16"}),
        ("sm_90", {"ieee", "tf32", "tf32x3", "bf16"}),
        ("gfx942", {"ieee", "tf32", "bf16"}),
    ):
        compiled = {(case.kernel, case.precision) for case in static.cases(target)}
        expected = {(name, precision) for name in names for precision in precisions}
        expected |= {("log_sums", precision) for precision in precisions - {"bf16"}}  # its rows are float32 always
        assert compiled == expected | {("ladder", "float32")}


def test_a_bar_that_is_missed_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    case = next(case for case in static.cases("sm_80") if case.kernel == "partial_gram" and case.precision == "ieee")
    monkeypatch.setitem(static.SHARED_LIMIT, "sm_80", 16)
    monkeypatch.setitem(static.MATRIX, "sm_80", r"\bHGMMA\b")  # an instruction of a later chip
    assert static.compile_case(case, "sm_80").fails == "shared memory"
    tensor_cores = static.Case(case.kernel, "tf32", {**case.constants, "PRECISION": "tf32"}, case.launch)
    assert static.compile_case(tensor_cores, "sm_80").fails == "shared memory, matrix instructions"


def test_a_linker_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def compile_without_linker(*_: object, **__: object) -> None:
        raise Exception("ROCm linker /opt/rocm/llvm/bin/ld.lld not found. Set 'TRITON_HIP_LLD_PATH' to its path.")

    monkeypatch.setattr("triton.compile", compile_without_linker)
    with pytest.raises(static.MissingLinkerError, match=r"gfx942 needs a newer Triton than .*ld\.lld not found"):
        static.compile_case(next(static.cases("gfx942")), "gfx942")


def test_traffic_of_six_layers_is_near_the_least() -> None:
    counted = static.traffic()
    assert counted["launches"] <= 3
    assert 1 <= counted["ratio"] <= 1.3


def test_traffic_counts_the_buffers_that_the_plan_allocates() -> None:
    made = plan(static.DCKT_LAYERS, "tf32", False, torch.device("cpu"))
    counted = static.traffic()
    rows = sum(12.0 * (n + m) * d for n, m, d in static.DCKT_LAYERS)
    means = sum(8.0 * d for _, _, d in static.DCKT_LAYERS)
    padding = 16 * len(static.DCKT_LAYERS)
    buffers = 2 * 4.0 * (made.gram_size - padding + made.matrix_size - padding)
    assert counted["least_bytes"] == rows
    assert counted["modelled_bytes"] == rows + means + buffers


def test_the_roofline_is_bounded_by_traffic_and_by_arithmetic() -> None:
    counted = static.traffic()
    least = 1e6 * (counted["modelled_bytes"] / static.H100_BYTES + 3 * static.LAUNCH_SECONDS)
    times = {row["precision"]: row["microseconds_computed_never_measured"] for row in static.roofline()}
    assert all(time >= least - 1e-6 for time in times.values())
    assert times["bf16"] <= times["tf32"] <= times["tf32x3"] <= times["ieee"]


def test_amd_multiplies_float32_as_it_is() -> None:
    assert configs.on_chip("tf32x3", amd=True) == "ieee"
    assert configs.on_chip("tf32x3", amd=False) == "tf32x3"
