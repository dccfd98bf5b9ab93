from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from dckt_core.base.errors import UsageError
from dckt_core.contract.pairs import PairSet
from dckt_core.data.manifest import ManifestError
from dckt_plugins.datasets.wikipedia import section
from tests.support import box
from tests.support.folders import picture, write, write_wikipedia

SPEC = box.spec("dataset", "wikipedia")
load = partial(box.load_pairs, "wikipedia")
TRAIN, TEST = "trainset_txt_img_cat.list", "testset_txt_img_cat.list"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_wikipedia(tmp_path / "set")


def splits(pair_set: PairSet) -> dict[str, int]:
    return dict(Counter(pair.split for pair in pair_set.pairs))


def test_reads_what_was_published(folder: Path) -> None:
    assert SPEC.detect(folder)
    pair_set = load(folder)
    first = pair_set.pairs[0]
    assert (first.id, first.label, first.split) == ("images/red/train-red-0.jpg", "red", "train")
    assert first.text == "It is red & train-red-0."
    assert pair_set.classes == ("blue", "red")
    assert splits(pair_set) == {"train": 8, "test": 4, "val": 2}


def test_validation_is_drawn_from_either_list(folder: Path) -> None:
    assert splits(load(folder, val_of="train", val_fraction=0.25)) == {"train": 6, "val": 2, "test": 6}
    assert splits(load(folder, val_fraction=0)) == {"train": 8, "test": 6}
    drawn = {tuple(pair.id for pair in load(folder, split_seed=seed).split("val")) for seed in range(9)}
    assert len(drawn) > 1
    with pytest.raises(UsageError, match="val_fraction"):
        load(folder, val_fraction=0.6)


def test_detects_nothing_else(folder: Path) -> None:
    (folder / TEST).unlink()
    assert not SPEC.detect(folder)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("text-train-red-0 train-red-0 1", "not text, image and category, with tabs between them, but "),
        ("a\tb", "not text, image and category, with tabs between them, but 'a\\tb'"),
        ("a\tb\t0", "category '0' is no number from 1 to 2, lines of categories.list"),
        ("a\tb\t3", "category '3' is no number from 1 to 2"),
        ("a\tb\t²", "category '²' is no number from 1 to 2"),
        ("gone\ttrain-red-0\t1", "text 'texts/gone.xml': no such file"),
        ("../../secret\ttrain-red-0\t1", "text 'texts/../../secret.xml' holds '..'"),
        ("link\ttrain-red-0\t1", "text 'texts/link.xml' leaves the folder through a symbolic link"),
        ("latin\ttrain-red-0\t1", "text 'texts/latin.xml': not UTF-8: byte 7 is 0xe9"),
        ("empty\ttrain-red-0\t1", "text 'texts/empty.xml' has 0 <text> elements, not one"),
        ("twice\ttrain-red-0\t1", "text 'texts/twice.xml' has 2 <text> elements, not one"),
        ("bomb\ttrain-red-0\t1", "text 'texts/bomb.xml' declares a document type or entities, which are not read"),
        ("text-train-red-0\tgone\t1", "image 'images/red/gone.jpg': no such file"),
        ("text-train-red-0\ttrain-red-0\t2", "image 'images/blue/train-red-0.jpg': no such file"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_kept(folder: Path, line: str, said: str) -> None:
    write(folder.parent / "secret.xml", "<text>secret</text>")
    (folder / "texts/link.xml").symlink_to(folder.parent / "secret.xml")
    (folder / "texts/latin.xml").write_bytes(b"<text>\xe9</text>")
    write(folder / "texts/empty.xml", "<document/>")
    write(folder / "texts/twice.xml", "<text>a</text><text>b</text>")
    write(folder / "texts/bomb.xml", '<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/hostname">]><text>&a;</text>')
    with (folder / TRAIN).open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
    error = box.refusal(load, folder)
    assert str(error).startswith(f"{folder / TRAIN}:9: {said}")
    assert len(error.problems) == 1
    assert len(error.good.pairs) == 14


def test_a_missing_list_is_named(folder: Path) -> None:
    (folder / "categories.list").unlink()
    with pytest.raises(ManifestError, match=r"set/categories\.list: .* no such file \(and 14 more"):
        load(folder)


def test_the_same_image_twice_has_two_ids(folder: Path) -> None:
    picture(folder / "images/red/a.jpg", "red")
    with (folder / TRAIN).open("a", encoding="utf-8") as file:
        file.write("text-train-red-0\ta\t1\ntext-train-red-1\ta\t1\n")
    assert [pair.id for pair in load(folder).pairs if pair.id.startswith("images/red/a")] == [
        "images/red/a.jpg",
        "images/red/a.jpg#2",
    ]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("<text>a &amp; b &#233; &lt;i&gt;</text>", "a & b é <i>"),
        ("<TEXT lang='en'>\n  R&D at 3 < 4\n</TEXT>", "R&D at 3 < 4"),
        ("<text>one<br/>two<!-- no --> <b>three</b></text>", "one two three"),
        ("<text></text>", ""),
        ("<textile/><text>a</text>", "a"),
        ("<text>&undefined; &#0;</text>", "&undefined; \ufffd"),
    ],
)
def test_the_text_of_an_article(content: str, text: str) -> None:
    assert section(content, "a.xml") == text
