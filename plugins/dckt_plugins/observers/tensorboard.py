"""`tensorboard`: losses, mAP and the curriculum as scalars in the run folder's `tensorboard/`.

A scalar is called after its phase and metric, such as `transfer/discrepancy_image_fc6`. Its step is the update, counted
on over the iterations; for `selection` and `validation` it is the iteration. `tensorboard --logdir runs` shows all runs
beside one another.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from dckt_core import NoOptions, ObserverContext, StorageError
from dckt_plugins.extras import need

WHEN = ("phase", "iteration", "update")
FOLDER = "tensorboard"
WHO, EXTRA = "observer 'tensorboard'", "tensorboard"


class TensorBoardObserver:
    """Writes event files, or writes them anew for a run that goes on."""

    def __init__(self, options: NoOptions, context: ObserverContext) -> None:
        need("tensorboard", of=WHO, extra=EXTRA)
        self._folder = context.run_dir / FOLDER
        self._told: list[dict[str, Any]] = []
        self._updates: dict[str, dict[int, int]] = {}
        self._writer: Any = None

    def state_dict(self) -> dict[str, Any]:
        """All rows: event files cannot be cut, so that a run that goes on writes them anew."""
        return {"told": [dict(row) for row in self._told]}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        self._close()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._told, self._updates = [], {}
        for row in state["told"]:
            self.on_metrics(row)

    def on_metrics(self, row: Mapping[str, Any], /) -> None:
        self._told.append({key: value if key == "phase" else float(value) for key, value in row.items()})
        step = self._step(self._told[-1])
        try:
            if self._writer is None:
                self._writer = need("torch.utils.tensorboard", of=WHO, extra=EXTRA).SummaryWriter(str(self._folder))
            for name, value in row.items():
                if name not in WHEN:
                    self._writer.add_scalar(f"{row['phase']}/{name}", float(value), step)
            self._writer.flush()
        except OSError as error:
            raise StorageError(self._folder, error.strerror or str(error)) from error

    def on_selection(self, iteration: int, rows: Sequence[Mapping[str, Any]], /) -> None: ...

    def on_end(self, summary: Mapping[str, Any], /) -> None:
        self._close()

    def _step(self, row: Mapping[str, Any]) -> int:
        iteration, update = int(row["iteration"]), int(row["update"])
        if row["phase"] in ("selection", "validation"):
            return iteration
        latest = self._updates.setdefault(row["phase"], {})  # of each iteration; those before are over
        latest[iteration] = update
        return sum(latest.values())

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
