"""The contract, on a small data set, and what is said of a bad one."""

from pathlib import Path

import my_plugin
import pytest
from PIL import Image

from dckt_core import DataError, DatasetContext
from dckt_core.testing import assert_dataset_ok, installed

(SPEC,) = my_plugin.dckt_datasets()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Squares in two colours; three splits."""
    lines = ["image,text,label,split"]
    for split in ("train", "val", "test"):
        for label in ("red", "blue"):
            for number in range(2):
                name = f"{split}-{label}-{number}.png"
                Image.new("RGB", (8, 8), label).save(tmp_path / name)
                lines.append(f'{name},"a {label} square, number {number}",{label},{split}')
    (tmp_path / my_plugin.MANIFEST).write_text("\n".join(lines) + "\n")
    return tmp_path


def test_the_contract(folder: Path) -> None:
    assert_dataset_ok(SPEC, location=folder)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("gone.png,a text,red,train", "no such image"),
        ("train-red-0.png,a text,red,dev", "split must be one of train, val, test, not 'dev'"),
    ],
)
def test_a_bad_line_is_named(folder: Path, line: str, said: str) -> None:
    with (folder / my_plugin.MANIFEST).open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(DataError, match=rf"{my_plugin.MANIFEST}:14: {said}"):
        SPEC.load(folder, SPEC.options(), DatasetContext(cache_dir=folder))


def test_dckt_finds_it() -> None:
    """By its entry point: after `pip install -e .`"""
    assert installed("dataset", "my-plugin") == SPEC
