"""The `dckt` command in a process of its own, beside small distributions that are really installed.

The fixtures are for all tests: tests/conftest.py names this module a plugin.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

DISTRIBUTIONS = Path(__file__).parents[1] / "distributions"
DCKT = Path(sysconfig.get_path("scripts"), "dckt")

Dckt = Callable[..., subprocess.CompletedProcess[str]]

BROKEN = {
    "dckt-broken-import": "its import raised ModuleNotFoundError: No module named 'a_module_that_nobody_has'",
    "dckt-broken-exit": "its import raised SystemExit: 0",
    "dckt-wrong-signature": "dckt_encoders(registry) does not fit the hook",
    "dckt-misspelled-hook": "there is no hook 'dckt_encoder': did you mean 'dckt_encoders'?",
    "dckt-unmarked-hook": "dckt_encoders is not marked @hookimpl",
    "dckt-raising-hook": "dckt_samplers raised ValueError: first line second line",
    "dckt-nonsense-hook": "dckt_indexes must return a list of IndexSpec, and it holds 'exact'",
    "dckt-other-contract": "it is written for version 2.0 of the contract, and this is 1.0",
    "dckt-clash": "a built-in has its name; 'dckt-clash:all' finds this one",
}
"""Distributions that are left out, and what is said of each."""


def install(target: Path, folders: Iterable[Path]) -> None:
    """Has pip build the distributions in some folders and install them into another, without a network."""
    flags = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-index", "--no-build-isolation"]
    command = [sys.executable, "-m", "pip", "install", *flags, "--target", str(target), *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed every distribution of tests/distributions."""
    target = tmp_path_factory.mktemp("site")
    install(target, sorted(folder for folder in DISTRIBUTIONS.iterdir() if (folder / "pyproject.toml").is_file()))
    return target


@pytest.fixture(scope="session")
def dckt(distributions: Path) -> Dckt:
    """Runs the `dckt` command in a process of its own: `dckt("plugins", load=["dckt-stranger"], DCKT_X="1")`.

    load: which of the test distributions it may see; None for all of them.
    """

    def run(
        *args: str | Path, load: list[str] | None, cwd: Path | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DCKT_")}
        environment = inherited | {"PYTHONPATH": str(distributions), "OMP_NUM_THREADS": "1"} | variables
        if load is not None:
            environment["DCKT_LOAD_PLUGINS"] = ",".join(load)
        command = [str(DCKT), *map(str, args)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=cwd)

    return run
