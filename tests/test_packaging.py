"""The wheel holds what it should and nothing else."""

import configparser
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "dckt_core": ROOT / "dckt_core",
    "dckt_kernels": ROOT / "dckt_kernels",
    "dckt_plugins": ROOT / "plugins" / "dckt_plugins",
    "dckt_apps": ROOT / "cli" / "dckt_apps",
    "dckt_bench": ROOT / "cli" / "dckt_bench",
    "dckt_cli": ROOT / "cli" / "dckt_cli",
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel as `python -m build` makes it from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.iterdir()
    return zipfile.ZipFile(path)


def test_it_holds_the_packages_and_its_metadata(wheel: zipfile.ZipFile) -> None:
    tops = {PurePosixPath(name).parts[0] for name in wheel.namelist()}
    (metadata,) = [top for top in tops if top.endswith(".dist-info")]
    assert tops == PACKAGES.keys() | {metadata}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_file_of_a_package_is_in_it(package: str, wheel: zipfile.ZipFile) -> None:
    folder = PACKAGES[package]
    there = {
        f"{package}/{path.relative_to(folder).as_posix()}"
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in wheel.namelist() if name.startswith(f"{package}/")}
    assert packed == there
    assert {f"{package}/__init__.py", f"{package}/py.typed"} <= packed


def test_the_console_script_and_the_plugins_are_registered(wheel: zipfile.ZipFile) -> None:
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt")]
    parser = configparser.ConfigParser(delimiters="=")
    parser.read_string(wheel.read(name).decode())
    assert dict(parser["console_scripts"]) == {"dckt": "dckt_cli.main:main"}
    assert dict(parser["dckt"]) == PROJECT["entry-points"]["dckt"]
    modules = {module.replace(".", "/") for module in parser["dckt"].values()}
    packed = set(wheel.namelist())
    assert {module for module in modules if not {f"{module}.py", f"{module}/__init__.py"} & packed} == set()
