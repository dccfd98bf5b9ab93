"""The tests of the examples, run as their own README says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import install
from tests.support.needs import absent

EXAMPLES = sorted(path.parent for path in (Path(__file__).parents[1] / "examples").glob("*/pyproject.toml"))


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_an_example_passes_its_own_tests(folder: Path, tmp_path: Path) -> None:
    """Installed as its README says, beside everything that is there."""
    install(tmp_path, [folder])
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", str(folder)]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=folder)
    if done.returncode == 5 and "SKIPPED" in done.stdout:
        absent(f"what {folder.name} needs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
