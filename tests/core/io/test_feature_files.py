"""The one reader of files of features: what is in them, whose rows they are, and what is wrong with them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.io import savemat

from dckt_core import to_dataset
from dckt_core.base.errors import DataError
from dckt_core.data.rows import as_rows
from dckt_core.io.feature_files import FeatureTable, features_digest, read_features
from dckt_core.io.feature_kinds import is_features
from tests.support.needs import part

IDS = ["one", "zwei", "三"]
ROWS = np.arange(12, dtype=np.float32).reshape(3, 4) / 8


def write_npy(file: Path) -> None:
    np.save(file, ROWS)


def write_npz(file: Path) -> None:
    np.savez(file, vectors=ROWS.astype(np.float64), ids=np.array(IDS), labels=np.array([3, 1, -1]))


def write_safetensors(file: Path) -> None:
    save_file({"vectors": torch.tensor(ROWS, dtype=torch.bfloat16)}, file)


def write_parquet(file: Path) -> None:
    pa = part("pyarrow")
    import pyarrow.parquet as pq

    columns = {"id": IDS, "vector": ROWS.tolist(), "text": ["a dog", None, "a cat"], "label": [3, 1, None]}
    pq.write_table(pa.table(columns), file)


@pytest.mark.parametrize("write", [write_npy, write_npz, write_safetensors, write_parquet])
def test_every_kind_is_known_by_its_first_bytes(tmp_path: Path, write: Callable[[Path], None]) -> None:
    written = tmp_path / f"made.{write.__name__.removeprefix('write_')}"
    write(written)
    file = written.rename(tmp_path / "features.of.something")
    assert is_features(file)
    table = read_features(file)
    assert torch.equal(table.take(slice(None)), torch.tensor(ROWS))
    named = write in (write_npz, write_parquet)
    assert table.ids == (IDS if named else ["0", "1", "2"])
    assert torch.equal(table.of([table.ids[2], table.ids[0]]), torch.tensor(ROWS[[2, 0]]))


def test_what_is_told_of_rows_besides(tmp_path: Path) -> None:
    write_parquet(tmp_path / "f.parquet")
    table = read_features(tmp_path / "f.parquet")
    assert repr(table) == f"FeatureTable('{tmp_path}/f.parquet', 3 rows of 4 values, with id, text, label)"
    assert [table.known(number) for number in range(3)] == [
        {"text": "a dog", "label": "3"},
        {"label": "1"},
        {"text": "a cat"},
    ]


@pytest.mark.parametrize("turned", [False, True])
def test_labels_as_matlab_has_them(tmp_path: Path, turned: bool) -> None:
    labels = np.array([[3.0], [1.0], [np.nan]])
    savemat(tmp_path / "f.mat", {"rows": ROWS, "labels": labels.T if turned else labels})
    assert list(read_features(tmp_path / "f.mat").facts["label"]) == ["3", "1", None]
    savemat(tmp_path / "g.mat", {"image": ROWS[:1], "text": ROWS[:1, :2]})
    assert read_features(tmp_path / "g.mat", medium="image").facts == {}, "one row of features is no fact"


@pytest.mark.parametrize("shape", ["list", "fixed", "chunks"])
def test_columns_of_parquet(tmp_path: Path, shape: str) -> None:
    pa = part("pyarrow")
    import pyarrow.parquet as pq

    kind = pa.list_(pa.float32(), 4) if shape == "fixed" else pa.list_(pa.float32())
    table = pa.table({"vector": pa.array(ROWS.tolist(), kind)})
    pq.write_table(table, tmp_path / "f.parquet", row_group_size=1 if shape == "chunks" else 10)
    found = read_features(tmp_path / "f.parquet")
    assert found.rows.dtype == np.float32
    assert torch.equal(found.take([1]), torch.tensor(ROWS[[1]]))


def test_rows_of_parquet_that_do_not_do(tmp_path: Path) -> None:
    pa = part("pyarrow")
    import pyarrow.parquet as pq

    for column, says in (
        ([[1.0], [1.0, 2.0]], "its rows are of 2 lengths, such as 1 and 2$"),
        ([[1.0], None], "it has 1 empty cells$"),
        ([["a"], ["b"]], "it is of type list<.*: string>, not of numbers$"),
    ):
        for rows in (1, 10):
            pq.write_table(pa.table({"v": column}), tmp_path / "f.parquet", row_group_size=rows)
            with pytest.raises(DataError, match=rf"f.parquet: array 'v': {says}"):
                read_features(tmp_path / "f.parquet")


def test_what_else_a_table_holds_is_left_alone(tmp_path: Path) -> None:
    pa = part("pyarrow")
    import pyarrow.parquet as pq

    columns = {
        "id": IDS,
        "vector": ROWS.tolist(),
        "image": [{"bytes": b"a picture", "path": "a.jpg"}, None, None],
        "tags": [["x"], None, ["y", "z"]],
        "boxes": [[1.0], [1.0, 2.0], []],
    }
    pq.write_table(pa.table(columns), tmp_path / "f.parquet")
    for key in (None, "vector"):
        found = read_features(tmp_path / "f.parquet", key=key)
        assert torch.equal(found.take(slice(None)), torch.tensor(ROWS))
        assert found.facts.keys() == {"id"}
    with pytest.raises(DataError, match=r"f.parquet: array 'boxes': its rows are of 3 lengths, such as 0 and 2$"):
        read_features(tmp_path / "f.parquet", key="boxes")
    columns["label"] = columns["tags"]
    pq.write_table(pa.table(columns), tmp_path / "f.parquet")
    with pytest.raises(DataError, match=r"f.parquet: array 'label' holds something else than texts and whole numbers"):
        read_features(tmp_path / "f.parquet")


def test_a_file_of_both_media(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", image_vectors=ROWS, text_vectors=ROWS[:, :2])
    assert read_features(tmp_path / "f.npz", medium="image").dim == 4
    assert read_features(tmp_path / "f.npz", medium="text").dim == 2
    with pytest.raises(DataError, match=r"which array holds the features\? say key=NAME"):
        read_features(tmp_path / "f.npz")


def names_in_npz(folder: Path) -> Path:
    np.savez(folder / "f.npz", texts=ROWS, class_names=ROWS[[1, 2]], class_labels=np.array([7, 3]))
    return folder / "f.npz"


def names_in_safetensors(folder: Path) -> Path:
    rows, labels = torch.tensor(ROWS), torch.tensor([7, 3])
    save_file({"texts": rows, "class_names": rows[[1, 2]], "class_labels": labels}, folder / "f.safetensors")
    return folder / "f.safetensors"


def names_in_parquet(folder: Path) -> Path:
    pa = part("pyarrow")
    import pyarrow.parquet as pq

    names = {"class_names": [*ROWS[[1, 2]].tolist(), None], "class_labels": [7, 3, None]}
    pq.write_table(pa.table({"texts": ROWS.tolist(), **names}), folder / "f.parquet", row_group_size=2)
    return folder / "f.parquet"


@pytest.mark.parametrize("write", [names_in_npz, names_in_safetensors, names_in_parquet])
def test_what_classes_are_called(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    table = read_features(write(tmp_path), medium="text")
    assert len(table) == 3, "names are no rows"
    assert table.classes is not None
    assert table.classes.names == {"7": ("7",), "3": ("3",)}
    named = table.with_names()
    assert torch.equal(named.of(["2", "name:3", "name:7"]), torch.tensor(ROWS[[2, 2, 1]]))
    assert named.classes is None


def test_a_class_may_have_several_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", texts=ROWS, class_names=ROWS, class_labels=np.array(["b", "a", "b"]))
    table = read_features(tmp_path / "f.npz").with_names()
    assert torch.equal(table.of(["name:b", "name:b 2", "name:a"]), torch.tensor(ROWS[[0, 2, 1]]))


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        (
            {"class_names": ROWS},
            r"'class_names' \[k, d\] and 'class_labels' \[k\] go together, and it has 'class_names'",
        ),
        ({"class_labels": np.arange(3)}, ".* go together, and it has 'class_labels'"),
        ({"class_names": ROWS, "class_labels": np.arange(2)}, "3 rows in 'class_names' for 2 labels in 'class_labels'"),
        ({"class_names": ROWS[0], "class_labels": np.arange(4)}, r"array 'class_names' is of shape \(4,\)"),
        ({"class_names": ROWS, "class_labels": np.array([0, -1, 1])}, "'class_labels' has no label at 1"),
        (
            {"class_names": ROWS * np.nan, "class_labels": np.arange(3)},
            "the features of a name of class '0' are not finite",
        ),
        (
            {"class_names": ROWS[:, :2], "class_labels": np.arange(3)},
            "'class_names' has rows of 2 values, and its texts",
        ),
    ],
)
def test_names_of_classes_that_do_not_do(tmp_path: Path, arrays: dict[str, np.ndarray], says: str) -> None:
    np.savez(tmp_path / "f.npz", texts=ROWS, **arrays)
    with pytest.raises(DataError, match=f"f.npz: {says}"):
        read_features(tmp_path / "f.npz").with_names()


def test_rows_are_mapped_and_not_read(tmp_path: Path) -> None:
    write_npy(tmp_path / "f.npy")
    assert isinstance(read_features(tmp_path / "f.npy").rows, np.memmap)


def table_of(ids: list[str | None], rows: np.ndarray = ROWS) -> FeatureTable:
    return FeatureTable(Path("made"), rows, {"id": ids})


def test_ids_that_do_not_do() -> None:
    with pytest.raises(DataError, match=r"^made: id 'a' \(and 1 more\) names more than one row$"):
        _ = table_of(["a", "a", "a"]).ids
    with pytest.raises(DataError, match=r"^made: row 1 has no id$"):
        _ = table_of(["a", None, "b"]).ids
    with pytest.raises(DataError, match=r"^made: 3 rows for 2 ids \(here\)$"):
        table_of(["a", "b", "c"]).named(["a", "b"], "here")


def test_missing_items_are_counted() -> None:
    with pytest.raises(DataError, match=r"^made: no features of 5 of 6 items: 'd', 'e', 'f', ... \(it has 3 ids, "):
        table_of(["a", "b", "c"]).of(["a", "d", "e", "f", "g", "h"])


def test_rows_that_are_not_finite_are_counted(tmp_path: Path) -> None:
    rows = ROWS.copy()
    rows[1:, 0] = np.nan
    np.save(tmp_path / "f.npy", rows)
    with pytest.raises(DataError, match=r"f.npy: the features of 'row 1' \(and of 1 more of 3\) are not finite"):
        read_features(tmp_path / "f.npy")


def test_the_digest_is_that_of_what_is_there(tmp_path: Path) -> None:
    write_npy(tmp_path / "f.npy")
    before = features_digest(tmp_path / "f.npy")
    (tmp_path / "f.npy").rename(tmp_path / "g.npy")
    assert features_digest(tmp_path / "g.npy") == before
    np.save(tmp_path / "g.npy", ROWS + 1)
    assert features_digest(tmp_path / "g.npy") != before


def test_a_data_set_of_hugging_faces_library_there_and_back() -> None:
    datasets = part("datasets")
    columns = {"id": IDS, "image_rows": ROWS.tolist(), "text_rows": ROWS[:, :2].tolist(), "label": [3, 1, None]}
    made = datasets.Dataset.from_dict(columns)
    found = read_features(made.select([2, 0]), medium="image")
    assert found.ids == [IDS[2], IDS[0]]
    assert torch.equal(found.take(slice(None)), torch.tensor(ROWS[[2, 0]]))
    assert read_features(made, medium="text").dim == 2
    again = to_dataset(found)
    assert again.column_names == ["id", "label", "features"]
    assert (again["id"][:], again["label"][:]) == ([IDS[2], IDS[0]], [None, "3"])
    assert torch.equal(read_features(again).of([IDS[0]]), torch.tensor(ROWS[[0]]))
    assert torch.equal(as_rows(made["image_rows"], "images"), torch.tensor(ROWS)), "a column, as an estimator takes it"


def test_a_packed_file_of_something_else_is_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "mine.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    with pytest.raises(DataError, match=r"no arrays \(\.npy\) in it; of a spreadsheet save the sheet as \.csv"):
        read_features(tmp_path / "mine.xlsx")
