from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from dckt_core.data.manifest import ManifestError
from tests.support import box
from tests.support.folders import write_nus_wide

ALLOW = "; --image-root FOLDER allows what lies in a folder of yours"

SPEC = box.spec("dataset", "nus-wide-10k")
load = partial(box.load_pairs, "nus-wide-10k")
IMAGES, TAGS, SKY = "ImageList/Imagelist.txt", "NUS_WID_Tags/All_Tags.txt", "Groundtruth/AllLabels/Labels_sky.txt"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_nus_wide(tmp_path / "set")


def change(file: Path, number: int, line: str) -> None:
    lines = file.read_text().splitlines()
    lines[number - 1] = line
    file.write_text("".join(f"{line}\n" for line in lines))


def test_reads_images_with_their_tags(folder: Path) -> None:
    assert SPEC.detect(folder)
    pair_set = load(folder)
    first = pair_set.pairs[0]
    assert (first.id, first.label) == ("Flickr/photo-red-0/0001_100.jpg", "animal")
    assert first.text == "red photo-red-0"
    found = Counter((pair.label, pair.split) for pair in pair_set.pairs)
    assert found == {(c, s): n for c in ("animal", "sky") for s, n in (("train", 8), ("val", 1), ("test", 1))}


def test_an_image_of_two_classes_or_without_tags_is_left_out(folder: Path) -> None:
    change(folder / SKY, 1, "1")
    change(folder / TAGS, 2, "101      ")
    assert len(load(folder).pairs) == 18


def test_so_many_of_each_class_are_drawn(folder: Path) -> None:
    drawn = [tuple(pair.id for pair in load(folder, per_class=4, split_seed=seed).pairs) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(len(ids) == 8 and list(ids) == sorted(ids, key=lambda i: int(i[-7:-4])) for ids in drawn)
    assert set(drawn[0]) < {pair.id for pair in load(folder, per_class=6).pairs}, "a larger draw holds a smaller one"


def test_images_that_are_gone_are_named_or_passed_over(folder: Path) -> None:
    for photo in range(4):
        (folder / f"Flickr/photo-red-{photo}/0001_{100 + photo}.jpg").unlink()
    error = box.refusal(load, folder)
    assert str(error).startswith(
        f"{folder / IMAGES}: 4 lines (1, 2, 3, ...): such as image 'Flickr/photo-red-0/0001_100.jpg': no such file"
    )
    labels = Counter(pair.label for pair in load(folder, present=True, per_class=6).pairs)
    assert labels == {"animal": 6, "sky": 6}


def test_detects_nothing_else(folder: Path) -> None:
    (folder / TAGS).unlink()
    assert not SPEC.detect(folder)


@pytest.mark.parametrize(
    ("file", "line", "said"),
    [
        (SKY, "-1130179", f"{SKY}:3: not 0 or 1, but '-1130179'"),
        (TAGS, "999 red", f"{IMAGES}:3: {TAGS} is about photo '999' on its line 3, not about '0001_102'"),
        (IMAGES, "..\\..\\0001_102.jpg", f"{IMAGES}:3: image 'Flickr/../../0001_102.jpg' holds '..'{ALLOW}"),
        (IMAGES, "gone\\0001_102.jpg", f"{IMAGES}:3: image 'Flickr/gone/0001_102.jpg': no such file"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_kept(folder: Path, file: str, line: str, said: str) -> None:
    change(folder / file, 3, line)
    error = box.refusal(load, folder)
    assert str(error) == f"{folder}/{said}"
    assert len(error.good.pairs) >= 19


def test_labels_of_more_images_than_are_listed(folder: Path) -> None:
    with (folder / SKY).open("a") as file:
        file.write("0\n0\n")
    error = box.refusal(load, folder)
    assert str(error) == f"{folder / SKY}:21: {IMAGES} has no image on its line 21"


@pytest.mark.parametrize("file", [IMAGES, TAGS, SKY])
def test_a_missing_file_is_named(folder: Path, file: str) -> None:
    (folder / file).unlink()
    with pytest.raises(ManifestError, match=f"list '{file}': no such file"):
        load(folder)
