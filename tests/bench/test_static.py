"""Every kernel compiled ahead of time, its machine code held to the bars. No GPU is needed."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from tests.support.needs import absent, part

part("triton")

from dckt_bench import machine_code, static
from dckt_kernels.gpu import chips, configs

KERNELS = {"partial_gram", "gradient", "pair_tiles", "chunk_gradient"}
ROOT = Path(__file__).parents[2]


def quick(case: machine_code.Case, target: str) -> bool:
    """Each kernel with the default precision, small layers' on rows that lie anywhere; products of 16 bits once."""
    if target == "sm_90" and case.precision == "bf16":
        return case.kernel == "partial_gram" and case.aligned
    if case.precision not in ("tf32x3", "float32"):
        return False
    if case.kernel in ("partial_gram", "gradient"):
        return not case.aligned
    return case.kernel != "pair_tiles" or bool(case.constants["GRADIENT"])


EVERY = [(case, target) for target in chips.ARCHITECTURES for case in static.cases(target)]
QUICK = [(case, target) for case, target in EVERY if target in static.MAIN and quick(case, target)]


def parameters(chosen: list[tuple[machine_code.Case, str]]) -> list[object]:
    return [pytest.param(case, target, id=f"{target}-{case.kernel}-{case.precision}") for case, target in chosen]


def assert_meets_the_bars(case: machine_code.Case, target: str) -> None:
    try:
        report = static.check(case, target)
    except machine_code.MissingLinkerError as error:
        absent(str(error))
    assert report.fails == ""
    assert report.registers > 0
    assert bool(report.matrix_instructions) != bool(report.scalar)


@pytest.mark.parametrize(("case", "target"), parameters(QUICK))
def test_machine_code_meets_the_bars(case: machine_code.Case, target: str) -> None:
    assert_meets_the_bars(case, target)


@pytest.mark.slow  # some 380 kernels, a second or two of a core each
@pytest.mark.parametrize(("case", "target"), parameters([one for one in EVERY if one not in QUICK]))
def test_machine_code_of_every_architecture_meets_the_bars(case: machine_code.Case, target: str) -> None:
    assert_meets_the_bars(case, target)


def test_every_kernel_is_compiled_for_every_chip_in_every_precision() -> None:
    for target, architecture in chips.ARCHITECTURES.items():
        compiled = {(case.kernel, case.precision, case.product, case.aligned) for case in static.cases(target)}
        for precision, of_float32 in static.PRECISIONS.items():
            product = architecture.product(of_float32)
            named = {kernel for kernel, _, made, _ in compiled if made == product}
            assert KERNELS | {"log_sums"} <= named
            if precision in static.HALVES:
                assert {(kernel, precision, product, True) for kernel in KERNELS} <= compiled
            for kernel in ("partial_gram", "gradient"):
                assert {aligned for name, _, made, aligned in compiled if (name, made) == (kernel, product)} == {
                    True,
                    False,
                }
        assert ("ladder", "float32", "ieee", True) in compiled


def test_a_bar_that_is_missed_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    case = next(case for case in static.cases("sm_80") if case.kernel == "partial_gram" and case.precision == "tf32x3")
    assert static.check(case, "sm_80").fails == ""
    monkeypatch.setattr(static, "MATRIX", r"\bHGMMA\b")  # an instruction of a later chip
    assert static.check(case, "sm_80").fails == "matrix instructions"
    small = replace(case, launch=replace(case.launch, shared=16))
    assert static.check(small, "sm_80").fails == "shared memory, matrix instructions"


def test_a_linker_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def compile_without_linker(*_: object, **__: object) -> None:
        raise Exception("ROCm linker /opt/rocm/llvm/bin/ld.lld not found. Set 'TRITON_HIP_LLD_PATH' to its path.")

    monkeypatch.setattr("triton.compile", compile_without_linker)
    with pytest.raises(machine_code.MissingLinkerError, match=r"gfx942 needs a newer Triton than .*ld\.lld not found"):
        static.check(next(static.cases("gfx942")), "gfx942")


def test_traffic_of_six_layers_is_near_the_least() -> None:
    counted = static.traffic()
    assert counted["launches"] <= 3
    assert 1 <= counted["ratio"] <= 1.3


def test_traffic_counts_the_buffers_that_the_plan_allocates() -> None:
    made = static.planned(static.DCKT_LAYERS, static.H100)
    counted = static.traffic()
    rows = sum(12.0 * (n + m) * d for n, m, d in static.DCKT_LAYERS)
    buffers = 2 * 4.0 * (made.mean_size + made.gram_size + made.matrix_size)  # written once, and read
    assert counted["least_bytes"] == rows
    assert counted["modelled_bytes"] == rows + buffers


def test_the_roofline_is_bounded_by_traffic_and_by_arithmetic() -> None:
    counted = static.traffic()
    least = 1e6 * (counted["modelled_bytes"] / static.H100_BYTES + 3 * static.LAUNCH_SECONDS)
    times = {row["precision"]: row["microseconds_computed_never_measured"] for row in static.roofline()}
    assert all(time >= least - 1e-6 for time in times.values())
    assert times["bf16"] <= times["tf32"] <= times["tf32x3"] <= times["ieee"]


def test_each_chip_has_products_at_least_as_exact_as_asked() -> None:
    kept = {"tf32": 11, "bf16x3": 16, "tf32x3": 22, "bf16x6": 24, "ieee": 24}
    for architecture in chips.ARCHITECTURES.values():
        for precision in ("tf32", "tf32x3", "ieee"):
            assert kept[architecture.product(precision)] >= kept[precision]  # type: ignore[arg-type]


def test_the_page_has_the_table_of_architectures() -> None:
    spec = spec_from_file_location("chips_table", ROOT / "docs" / "tools" / "chips.py")
    assert spec is not None
    assert spec.loader is not None
    made = module_from_spec(spec)
    spec.loader.exec_module(made)
    assert f"<!-- python docs/tools/chips.py -->\n{made.table()}\n" in (ROOT / "docs" / "gpu.md").read_text("utf-8")
    assert configs.SMALL_ROWS == 512  # which the page says
