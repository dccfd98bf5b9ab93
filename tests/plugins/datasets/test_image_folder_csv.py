from functools import partial
from pathlib import Path

import pytest

from dckt_core.base.errors import DataError, UsageError
from tests.support import box
from tests.support.folders import picture, write, write_image_folder_csv

ALLOW = "; --image-root FOLDER allows what lies in a folder of yours"

SPEC = box.spec("dataset", "image-folder-csv")
load = partial(box.load_pairs, "image-folder-csv")
HEADER = "image,text,label,split\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_image_folder_csv(tmp_path / "set")


@pytest.mark.parametrize("place", [".", "pairs.csv"])
def test_reads_the_folder_or_its_table(folder: Path, place: str) -> None:
    assert SPEC.detect(folder / place)
    pair_set = load(folder / place)
    assert pair_set.classes == ("blue", "red")
    assert [len(pair_set.split(split)) for split in ("train", "val", "test")] == [4, 2, 2]
    first = pair_set.pairs[0]
    assert first.id == "images/train-red-0.png"
    assert first.image == folder / "images/train-red-0.png"
    assert first.text == 'a red, "bright" one\non two lines'


def test_detects_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "pairs.csv", HEADER)
    write(tmp_path / "other.txt", "")
    for name in (".", "pairs.csv", "other.txt", "gone.csv"):
        assert not SPEC.detect(tmp_path / name), "no folder of images"


def test_names_of_columns_and_separator_are_free(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", "red")
    write(tmp_path / "pairs.csv", "set\tfile\tnote\tclass\tcaption\ntrain\ta.png\t-\tred\tone, two\n")
    columns = {"image_column": "file", "text_column": "caption", "label_column": "class", "split_column": "set"}
    [pair] = load(tmp_path, images=".", separator="tab", **columns).pairs
    assert (pair.id, pair.text, pair.label, pair.split) == ("a.png", "one, two", "red", "train")


def test_a_row_may_lack_its_label_or_its_image(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.png", "red")
    write(tmp_path / "pairs.csv", HEADER + "a.png,t,,train\n,words,,train\n ,more,red,train\n")
    pair_set = load(tmp_path)
    assert [(pair.id, pair.text, pair.label) for pair in pair_set.pairs] == [
        *(("images/a.png", "t", None), ("#1", "words", None), ("#2", "more", "red")),
    ]
    assert [pair.image for pair in pair_set.lone("text")] == [None, None]
    write(tmp_path / "pairs.csv", "image,text,split\na.png,t,train\n")
    assert [pair.label for pair in load(tmp_path, label_column="").pairs] == [None]


def test_names_of_classes_lie_beside_the_table(folder: Path) -> None:
    write(folder / "classes.toml", 'red = ["red", "scarlet"]\nblue = "blue"\n')
    assert load(folder).names == {"red": ("red", "scarlet"), "blue": ("blue",)}
    write(folder / "classes.toml", 'rde = "red"\n')
    error = box.refusal(load, folder)
    assert "classes.toml: class 'rde': no training item is labelled so: did you mean 'red'?" in str(error)
    assert len(error.good.pairs) == 8


def test_a_byte_order_mark_line_ends_of_windows_and_blank_lines_are_fine(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.png", "red")
    content = b"\xef\xbb\xbfimage,text,label,split\r\n\r\na.png,caf\xc3\xa9,red,train\r\na.png,,red,test\r\n"
    (tmp_path / "pairs.csv").write_bytes(content)
    assert [(pair.id, pair.text) for pair in load(tmp_path).pairs] == [("images/a.png", "café"), ("images/a.png#2", "")]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a.png,t,red", "3 cells, and the header has 4"),
        ("a.png,t,red,train,", "5 cells, and the header has 4"),
        ("gone.png,t,red,train", "image 'images/gone.png': no such file"),
        ("../secret.png,t,red,train", "image 'images/../secret.png' holds '..'" + ALLOW),
        ("link.png,t,red,train", "image 'images/link.png' leaves the folder through a symbolic link" + ALLOW),
        (",t,red,val", "field 'image' is missing: an item alone is of use for split 'train' and no other"),
        ("a.png,t, red,train", "field 'label' ' red' has blanks at its ends"),
        ("a.png,t,red,dev", "unknown split 'dev' (known: train, val, test)"),
        ("a.png,\udcff,red,train", "field 'text' is not UTF-8"),
        ('a.png,"t"x,red,train', "',' expected after '\"'"),
        ("a.png," + "x" * 200_000 + ",red,train", "field larger than field limit (131072)"),
        ("a.png," + "x" * (1 << 20) + ",red,train", "longer than 1048576 characters"),
    ],
)
def test_a_bad_row_is_named_and_the_others_are_kept(tmp_path: Path, row: str, said: str) -> None:
    folder = tmp_path / "set"
    picture(tmp_path / "secret.png", "red")
    picture(folder / "images/a.png", "red")
    (folder / "images/link.png").symlink_to(tmp_path / "secret.png")
    content = HEADER + '"a.png","on\ntwo lines",red,train\n' + row + "\n"
    (folder / "pairs.csv").write_bytes(content.encode("utf-8", "surrogateescape"))
    error = box.refusal(load, folder)
    assert str(error) == f"{folder / 'pairs.csv'}:4: {said}"
    assert [pair.text for pair in error.good.pairs] == ["on\ntwo lines"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", ":1: column 'image' is missing (none are known)"),
        ("imgae,text,label,split\n", ":1: column 'image' is missing: did you mean 'imgae'?"),
        ("image,text,label,split,text\n", ":1: column 'text' is there twice"),
        (HEADER, "set: holds no pairs"),
        (HEADER + 'a.png,"never closed', ":2: unexpected end of data"),
    ],
)
def test_a_bad_table_is_named(tmp_path: Path, content: str, said: str) -> None:
    write(tmp_path / "set/pairs.csv", content)
    with pytest.raises(DataError) as caught:
        load(tmp_path / "set")
    assert said in str(caught.value)


def test_what_the_user_can_help(folder: Path, tmp_path: Path) -> None:
    for word in ("", "ab", '"'):
        with pytest.raises(UsageError, match="separator must be a single character or the word tab"):
            load(folder, separator=word)
    with pytest.raises(UsageError, match="'image-folder-csv' needs a path"):
        load(None)
    with pytest.raises(DataError, match="no such folder"):
        load(tmp_path / "gone")
    (folder / "pairs.csv").unlink()
    with pytest.raises(DataError, match=r"pairs\.csv: cannot be read: No such file"):
        load(folder)
