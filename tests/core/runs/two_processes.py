"""Run by test_processes.py under torchrun: trains the tiny domains and leaves each process's weights in a folder."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from safetensors.torch import save_file

from dckt_core.engine.processes import Engine
from tests.support import tiny


def global_mmd() -> object:
    """The `mmd` plugin over the batch of all processes."""
    from dckt_core.contract.discovery import load_registry
    from dckt_core.contract.protocols import DiscrepancyContext

    spec = load_registry(plugins=False).find("discrepancy", "mmd").spec
    return spec.build(spec.options(global_batch=True), DiscrepancyContext(seed=0, layers={}, updates=1))


def main(folder: Path, changes: dict[str, object], kind: str) -> None:
    config = tiny.config(**changes)
    discrepancy = tiny.mean_distance if kind == "mean" else global_mmd()
    engine = Engine("cpu")
    trainer = tiny.trainer(config, discrepancy=discrepancy, engine=engine)
    trainer.run()
    for role in ("source", "target", "control"):
        weights = {name: tensor.contiguous() for name, tensor in trainer.state.bare(role).state_dict().items()}
        save_file(weights, folder / f"{role}-{os.environ.get('RANK', '0')}-of-{engine.processes}.safetensors")
    engine.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3])
