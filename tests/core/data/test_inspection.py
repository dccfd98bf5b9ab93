import json
from pathlib import Path

import pytest
from PIL import Image

from dckt_core.base.errors import DataError, PluginError
from dckt_core.contract.pairs import PairSet
from dckt_core.data.inspection import inspect_dataset
from dckt_core.data.manifest import load_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = []
    for number, (label, split) in enumerate(
        [("b", "train"), ("a", "train"), ("a", "val"), ("b", "test"), ("b", "test")]
    ):
        Image.new("L", (4, 4)).save(tmp_path / f"{number}.png")
        rows.append({"image": f"{number}.png", "text": "", "label": label, "split": split})
    (tmp_path / "pairs.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return tmp_path


def test_a_good_data_set(folder: Path) -> None:
    told: list[tuple[int, int, str]] = []
    inspection = inspect_dataset(lambda: load_manifest(folder), folder, lambda *step: told.append(step))
    assert inspection.problems == []
    assert inspection.unfit == {}
    assert inspection.labels == {"a": {"train": 1, "val": 1}, "b": {"train": 1, "test": 2}}
    assert list(inspection.labels) == ["a", "b"]
    assert told == [(done, 5, "decoding images") for done in range(1, 6)]


def counts(folder: Path) -> dict[str, int]:
    return {found.kind: found.count for found in inspect_dataset(lambda: load_manifest(folder), folder).findings}


def test_what_is_empty_or_equal_is_counted(folder: Path) -> None:
    found = counts(folder)
    assert (found["empty texts"], found["equal pictures"], found["one colour"]) == (5, 4, 5)
    assert "equal texts" not in found
    Image.new("L", (5, 4)).save(folder / "4.png")
    rows = [json.loads(line) for line in (folder / "pairs.jsonl").read_text().splitlines()]
    for row, text in zip(rows, ["a dog", " a  dog ", "a cat", "", "a Dog"], strict=True):
        row["text"] = text
    rows += [{"image": "4.png", "split": "train"}, {"text": "a cat", "split": "train"}]
    (folder / "pairs.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    found = counts(folder)
    assert (found["empty texts"], found["equal texts"], found["equal pictures"]) == (1, 2, 4)


def test_bad_lines_and_bad_files_are_all_named(folder: Path) -> None:
    with (folder / "pairs.jsonl").open("a") as manifest:
        manifest.write("\n{\n")
        manifest.write(json.dumps({"image": "3.png", "text": "again", "label": "b", "split": "test"}))
    (folder / "3.png").write_bytes(b"")
    (folder / "1.png").write_bytes(b"GIF?")
    inspection = inspect_dataset(lambda: load_manifest(folder), folder)
    assert [str(problem) for problem in inspection.problems] == [
        f"{folder}/pairs.jsonl:6: not JSON: Expecting property name enclosed in double quotes at column 2",
        f"{folder}/1.png: no picture of a known format",
        f"{folder}/3.png: the file is empty",
    ]
    assert len(inspection.pair_set.pairs) == 6


def test_what_a_data_set_cannot_serve_as(folder: Path) -> None:
    lines = (folder / "pairs.jsonl").read_text().splitlines()
    (folder / "pairs.jsonl").write_text("\n".join(lines[:2]))
    assert inspect_dataset(lambda: load_manifest(folder), folder).unfit == {"target": "split 'test' is empty"}
    (folder / "pairs.jsonl").write_text(lines[0])
    assert inspect_dataset(lambda: load_manifest(folder), folder).unfit == {
        "source": "split 'train' has one pair; at least 2 are needed",
        "target": "split 'test' is empty",
    }


def test_of_another_layout_the_one_error_it_raised(folder: Path) -> None:
    def load() -> PairSet:
        raise DataError(f"{folder}: annotations.xml is missing")

    inspection = inspect_dataset(load, folder)
    assert [str(problem) for problem in inspection.problems] == [f"{folder}: annotations.xml is missing"]
    assert inspection.problems[0].reason == "annotations.xml is missing"


def test_a_plugins_own_fault_is_no_problem_of_the_data(folder: Path) -> None:
    def load() -> PairSet:
        raise PluginError("broke")

    with pytest.raises(PluginError):
        inspect_dataset(load, folder)
