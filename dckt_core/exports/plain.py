"""A common space as two files that a page of numpy can apply: its steps as JSON, their constants as safetensors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from dckt_core.exports.noted import Noted
from dckt_core.io.files import write_atomically
from dckt_core.io.json import write_json
from dckt_core.io.tensors import tensors_digest

STEPS, TENSORS, FORMAT = "space.json", "space.safetensors", 1


def write_plain(folder: Path, halves: Sequence[Noted], classes: Sequence[str], version: str) -> None:
    """Writes `space.json` and `space.safetensors` into a folder; equal constants are kept once."""
    tensors: dict[str, Tensor] = {}
    names: dict[str, str] = {}
    media: dict[str, Any] = {}
    for half in halves:
        steps: list[dict[str, Any]] = []
        for number, step in enumerate(half.formula.steps, start=1):
            kept = {}
            for name, tensor in step.tensors.items():
                digest = tensors_digest({"": tensor})
                kept[name] = names.setdefault(digest, f"{half.medium}.{number}.{name}")
                tensors.setdefault(kept[name], tensor)
            steps.append({"op": step.op, "inputs": list(step.inputs), "tensors": kept, **step.numbers})
        media[half.medium] = {
            "width": half.width,
            "steps": steps,
            "embeddings": half.embeddings.number,
            "probabilities": None if half.probabilities is None else half.probabilities.number,
        }
    write_atomically(folder / TENSORS, lambda file: save_file(tensors, file))
    said = {"format": FORMAT, "dckt": version, "dim": halves[0].dim, "classes": list(classes), "media": media}
    write_json(folder / STEPS, said)
