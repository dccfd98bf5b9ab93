"""Where files go that may be made again: features of frozen encoders, the sample data set, downloads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from dckt_core.base.errors import UsageError


def default_cache_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """`DCKT_CACHE_DIR`, else `dckt` in `XDG_CACHE_HOME`, else `~/.cache/dckt`. The folder may not exist yet.

    Raises:
        UsageError: none of the variables is set and the user has no home folder.
    """
    if named := environ.get("DCKT_CACHE_DIR"):
        return Path(named)
    shared = Path(environ.get("XDG_CACHE_HOME", ""))
    if shared.is_absolute():  # the XDG convention: a relative path counts as unset
        return shared / "dckt"
    try:
        return Path.home() / ".cache" / "dckt"
    except RuntimeError:
        raise UsageError("there is no home folder for the cache; name a folder in DCKT_CACHE_DIR") from None
