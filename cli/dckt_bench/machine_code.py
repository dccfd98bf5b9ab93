"""Kernels compiled ahead of time and taken apart: registers, spills, shared memory, instructions. No GPU is needed."""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dckt_kernels.gpu.chips import ARCHITECTURES
from dckt_kernels.gpu.configs import Launch

MATRIX = r"\bHMMA\b|\bHGMMA\b|\bUTC\w*MMA\b|\bv_mfma_|\bv_wmma_"
"""Instructions that multiply matrices: NVIDIA's up to sm_89 and sm_120, of sm_90, of sm_100, AMD's CDNA, AMD's RDNA."""
FLOAT_ATOMICS = r"\b(?:RED|ATOM\w*)\.\S*F(?:16|32|64)|global_atomic_\w*add_f"
WIDE_LOADS = r"\b(?:LDG|LDGSTS)\S*\.128|\b(?:buffer|global)_load_(?:lds_)?(?:dwordx4|b128)"
"""Loads of 16 bytes; those past the registers are LDGSTS on NVIDIA's chips, from sm_80 on, and `lds` on AMD's."""

INTEGERS64 = ("shapes",)
DOUBLES = ("value_parts", "sigma_parts", "parts")
INTEGERS32 = ("programs", "counters", "exponents", "tops")
SCALARS = {"widest": "fp32"}
SIZES = ("n", "total", "d", "begin", "end", "left", "right", "share", "stride", "tiles")
ALIGNED = ("d", "share", "stride")
"""Numbers that are always multiples of 16."""


class MissingLinkerError(RuntimeError):
    """Code for AMD's chips cannot be linked: older versions of Triton call a program of ROCm for it."""


@dataclass(frozen=True)
class Case:
    """One kernel in one configuration.

    Attributes:
        precision: of the call: tf32x3, tf32, ieee, or bf16 and fp16, the rows' own.
        product: of float32 numbers.
        constants: of compilation, but for the block sizes.
        rows: Triton's name of the rows' type.
    """

    kernel: str
    precision: str
    product: str
    constants: dict[str, Any]
    launch: Launch
    rows: str = "fp32"

    @property
    def aligned(self) -> bool:
        """Whether the rows are: those of large layers and of transports always, as they are copied."""
        return bool(self.constants.get("ALIGNED", True))


@dataclass(frozen=True)
class Code:
    """What the machine code of a case shows.

    Attributes:
        registers: of a thread.
        spilled: bytes of memory that a thread keeps what found no register in.
        shared: bytes of shared memory of a program.
    """

    text: str
    registers: int
    spilled: int
    shared: int

    def count(self, pattern: str) -> int:
        return len(re.findall(pattern, self.text))


def compile_case(case: Case, target: str) -> Code:
    """A case's machine code for a row of the architecture table.

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
    signature: dict[str, Any] = {}
    hints: dict[tuple[int, ...], Any] = {}
    for position, name in enumerate(function.arg_names):
        kind = "constexpr" if name in constants else _type(name, case)
        signature[name] = kind
        if isinstance(kind, tuple):
            hints |= {(position, part): [["tt.divisibility", 16]] for part in range(len(kind))}
        elif kind.startswith("*") or (name in ALIGNED and kind != "constexpr"):
            hints[position,] = [["tt.divisibility", 16]]
    if not case.aligned:  # views may begin anywhere
        rows = ("xs", "ys")
        hints = {at: hint for at, hint in hints.items() if function.arg_names[at[0]] not in rows}
    amd = target.startswith("gfx")
    warp = ARCHITECTURES[target].warp
    chip = GPUTarget("hip", target, warp) if amd else GPUTarget("cuda", int(target.removeprefix("sm_")), warp)
    source = ASTSource(function, signature=signature, constexprs=constants, attrs=hints)
    options = case.launch.options(nvidia=not amd)
    try:
        compiled = triton.compile(source, target=chip, options=options)
    except Exception as error:  # Triton raises no class of its own here
        if "ld.lld not found" not in str(error):
            raise
        raise MissingLinkerError(f"{target} needs a newer Triton than {triton.__version__}, or ROCm: {error}") from None
    shared = int(compiled.metadata.shared)
    return _of_amd(compiled.asm["amdgcn"], shared) if amd else _of_nvidia(compiled.asm["cubin"], shared)


def _type(name: str, case: Case) -> str | tuple[str, ...]:
    """The type of a kernel's argument, by its name."""
    if name in ("xs", "ys"):
        return (f"*{case.rows}",) * int(case.constants["LAYERS"])
    if name == "z" or (name == "grads" and case.kernel == "gradient"):
        return f"*{case.rows}"
    if name in SIZES:
        value_alone = name == "tiles" and not case.constants["GRADIENT"]
        return "i64" if value_alone else "i32"
    if name in SCALARS:
        return SCALARS[name]
    kinds = ((INTEGERS64, "*i64"), (DOUBLES, "*fp64"), (INTEGERS32, "*i32"))
    return next((kind for names, kind in kinds if name in names), "*fp32")


def _of_nvidia(cubin: bytes, shared: int) -> Code:
    """By the tools that Triton ships."""
    import triton.backends.nvidia

    tools = Path(triton.backends.nvidia.__file__).parent / "bin"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        usage = subprocess.run(
            [tools / "cuobjdump", "-res-usage", file.name], capture_output=True, text=True, check=True
        ).stdout
        text = subprocess.run([tools / "nvdisasm", "-c", file.name], capture_output=True, text=True, check=True).stdout
    registers = int(re.findall(r"REG:(\d+)", usage)[-1])
    stack = int(re.findall(r"STACK:(\d+)", usage)[-1])
    local = len(re.findall(r"\b(?:STL|LDL)\b", text))
    return Code(text, registers, max(stack, 4 * local), shared)


def _of_amd(assembly: str, shared: int) -> Code:
    """From the metadata at the end of the assembly."""

    def field(name: str) -> int:
        found = re.findall(rf"\.{name}:\s+(\d+)", assembly)
        return int(found[-1]) if found else 0

    # Scalar registers that find no room go to lanes of vector registers, not to memory: they are no spills.
    spilled = max(4 * field("vgpr_spill_count"), field("private_segment_fixed_size"))
    return Code(assembly, field("vgpr_count"), spilled, shared)
