"""The fixtures that pytest offers where dckt is installed, seen from a project of somebody else."""

import os
import subprocess
import sys
from pathlib import Path

HEAVY = ("torch", "numpy", "pydantic", "PIL", "dckt_core.testing", "dckt_core.plugins")


def run(folder: Path, test: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """pytest in a folder of its own, with one test file."""
    (folder / "test_mine.py").write_text(test)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)]
    environment = os.environ | variables
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=folder)


def test_nothing_heavy_is_imported_for_those_who_do_not_ask(tmp_path: Path) -> None:
    test = (
        "import sys\n\ndef test_it(pytestconfig):\n"
        "    assert pytestconfig.pluginmanager.has_plugin('dckt')\n"
        f"    assert not [name for name in {HEAVY!r} if name in sys.modules]\n"
    )
    done = run(tmp_path, test)
    assert done.returncode == 0, done.stdout


def test_a_plugin_is_found_by_its_entry_point_and_checked(tmp_path: Path) -> None:
    test = "def test_it(dckt_plugin, assert_index_ok):\n    assert_index_ok(dckt_plugin('index', 'exact'))\n"
    done = run(tmp_path, test)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_every_check_has_its_fixture() -> None:
    from dckt_core import pytest_plugin, testing

    for kind, check in testing.CHECKS.items():
        assert check is getattr(testing, f"assert_{kind}_ok")
        assert hasattr(pytest_plugin, f"assert_{kind}_ok")
        assert pytest_plugin._check(kind) is check


def test_a_plugin_that_is_not_there_fails_the_test_with_the_reason(distributions: Path, tmp_path: Path) -> None:
    names = ("absent", "of-tomorrow")
    test = "".join(
        f"def test_{n}(dckt_plugin):\n    dckt_plugin('discrepancy', '{name}')\n" for n, name in enumerate(names)
    )
    done = run(tmp_path, test, PYTHONPATH=str(distributions))
    assert done.returncode == 1
    assert "unknown discrepancy 'absent'" in done.stdout
    assert "'of-tomorrow' of dckt-other-contract 1.0 is left out: it is written for version 2.0" in done.stdout
