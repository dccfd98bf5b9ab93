"""What is known of the kernels without a GPU: compiled ahead of time, taken apart, and reckoned on paper.

`report` compiles every kernel of the configuration table for each chip and reads registers, spills, shared memory and
instructions out of the machine code. `traffic` counts launches and bytes of one call; `roofline` turns them into a
time on paper. Nothing here was measured on a GPU.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dckt_kernels.gpu import configs
from dckt_kernels.options import Precision

SHARED_LIMIT = {"sm_80": 163 * 1024, "sm_90": 227 * 1024, "gfx942": 64 * 1024}
"""Bytes of shared memory that one block may use."""
MATRIX = {"sm_80": r"\bHMMA\b", "sm_90": r"\bHGMMA\b", "gfx942": r"\bv_mfma_"}
"""Matrix instructions. Products of `ieee` precision have none on NVIDIA's chips."""
PRODUCTS: dict[str, Precision] = {"tf32": "tf32", "tf32x3": "tf32x3", "ieee": "ieee", "bf16": "tf32"}
"""The precision of the products of float32 numbers: rows of bfloat16 meet a float32 matrix in the gradient."""
DCKT_LAYERS = ((64, 64, 4096),) * 4 + ((128, 128, 4096),) * 2
"""(n, m, d) of the six layers of one training step: fc6 and fc7 of both media, fc8 and fc9 of both together."""

# From the vendor's data sheet of the H100 SXM: dense TFLOP/s by precision of the product, TB/s, and a usual launch.
H100_TFLOPS = {"bf16": 600.0, "tf32": 300.0, "tf32x3": 100.0, "ieee": 45.0}
H100_BYTES = 3.35e12
LAUNCH_SECONDS = 5e-6


class MissingLinkerError(RuntimeError):
    """Code for AMD's chips cannot be linked: older versions of Triton call a program of ROCm for it."""


@dataclass(frozen=True)
class Case:
    """One kernel in one configuration."""

    kernel: str
    precision: str
    constants: dict[str, Any]
    launch: configs.Launch


@dataclass(frozen=True)
class KernelReport:
    """What the machine code of a case on a chip shows; `fails` names the bars that it misses."""

    kernel: str
    target: str
    precision: str
    registers: int
    spilled_bytes: int
    shared_bytes: int
    matrix_instructions: int
    wide_async_loads: int
    float_atomics: int
    fails: str


def cases(target: str) -> Iterator[Case]:
    """Every kernel in every precision that a chip has; rows aligned, as features of real networks are."""
    import triton.language as tl

    for precision, product in PRODUCTS.items():
        if configs.on_chip(product, amd=_is_amd(target)) != product:
            continue
        half = precision == "bf16"
        dtype = tl.bfloat16 if half else tl.float32
        dot = {"HALF": half, "PRECISION": product, "UPCAST": False}
        rows = 256
        yield Case(
            "partial_gram",
            precision,
            {"DTYPE": dtype, "ALIGNED": True, **dot},
            configs.partial_gram(rows, product, half),
        )
        yield Case(
            "gradient",
            precision,
            {"DTYPE": dtype, "OUT": dtype, "ALIGNED": True, "BANDWIDTH_GRAD": False, "PRECISION": product},
            configs.gradient(rows, product),
        )
        ladder = {"K": 5, "DOUBLING": True}
        yield Case("pair_tile", precision, {"GRADIENT": True, **ladder, **dot}, configs.tile(product))
        yield Case("panel_gradient", precision, {"PRECISION": product}, configs.panel_gradient(product))
        if not half:
            yield Case("log_sums", precision, {"PRECISION": product}, configs.log_sums(product))
    constants = {"K": 5, "DOUBLING": True, "GRADIENT": True, "BANDWIDTH_GRAD": True, "BLOCK_P": 16}
    yield Case("ladder", "float32", constants, configs.ladder())


def compile_case(case: Case, target: str) -> KernelReport:
    """Compiles a case for `sm_80`, `sm_90` or `gfx942` and holds it to the bars.

    Raises:
        MissingLinkerError: this Triton has no linker of its own for AMD's chips, and the machine has none.
    """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from dckt_kernels.gpu import large_kernels, small_kernels, transport_kernels

    modules = (small_kernels, large_kernels, transport_kernels)
    function = next(getattr(module, case.kernel) for module in modules if hasattr(module, case.kernel))
    constants = {**case.constants, **case.launch.blocks}
    signature = {name: "constexpr" if name in constants else _type(name, case.precision) for name in function.arg_names}
    aligned = {
        (position,): [["tt.divisibility", 16]]
        for position, (name, kind) in enumerate(signature.items())
        if kind.startswith("*") or name in ("d", "total", "share", "stride")
    }
    amd = _is_amd(target)
    chip = GPUTarget("hip", target, 64) if amd else GPUTarget("cuda", int(target.removeprefix("sm_")), 32)
    source = ASTSource(function, signature=signature, constexprs=constants, attrs=aligned)
    options = {"num_warps": case.launch.num_warps, "num_stages": case.launch.num_stages}
    try:
        compiled = triton.compile(source, target=chip, options=options)
    except Exception as error:  # Triton raises no class of its own here
        if "ld.lld not found" not in str(error):
            raise
        raise MissingLinkerError(f"{target} needs a newer Triton than {triton.__version__}, or ROCm: {error}") from None
    shared = int(compiled.metadata.shared)
    read = _read_amd(compiled.asm["amdgcn"]) if amd else _read_nvidia(compiled.asm["cubin"])
    matrix = len(re.findall(MATRIX[target], read.code))
    atomics = len(re.findall(r"\b(?:RED|ATOM\w*)\.\S*F(?:16|32|64)|global_atomic_\w*add_f", read.code))
    wide = len(re.findall(r"\bLDGSTS\S*\.128|\b(?:buffer|global)_load_dwordx4", read.code))
    product = case.kernel != "ladder"
    bars = {
        "spills": read.spilled == 0,
        "shared memory": shared <= SHARED_LIMIT[target],
        "matrix instructions": matrix > 0 or not product or (case.precision == "ieee" and not amd),
        "wide asynchronous loads": wide > 0 or not product,
        "float atomics": atomics == 0,
    }
    return KernelReport(
        kernel=case.kernel,
        target=target,
        precision=case.precision,
        registers=read.registers,
        spilled_bytes=read.spilled,
        shared_bytes=shared,
        matrix_instructions=matrix,
        wide_async_loads=wide,
        float_atomics=atomics,
        fails=", ".join(name for name, held in bars.items() if not held),
    )


