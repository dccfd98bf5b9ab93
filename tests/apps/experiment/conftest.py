from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dckt_apps.experiment import runner
from dckt_apps.experiment.plan import Plan, read_plan
from dckt_apps.experiment.runner import Standing, run_experiment
from dckt_core.contract.discovery import Registry, load_registry
from dckt_core.data.context import Context
from tests.support.plans import Ran, Run, in_this_process, write_plan


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


@pytest.fixture
def run(squares: Path, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run(plan, arms=["means"])`: in this process."""
    monkeypatch.setattr(runner, "work", in_this_process)

    def run_it(plan: Plan, folder: Path = tmp_path, **changes: Any) -> Standing:
        return run_experiment(plan, folder, Context(registry, squares / "cache"), **changes)

    return run_it


@pytest.fixture(scope="module")
def ran(squares: Path, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The whole plan, in this process."""
    plan, folder = read_plan(squares / "plan.toml"), tmp_path_factory.mktemp("ran") / "out"
    progress: list[tuple[int, int, str]] = []
    context = Context(registry, squares / "cache", lambda *told: progress.append(told))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "work", in_this_process)
        now = run_experiment(plan, folder, context, plugins=False)
    return Ran(plan, folder, now, progress)
