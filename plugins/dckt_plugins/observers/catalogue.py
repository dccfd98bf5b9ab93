"""The observers in the box. What builds them is imported when it is needed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dckt_core import ObserverSpec, hookimpl


@hookimpl
def dckt_observers() -> Iterable[ObserverSpec[Any]]:
    return [
        ObserverSpec(
            name="csv",
            summary="metrics.csv and selection.csv in the run folder",
            build="dckt_plugins.observers.csv:CSVObserver",
            api="1.0",
        ),
        ObserverSpec(
            name="tensorboard",
            summary="scalars for TensorBoard in the run folder (extra: tensorboard)",
            build="dckt_plugins.observers.tensorboard:TensorBoardObserver",
            api="1.0",
        ),
    ]
