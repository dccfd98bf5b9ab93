from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dckt_core.base.errors import DataError
from dckt_core.contract.pairs import SPLITS
from dckt_core.data import sights
from dckt_core.data.manifest import load_manifest
from dckt_core.data.screening import Screened, images_digest, pairs_digest, refuse_bad_images, screen


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten pairs, six of them to train on."""
    folder = tmp_path / "set"
    folder.mkdir()
    rows = []
    for number in range(10):
        Image.new("RGB", (4, 4), (20 * number, 0, 0)).save(folder / f"{number}.png")
        split = ["train", "train", "train", "val", "test"][number % 5]
        rows.append({"image": f"{number}.png", "text": f"text {number}", "label": f"l{number % 2}", "split": split})
    write(folder, rows)
    return folder


def write(folder: Path, rows: list[dict[str, Any] | str]) -> None:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "pairs.jsonl").write_text("\n".join(lines) + "\n")


def rows_of(folder: Path) -> list[Any]:
    return [json.loads(line) for line in (folder / "pairs.jsonl").read_text().splitlines()]


def screened(folder: Path, on_error: Any = "skip", cap: float = 1.0, splits: Any = SPLITS) -> Screened:
    return screen(
        lambda: load_manifest(folder),
        splits=splits,
        on_error=on_error,
        max_bad_fraction=cap,
        cache_dir=folder.parent / "cache",
    )


def spoil(folder: Path) -> None:
    """Line 2 is no JSON, images 3 and 6 are broken, and line 9 has a label that is none."""
    rows = rows_of(folder)
    rows[1], rows[8] = "{", rows[8] | {"label": ""}
    write(folder, rows)
    (folder / "3.png").write_bytes(b"")
    (folder / "6.png").write_bytes((folder / "6.png").read_bytes()[:50])


def test_good_data_pass_whole(folder: Path) -> None:
    for on_error in ("fail", "skip"):
        found = screened(folder, on_error, cap=0.0)
        assert found.pair_set == load_manifest(folder)
        assert found.dropped == ()


def test_what_is_bad_is_dropped_named_and_replaced_by_nothing(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    spoil(folder)
    found = screened(folder)
    assert [pair.id for pair in found.pair_set.pairs] == [f"{n}.png" for n in (0, 2, 4, 5, 7, 9)]
    assert [pair.text for pair in found.pair_set.pairs] == [f"text {n}" for n in (0, 2, 4, 5, 7, 9)]
    manifest = str(folder / "pairs.jsonl")
    rows = [row.as_json() for row in found.dropped]
    assert [(row["file"], row["line"], row["pair"]) for row in rows] == [
        (manifest, 2, None),
        (manifest, 9, None),
        (str(folder / "3.png"), None, "3.png"),
        (str(folder / "6.png"), None, "6.png"),
    ]
    assert rows[1]["reason"] == "field 'label' is empty"
    assert rows[2]["reason"] == "the file is empty"
    (said,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert said.startswith(f"{folder}: 4 of 10 pairs are bad (40 %) and dropped; first {manifest}:2: not JSON")
    assert screened(folder) == found, "the same once more"


def test_under_fail_the_first_bad_line_ends_it(folder: Path) -> None:
    spoil(folder)
    with pytest.raises(DataError, match=r"pairs\.jsonl:2: not JSON.*\(and 1 more"):
        screened(folder, "fail")


@pytest.mark.parametrize(("cap", "good"), [(0.0, False), (0.39, False), (0.4, True), (1.0, True)])
def test_the_cap(folder: Path, cap: float, good: bool) -> None:
    spoil(folder)
    if good:
        assert len(screened(folder, cap=cap).dropped) == 4
        return
    with pytest.raises(DataError) as caught:
        screened(folder, cap=cap)
    said = str(caught.value)
    assert said.startswith(
        f"{folder}: 4 of 10 pairs are bad (40 %), more than max_bad_fraction = {cap:g} allows; first "
    )
    assert "\n" not in said


def test_a_manifest_that_is_not_there_cannot_be_skipped(folder: Path) -> None:
    (folder / "pairs.jsonl").unlink()
    with pytest.raises(DataError, match="cannot be read"):
        screened(folder)


def test_splits_that_are_not_used_are_not_looked_at(folder: Path) -> None:
    (folder / "3.png").write_bytes(b"")  # of val
    found = screened(folder, splits=("train",))
    assert len(found.pair_set.pairs) == 10
    assert found.dropped == ()


def test_pairs_that_share_a_bad_image_are_all_dropped(folder: Path) -> None:
    rows = rows_of(folder)
    write(folder, [*rows, rows[0] | {"text": "another"}])
    (folder / "0.png").write_bytes(b"nothing")
    found = screened(folder)
    assert [row.pair for row in found.dropped] == ["0.png", "0.png#11"]
    assert len(found.pair_set.pairs) == 9


def counting(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many images were opened since."""
    opened = 0
    real = sights.look_at

    def look_at(paths: Any, progress: Any) -> Any:
        nonlocal opened
        opened += len(paths)
        return real(paths, progress)

    monkeypatch.setattr(sights, "look_at", look_at)
    return lambda: opened


