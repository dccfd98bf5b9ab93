"""The layouts that data come in: each recognised by itself, read as it is meant, its records one by one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dckt_core.base.errors import DataError
from dckt_core.contract.options import parse_options
from dckt_core.contract.pairs import PairSet
from dckt_core.contract.protocols import DatasetContext
from dckt_core.contract.records import Record
from dckt_core.data.context import Context
from dckt_core.data.sources import find_layout
from dckt_core.retrieval.listing import list_items
from tests.support import box, layouts
from tests.support.needs import part

EXAMPLES = list(layouts.examples())


def made(layout: str, folder: Path) -> Path:
    if layout == "hf-dataset":
        part("datasets")
    folder.mkdir(exist_ok=True)
    return layouts.WRITERS[layout](folder)


def loaded(layout: str, location: Path, cache: Path, **options: Any) -> PairSet:
    spec = box.spec("dataset", layout)
    parsed = parse_options(spec, {**layouts.NEEDED.get(layout, {}), **options}, where="the test")
    pair_set: PairSet = spec.load(location, parsed, DatasetContext(cache_dir=cache))
    return pair_set


def records(layout: str, location: Path, **options: Any) -> list[Record]:
    spec = box.spec("dataset", layout)
    parsed = parse_options(spec, options, where="the test")
    return list(spec.records(location, parsed, DatasetContext(cache_dir=Path("unused"))))


@pytest.mark.parametrize("layout", layouts.WRITERS)
def test_each_layout_is_recognised_by_itself_and_by_no_other(layout: str, tmp_path: Path) -> None:
    location = made(layout, tmp_path)
    assert find_layout(location, box.registry()).name == layout


@pytest.mark.parametrize(
    ("layout", "file"),
    [
        ("karpathy", "dataset.json"),
        ("flickr-token", "results_20130124.token"),
        ("kaggle-captions", "captions.txt"),
        ("coco-captions", "annotations/captions_train2017.json"),
        ("webdataset", "train-000000.tar"),
    ],
)
def test_the_file_of_a_layout_may_be_named(layout: str, file: str, tmp_path: Path) -> None:
    location = made(layout, tmp_path) / file
    assert find_layout(location, box.registry()).name == layout
    assert loaded(layout, location, tmp_path / "cache").pairs[0].image_item.open().size == (24, 24)


@pytest.mark.parametrize("layout", layouts.WRITERS)
def test_each_layout_is_read_as_it_is_meant(layout: str, tmp_path: Path) -> None:
    location = made(layout, tmp_path)
    pairs = loaded(layout, location, tmp_path.parent / f"{tmp_path.name}-cache").pairs
    by_picture: dict[bytes, list[Any]] = {}
    for pair in pairs:
        assert pair.image is not None
        by_picture.setdefault(pair.image.read_bytes(), []).append(pair)
    ours = [one for one in EXAMPLES if layout != "coco-captions" or one.split != "test"]
    assert set(by_picture) == {one.bytes() for one in ours}
    for one in ours:
        found = by_picture[one.bytes()]
        texts = [one.text, one.captions[1]] if len(found) == 2 else [one.text]
        if layout == "class-folders":
            texts = [f"a photo of a {one.label}"]
        assert [pair.text for pair in found] == texts
        stated = layout not in layouts.NEEDED or layout == "class-folders"
        assert {pair.split for pair in found} == {one.split if stated else "train"}
        labelled = layout in ("table", "class-folders", "hf-imagefolder", "hf-dataset", "webdataset")
        assert {pair.label for pair in found} == {one.label if labelled else None}
        if layout in ("table", "hf-imagefolder", "webdataset"):
            assert found[0].metadata == {"year": 2000 + one.number}


@pytest.mark.parametrize("layout", layouts.WRITERS)
def test_items_of_one_medium_need_no_split(layout: str, tmp_path: Path) -> None:
    location = made(layout, tmp_path)
    context = Context(box.registry(), tmp_path.parent / f"{tmp_path.name}-cache")
    images = list_items(str(location), "image", context)
    assert not images.problems
    assert len({entry.id for entry in images.entries}) == len(images.entries) >= 10
    if layout == "class-folders":
        with pytest.raises(DataError, match="holds no texts"):
            list_items(str(location), "text", context)
    else:
        assert list_items(str(location), "text", context).entries


def test_a_class_called_train_is_no_split(tmp_path: Path) -> None:
    for one in EXAMPLES:
        one.save(tmp_path / {"red": "train", "blue": "bus"}[one.label] / one.name)
    assert find_layout(tmp_path, box.registry()).name == "class-folders"
    found = records("class-folders", tmp_path)
    assert Counter((one.fields["label"], one.fields["split"]) for one in found) == {
        ("train", None): 6,
        ("bus", None): 6,
    }


def test_parquet_with_pictures_in_it(tmp_path: Path) -> None:
    part("pyarrow")
    location = layouts.write_parquet(tmp_path)
    assert find_layout(location, box.registry()).name == "table"
    pairs = loaded("table", location, tmp_path / "cache").pairs
    assert [pair.image_item.path.read_bytes() for pair in pairs] == [one.bytes() for one in EXAMPLES]
    assert [(pair.label, pair.split, pair.metadata["year"]) for pair in pairs] == [
        (one.label, one.split, 2000 + one.number) for one in EXAMPLES
    ]


@pytest.mark.parametrize(
    ("how", "name"),
    [
        ({"delimiter": ";"}, "mine.csv"),
        ({"delimiter": "\t"}, "mine.tsv"),
        ({"delimiter": "|"}, "mine.csv"),
        ({"encoding": "utf-16"}, "mine.csv"),
        ({"encoding": "utf-8-sig"}, "mine.csv"),
        ({"images": "."}, "mine.csv"),
        ({"images": "photos"}, "mine.csv"),
    ],
)
def test_tables_as_programs_write_them(how: dict[str, Any], name: str, tmp_path: Path) -> None:
    location = layouts.write_rows(tmp_path / name, ["image_path", "Text", "Category", "Split", "year"], **how)
    pairs = loaded("table", location, tmp_path / "cache").pairs
    assert [(pair.text, pair.label, pair.split) for pair in pairs] == [
        (one.text, one.label, one.split) for one in EXAMPLES
    ]
    assert all(pair.image_item.path.is_file() for pair in pairs)


def test_flickr8ks_lists_give_the_splits(tmp_path: Path) -> None:
    layouts.write_flickr_token(tmp_path)
    for split, name in {"train": "train", "dev": "val", "test": "test"}.items():
        names = [one.name for one in EXAMPLES if one.split == name]
        (tmp_path / f"Flickr_8k.{split}Images.txt").write_text("\n".join(names))
    pairs = loaded("flickr-token", tmp_path, tmp_path / "cache", split=None).pairs
    assert Counter(pair.split for pair in pairs) == {"train": 12, "val": 8, "test": 4}


def test_a_large_json_file_is_read_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dckt_plugins.datasets import json_stream

    monkeypatch.setattr(json_stream, "CHUNK", 7)
    location = layouts.write_karpathy(tmp_path)
    assert len(records("karpathy", location)) == 12
    (tmp_path / "numbers.json").write_text('{"a": [1, 23, 456], "b": {"c": []}, "d": 7890, "e": []}')
    found = list(json_stream.elements(tmp_path / "numbers.json"))
    assert found == [("a", 1), ("a", 23), ("a", 456), ("b", {"c": []}), ("d", 7890)]


@pytest.mark.parametrize(
    ("layout", "file"),
    [
        ("kaggle-captions", "captions.txt"),
        ("flickr-token", "results_20130124.token"),
        ("karpathy", "dataset.json"),
        ("coco-captions", "annotations/captions_train2017.json"),
        ("hf-imagefolder", "train/metadata.jsonl"),
        ("webdataset", "train-000000.tar"),
        ("text-files", f"train/red/{Path(EXAMPLES[0].name).stem}.txt"),
    ],
)
def test_lists_and_texts_that_are_links_to_elsewhere_are_not_read(layout: str, file: str, tmp_path: Path) -> None:
    location, outside = made(layout, tmp_path / "in"), tmp_path / "elsewhere"
    outside.mkdir()
    (location / file).rename(outside / "list")
    (location / file).symlink_to(outside / "list")
    spec = box.spec("dataset", layout)

    def read(*roots: Path) -> list[Record]:
        context = DatasetContext(cache_dir=tmp_path, image_roots=roots)
        return list(spec.records(location, spec.options(), context))

    said = "leaves the folder through a symbolic link"
    if layout == "text-files":
        assert [said in record.fault for record in read() if record.fault] == [True]
    else:
        with pytest.raises(DataError, match=said):
            read()
    assert not [record.fault for record in read(outside) if record.fault]


def test_splits_of_a_saved_data_set_lie_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "dataset_dict.json").write_text('{"splits": ["../elsewhere"]}')
    with pytest.raises(DataError, match=r"list '\.\./elsewhere' holds '\.\.'"):
        records("hf-dataset", tmp_path / "in")
