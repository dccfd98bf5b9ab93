"""The tests of the examples, run as their own README says."""

from pathlib import Path

import pytest

from tests.support.commands import install, own_tests
from tests.support.needs import absent

EXAMPLES = sorted(path.parent for path in (Path(__file__).parents[1] / "examples").glob("*/pyproject.toml"))


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_an_example_passes_its_own_tests(folder: Path, tmp_path: Path) -> None:
    """Installed as its README says, beside everything that is there."""
    site = tmp_path / "site"
    install(site, [folder])
    done = own_tests(folder, "-rs", site=site, home=tmp_path, variables={})
    if done.returncode == 5 and "SKIPPED" in done.stdout:
        absent(f"what {folder.name} needs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
