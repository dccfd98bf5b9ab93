"""Packages that only some encoders need: imported when such an encoder is built, missed in one clear line."""

from __future__ import annotations

import importlib
from typing import Any

from dckt_core.errors import UsageError


def need(package: str, *, encoder: str, extra: str) -> Any:
    """The package, imported.

    Raises:
        UsageError: it is not installed, or cannot be imported; the message names the extra that brings it.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == package
        reason = "is not installed" if missing else f"cannot be imported ({' '.join(str(error).split())})"
        raise UsageError(f"encoder '{encoder}' needs {package}, which {reason}: pip install 'dckt[{extra}]'") from None
