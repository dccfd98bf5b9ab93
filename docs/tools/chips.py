"""`python docs/tools/chips.py` prints the table of docs/gpu.md: each architecture, and what was done for it."""

from __future__ import annotations

from dckt_bench import static
from dckt_kernels.gpu.chips import ARCHITECTURES, Architecture

CARDS = {
    "sm_75": "T4, RTX 20",
    "sm_80": "A100",
    "sm_86": "A10, RTX 30",
    "sm_89": "L4, L40, RTX 40",
    "sm_90": "H100, H200",
    "sm_100": "B200",
    "sm_120": "RTX 50",
    "gfx90a": "MI200",
    "gfx942": "MI300",
    "gfx950": "MI350",
    "gfx1100": "RX 7900",
}
HEAD = ("architecture", "cards", "`tf32x3` is", "`tf32` is", "no matrix units for", "compiled", "interpreted", "run")


def table() -> str:
    """The whole table, in Markdown."""
    rows = [HEAD, ("---",) * len(HEAD)]
    for name, architecture in ARCHITECTURES.items():
        programs = f"{sum(1 for _ in static.cases(name))} programs"
        rows.append(
            (
                f"`{name}`",
                CARDS[name],
                architecture.tf32x3,
                architecture.tf32,
                _without(architecture),
                programs,
                "yes",
                "never",
            )
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _without(architecture: Architecture) -> str:
    if not architecture.scalar:
        return ""
    return "`ieee`" if architecture.halves else "anything"


if __name__ == "__main__":
    print(table())
