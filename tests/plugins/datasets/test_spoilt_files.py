"""Every file that a layout reads, spoilt: the good pairs come out, or one of dckt's errors on a line."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dckt_core.contract.pairs import PairSet
from dckt_core.contract.protocols import DatasetContext
from dckt_core.data.manifest import ManifestError
from dckt_plugins.datasets import nus_wide_10k, wikipedia
from tests.support import box, folders
from tests.support.mutations import WAYS, spoil

FILES = [
    ("image-folder-csv", folders.write_image_folder_csv, "pairs.csv"),
    ("wikipedia", folders.write_wikipedia, wikipedia.LISTS["train"]),
    ("wikipedia", folders.write_wikipedia, wikipedia.CATEGORIES),
    ("wikipedia", folders.write_wikipedia, "texts/text-train-red-0.xml"),
    ("pascal-sentences", folders.write_pascal_sentences, "sentence/red/photo-red-0.txt"),
    ("nus-wide-10k", folders.write_nus_wide, nus_wide_10k.IMAGE_LIST),
    ("nus-wide-10k", folders.write_nus_wide, nus_wide_10k.TAGS),
    ("nus-wide-10k", folders.write_nus_wide, nus_wide_10k.LABELS.format("sky")),
    ("xmedia", folders.write_xmedia, "list/train_img.txt"),
    ("xmedia", folders.write_xmedia, "list/train_txt.txt"),
    ("xmedia", folders.write_xmedia, "text/red/train-red-0.txt"),
]
CASES = 60


@pytest.mark.parametrize(("layout", "write", "name"), [pytest.param(*case, id=case[2]) for case in FILES])
def test_a_spoilt_file_brings_out_no_other_error(
    layout: str, write: Callable[[Path], Path], name: str, tmp_path: Path
) -> None:
    folder = write(tmp_path / "set")
    spec = box.spec("dataset", layout)
    whole = load(spec, folder)
    assert whole.pairs
    good, draw, refused = (folder / name).read_bytes(), random.Random(0), 0
    for _ in range(CASES):
        (folder / name).write_bytes(spoil([good], draw, WAYS))
        try:
            left = load(spec, folder)
        except ManifestError as error:
            refused += 1
            left = error.good
            for problem in error.problems:
                assert len(str(problem).splitlines()) == 1, problem
        inside = folder.resolve()
        for pair in left.pairs:
            assert pair.image.resolve().is_relative_to(inside)
            assert pair.label.strip()
    assert refused or name.endswith(("red-0.txt", "red-0.xml")), "what stands in a text is an author's business"


def load(spec: Any, folder: Path) -> PairSet:
    pair_set: PairSet = spec.load(folder, spec.options(), DatasetContext(cache_dir=Path("unused")))
    return pair_set
