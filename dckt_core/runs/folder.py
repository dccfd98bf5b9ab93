"""Run folders: made, held by one training, moved out of the way. `layout.py` says what lies in them.

A folder appears once everything that can be wrong with the input has been checked. A run that fails moves to
`<name>.failed-1`, so that it never stands in the way of the next; `--resume` goes on with it there.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from dckt_core.base.errors import MachineError, StoppedError, StorageError, UsageError
from dckt_core.base.progress import logger
from dckt_core.engine.snapshot import SnapshotFolder
from dckt_core.io.files import LOCK, Hold, hold, is_held, sweep, sync_folder, umask
from dckt_core.runs.layout import Layout
from dckt_core.runs.seal import is_finished, seal_run

_NAME = re.compile(r"[\w][\w.+-]*", re.ASCII)
_BUSY = "another training is at work in this run"
_UNFINISHED = ".new"
_PACKAGES = ("dckt", "torch", "torchvision", "triton", "accelerate", "gensim", "numpy", "pillow", "safetensors")


def default_name(now: datetime | None = None) -> str:
    """A run's name where the user gives none: the time it starts."""
    return f"{now or datetime.now():%Y%m%d-%H%M%S}"


class RunFolder:
    """A folder that one training writes to, and no other at the same time. `create` and `reopen` make one."""

    def __init__(self, path: Path, lock: Hold) -> None:
        self.path, self.files = path, Layout(path)
        self._lock = lock

    @classmethod
    def create(cls, runs_dir: Path, name: str, fill: Callable[[Path], None]) -> RunFolder:
        """A new folder, which appears with what `fill` writes into it or not at all.

        Raises:
            UsageError: the name is no plain name, the folder is there already or cannot be made.
        """
        path = runs_dir / check_name(runs_dir, name)
        try:
            runs_dir.mkdir(parents=True, exist_ok=True)
            for stale in runs_dir.glob(f".{name}.*{_UNFINISHED}"):
                _sweep(stale)
            part = Path(tempfile.mkdtemp(dir=runs_dir, prefix=f".{name}.", suffix=_UNFINISHED))
            part.chmod(0o777 & ~umask())
            lock = hold(part, _BUSY)  # held from here on: it moves with the folder
            try:
                Layout(part).checkpoints.mkdir()
                fill(part)
                sync_folder(part)
                lock.rename(path)
                sync_folder(runs_dir)
            except BaseException:
                lock.release()
                shutil.rmtree(part, ignore_errors=True)
                raise
        except StorageError:
            raise
        except OSError as error:
            if path.exists():
                raise UsageError(_taken(path)) from None
            raise UsageError(f"{path}: cannot be made: {error.strerror or error}") from None
        return cls(path, lock)

    @classmethod
    def reopen(cls, path: Path) -> RunFolder:
        """The folder of a run that was stopped or killed.

        Raises:
            UsageError: there is no such run, it is finished, or a training is at work in it.
        """
        check_begun(path)
        if is_finished(path):
            raise UsageError(f"{path}: the run is finished")
        folder = cls(path, hold(path, _BUSY))
        sweep(path)
        return folder

    @property
    def snapshots(self) -> Path:
        """Where the checkpoints lie that a resumed run goes on from."""
        return self.files.checkpoints

    @contextmanager
    def recording(self, *, resumed: bool = False) -> Iterator[None]:
        """Sends log lines to `log.jsonl`. A run that ends is sealed, and its checkpoints on the way go; a new one that
        fails is moved out of the way, any other stays.
        """
        try:
            handler = _JsonLines(self.files.log)
        except OSError as error:
            self._lock.release()
            raise StorageError(self.files.log, error.strerror or str(error)) from None
        logger.addHandler(handler)
        try:
            yield
            logger.removeHandler(handler)
            handler.close()
            seal_run(self.path)
            SnapshotFolder(self.snapshots).clear()
        except StoppedError as error:
            logger.warning("%s; go on with: dckt train --resume %s", error, self.path)
            raise
        except Exception as error:
            logger.error("failed: %s", error)
            logger.removeHandler(handler)  # a line logged to a closed file would open it anew, where it no longer is
            handler.close()
            # What the machine broke off stays where it is, as if it had been killed.
            left = self.path if resumed or isinstance(error, MachineError) else self._move_aside()
            fresh = "" if SnapshotFolder(Layout(left).checkpoints).files() else ", which begins anew"
            logger.warning(
                "what the failed run left is in %s; with the cause mended, or another value in its config.toml, "
                "go on with: dckt train --resume %s%s",
                left,
                left,
                fresh,
            )
            raise
        finally:
            logger.removeHandler(handler)
            handler.close()
            self._lock.release()

    def _move_aside(self) -> Path:
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.failed-{number}")).exists():
            number += 1
        try:
            self._lock.rename(aside)
        except OSError:
            return self.path
        return aside


def check_begun(path: Path) -> None:
    """Raises UsageError where no run has begun that could go on."""
    if not Layout(path).config.is_file():
        raise UsageError(f"{path}: no run to resume")


def check_name(runs_dir: Path, name: str) -> str:
    """The name, where a run may still be given it.

    Raises:
        UsageError: it is no plain name, or it is taken.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"run name '{name}' may hold letters, digits, '.', '_', '+', '-' and no more")
    if (runs_dir / name).exists():
        raise UsageError(_taken(runs_dir / name))
    return name


def environment() -> dict[str, Any]:
    """What the figures of a run depend on besides its configuration."""
    import torch

    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "packages": versions,
    }


def _sweep(stale: Path) -> None:
    """Removes what a process left that was killed while it made a run folder; one that is at work holds its lock."""
    if (stale / LOCK).exists() and not is_held(stale):  # without one it is about to be locked
        shutil.rmtree(stale, ignore_errors=True)


def _taken(path: Path) -> str:
    return f"{path} is there already; choose another name, or resume it"


class _JsonLines(logging.FileHandler):
    """Log lines as JSON objects: time, level, message."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """A log that cannot be written is no reason to stop, nor to print a traceback for every line."""

    def close(self) -> None:
        with suppress(OSError):  # the last lines found no room
            super().close()

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).isoformat(timespec="milliseconds")
        line = {"time": time, "level": record.levelname.lower(), "message": record.getMessage()}
        return json.dumps(line, ensure_ascii=False)