def test_the_verdict_is_kept_under_the_content(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(folder)
    opened = counting(monkeypatch)
    first = screened(folder)
    assert opened() == 8
    assert screened(folder) == first
    assert opened() == 8, "read from the cache"
    Image.new("RGB", (4, 4)).save(folder / "3.png")
    assert len(screened(folder).dropped) == 3
    assert opened() == 16, "another content is looked at anew"
    monkeypatch.setenv("DCKT_MAX_PIXELS", "15")
    assert len(screened(folder).dropped) == 10
    assert opened() == 24


BROKEN_ROWS = (b"7", b"[1]", b'[[99, "x"]]', b"[[0, 7]]", b'[[true, "x"]]', b'[[[], "x"]]', b'[[0, "x", 1]]')


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"[]", b"[" * 100_000, *(b'{"bad": %b}' % rows for rows in BROKEN_ROWS)],
)
def test_a_broken_verdict_is_made_anew(folder: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    spoil(folder)
    first = screened(folder)
    (file,) = (folder.parent / "cache/images").iterdir()
    whole = file.read_bytes()
    file.write_bytes(content)
    opened = counting(monkeypatch)
    assert screened(folder) == first
    assert opened() == 8
    assert file.read_bytes() == whole


def test_a_cache_that_cannot_be_written_stops_nobody(folder: Path) -> None:
    spoil(folder)
    (folder.parent / "cache").write_text("a file where the folder should be")
    assert len(screened(folder).dropped) == 4


def test_bad_images_are_refused_before_a_long_training(folder: Path) -> None:
    cache = {"cache_dir": folder.parent / "cache"}
    refuse_bad_images(load_manifest(folder), ("train",), **cache)
    for number in (0, 6):
        (folder / f"{number}.png").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        refuse_bad_images(load_manifest(folder), ("train",), **cache)
    assert str(caught.value) == f"{folder / '0.png'}: the file is empty (and 1 more: dckt datasets check {folder})"
    refuse_bad_images(load_manifest(folder), ("val",), **cache)


def test_the_digest_tells_pairs_apart(folder: Path) -> None:
    digests = {pairs_digest(load_manifest(folder))}
    rows = rows_of(folder)
    for change in ({"text": "x"}, {"label": "l9"}, {"split": "val"}, {"id": "x"}):
        write(folder, [rows[0] | change, *rows[1:]])
        digests.add(pairs_digest(load_manifest(folder)))
    write(folder, rows[::-1])
    digests.add(pairs_digest(load_manifest(folder)))
    assert len(digests) == 6


def test_items_alone_are_screened_as_pairs_are_and_names_stay(folder: Path) -> None:
    rows = rows_of(folder)
    del rows[1]["text"], rows[2]["image"], rows[5]["text"], rows[6]["label"]
    write(folder, rows)
    (folder / "classes.toml").write_text('l0 = "even"\nl1 = "odd"\n')
    (folder / "5.png").write_bytes(b"")
    found = screened(folder)
    assert [row.pair for row in found.dropped] == ["5.png"]
    assert [pair.id for pair in found.pair_set.lone("image")] == ["1.png"]
    assert [pair.id for pair in found.pair_set.lone("text")] == ["#3"]
    assert found.pair_set.names == {"l0": ("even",), "l1": ("odd",)}


def test_the_digest_knows_labels_partners_and_names(folder: Path) -> None:
    whole = load_manifest(folder)
    first, *others = whole.pairs
    changed = [replace(first, label=None), replace(first, text=None), replace(first, text="")]
    digests = {pairs_digest(replace(whole, pairs=[pair, *others])) for pair in changed}
    named = [replace(whole, names={"l0": names}) for names in ((), ("even",), ("even", "not odd"))]
    digests |= {pairs_digest(pair_set) for pair_set in named} | {pairs_digest(whole)}
    assert len(digests) == 7
    assert images_digest(whole.pairs) != images_digest([replace(first, image=None), *others])
