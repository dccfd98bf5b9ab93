"""Folders that are filled once for all of a run's processes of pytest-xdist, by whichever asks first."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def filled_once(name: str, fill: Callable[[Path], object], factory: pytest.TempPathFactory) -> Path:
    """A folder of that name, in which `fill(folder)` has been at work."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # that of the run, of which each process has a folder
    folder, done = base / name, base / f"{name}.done"
    with FileLock(base / f"{name}.lock"):
        if not done.exists():
            folder.mkdir(exist_ok=True)
            fill(folder)
            done.touch()
    return folder
