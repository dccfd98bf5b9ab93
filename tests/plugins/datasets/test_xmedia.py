from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from dckt_core.data.manifest import ManifestError
from tests.support import box
from tests.support.folders import picture, write, write_xmedia

ALLOW = "; --image-root FOLDER allows what lies in a folder of yours"

SPEC = box.spec("dataset", "xmedia")
load = partial(box.load_pairs, "xmedia")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_xmedia(tmp_path / "set")


def append(file: Path, line: str) -> None:
    with file.open("a", encoding="utf-8", errors="surrogateescape") as stream:
        stream.write(f"{line}\n")


def test_pairs_the_lists_line_by_line(folder: Path) -> None:
    assert SPEC.detect(folder)
    pair_set = load(folder)
    first = pair_set.pairs[0]
    assert (first.id, first.label, first.split) == ("image/red/train-red-0 photo.jpg", "0", "train")
    assert first.text == "Of red things.\nA whole article about train-red-0."
    assert Counter(pair.split for pair in pair_set.pairs) == {"train": 4, "val": 2, "test": 2}


def test_validation_is_drawn_from_either_list(folder: Path) -> None:
    for options in ({"val_of": "train"}, {"val_of": "train", "split_seed": 1}):
        pair_set = load(folder, **options)
        assert Counter((pair.label, pair.split) for pair in pair_set.pairs if pair.split != "test") == {
            (label, split): 1 for label in "01" for split in ("train", "val")
        }


def test_paths_may_start_elsewhere(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg", "red")
    write(tmp_path / "t/a.txt", "a")
    for split in ("train", "test"):
        write(tmp_path / f"list/{split}_img.txt", "a.jpg 7\n")
        write(tmp_path / f"list/{split}_txt.txt", "a.txt 7\n")
    assert [(pair.id, pair.text) for pair in load(tmp_path, images=".", texts="t").pairs] == [
        ("a.jpg", "a"),
        ("a.jpg#2", "a"),
    ]


def test_detects_nothing_else(folder: Path) -> None:
    (folder / "list/test_txt.txt").unlink()
    assert not SPEC.detect(folder)


RED_IMAGE, RED_TEXT = "red/train-red-0 photo.jpg 0", "red/train-red-0.txt 0"


@pytest.mark.parametrize(
    ("image", "text", "said"),
    [
        ("a.jpg", RED_TEXT, "img.txt:5: not a path and a label with a blank between them, but 'a.jpg'"),
        (RED_IMAGE, "a.txt", "img.txt:5: not a path and a label with a blank between them, but 'a.txt'"),
        (
            RED_IMAGE,
            "red/train-red-0.txt 1",
            "img.txt:5: its label is '0', and that of the text of its line is '1'",
        ),
        ("gone.jpg 0", RED_TEXT, "img.txt:5: image 'image/gone.jpg': no such file"),
        ("../../a.jpg 0", RED_TEXT, "img.txt:5: image 'image/../../a.jpg' holds '..'" + ALLOW),
        (RED_IMAGE, "gone.txt 0", "img.txt:5: text 'text/gone.txt': no such file"),
        (RED_IMAGE, "../../a.txt 0", "img.txt:5: text 'text/../../a.txt' holds '..'"),
        (RED_IMAGE, "link.txt 0", "img.txt:5: text 'text/link.txt' leaves the folder through a symbolic link"),
        (RED_IMAGE, "", "img.txt:5: list/train_txt.txt has no text for it on the same line"),
        ("", RED_TEXT, "txt.txt:5: list/train_img.txt has no image for it on its line 5"),
        ("\udcff 0", "", "img.txt:5: not UTF-8: byte 1 of the line is 0xff"),
    ],
)
def test_a_bad_line_is_named_and_the_others_stay_together(folder: Path, image: str, text: str, said: str) -> None:
    write(folder.parent / "secret.txt", "secret")
    (folder / "text/link.txt").symlink_to(folder.parent / "secret.txt")
    for kind, line, last in (("img", image, RED_IMAGE), ("txt", text, RED_TEXT)):
        append(folder / f"list/train_{kind}.txt", line)
        append(folder / f"list/train_{kind}.txt", last)
    error = box.refusal(load, folder)
    assert str(error) == f"{folder}/list/train_{said}"
    assert len(error.good.pairs) == 9
    assert error.good.pairs[4].text.endswith("about train-red-0.")


def test_a_missing_list_is_named(folder: Path) -> None:
    (folder / "list/train_img.txt").unlink()
    with pytest.raises(ManifestError, match=r"set/list/train_img\.txt: list 'list/train_img\.txt': no such file"):
        load(folder)
