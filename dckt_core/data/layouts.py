"""Which registered data set reads what lies at a path. No torch in here."""

from __future__ import annotations

from pathlib import Path

from dckt_core.errors import DataError
from dckt_core.plugins import Registered, Registry, blame


def find_layout(path: Path, registry: Registry, layout: str = "auto") -> Registered:
    """The layout of that name, or with `auto` the one that recognises the path.

    Raises:
        UsageError: the layout is not registered.
        DataError: nothing is there; no layout, or more than one, recognises it.
    """
    if layout != "auto":
        return registry.find("dataset", layout)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    fitting = []
    for registered in registry.all("dataset"):
        with blame(registered):
            if registered.spec.detect(path):
                fitting.append(registered)
    if not fitting:
        raise DataError(f"{path}: no known layout; a data set is a folder with pairs.jsonl, see docs/data.md")
    if len(fitting) > 1:
        names = ", ".join(registered.name for registered in fitting)
        raise DataError(f"{path}: more than one layout fits ({names}); name the one you mean")
    return fitting[0]
