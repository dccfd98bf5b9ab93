"""The wheels hold what they should and nothing else."""

import configparser
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from importlib.util import find_spec
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
OF_THE_KERNELS_WHEEL = {ROOT / "dckt_kernels" / name for name in ("pyproject.toml", "README.md", "CHANGELOG.md")}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def built(folder: Path, project: Path) -> Path:
    """The wheel as `python -m build` makes it from the checkout."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(project)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return zipfile.ZipFile(built(tmp_path_factory.mktemp("wheel"), ROOT))


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the kernels alone."""
    return built(tmp_path_factory.mktemp("kernels"), ROOT / "dckt_kernels")


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
        if path.is_file() and "__pycache__" not in path.parts and path not in OF_THE_KERNELS_WHEEL
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


# --- the kernels alone ----------------------------------------------------------------------------------------


def test_both_wheels_hold_the_same_kernels_at_the_same_version(wheel: zipfile.ZipFile, kernels: Path) -> None:
    """So that either may be installed after the other."""
    alone = zipfile.ZipFile(kernels)

    def packed(archive: zipfile.ZipFile) -> dict[str, bytes]:
        return {name: archive.read(name) for name in archive.namelist() if name.startswith("dckt_kernels/")}

    assert packed(alone) == packed(wheel)
    (of_both, of_one) = (
        next(name for name in archive.namelist() if name.endswith("/METADATA")) for archive in (wheel, alone)
    )
    assert of_both.split("-")[1] == of_one.split("-")[1]
    assert {name for name in alone.namelist() if not name.startswith("dckt_kernels/")} == {
        f"{PurePosixPath(of_one).parent}/{file}" for file in ("METADATA", "WHEEL", "RECORD")
    }


def test_the_kernels_need_torch_and_numpy_alone_in_the_versions_of_the_toolkit() -> None:
    alone = tomllib.loads((ROOT / "dckt_kernels" / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(alone["dependencies"]) < set(PROJECT["dependencies"])
    assert sorted(re.match(r"[\w-]+", line)[0] for line in alone["dependencies"]) == ["numpy", "torch"]  # type: ignore[index]
    assert alone["requires-python"] == PROJECT["requires-python"]
    assert alone["license"] == PROJECT["license"]


@pytest.mark.slow  # an environment of its own, and every check of the kernels, in Triton's interpreter too
def test_the_kernels_alone_are_installed_and_check_themselves(kernels: Path, tmp_path: Path) -> None:
    """Beside torch and triton of this environment, where nothing of the toolkit is imported."""
    venv.create(tmp_path / "venv", symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(kernels)]
    subprocess.run([*pip, "--quiet", "--disable-pip-version-check"], check=True)
    (site,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    shared = {str(Path(find_spec(name).origin).parents[1]) for name in ("torch", "numpy", "triton")}  # type: ignore[union-attr,arg-type]
    (site / "shared.pth").write_text("\n".join(shared), "utf-8")
    code = (
        "import sys; from dckt_kernels import mk_mmd, sinkhorn, two_sample_test, __file__ as where; import torch; "
        "x = torch.randn(9, 4); print(where, float(mk_mmd(x, x + 1)) > 0.1, "
        "float(sinkhorn(x, x + 1, eps=1.0).value) > 0, "
        "two_sample_test(x, x + 9, generator=torch.Generator()).p_value < 0.05, "
        "[name for name in sys.modules if name.partition('.')[0] in ('dckt_core', 'dckt_plugins', 'dckt_cli')])"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TRITON"))}
    asked = {"cwd": tmp_path, "env": environment, "text": True, "capture_output": True}
    done = subprocess.run([python, "-c", code], check=False, **asked)  # type: ignore[call-overload]
    assert done.stderr == ""
    assert done.stdout == f"{site / 'dckt_kernels' / '__init__.py'} True True True []\n"
    done = subprocess.run([python, "-m", "dckt_kernels.selftest"], check=False, **asked)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "dckt-kernels-selftest.json").read_text("utf-8"))
    assert report["machine"]["versions"]["dckt-kernels"] == "0.1.0"
    assert {result["where"] for result in report["results"] if result["state"] == "passed"} >= {"cpu", "interpreter"}


@pytest.mark.slow  # copies the checkout twice, and builds four distributions
def test_two_builds_give_the_same_bytes(tmp_path: Path) -> None:
    """Of two copies of the checkout, made at other times, in other places, by users with other masks."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if tracked.returncode != 0:
        pytest.skip("no checkout of git")
    digests: list[dict[str, str]] = []
    for number, mask in enumerate((0o022, 0o077)):
        copy, out = tmp_path / f"copy-{number}" / ("deep/" * number), tmp_path / f"out-{number}"
        for name in filter(None, tracked.stdout.decode().split("\0")):
            target = copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)
            target.chmod(0o644 & ~mask)
            os.utime(target, (1_000_000_000 + number, 1_000_000_000 + number * 86_400))
        command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(copy)]
        environment = os.environ | {"SOURCE_DATE_EPOCH": "1700000000", "TZ": ("UTC", "Asia/Tokyo")[number]}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, umask=mask)
        assert done.returncode == 0, done.stdout + done.stderr
        digests.append({file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(out.iterdir())})
    assert len(digests[0]) == 2, "a wheel and a source distribution"
    assert digests[0] == digests[1]
