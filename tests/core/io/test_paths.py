"""Paths as other systems write them, and pictures outside a data set's folder."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from dckt_cli.main import main
from dckt_core.base.errors import DataError
from dckt_core.data.manifest import inspect_manifest, load_manifest
from dckt_core.io.feature_files import FeatureTable
from dckt_core.io.paths import meant
from dckt_core.io.text import check_inside, decode_line
from dckt_core.retrieval.listing import of_table

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with pictures, and one that is linked to in it, outside."""
    folder, outside = tmp_path / "set", tmp_path / "outside"
    for place, name in ((folder, "a.png"), (folder / "sub", "Über.PNG"), (outside, "b.png")):
        place.mkdir(exist_ok=True)
        Image.new("RGB", (4, 4)).save(place / name)
    (folder / "link.png").symlink_to(outside / "b.png")
    return folder


@pytest.mark.parametrize(
    ("name", "found", "why"),
    [
        ("a.png", "a.png", ""),
        ("sub\\Über.PNG", "sub/Über.PNG", "backslashes"),
        (unicodedata.normalize("NFD", "sub/Über.PNG"), "sub/Über.PNG", "Unicode"),
        ("sub/Über.png", "sub/Über.PNG", "case"),
        ("SUB\\über.png", "sub/Über.PNG", "backslashes"),
        ("b.png", "b.png", ""),
        ("../set/A.png", "../set/A.png", ""),
        ("/A.png", "/A.png", ""),
        ("a.png\0", "a.png\0", ""),
        ("x" * 5000, "x" * 5000, ""),
    ],
)
def test_a_name_means_the_file_that_differs_in_spelling_alone(folder: Path, name: str, found: str, why: str) -> None:
    path, how = meant(folder, name)
    assert path == found
    assert (why in how) and bool(why) == bool(how)


def test_a_name_that_two_files_fit_means_neither(folder: Path) -> None:
    Image.new("RGB", (4, 4)).save(folder / "A.png")
    if len(list(folder.glob("[aA].png"))) == 2:  # not where case makes no difference
        assert meant(folder, "a.PNG") == ("a.PNG", "")


def test_a_missing_file_is_told_with_the_one_that_is_meant(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"^image 'A\.PNG': no such file, but 'a\.png' is there; dckt import reads it"):
        check_inside(str(folder.resolve()), "A.PNG", "image")


@pytest.mark.parametrize("name", ["{outside}/b.png", "../outside/b.png", "link.png"])
def test_pictures_outside_need_a_root_and_the_refusal_names_the_switch(folder: Path, name: str) -> None:
    outside = folder.parent / "outside"
    image = name.format(outside=outside)
    (folder / "pairs.jsonl").write_text(json.dumps({"image": image, "text": "t", "split": "train"}))
    _, [problem] = inspect_manifest(folder)
    assert problem.reason.endswith("; --image-root FOLDER allows what lies in a folder of yours")
    with pytest.raises(DataError):
        load_manifest(folder, roots=[folder / "sub"])
    (pair,) = load_manifest(folder, roots=[folder / "sub", outside]).pairs
    assert pair.image_item.open().size == (4, 4)


def test_a_link_in_an_allowed_root_that_leaves_it_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="is not a relative path"):
        check_inside(str((folder / "sub").resolve()), str(folder / "link.png"), "image", roots=[folder])


def test_the_switch_reaches_the_commands(folder: Path, capsys: Capture) -> None:
    outside = folder.parent / "outside"
    rows = [{"image": str(outside / "b.png"), "text": f"text {n}", "split": "train"} for n in range(3)]
    (folder / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert main(["datasets", "check", str(folder), "--quiet"]) == 3
    said = capsys.readouterr().out
    assert f"{folder}/pairs.jsonl: 3 lines (1, 2, 3): image" in said
    assert "--image-root FOLDER" in said
    assert main(["datasets", "check", str(folder), "--quiet", "--image-root", str(outside)]) == 0
    assert "3 pairs read, 0 labels, 0 problems" in capsys.readouterr().out
    assert main(["datasets", "check", str(folder), "--image-root", str(folder / "nowhere")]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_a_table_of_features_names_pictures_by_the_same_rule(folder: Path) -> None:
    import numpy as np

    outside = folder.parent / "outside"

    def table(image: str) -> FeatureTable:
        return FeatureTable(folder / "f.npz", np.eye(1), {"image": [image]}, root=folder)

    for image in (str(outside / "b.png"), "../outside/b.png", "link.png"):
        with pytest.raises(DataError, match=r"f\.npz: row 0: image .* --image-root"):
            of_table(table(image), "image")
        (entry,) = of_table(table(image), "image", [outside]).entries
        assert entry.as_json()["image"]
    for image in ("a.png", "gone.png", str(folder / "a.png")):
        assert of_table(table(image), "image").entries


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_utf_16_is_called_by_its_name(encoding: str) -> None:
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    with pytest.raises(ValueError, match=r"not UTF-8: byte 1 of the line is 0xf., as UTF-16 begins; save it as UTF-8"):
        decode_line(mark + '{"text": "a"}'.encode(encoding))
