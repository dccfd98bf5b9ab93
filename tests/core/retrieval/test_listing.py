"""What there is to encode at a place: manifests that have one medium alone, folders, data sets."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import sklearn.datasets  # noqa: F401  # sets variables of the environment when it is imported, once

from dckt_core.base.errors import DataError
from dckt_core.contract.discovery import load_registry
from dckt_core.contract.pairs import ImageItem, TextItem
from dckt_core.data.context import Context
from dckt_core.retrieval.listing import Entry, Listing, list_items, media_at


def listed(place: Path | str, medium: Any, cache_dir: Path | None = None) -> Listing:
    return list_items(str(place), medium, Context(load_registry(plugins=False), cache_dir or Path("unused")))


def write(file: Path, *rows: dict[str, Any]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return file


def test_a_manifest_may_have_texts_alone(tmp_path: Path) -> None:
    file = write(tmp_path / "texts.jsonl", {"text": "one"}, {"text": "two", "id": "second", "label": "x"})
    found = listed(file, "text")
    assert found.entries == [Entry(TextItem("#1", "one")), Entry(TextItem("second", "two"), label="x")]
    assert (found.origin, found.problems) == (str(file), [])
    with pytest.raises(DataError, match=r"texts\.jsonl: holds no images"):
        listed(file, "image")


def test_lines_of_the_other_medium_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"not looked into")
    file = write(tmp_path / "mixed.jsonl", {"text": "one"}, {"image": "a.png", "text": None}, {"label": "x"})
    assert [entry.item for entry in listed(file, "text").entries] == [TextItem("#1", "one")]
    assert [entry.item for entry in listed(file, "image").entries] == [ImageItem("a.png", tmp_path / "a.png")]
    for medium in ("image", "text"):
        assert [str(bad) for bad in listed(file, medium).problems] == [f"{file}:3: field '{medium}' is missing"]


def test_a_manifest_may_have_images_alone(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"not looked into")
    file = write(tmp_path / "pairs.jsonl", {"image": "a.png"}, {"image": "a.png"}, {"image": "gone.png"})
    found = listed(tmp_path, "image")
    assert found.entries == [
        Entry(ImageItem("a.png", tmp_path / "a.png")),
        Entry(ImageItem("a.png#2", tmp_path / "a.png")),
    ]
    assert [str(problem) for problem in found.problems] == [f"{file}:3: image 'gone.png': no such file"]


def test_texts_do_not_need_their_images(tmp_path: Path) -> None:
    file = write(tmp_path / "m.jsonl", {"image": "gone.png", "text": "t", "label": "l", "split": "val"})
    assert listed(file, "text").entries == [Entry(TextItem("gone.png", "t"), "l", "val")]


def test_other_rules_of_manifests_hold(tmp_path: Path) -> None:
    file = write(tmp_path / "m.jsonl", {"text": 3}, {"text": "a", "splot": "x"}, {"text": "b", "split": "dev"})
    assert [problem.line for problem in listed(file, "text").problems] == [1, 2, 3]


def test_a_folder_is_walked_through_by_name(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpg", "sub/c.webp", "sub/readme.md", ".hidden.png", ".git/d.png", "t.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"word\n")
    images = listed(tmp_path, "image")
    assert [entry.item for entry in images.entries] == [
        ImageItem(name, tmp_path / name) for name in ("a.jpg", "b.PNG", "sub/c.webp")
    ]
    assert [entry.item for entry in listed(tmp_path, "text").entries] == [TextItem("t.txt", "word")]
    registry = load_registry(plugins=False)
    assert media_at(str(tmp_path), registry) == ["image", "text"]
    assert media_at(str(tmp_path / "sub"), registry) == ["image"]


@pytest.mark.parametrize(
    ("line", "media"),
    [
        ('{"text": "a"}', ["text"]),
        ('\ufeff{"image": "a.png", "label": "b"}', ["image"]),
        ('{"image": "a.png", "text": "a"}', ["image", "text"]),
        ('{"image": "a.png", "text": null}\n{"text": "a"}', ["image", "text"]),
        ('{"image": "a.png", "text": null}', ["image"]),
        ("spoilt", ["image", "text"]),
        ("[" * 100_000, ["image", "text"]),
        ("[]", ["image", "text"]),
    ],
)
def test_the_lines_of_a_manifest_tell_of_the_media(tmp_path: Path, line: str, media: list[str]) -> None:
    (tmp_path / "pairs.jsonl").write_text(line + "\nspoilt too\n", encoding="utf-8")
    assert media_at(str(tmp_path), load_registry(plugins=False)) == media


def test_a_data_set_has_both_media() -> None:
    assert media_at("sample", load_registry(plugins=False)) == ["image", "text"]


def test_files_that_are_no_texts_are_problems(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfwith a mark")
    (tmp_path / "b.txt").write_bytes(b"caf\xe9")
    (tmp_path / "c.txt").write_bytes(b"x" * ((1 << 20) + 1))
    os.mkfifo(tmp_path / "d.txt")
    (tmp_path / "e\n.txt").write_bytes(b"x")
    found = listed(tmp_path, "text")
    assert [entry.item for entry in found.entries] == [TextItem("a.txt", "with a mark")]
    assert [problem.reason for problem in found.problems] == [
        "not UTF-8: byte 4 is 0xe9",
        "longer than 1048576 bytes",
        "no file",
        "its name holds a character that cannot be shown",
    ]


def test_a_name_that_is_not_utf8_is_a_problem(tmp_path: Path) -> None:
    try:
        Path(os.fsdecode(bytes(tmp_path) + b"/\xff.png")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system has no such names")
    assert [problem.reason for problem in listed(tmp_path, "image").problems] == ["its name is not UTF-8"]


def test_a_data_set_of_the_box(sample_cache: Path) -> None:
    found = listed("sample-target", "image", sample_cache)
    entry = found.entries[0]
    assert isinstance(entry.item, ImageItem)
    assert entry.item.path.is_relative_to(found.root) and entry.item.path.is_file()
    assert entry.label is not None and entry.split == "train"
    assert entry.as_json(found.root)["image"] == entry.item.path.name
    assert len(found.entries) == len(listed("sample-target", "text", sample_cache).entries)


def test_an_entry_as_json(tmp_path: Path) -> None:
    image = Entry(ImageItem("a", tmp_path / "sub" / "a.png"), label="x")
    assert image.as_json(tmp_path) == {"id": "a", "image": "sub/a.png", "label": "x"}
    assert image.as_json(tmp_path / "other") == {"id": "a", "image": str(tmp_path / "sub" / "a.png"), "label": "x"}
    assert Entry(TextItem("b", "t"), split="val").as_json(tmp_path) == {"id": "b", "text": "t", "split": "val"}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder / "gone", "no such path, and no data set of that name"),
        (lambda folder: folder, "holds no images (.jpg,"),
        (lambda folder: write(folder / "empty.jsonl"), "holds no pairs"),
        (lambda folder: write(folder / "a.csv"), "no names of columns in its first line"),
    ],
)
def test_nothing_there(tmp_path: Path, make: Any, said: str) -> None:
    place = make(tmp_path)
    try:
        problems = listed(place, "image").problems
    except DataError as error:
        problems = [error]  # type: ignore[list-item]
    assert [said in str(problem) for problem in problems] == [True]
    assert str(place) in str(problems[0])
