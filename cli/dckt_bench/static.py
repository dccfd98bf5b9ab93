"""What is known of the kernels without a GPU: compiled ahead of time, taken apart, and reckoned on paper.

`report` compiles every kernel of the configuration table for each row of the architecture table and holds the machine
code to bars. `traffic` counts launches and bytes of one call; `roofline` turns them into a time on paper. Nothing here
was measured on a GPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from dckt_bench.machine_code import FLOAT_ATOMICS, MATRIX, WIDE_LOADS, Case, compile_case
from dckt_kernels.gpu import configs
from dckt_kernels.gpu.chips import ARCHITECTURES, Architecture, Chip, Product
from dckt_kernels.gpu.small_launch import Plan, plan
from dckt_kernels.options import Precision

PRECISIONS: dict[str, Precision] = {"tf32": "tf32", "tf32x3": "tf32x3", "ieee": "ieee", "bf16": "tf32", "fp16": "tf32"}
"""Of a call, or its rows' 16 bits, to that of its products of float32 numbers: such rows meet a float32 matrix in the
gradient."""
HALVES = ("bf16", "fp16")
MAIN = ("sm_80", "sm_90", "gfx942")
"""The architectures of data centres that are compiled for where not all are asked for."""
MOST_REGISTERS = {"sm": 255, "gfx": 512}
DCKT_LAYERS = ((64, 64, 4096),) * 4 + ((128, 128, 4096),) * 2
"""(n, m, d) of the six layers of one training step: fc6 and fc7 of both media, fc8 and fc9 of both together."""

# From the vendor's data sheet of the H100 SXM: dense TFLOP/s by precision of the product, TB/s, and a usual launch.
H100 = Chip("sm_90", ARCHITECTURES["sm_90"], multiprocessors=132)
H100_TFLOPS = {"bf16": 600.0, "tf32": 300.0, "tf32x3": 100.0, "ieee": 45.0}
H100_BYTES = 3.35e12
LAUNCH_SECONDS = 5e-6


@dataclass(frozen=True)
class KernelReport:
    """What the machine code of a case on a chip shows; `fails` names the bars that it misses.

    Attributes:
        product: of float32 numbers, that the chip has for the precision.
        aligned: whether rows begin and end at multiples of 16 numbers.
        scalar: why there are no matrix instructions, where there are none.
    """

    kernel: str
    target: str
    precision: str
    product: str
    aligned: bool
    blocks: str
    registers: int
    spilled_bytes: int
    shared_bytes: int
    matrix_instructions: int
    scalar: str
    wide_loads: int
    float_atomics: int
    fails: str


def cases(target: str, precisions: Sequence[str] = tuple(PRECISIONS)) -> Iterator[Case]:
    """Every kernel in every precision that an architecture tells apart, in its blocks, aligned and not."""
    architecture, seen = ARCHITECTURES[target], set()
    for precision in precisions:
        product = architecture.product(PRECISIONS[precision])
        if precision not in HALVES:
            if product in seen:
                continue
            seen.add(product)
        yield from _with_products(precision, product, architecture)
    constants = {"K": 5, "DOUBLING": True, "GRADIENT": True, "BANDWIDTH_GRAD": True, "BLOCK_P": 64}
    for launch in configs.ladder():
        yield Case("ladder", "float32", "ieee", constants, launch)


def _with_products(precision: str, product: Product, architecture: Architecture) -> Iterator[Case]:
    half = precision in HALVES and architecture.halves
    rows = precision if precision in HALVES else "fp32"
    stored = rows if half else "fp32"  # of large layers
    dot = {"HALF": half, "PRECISION": product, "UPCAST": False}
    layers, pairs = {"LAYERS": len(DCKT_LAYERS)}, {"K": 5, "DOUBLING": True}
    for aligned in (True, False):
        forward, launch = {**layers, "ALIGNED": aligned, **dot}, configs.partial_gram(product, architecture)
        yield Case("partial_gram", precision, product, forward, launch, rows)
        backward = {**layers, "ALIGNED": aligned, "BANDWIDTH_GRAD": True, "PRECISION": product}
        yield Case("gradient", precision, product, backward, configs.gradient(product, architecture), rows)
    for gradient in (True, False):
        launch = configs.fitting(configs.pair_tiles(product, architecture, gradient, half), architecture)
        yield Case("pair_tiles", precision, product, {"GRADIENT": gradient, **pairs, **dot}, launch, stored)
    launch = configs.fitting(configs.chunk_gradient(product, architecture), architecture)
    yield Case("chunk_gradient", precision, product, {"PRECISION": product}, launch, stored)
    if precision not in HALVES:
        launch = configs.fitting(configs.log_sums(product, architecture), architecture)
        yield Case("log_sums", precision, product, {"PRECISION": product}, launch)


def check(case: Case, target: str) -> KernelReport:
    """Compiles a case for a row of the architecture table and holds it to the bars.

    Raises:
        MissingLinkerError: this Triton has no linker of its own for AMD's chips, and the machine has none.
    """
    code, architecture = compile_case(case, target), ARCHITECTURES[target]
    matrix, wide, atomics = code.count(MATRIX), code.count(WIDE_LOADS), code.count(FLOAT_ATOMICS)
    product = case.kernel != "ladder"
    scalar = "" if matrix else _scalar(case, architecture)
    bars = {
        "registers": code.registers <= MOST_REGISTERS["gfx" if target.startswith("gfx") else "sm"],
        "spills": code.spilled == 0,
        "shared memory": code.shared <= min(architecture.shared, case.launch.shared),
        "matrix instructions": matrix > 0 or bool(scalar),
        "wide loads": wide > 0 or not product or not case.aligned,
        "float atomics": atomics == 0,
    }
    return KernelReport(
        kernel=case.kernel,
        target=target,
        precision=case.precision,
        product=case.product,
        aligned=case.aligned,
        blocks="x".join(str(size) for name, size in case.launch.blocks.items() if name.startswith("BLOCK")),
        registers=code.registers,
        spilled_bytes=code.spilled,
        shared_bytes=code.shared,
        matrix_instructions=matrix,
        scalar=scalar,
        wide_loads=wide,
        float_atomics=atomics,
        fails=", ".join(name for name, held in bars.items() if not held),
    )


def _scalar(case: Case, architecture: Architecture) -> str:
    """Why a case has no matrix instructions; empty where it should have some."""
    if case.kernel == "ladder":
        return "it multiplies no matrices"
    halves = case.constants.get("HALF", False)
    return architecture.scalar if case.product == "ieee" and not halves else ""


def traffic(shapes: Sequence[tuple[int, int, int]] = DCKT_LAYERS, chip: Chip = H100) -> dict[str, float]:
    """Launches and bytes of one call, forward and backward, on small layers (n, m, d).

    least: each float32 row is read once forward and once backward, and its gradient is written once. modelled: what
    the kernels read from and write to main memory, counting what programs of one launch share through the cache once.
    """
    made = planned(shapes, chip)
    rows = sum(12.0 * (n + m) * d for n, m, d in shapes)
    flops = sum(4.0 * (n + m) ** 2 * d for n, m, d in shapes)
    modelled = rows + 8.0 * (made.mean_size + made.gram_size + made.matrix_size)
    return {"launches": 3, "least_bytes": rows, "modelled_bytes": modelled, "ratio": modelled / rows, "flops": flops}


def planned(shapes: Sequence[tuple[int, int, int]], chip: Chip) -> Plan:
    """The plan of a call on float32 rows, side by side."""
    layers = tuple((n, m, d, d, d) for n, m, d in shapes)
    return plan(layers, "tf32", chip, torch.device("cpu"))


def roofline(shapes: Sequence[tuple[int, int, int]] = DCKT_LAYERS) -> list[dict[str, Any]]:
    """Times of one call on an H100 as computed from its data sheet, a row for each precision. Never measured."""
    counted = traffic(shapes)
    rows = []
    for precision, tflops in H100_TFLOPS.items():
        work = max(counted["flops"] / (tflops * 1e12), counted["modelled_bytes"] / H100_BYTES)
        seconds = work + counted["launches"] * LAUNCH_SECONDS
        rows.append({"chip": "H100", "precision": precision, "microseconds_computed_never_measured": 1e6 * seconds})
    return rows


def report(targets: Sequence[str] = MAIN) -> list[dict[str, Any]]:
    """Everything above as JSON-able records: a record for each kernel and chip, then the traffic, then the roofline."""
    records: list[dict[str, Any]] = [asdict(check(case, target)) for target in targets for case in cases(target)]
    return [*records, {"layers": "six of DCKT", **traffic()}, *roofline()]
