"""Runs the fast tests with the lowest versions that pyproject.toml declares: `make test-lowest`.

Makes a fresh environment in .venv-lowest, some 5 GB, and leaves it there for a look; `make clean` removes it. What the
tests themselves need (the extra `dev`) comes in its newest versions: nobody installs dckt with an old pytest. Warnings
are no errors here, since old packages warn of their newer neighbours. Words after the command go to pytest.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".venv-lowest"
PYTHON = HOME / "bin" / "python"


def lowest(requirements: Sequence[str]) -> list[str]:
    """`name==version` for every requirement of this platform that has a lower bound.

    >>> lowest(["torch>=2.5,<3", "triton>=3.1; platform_system == 'Nowhere'"])
    ['torch==2.5']
    """
    pins = []
    for requirement in map(Requirement, requirements):
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        bounds = [bound.version for bound in requirement.specifier if bound.operator in (">=", "~=", "==")]
        if len(bounds) != 1:
            raise SystemExit(f"{requirement}: says no lowest version")
        pins.append(f"{requirement.name}=={bounds[0]}")
    return pins


def main(arguments: Sequence[str]) -> int:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = lowest(project["dependencies"])
    print("\n".join(pins), flush=True)
    shutil.rmtree(HOME, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", HOME], check=True)
    pip = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--progress-bar", "off"]
    subprocess.run([*pip, *pins, "-e", f"{ROOT}[dev]"], check=True)
    os.environ["PYTEST_ADDOPTS"] = "-W default"  # a pytest that a test starts reads it too
    return subprocess.run([PYTHON, "-m", "pytest", *arguments], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
