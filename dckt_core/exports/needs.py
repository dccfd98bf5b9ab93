"""Packages that only exports need."""

from __future__ import annotations

import importlib
from typing import Any

from dckt_core.base.errors import UsageError


def need(package: str, *, extra: str) -> Any:
    """The package, imported; raises UsageError with the extra that brings it where it is not installed."""
    try:
        return importlib.import_module(package)
    except ImportError:
        raise UsageError(f"this export needs {package}, which is not installed: pip install 'dckt[{extra}]'") from None
