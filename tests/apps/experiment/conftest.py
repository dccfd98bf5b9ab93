from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dckt_apps.experiment.plan import Plan, read_plan
from dckt_core.contract.discovery import Registry, load_registry
from tests.support.plans import write_plan


@pytest.fixture(scope="session")
def registry() -> Registry:
    return load_registry(plugins=False)


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `plan.toml`, what it names, and a cache."""
    return write_plan(tmp_path_factory.mktemp("squares"))


@pytest.fixture
def plan(squares: Path) -> Callable[..., Plan]:
    """`plan(seeds=[0])`: the plan, changed."""

    def read(**changes: Any) -> Plan:
        return read_plan(squares / "plan.toml", changes)

    return read
