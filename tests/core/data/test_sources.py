from pathlib import Path
from typing import Any

import pytest

from dckt_core.base.errors import DataError, PluginError, UsageError
from dckt_core.config import Config
from dckt_core.contract.discovery import Registered, Registry, discover
from dckt_core.contract.pairs import Pair, PairSet
from dckt_core.contract.specs import DatasetSpec
from dckt_core.data.context import Context
from dckt_core.data.sources import find_layout, load_screened, training_texts


def layout(name: str, detect: Any) -> Registered:
    spec: DatasetSpec[Any] = DatasetSpec(
        name=name, summary="", load=lambda *_: pytest.fail("loaded"), detect=detect, api="1.0"
    )
    return Registered(spec, "someone", "1.0", name)


FOLDERS = layout("folders", lambda path: path.is_dir())
XML = layout("xml", lambda path: path.suffix == ".xml")


def test_the_layout_that_recognises_the_path(tmp_path: Path) -> None:
    registry = Registry([FOLDERS, XML])
    file = tmp_path / "x.xml"
    file.touch()
    assert find_layout(tmp_path, registry) is FOLDERS
    assert find_layout(file, registry) is XML
    assert find_layout(file, registry, "folders") is FOLDERS


def test_what_nobody_or_more_than_one_recognises(tmp_path: Path) -> None:
    registry = Registry([FOLDERS, layout("others", lambda path: True)])
    with pytest.raises(DataError, match=r"more than one layout fits \(someone:folders, someone:others\)"):
        find_layout(tmp_path, registry)
    with pytest.raises(DataError, match="no known layout"):
        find_layout(tmp_path, Registry([XML]))
    with pytest.raises(DataError, match="gone: no such file or folder"):
        find_layout(tmp_path / "gone", registry)
    with pytest.raises(UsageError, match="unknown layout 'fodlers': did you mean 'folders'"):
        find_layout(tmp_path, registry, "fodlers")


def test_a_layout_that_breaks_is_named(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"dataset 'broken' of someone 1\.0.*ZeroDivisionError"):
        find_layout(tmp_path, Registry([layout("broken", lambda path: 1 / 0)]))


PAIRS = [
    Pair("a", Path("a.png"), "a dog", "dog", "train"),
    Pair("b", Path("b.png"), "a cat", None, "train"),
    Pair("c", None, "words alone", None, "train"),
    Pair("d", Path("d.png"), None, "cat", "train"),
    Pair("e", Path("e.png"), "not to be learnt from", "dog", "test"),
]


def test_words_are_learnt_from_all_texts_for_training_and_the_names_that_were_given() -> None:
    source = PairSet("s", "s", PAIRS)
    target = PairSet("t", "t", PAIRS[:1], names={"dog": ("a dog", "a hound"), "cow": ()})
    learnt = ["a dog", "a cat", "words alone"]
    assert training_texts([source]) == learnt, "what a class is called by its label is nobody's text"
    assert training_texts([source, target]) == [*learnt, "a dog", "a dog", "a hound"]


def test_less_of_the_target_is_known_and_all_of_the_source(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spec: DatasetSpec[Any] = DatasetSpec(
        name="made",
        summary="",
        load=lambda *_: PairSet("made", "made up", [*PAIRS, Pair("f", None, "x", "Dog", "train")]),
        api="1.0",
    )
    registry = Registry([Registered(spec, "someone", "1.0", "made")])
    made = {"location": "made"}
    config = Config.resolve(flags={"source": made, "target": made, "offer": {"labels": "none"}})
    context = Context(registry, tmp_path)
    source = load_screened(config, "source", context).pair_set
    target = load_screened(config, "target", context).pair_set
    assert [pair.label for pair in source.training] == ["dog", None, None, "cat", "Dog"]
    assert [pair.label for pair in target.pairs] == [None] * 4 + ["dog", None]
    assert (target.classes, {pair.role for pair in target.pairs}) == (("Dog", "cat", "dog"), {"target"})
    doubt = "made up: labels 'Dog' and 'dog' differ by case, blanks or hyphens alone, and are two classes"
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert sum(line.startswith(doubt) for line in said) == 2


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("mine.bin", b"image\ttext\na.png\ta dog\n", r"it is a text that begins 'image\\ttext'; --layout table reads"),
        ("mine.dat", b"", "it is empty"),
        ("a.jpg", b"\xff\xd8\xff\xe0", "it is a picture"),
        ("data.json", b'[{"image": "a.png"}]', r"it is a JSON array; write its objects a line each, as \.jsonl"),
        ("pair.jsonl", b"", None),
        ("mine.xyz", bytes(range(256)), r"no known layout \(known: "),
    ],
)
def test_what_no_layout_knows_is_told_by_its_first_bytes(
    name: str, content: bytes, said: str | None, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    if said is None:
        assert find_layout(tmp_path / name, discover(plugins=False)).name == "jsonl"
        return
    with pytest.raises(DataError, match=said):
        find_layout(tmp_path / name, discover(plugins=False))


def test_a_folder_of_pictures_alone_is_told_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "a.JPG").write_bytes(b"")
    with pytest.raises(DataError, match=r"pictures alone; put captions\.csv with the columns image and caption beside"):
        find_layout(tmp_path, discover(plugins=False))


def test_a_folder_that_nearly_fits_is_told_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "trainset_txt_img_cat.list").write_text("")
    said = "'trainset_txt_img_cat.list' would be of wikipedia, without testset_txt_img_cat.list"
    with pytest.raises(DataError, match=said):
        find_layout(tmp_path, discover(plugins=False))
    (tmp_path / "trainset_txt_img_cat.list").rename(tmp_path / "pair.jsonl")
    with pytest.raises(DataError, match=r"did you mean pairs\.jsonl \(of jsonl\) for 'pair\.jsonl'\?"):
        find_layout(tmp_path, discover(plugins=False))
