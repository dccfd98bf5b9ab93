"""The `dckt` command in processes, beside small distributions that are really installed.

The fixtures are for all tests: tests/conftest.py names this module a plugin.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import chdir
from importlib import import_module
from pathlib import Path

import pytest

from dckt_cli.main import main
from tests.support.once import filled_once
from tests.support.processes import ended, forked

DISTRIBUTIONS = Path(__file__).parents[1] / "distributions"
DCKT = Path(sysconfig.get_path("scripts"), "dckt")

Done = subprocess.CompletedProcess[str]
Dckt = Callable[..., Done]

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
    """Has pip install the distributions in some folders into another, without a network.

    Their wheels are built in this process: pip would start three to build one.
    """
    flags = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-index"]
    with tempfile.TemporaryDirectory() as built:
        wheels = [Path(built, wheel_of(folder, Path(built))) for folder in folders]
        command = [sys.executable, "-m", "pip", "install", *flags, "--target", str(target), *map(str, wheels)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def wheel_of(folder: Path, built: Path) -> str:
    """The name of the wheel that the distribution's own build system leaves in a folder."""
    with (folder / "pyproject.toml").open("rb") as file:
        backend = import_module(tomllib.load(file)["build-system"]["build-backend"])
    with chdir(folder):
        return str(backend.build_wheel(str(built)))


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed every distribution of tests/distributions."""
    folders = sorted(folder for folder in DISTRIBUTIONS.iterdir() if (folder / "pyproject.toml").is_file())
    return filled_once("distributions", lambda target: install(target, folders), tmp_path_factory)


@pytest.fixture(scope="session")
def dckt(distributions: Path, tmp_path_factory: pytest.TempPathFactory) -> Dckt:
    """Runs `dckt` in a forked process: `dckt("plugins", load=["dckt-stranger"], DCKT_X="1")`.

    load: which of the test distributions it may see; None for all of them.
    """
    folder = tmp_path_factory.mktemp("said")

    def run(*args: str | Path, load: list[str] | None, cwd: Path | None = None, **variables: str) -> Done:
        if load is not None:
            variables |= {"DCKT_LOAD_PLUGINS": ",".join(load)}
        return run_forked(args, site=distributions, folder=folder, cwd=cwd, variables=variables)

    return run


def run_forked(
    args: Sequence[str | Path],
    *,
    site: Path,
    folder: Path,
    cwd: Path | None,
    variables: Mapping[str, str],
    program: Callable[[list[str]], int] = main,
) -> Done:
    """What `dckt`, or another program in Python, says and how it ends in a process that sees the distributions of
    `site`, forked from this one, so that nothing is imported anew.

    folder: where the process leaves what it says.
    """
    out, err = folder / "out", folder / "err"

    def work() -> int:
        for name in [name for name in os.environ if name.startswith("DCKT_")]:
            del os.environ[name]
        os.environ.update(variables)
        sys.path.insert(0, str(site))
        logging.getLogger().handlers.clear()  # pytest's own
        if cwd is not None:
            os.chdir(cwd)
        with out.open("w") as sys.stdout, err.open("w") as sys.stderr:
            os.dup2(sys.stdout.fileno(), 1)
            os.dup2(sys.stderr.fileno(), 2)
            return program([str(arg) for arg in args])

    code = ended(forked(work))
    return subprocess.CompletedProcess([str(arg) for arg in args], code, out.read_text(), err.read_text())


def own_tests(folder: Path, *options: str, site: Path, home: Path, variables: Mapping[str, str]) -> Done:
    """What pytest says of a distribution's own tests, where `site` holds it.

    home: where they run, and where the process leaves what it says.
    """
    args = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", *options, str(folder)]
    return run_forked(args, site=site, folder=home, cwd=home, variables=variables, program=pytest.main)
