from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dckt_core import DataError, DatasetContext, PairSet, UsageError, read_features
from dckt_plugins.datasets import features
from dckt_plugins.datasets.catalogue import FeaturesOptions
from tests.support import box
from tests.support.needs import part

ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)


def load(file: Path, split: Any = None, **arrays: Any) -> PairSet:
    np.savez(file, **arrays)
    assert features.detect(file)
    return features.load(file, FeaturesOptions(split=split), DatasetContext(cache_dir=file.parent))


def test_pairs_of_a_file(tmp_path: Path) -> None:
    found = load(
        tmp_path / "set.npz",
        images=ROWS[[0, 1, 0, 2]],
        texts=ROWS[[0, 0, 1, 2], :2],
        labels=np.array(["dog", "", "cat", "dog"]),
        splits=np.array(["train", "train", "val", "test"]),
    )
    assert (found.name, found.origin) == ("set", str(tmp_path / "set.npz"))
    assert [pair.id for pair in found.pairs] == ["0", "1", "2", "3"]
    assert [pair.label for pair in found.pairs] == ["dog", None, "cat", "dog"]
    assert [pair.split for pair in found.pairs] == ["train", "train", "val", "test"]
    assert [pair.image and pair.image.name for pair in found.pairs] == ["0", "1", "0", "3"], "equal rows, one picture"
    first, again, second, third = (pair.text for pair in found.pairs)
    assert first == again and len({first, second, third}) == 3, "equal rows, one text"
    assert found.names == {"dog": ()}, "nobody knows what the classes are called"
    other = load(tmp_path / "other.npz", "train", images=ROWS[:2], texts=ROWS[[3, 2], :2])
    assert [pair.text for pair in other.pairs][1] == third, "equal rows of another file, too"
    assert other.pairs[0].text not in (first, second, third), "and no others, though both have an id 0"


def test_what_a_file_tells_besides(tmp_path: Path) -> None:
    found = load(
        tmp_path / "set.npz",
        "train",
        image_rows=ROWS,
        text_rows=ROWS[:, :2],
        id=np.array(["a", "b", "c", "d"]),
        image=np.array([f"{n}.jpg" for n in range(4)]),
        text=np.array(["one", "two", "", "four"]),
        label=np.array([0, 1, -1, 10]),
    )
    assert [(pair.id, pair.image, pair.text, pair.label) for pair in found.pairs[1:3]] == [
        ("b", tmp_path / "1.jpg", "two", "1"),
        ("c", tmp_path / "2.jpg", "", None),
    ]


def test_names_of_classes_in_the_file(tmp_path: Path) -> None:
    arrays = {"images": ROWS, "texts": ROWS[:, :2], "labels": np.array([0, 1, 0, 1])}
    found = load(tmp_path / "set.npz", "train", **arrays, class_names=ROWS[:3, :2], class_labels=np.array([1, 0, 1]))
    assert found.names == {"1": ("1", "1 2"), "0": ("0",)}
    assert len(found.pairs) == 4, "names are no pairs"
    assert load(tmp_path / "set.npz", "train", **arrays).names == {"0": (), "1": ()}
    some = load(tmp_path / "set.npz", "train", **arrays, class_names=ROWS[:1, :2], class_labels=np.array([1]))
    assert some.names == {"0": (), "1": ("1",)}
    words = load(tmp_path / "set.npz", "train", **arrays, text=np.array(["a", "b", "c", "d"]))
    assert words.names == {}, "labels are words for an encoder of texts"


@pytest.mark.parametrize("image", ["/etc/secret.png", "../secret.png", "a/../../secret.png", "C:\\secret.png"])
def test_no_picture_outside_the_folder_is_ever_shown(tmp_path: Path, image: str) -> None:
    arrays = {"image_rows": ROWS[:2], "text_rows": ROWS[:2, :2]}
    with pytest.raises(DataError, match=r"set.npz: row 1: image '.*secret.png' (is not a relative path|holds '..')"):
        load(tmp_path / "set.npz", "train", **arrays, image=np.array(["a.png", image]))
    found = load(tmp_path / "set.npz", "train", **arrays, id=np.array(["a", image]))
    assert [pair.id for pair in found.pairs] == ["a", image], "an id is no path"
    assert [pair.image and pair.image.parent for pair in found.pairs] == [tmp_path] * 2


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"images": ROWS}, "one array of features, where a row of each medium is expected"),
        ({"images": ROWS, "texts": ROWS[:3]}, "4 and 3 rows, where a row of each medium is expected for each pair"),
        ({"images": ROWS, "texts": ROWS}, "no array 'split' says which rows are for train, val and test"),
        (
            {"images": ROWS, "texts": ROWS, "splits": np.array(["train", "dev", "", "test"])},
            "row 1: its split is 'dev'",
        ),
        ({"images": ROWS, "texts": ROWS, "label": np.array(["a"])}, r"4 rows for 1 labels \(array 'label'\)"),
    ],
)
def test_files_that_do_not_do(tmp_path: Path, arrays: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=f"^{tmp_path / 'set.npz'}: {says}"):
        load(tmp_path / "set.npz", **arrays)


def test_it_needs_a_path(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="data set 'features' needs a path"):
        features.load(None, FeaturesOptions(), DatasetContext(cache_dir=tmp_path))


def test_metadata_of_rows_go_with_the_pairs(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(3, 4))
    known = np.array(['{"year": 2019}', "", '{"by": "Ann"}'])
    file = tmp_path / "set.npz"
    np.savez(file, images=rows, texts=rows, metadata=known)
    pairs = box.load_pairs("features", file, split="train").pairs
    place = [{"file": "set.npz", "row": number} for number in range(3)]
    assert [dict(pair.metadata) for pair in pairs] == [place[0] | {"year": 2019}, place[1], place[2] | {"by": "Ann"}]
    np.savez(file, images=rows, texts=rows, metadata=np.array(['{"year": {}}', "", ""]))
    with pytest.raises(DataError, match=r"set\.npz: row 0: metadata 'year' must be a text, a number"):
        box.load_pairs("features", file, split="train")


def test_a_folder_that_datasets_saved_is_read_as_features(tmp_path: Path) -> None:
    datasets = part("datasets")
    rows = np.eye(3, dtype=np.float32)
    datasets.Dataset.from_dict({"features": rows.tolist(), "id": ["a", "b", "c"]}).save_to_disk(str(tmp_path / "saved"))
    table = read_features(tmp_path / "saved")
    assert table.ids == ["a", "b", "c"]
    assert np.array_equal(table.rows, rows)
    (tmp_path / "saved" / "state.json").write_text("{")
    with pytest.raises(DataError, match="saved: not a whole data set of datasets: "):
        read_features(tmp_path / "saved")
