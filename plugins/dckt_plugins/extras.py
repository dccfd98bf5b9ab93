"""Packages that only some plugins need: imported when such a plugin is built, missed in one clear line."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dckt_core import UsageError


def need(package: str, *, of: str, extra: str) -> Any:
    """The package, imported.

    of: who needs it, such as "encoder 'timm'".

    Raises:
        UsageError: it is not installed, or cannot be imported; the message names the extra that brings it.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name in (package, package.partition(".")[0])
        reason = "is not installed" if missing else f"cannot be imported ({' '.join(str(error).split())})"
        raise UsageError(f"{of} needs {package}, which {reason}: pip install 'dckt[{extra}]'") from None


@contextmanager
def quiet_root_logger() -> Iterator[None]:
    """For libraries that log through the root logger: that prints, and leaves a handler that prints our lines twice."""
    root = logging.getLogger()
    silent = logging.NullHandler()  # where a handler is, `logging.info` adds no other
    handlers, level = root.handlers[:], root.level
    root.handlers[:], root.level = [silent], logging.CRITICAL
    try:
        yield
    finally:
        root.handlers[:], root.level = handlers, level