def traffic(shapes: Sequence[tuple[int, int, int]] = DCKT_LAYERS, precision: str = "tf32") -> dict[str, float]:
    """Launches and bytes of one call, forward and backward, on small layers (n, m, d).

    least: each float32 row is read once forward and once backward, and its gradient is written once. modelled: what
    the kernels read from and write to main memory, counting what programs of one launch share through the cache once.
    """
    least = modelled = flops = 0.0
    for n, m, d in shapes:
        total, rows = n + m, 4.0 * (n + m) * d
        slabs = -(-d // configs.slab_width(total))
        square = 4.0 * total * (-(-total // 16) * 16)
        least += 3 * rows
        modelled += 3 * rows + 2 * slabs * square + 2 * square + 8.0 * d
        flops += 4.0 * total**2 * d
    return {"launches": 3, "least_bytes": least, "modelled_bytes": modelled, "ratio": modelled / least, "flops": flops}


def roofline(shapes: Sequence[tuple[int, int, int]] = DCKT_LAYERS) -> list[dict[str, Any]]:
    """Times of one call on an H100 as computed from its data sheet, a row for each precision. Never measured."""
    counted = traffic(shapes)
    rows = []
    for precision, tflops in H100_TFLOPS.items():
        work = max(counted["flops"] / (tflops * 1e12), counted["modelled_bytes"] / H100_BYTES)
        seconds = work + counted["launches"] * LAUNCH_SECONDS
        rows.append({"chip": "H100", "precision": precision, "microseconds_computed_never_measured": 1e6 * seconds})
    return rows


def report(targets: Sequence[str] = ("sm_80", "sm_90", "gfx942")) -> list[dict[str, Any]]:
    """Everything above as JSON-able records: a record for each kernel and chip, then the traffic, then the roofline."""
    records: list[dict[str, Any]] = [asdict(compile_case(case, target)) for target in targets for case in cases(target)]
    return [*records, {"layers": "six of DCKT", **traffic()}, *roofline()]


@dataclass(frozen=True)
class _Code:
    code: str
    registers: int
    spilled: int


def _is_amd(target: str) -> bool:
    return target.startswith("gfx")


def _type(name: str, precision: str) -> str:
    """The type of a kernel's argument, by its name."""
    integers64 = {"x_addresses", "y_addresses", "out_addresses", "shapes"}
    doubles = {"value_parts", "sigma_parts", "parts"}
    if name in integers64:
        return "*i64"
    if name in doubles:
        return "*fp64"
    if name in ("programs", "counters", "exponents", "tops"):
        return "*i32"
    if name in ("widest", "xx", "xy", "yy"):
        return "fp32"
    if name in ("n", "total", "d", "begin", "end", "share", "stride"):
        return "i32"
    return "*bf16" if name == "z" and precision == "bf16" else "*fp32"


def _read_nvidia(cubin: bytes) -> _Code:
    """Machine code and resources, by the tools that Triton ships."""
    import triton.backends.nvidia

    tools = Path(triton.backends.nvidia.__file__).parent / "bin"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        usage = subprocess.run(
            [tools / "cuobjdump", "-res-usage", file.name], capture_output=True, text=True, check=True
        ).stdout
        code = subprocess.run([tools / "nvdisasm", "-c", file.name], capture_output=True, text=True, check=True).stdout
    registers = int(re.findall(r"REG:(\d+)", usage)[-1])
    stack = int(re.findall(r"STACK:(\d+)", usage)[-1])
    local = len(re.findall(r"\b(?:STL|LDL)\b", code))
    return _Code(code, registers, max(stack, 4 * local))


def _read_amd(assembly: str) -> _Code:
    """Registers and scratch from the metadata at the end of the assembly."""

    def field(name: str) -> int:
        found = re.findall(rf"\.{name}:\s+(\d+)", assembly)
        return int(found[-1]) if found else 0

    spilled = 4 * (field("vgpr_spill_count") + field("sgpr_spill_count"))
    return _Code(assembly, field("vgpr_count"), max(spilled, field("private_segment_fixed_size")))
