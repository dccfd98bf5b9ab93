"""Real data, which no checkout holds: what the folder that DCKT_TEST_DATA names has of it is tested with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def optional_data(*names: str) -> list[Path]:
    """Files or folders in the folder of DCKT_TEST_DATA; where one is not there, the test that asks is skipped."""
    folder = os.environ.get("DCKT_TEST_DATA")
    paths = [Path(folder or "", name) for name in names]
    missing = [path.name for path in paths if not folder or not path.exists()]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)} in the folder that DCKT_TEST_DATA names")
    return paths
