"""The sample data, made once for all tests that read them.

The fixture is for all tests: tests/conftest.py names this module a plugin.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from dckt_core.contract.protocols import DatasetContext
from tests.support import box
from tests.support.once import filled_once


@pytest.fixture(scope="session")
def sample_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder in which `sample-source` and `sample-target` are; nothing in it may be changed."""

    def make(cache: Path) -> None:
        for name in ("sample-source", "sample-target"):
            spec = box.spec("dataset", name)
            spec.load(None, spec.options(), DatasetContext(cache_dir=cache))

    return filled_once("sample", make, tmp_path_factory)
