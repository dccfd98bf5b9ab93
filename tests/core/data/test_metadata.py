"""What else is known of an item, from a manifest's line to what is found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dckt_core.contract.pairs import Pair
from dckt_core.data.context import Context
from dckt_core.data.manifest import inspect_manifest, load_manifest
from dckt_core.data.metadata import as_cell, as_words, of_cell
from dckt_core.io.feature_files import read_features
from dckt_core.retrieval.listing import list_items, of_pairs, of_table

KNOWN: dict[str, Any] = {"by": "Ann", "year": 2019, "score": 0.5, "free": True, "tags": ["a dog", "beach", 3]}


def manifest(folder: Path, metadata: str) -> Path:
    Image.new("RGB", (4, 4)).save(folder / "a.png")
    line = f'{{"image": "a.png", "text": "a dog", "split": "train", "metadata": {metadata}}}\n'
    (folder / "pairs.jsonl").write_text(line)
    return folder


def test_metadata_go_with_a_pair_to_the_items_of_both_media(tmp_path: Path) -> None:
    pairs = load_manifest(manifest(tmp_path, json.dumps(KNOWN))).pairs
    assert pairs[0].metadata == KNOWN
    for medium in ("image", "text"):
        (entry,) = of_pairs("set", tmp_path, pairs, medium).entries  # type: ignore[arg-type]
        assert entry.as_json()["metadata"] == KNOWN


def test_a_pair_without_them_has_none_and_its_items_do_not_speak_of_them(tmp_path: Path) -> None:
    first, second = (Pair(name, None, "text", None, "train") for name in "ab")
    assert first.metadata == {}
    assert first.metadata is second.metadata
    (entry, _) = of_pairs("set", tmp_path, [first, second], "text").entries
    assert "metadata" not in entry.as_json()
    assert load_manifest(manifest(tmp_path, "{}")).pairs[0].metadata == {}


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ("[]", "field 'metadata' must be an object"),
        ("null", "field 'metadata' must be an object"),
        ('"year"', "field 'metadata' must be an object"),
        ('{"": 1}', "a field of 'metadata' is empty"),
        ('{" year": 1}', "has blanks at its ends"),
        ('{"ye\\u0007ar": 1}', "holds a control character"),
        ('{"year": null}', "metadata 'year' must be a text, a number, a truth value or a list of such"),
        ('{"year": {"a": 1}}', "metadata 'year' must be a text"),
        ('{"year": [[1]]}', "metadata 'year' must be a text"),
        ('{"year": NaN}', "metadata 'year' is no finite number"),
        ('{"year": 1e999}', "metadata 'year' is no finite number"),
        ('{"year": ' + "9" * 5000 + "}", "metadata 'year' is no finite number"),
        ('{"by": "\\ud83d"}', "metadata 'by' holds half of a surrogate pair"),
        ('{"by": "a", "by": "b"}', "field 'by' is given twice"),
    ],
)
def test_what_is_no_metadata_is_a_problem_of_its_line(tmp_path: Path, metadata: str, reason: str) -> None:
    _, [problem] = inspect_manifest(manifest(tmp_path, metadata))
    assert problem.line == 1
    assert reason in problem.reason


def test_a_field_that_no_line_has_may_be_metadata(tmp_path: Path) -> None:
    manifest(tmp_path, "{}")
    line = '{"image": "a.png", "text": "a dog", "split": "train", "photographer": "Ann"}\n'
    (tmp_path / "pairs.jsonl").write_text(line)
    _, [problem] = inspect_manifest(tmp_path)
    assert problem.reason.startswith("unknown field 'photographer' (known: ")
    assert problem.reason.endswith("what else is known goes into 'metadata'")


def test_metadata_in_words_are_one_line_that_steers_no_terminal() -> None:
    assert as_words(KNOWN) == "by Ann, year 2019, score 0.5, free true, tags a dog beach 3"
    assert as_words({}) == ""
    assert as_words({"by": "a\x1b[31m\nb"}) == r"by a\x1b[31m b"
    assert len(as_words({"by": "word " * 1000})) == 200


def test_metadata_in_a_table_of_features_come_back(tmp_path: Path) -> None:
    file = tmp_path / "features.npz"
    cells = np.array([as_cell(KNOWN), ""])
    np.savez(file, image=np.eye(2, dtype=np.float32), metadata=cells)
    entries = of_table(read_features(file), "image").entries
    assert [dict(entry.metadata) for entry in entries] == [KNOWN, {}]
    assert of_cell(as_cell(KNOWN)) == KNOWN


def test_an_array_called_metadata_that_is_somebodys_own_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "features.npz"
    np.savez(file, image=np.eye(2, dtype=np.float32), metadata=np.array([3, 4]))
    assert "metadata" not in read_features(file).facts


def test_captions_come_back_with_a_picture_and_not_with_a_text(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    row = {"image": "a.png", "text": "one. two.", "captions": ["one.", "two."], "metadata": {"year": 2019}}
    (tmp_path / "pairs.jsonl").write_text(json.dumps({**row, "split": "train"}))
    pairs = load_manifest(tmp_path).pairs
    both = {"captions": ["one.", "two."], "year": 2019}
    assert of_pairs("x", tmp_path, pairs, "image").entries[0].metadata == both
    assert list_items(str(tmp_path), "image", Context()).entries[0].metadata == both
    assert of_pairs("x", tmp_path, pairs, "text").entries[0].metadata == {"year": 2019}
