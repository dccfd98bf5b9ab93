"""The whole state of a training between two updates, as one file: what `dckt train --resume` goes on from.

One file of tensors by name, with everything else as its facts. `FORMAT` counts up with every change of what is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dckt_core.base.errors import DataError
from dckt_core.base.progress import logger
from dckt_core.io.files import sweep
from dckt_core.io.tensors import load_tensors, save_tensors

KIND, FORMAT = "checkpoint", 1
SUFFIX = ".state.safetensors"


@dataclass(frozen=True)
class Snapshot:
    """Tensors by name, with `/` between the parts of a name, and JSON-able facts."""

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]

    def under(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names begin with `prefix/`, without it."""
        start = f"{prefix}/"
        return {name.removeprefix(start): value for name, value in self.tensors.items() if name.startswith(start)}

    def save(self, path: Path) -> None:
        """Writes the file, atomically."""
        save_tensors(path, self.tensors, self.facts, kind=KIND, format=FORMAT)


def load_snapshot(path: Path) -> Snapshot:
    """Reads back what `Snapshot.save` wrote.

    Raises:
        DataError: the file is missing, broken, altered or of another format.
    """
    return Snapshot(*load_tensors(path, kind=KIND, format=FORMAT))


class SnapshotFolder:
    """Keeps the last few snapshots of a run.

    Args:
        folder: where they lie; temporaries that a killed writer left are swept away.
        keep: how many are kept.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder = folder
        self.keep = keep
        sweep(folder)

    def files(self) -> list[Path]:
        """What is there, oldest first."""
        found = (file for file in self.folder.glob(f"*{SUFFIX}") if file.name.removesuffix(SUFFIX).isdigit())
        return sorted(file for file in found if file.is_file())

    def save(self, snapshot: Snapshot) -> Path:
        """Writes one more, then drops those beyond the last `keep`."""
        files = self.files()
        number = int(files[-1].name.removesuffix(SUFFIX)) + 1 if files else 1
        path = self.folder / f"{number:06d}{SUFFIX}"
        snapshot.save(path)
        for old in self.files()[: -self.keep]:
            old.unlink(missing_ok=True)
        return path

    def latest(self) -> Snapshot | None:
        """The newest snapshot that can be read, or None where there is none yet. Others are told of.

        Raises:
            DataError: there are some, and none can be read.
        """
        faults: list[DataError] = []
        for file in reversed(self.files()):
            try:
                return load_snapshot(file)
            except DataError as error:
                logger.warning("%s", error)
                faults.append(error)
        if faults:
            raise faults[0]
        return None

    def clear(self) -> None:
        """Drops all: the run is over."""
        for file in self.files():
            file.unlink(missing_ok=True)


def momentum_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """SGD's momentum by parameter number."""
    state = optimizer.state_dict()["state"]
    return {
        str(number): values["momentum_buffer"]
        for number, values in state.items()
        if values.get("momentum_buffer") is not None
    }


def load_momentum(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Takes back what `momentum_tensors` gave; rates are set by the schedule.

    Raises:
        ValueError: it is of other parameters.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for number, value in tensors.items():
        if int(number) not in range(len(parameters)) or value.shape != parameters[int(number)].shape:
            raise ValueError(f"momentum {number} of shape {tuple(value.shape)} belongs to no parameter")
    state = optimizer.state_dict()
    state["state"] = {int(number): {"momentum_buffer": value} for number, value in tensors.items()}
    optimizer.load_state_dict(state)
