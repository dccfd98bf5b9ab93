"""`dckt import`: every layout to a data set, splits, stops, and all that may be wrong."""

from __future__ import annotations

import io
import json
import math
import shutil
import tarfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dckt_cli.main import main
from dckt_core.base.errors import DataError, DcktError, UsageError
from dckt_core.contract.pairs import SPLITS
from dckt_core.contract.protocols import DatasetContext
from dckt_core.data import importing
from dckt_core.data.importing import Imported, Plan, import_data
from dckt_core.data.manifest import load_manifest
from dckt_core.data.screening import screen
from dckt_core.data.staging import FILE as STAGING
from tests.support import box, layouts
from tests.support.needs import part

Capture = pytest.CaptureFixture[str]
DRAWN = Plan(shares=(0.8, 0.1, 0.1))
EXAMPLES = list(layouts.examples())


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a data set but the lock."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and file.name != ".lock"]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def brought(location: Path, out: Path, plan: Plan | None = None) -> Imported:
    return import_data(location, out, plan or Plan())


@pytest.mark.parametrize("layout", layouts.WRITERS)
def test_every_layout_becomes_a_data_set(layout: str, tmp_path: Path) -> None:
    if layout == "hf-dataset":
        part("datasets")
    location = layouts.WRITERS[layout](tmp_path / "given") if layout != "webdataset" else _tars(tmp_path / "given")
    text = {"text": "a photo of a {}"} if layout == "class-folders" else {}
    imported = brought(location, tmp_path / "out", replace(DRAWN, options=text))
    assert imported.layout == layout
    pairs = load_manifest(tmp_path / "out").pairs
    assert len(pairs) == sum(imported.counts.values()) >= 10
    pictures = {pair.image_item.path.read_bytes() for pair in pairs}
    assert pictures == {one.bytes() for one in EXAMPLES if layout != "coco-captions" or one.split != "test"}
    sides = defaultdict(set)
    for pair in pairs:
        sides[pair.image].add(pair.split)
        assert str(pair.image).startswith(str(tmp_path / "out" / "images"))
    assert all(len(splits) == 1 for splits in sides.values()), "all texts of a picture are in one split"
    before = contents(tmp_path / "out")
    assert brought(location, tmp_path / "out", replace(DRAWN, options=text)) == imported
    assert contents(tmp_path / "out") == before, "the same once more changes nothing"


def _tars(folder: Path) -> Path:
    folder.mkdir()
    return layouts.write_webdataset(folder)


def test_the_splits_that_data_state_are_kept_in_their_spelling_and_told(tmp_path: Path, capsys: Capture) -> None:
    rows = [["image", "text", "label", "split"]]
    words = {"train": "Training", "val": "dev", "test": "hold-out"}
    for one in EXAMPLES:
        one.save(tmp_path / "in" / one.name)
        rows.append([one.name, one.text, str(one.number % 2), words[one.split]])
    (tmp_path / "in" / "mine.tsv").write_text("\n".join("\t".join(row) for row in rows))
    arguments = ["import", str(tmp_path / "in" / "mine.tsv"), "-o", str(tmp_path / "out")]
    assert main(arguments) == 3
    said = capsys.readouterr().err
    assert "mine.tsv: 2 lines (12, 13): unknown split 'hold-out' (known: train, val, test; --split-name" in said
    assert main([*arguments, "--split-name", "hold-out=test"]) == 0
    captured = capsys.readouterr()
    assert "split 'dev' is read as 'val' (4 records)" in captured.err
    assert "12 pairs and items (6 train, 4 val, 2 test), from the layout table" in captured.out
    pairs = load_manifest(tmp_path / "out").pairs
    assert [(pair.split, pair.label) for pair in pairs] == [(one.split, str(one.number % 2)) for one in EXAMPLES]


def test_a_missing_split_is_one_line_that_says_what_to_do(tmp_path: Path, capsys: Capture) -> None:
    location = layouts.write_flickr_token(tmp_path / "in")
    assert main(["import", str(location), "-o", str(tmp_path / "out"), "--quiet"]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(
        "results_20130124.token: 24 lines (1, 2, 3, ...): field 'split' is missing; dckt import draws one: "
        "--split 80/10/10"
    )
    assert not (tmp_path / "out" / "images").exists(), "nothing is done before all lines were read"
    assert main(["import", str(location), "-o", str(tmp_path / "out"), "--split", "80/10/10", "--quiet"]) == 0


def test_equal_and_nearly_equal_pictures_and_equal_texts_come_into_one_split(tmp_path: Path) -> None:
    lines = []
    for number in range(40):
        one = layouts.Example("train", "red", f"{number:02}.png", number % 20)
        one.save(tmp_path / "in" / one.name)
        if number >= 30:  # another size and compression
            picture = one.picture().resize((48, 48))
            picture.save(tmp_path / "in" / f"{number:02}.jpg", quality=88)
            (tmp_path / "in" / one.name).unlink()
        name = one.name if number < 30 else f"{number:02}.jpg"
        lines.append({"image": name, "caption": f"text {number}" if number > 4 else "the same  text"})
    (tmp_path / "in" / "mine.jsonl").write_text("\n".join(map(json.dumps, lines)))
    plan = Plan(layout="table", shares=(0.5, 0.25, 0.25), seed=3)
    imported = brought(tmp_path / "in" / "mine.jsonl", tmp_path / "out", plan)
    pairs = load_manifest(tmp_path / "out").pairs
    assert imported.kept_together["equal"] == 10
    assert imported.kept_together["near"] >= 8
    assert len({pair.split for pair in pairs[:5]}) == 1
    assert all(one.split == other.split for one, other in zip(pairs[:10], pairs[20:30], strict=True))
    assert len({pair.split for pair in pairs}) == 3
    free = brought(tmp_path / "in" / "mine.jsonl", tmp_path / "free", replace(plan, together=()))
    assert free.kept_together == {}
    apart = load_manifest(tmp_path / "free").pairs
    assert any(one.split != other.split for one, other in zip(apart[:10], apart[20:30], strict=True))


def test_texts_of_a_picture_may_be_joined(tmp_path: Path) -> None:
    location = layouts.write_flickr_token(tmp_path / "in")
    brought(location, tmp_path / "out", replace(DRAWN, captions="joined"))
    pairs = load_manifest(tmp_path / "out").pairs
    assert [(pair.text, list(pair.captions)) for pair in pairs] == [
        (" ".join(one.captions), one.captions) for one in EXAMPLES
    ]


@pytest.mark.parametrize("images", ["link", "copy", "keep"])
def test_pictures_are_linked_copied_or_kept(images: Any, tmp_path: Path, capsys: Capture) -> None:
    location = layouts.write_table(tmp_path / "in")
    out = tmp_path / "out"
    imported = brought(location, out, Plan(images=images))
    first = json.loads((out / "pairs.jsonl").read_text().splitlines()[0])["image"]
    given = tmp_path / "in" / "images" / EXAMPLES[0].name
    if images == "keep":
        assert first == str(given)
        assert imported.outside == 12
        assert main(["datasets", "check", str(out), "--quiet"]) == 3
        assert "--image-root FOLDER" in capsys.readouterr().out
        assert main(["datasets", "check", str(out), "--quiet", "--image-root", str(tmp_path / "in")]) == 0
    else:
        assert (out / first).samefile(given) == (images == "link")
        assert (out / first).read_bytes() == given.read_bytes()
        assert not (out / first).is_symlink()


def test_pictures_that_cannot_be_linked_are_copied_and_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*args: Any) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    caplog.set_level("INFO", logger="dckt")
    location = layouts.write_table(tmp_path / "in")
    brought(location, tmp_path / "out")
    assert "12 pictures are copied, since they cannot be linked from there" in caplog.text
    assert len(load_manifest(tmp_path / "out").pairs) == 12


def test_data_may_be_made_a_data_set_where_they_lie(tmp_path: Path) -> None:
    location = layouts.write_text_files(tmp_path / "in")
    with pytest.raises(UsageError, match="lies in the data that are read"):
        brought(location, location / "out")
    imported = brought(location, location, Plan(images="keep"))
    assert imported.outside == 0
    assert len(load_manifest(location).pairs) == 24


class Stopped(BaseException):
    """Stands for a kill."""


@pytest.mark.parametrize("layout", ["table", "webdataset", "flickr-token"])
@pytest.mark.parametrize("after", [0, 1, 3])
def test_an_import_that_was_stopped_goes_on_to_the_same_bytes(
    layout: str, after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    location = _tars(tmp_path / "in") if layout == "webdataset" else layouts.WRITERS[layout](tmp_path / "in")
    monkeypatch.setattr(importing, "BATCH", 3)
    whole = brought(location, tmp_path / "whole", DRAWN)
    put, calls = importing.put, iter(range(1000))

    def stops(*args: Any) -> Any:
        if next(calls) == 3 * after + 1:
            raise Stopped
        return put(*args)

    with monkeypatch.context() as patch:
        patch.setattr(importing, "put", stops)
        with pytest.raises(Stopped):
            brought(location, tmp_path / "out", DRAWN)
    assert (tmp_path / "out" / STAGING).exists()
    assert not (tmp_path / "out" / "pairs.jsonl").exists()
    caplog.set_level("INFO", logger="dckt")
    assert brought(location, tmp_path / "out", DRAWN) == replace(whole, path=tmp_path / "out")
    assert ("going on behind" in caplog.text) == (after > 0)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_other_data_begin_anew_and_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    location = layouts.write_table(tmp_path / "in")
    monkeypatch.setattr(importing, "BATCH", 3)
    with monkeypatch.context() as patch:
        patch.setattr(importing._Task, "write", _raise)
        with pytest.raises(Stopped):
            brought(location, tmp_path / "out")
    lines = location.read_text().splitlines()
    location.write_text("\n".join(lines[:-1]) + "\n")
    caplog.set_level("INFO", logger="dckt")
    assert sum(brought(location, tmp_path / "out").counts.values()) == 11
    assert "the data or the plan have changed since it was stopped" in caplog.text


def _raise(*args: Any) -> None:
    raise Stopped


def test_bad_pictures_end_it_or_are_left_out_and_told(tmp_path: Path, capsys: Capture) -> None:
    location = layouts.write_table(tmp_path / "in")
    for one in EXAMPLES[:2]:
        (location.parent / "images" / one.name).write_bytes(b"no picture")
    out = tmp_path / "out"
    assert main(["import", str(location), "-o", str(out), "--quiet"]) == 3
    assert "mine.csv: 2 lines (2, 3): such as image" in capsys.readouterr().err
    how = ["--on-error", "skip", "--max-bad-fraction"]
    assert main(["import", str(location), "-o", str(out), "--quiet", *how, "0.1"]) == 3
    assert "2 of 12 records are bad, more than --max-bad-fraction 0.1 allows" in capsys.readouterr().err
    assert main(["import", str(location), "-o", str(out), "--quiet", *how, "0.2"]) == 0
    assert "left out: 2; see" in capsys.readouterr().out
    assert len((out / "dropped.jsonl").read_text().splitlines()) == 2
    assert len(load_manifest(out).pairs) == 10


def test_a_picture_that_was_mended_is_looked_at_again(tmp_path: Path) -> None:
    location = layouts.write_table(tmp_path / "in")
    spoilt = location.parent / "images" / EXAMPLES[3].name
    spoilt.write_bytes(b"no picture")
    with pytest.raises(DataError, match="no picture of a known format"):
        brought(location, tmp_path / "out")
    spoilt.write_bytes(EXAMPLES[3].bytes())
    assert sum(brought(location, tmp_path / "out").counts.values()) == 12


def test_names_that_collide_or_lead_out_get_names_of_their_own(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    names = [str(outside / "a" / "x.png"), str(outside / "b" / "x.png"), "../outside/a/x.png", "images/y.png"]
    for number, name in enumerate(names):
        one = replace(EXAMPLES[number], name=name)
        one.save(tmp_path / "in" / name)
    lines = [json.dumps({"image": name, "text": str(number), "split": "train"}) for number, name in enumerate(names)]
    (tmp_path / "in").mkdir(exist_ok=True)
    (tmp_path / "in" / "mine.jsonl").write_text("\n".join(lines))
    from dckt_core.data.context import Context

    context = Context(image_roots=(outside,))
    import_data(tmp_path / "in" / "mine.jsonl", tmp_path / "out", context=context)
    paths = [pair.image_item.path for pair in load_manifest(tmp_path / "out").pairs]
    assert len(set(paths)) == 4
    assert all((tmp_path / "out" / "images").resolve() in path.resolve().parents for path in paths)


def _edit(file: str, change: Callable[[str], str]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / file
        path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")

    return edit


def _put(file: str, content: bytes) -> Callable[[Path], None]:
    def put(folder: Path) -> None:
        (folder / file).write_bytes(content)

    return put


def _rename(file: str, to: str) -> Callable[[Path], None]:
    return lambda folder: shutil.move(folder / file, folder / to) and None  # type: ignore[return-value]


def _each(pattern: str, change: Callable[[Path], object]) -> Callable[[Path], None]:
    def each(folder: Path) -> None:
        for file in sorted(folder.glob(pattern)):
            change(file)

    return each


def _cut(file: str, share: float) -> Callable[[Path], None]:
    def cut(folder: Path) -> None:
        content = (folder / file).read_bytes()
        (folder / file).write_bytes(content[: int(len(content) * share)])

    return cut


RED = EXAMPLES[0].name
WRONG: list[tuple[str, str, Callable[[Path], None], dict[str, Any], str]] = [
    (
        "table",
        "a column that is not there",
        _edit("mine.csv", str),
        {"options": {"label_column": "clas"}},
        "column 'clas' is missing: did you mean 'class'",
    ),
    (
        "table",
        "an option that is not there",
        _edit("mine.csv", str),
        {"options": {"labels": "x"}},
        "unknown option 'labels' of layout 'table'",
    ),
    (
        "table",
        "a separator of two characters",
        _edit("mine.csv", str),
        {"options": {"separator": "::"}},
        "separator must be a single character",
    ),
    (
        "table",
        "no columns that mean anything",
        _edit("mine.csv", lambda t: t.replace("image,caption", "a,b")),
        {},
        "which columns hold pictures and texts? --image-column NAME",
    ),
    (
        "table",
        "a column twice",
        _edit("mine.csv", lambda t: t.replace("caption", "image", 1)),
        {},
        "column 'image' is there twice",
    ),
    ("table", "too few cells", _edit("mine.csv", lambda t: t + "x.png,t\n"), {}, ":14: 2 cells, and the header has 5"),
    (
        "table",
        "a quote that is never closed",
        _edit("mine.csv", lambda t: t + '"x.png,t\n'),
        {},
        "so that nothing is read from here on",
    ),
    ("table", "no rows", _edit("mine.csv", lambda t: t.splitlines()[0]), {}, "holds no pairs"),
    ("table", "nothing at all", _put("mine.csv", b""), {}, "no names of columns in its first line"),
    (
        "table",
        "another encoding",
        _put("mine.csv", "image,text,split\na.png,caf\xe9,train\n".encode("latin-1")),
        {},
        ":2: not UTF-8",
    ),
    ("table", "zeros", _put("mine.csv", b"\0" * 3000), {}, "columns hold pictures and texts?"),
    (
        "table",
        "an unknown split",
        _edit("mine.csv", lambda t: t.replace(",train,", ",holdout,")),
        {},
        "6 lines (2, 3, 4, ...): unknown split 'holdout'",
    ),
    (
        "table",
        "pictures that are gone",
        lambda folder: shutil.rmtree(folder / "images"),
        {},
        "12 lines (2, 3, 4, ...): such as image",
    ),
    (
        "table",
        "a picture that is a link to elsewhere",
        lambda folder: (folder / "images" / RED).unlink() or (folder / "images" / RED).symlink_to("/etc/hosts"),
        {},
        "leaves the folder through a symbolic link; --image-root",
    ),
    (
        "table",
        "an absolute path",
        _edit("mine.csv", lambda t: t.replace(RED, "/etc/hosts")),
        {},
        "is not a relative path; --image-root FOLDER allows",
    ),
    (
        "table",
        "an address",
        _edit("mine.csv", lambda t: t.replace(RED, "https://example.org/a.png")),
        {},
        "is an address; pictures are not fetched",
    ),
    (
        "table",
        "an id twice",
        _edit("mine.csv", lambda t: t.replace("year", "id").replace("2002", "2001")),
        {},
        "id '2001' is that of an earlier pair too",
    ),
    (
        "table",
        "pictures elsewhere than said",
        _edit("mine.csv", str),
        {"options": {"images": "photos"}},
        "image 'photos/",
    ),
    ("open-clip-csv", "a folder", _rename("pairs.tsv", "pairs.tsv"), {"at": "gone.tsv"}, "no such file or folder"),
    (
        "kaggle-captions",
        "a line without a comma",
        _edit("captions.txt", lambda t: t + "no comma\n"),
        {},
        ":26: no comma between a picture and its text",
    ),
    (
        "flickr-token",
        "a line without a tab",
        _edit("results_20130124.token", lambda t: t.replace("\t", " ", 1)),
        {},
        ":1: not NAME.jpg#NUMBER, a tab and a caption",
    ),
    (
        "flickr-token",
        "a line without a number",
        _edit("results_20130124.token", lambda t: t.replace("#0", "", 1)),
        {},
        ":1: not NAME.jpg#NUMBER",
    ),
    (
        "flickr-token",
        "a list that is not UTF-8",
        _put("results_20130124.token", b"a.jpg#0\t\xff\xfe\n"),
        {},
        ":1: not UTF-8",
    ),
    ("karpathy", "a file that is cut off", _cut("dataset.json", 0.7), {}, "so that nothing is read from here on"),
    (
        "karpathy",
        "an entry without a name",
        _edit("dataset.json", lambda t: t.replace('"filename"', '"file"', 1)),
        {},
        ":1: no entry of an image: 'filename' is missing",
    ),
    (
        "karpathy",
        "an entry without sentences",
        _edit("dataset.json", lambda t: t.replace('"raw"', '"cooked"', 2)),
        {},
        ":1: it has no sentences with 'raw'",
    ),
    (
        "karpathy",
        "a list at the top",
        _edit("dataset.json", lambda t: f"[{t}]"),
        {"layout": "karpathy"},
        "not JSON: '{' expected",
    ),
    (
        "coco-captions",
        "a caption of no image",
        _edit("annotations/captions_train2017.json", lambda t: t.replace('"image_id": 1,', '"image_id": 99,')),
        {},
        "2 entries (1, 2): no image in the file has its 'image_id'",
    ),
    (
        "coco-captions",
        "an annotation of something else",
        _edit("annotations/captions_val2017.json", lambda t: t.replace('"caption"', '"bbox"', 1)),
        {},
        ":1: no annotation with a 'caption'",
    ),
    (
        "coco-captions",
        "no such folder of pictures",
        _rename("train2017", "elsewhere"),
        {},
        "12 entries (1, 2, 3, ...): such as image",
    ),
    (
        "text-files",
        "a text that is not UTF-8",
        _put(f"train/red/{Path(RED).stem}.txt", b"caf\xe9"),
        {},
        ".txt: not UTF-8: byte 4 is 0xe9",
    ),
    (
        "text-files",
        "notes that are no JSON",
        _put(f"train/red/{Path(RED).stem}.json", b"{"),
        {},
        ".json: not JSON",
    ),
    (
        "text-files",
        "a picture of validation alone",
        _each("val/**/*.txt", Path.unlink),
        {},
        "an item alone is of use for split 'train'",
    ),
    (
        "class-folders",
        "no pictures",
        _each("**/*.png", Path.unlink),
        {"layout": "class-folders"},
        "holds no pairs",
    ),
    (
        "hf-imagefolder",
        "a line that is no JSON",
        _edit("train/metadata.jsonl", lambda t: "{\n" + t),
        {},
        ":1: not JSON",
    ),
    (
        "hf-imagefolder",
        "a line without a name",
        _edit("train/metadata.jsonl", lambda t: t.replace('"file_name"', '"file"', 1)),
        {},
        ":1: column 'file_name' is missing",
    ),
    (
        "hf-imagefolder",
        "a text that is a number",
        _edit(
            "train/metadata.jsonl",
            lambda t: t.replace('"image"', "1").replace('"text": "a red thing, number 1"', '"text": {"a": 1}'),
        ),
        {},
        "field 'text' must be a text, not dict",
    ),
    ("webdataset", "an archive that is cut off", _cut("train-000000.tar", 0.4), {}, "not a whole archive"),
    ("webdataset", "no archive", _put("train-000000.tar", b"no archive at all"), {}, "not a whole archive"),
    (
        "webdataset",
        "archives that are empty",
        _each("*.tar", lambda file: file.write_bytes(b"\0" * 10240)),
        {},
        "holds no pairs",
    ),
    (
        "karpathy",
        "no layout at all",
        _rename("dataset.json", "datasett.json"),
        {},
        "no known layout: did you mean dataset.json (of karpathy) for 'datasett.json'?",
    ),
    (
        "kaggle-captions",
        "half a layout",
        _rename("captions.txt", "capt"),
        {},
        "no known layout: 'Images' would be of kaggle-captions, without captions.txt",
    ),
]
"""A layout, what is wrong with it, how it becomes so, the plan's changes, and what is said."""


@pytest.mark.parametrize(
    ("layout", "spoil", "how", "said"),
    [pytest.param(layout, spoil, how, said, id=f"{layout}: {what}") for layout, what, spoil, how, said in WRONG],
)
def test_what_is_wrong_is_said_in_one_line(
    layout: str, spoil: Callable[[Path], None], how: dict[str, Any], said: str, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    location = layouts.WRITERS[layout](folder)
    spoil(folder)
    how = dict(how)
    if "at" in how:
        location = folder / how.pop("at")
    shares = (
        None if layout in ("table", "text-files", "webdataset", "hf-imagefolder", "coco-captions") else DRAWN.shares
    )
    with pytest.raises(DcktError) as caught:
        brought(location, tmp_path / "out", Plan(shares=shares, **how))
    message = str(caught.value)
    assert said in message
    assert "\n" not in message
    assert len(message) < 700
    assert not (tmp_path / "out" / "pairs.jsonl").exists()


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    location = layouts.write_table(tmp_path / "in")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty, and no import that was stopped; choose another folder"):
        brought(location, tmp_path / "out")
    brought(location, tmp_path / "other")
    with pytest.raises(UsageError, match="holds an import of other data or by another plan"):
        brought(location, tmp_path / "other", DRAWN)


@pytest.mark.parametrize(
    "flags",
    [
        ["--split", "80/10"],
        ["--split", "0/50/50"],
        ["--split", "nan/1/1"],
        ["--split", "-1/1/1"],
        ["--seed", "1"],
        ["--together", "texts"],
        ["--split", "8/1/1", "--together", "textss"],
        ["--split-name", "a=b"],
        ["--max-bad-fraction", "0.5"],
        ["--images", "move"],
        ["--layout", "nothing"],
    ],
)
def test_flags_that_say_nothing_or_nonsense(flags: list[str], tmp_path: Path, capsys: Capture) -> None:
    location = layouts.write_table(tmp_path / "in")
    assert main(["import", str(location), "-o", str(tmp_path / "out"), *flags]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def _captions(folder: Path, header: str, rows: list[str]) -> Path:
    """A table of rows that begin with a picture's number, beside `images/` with six of them."""
    for number, one in enumerate(EXAMPLES[:6]):
        replace(one, name=f"{number}.png").save(folder / "images" / f"{number}.png")
    (folder / "captions.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder


@pytest.mark.parametrize("layout", ["table", "karpathy", "webdataset"])
def test_the_rest_of_a_file_is_never_left_out_as_one_bad_record(layout: str, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    location = layouts.WRITERS[layout](folder)
    if layout == "table":
        lines = location.read_text().splitlines()
        location.write_text("\n".join([*lines[:8], '"said "so" twice"', *lines[8:]]) + "\n")
    else:
        _cut({"karpathy": "dataset.json"}.get(layout, "train-000000.tar"), 0.8)(folder)
    for how in (Plan(on_error="skip", max_bad_fraction=1), replace(DRAWN, on_error="skip", max_bad_fraction=1)):
        with pytest.raises(DataError, match="skip leaves out records, and not the rest of a file"):
            brought(location, tmp_path / "out", how)
    spec = box.spec("dataset", layout)
    with pytest.raises(DataError, match="skip leaves out lines, and not the rest of a file"):
        screen(
            lambda: spec.load(location, spec.options(), DatasetContext(cache_dir=tmp_path / "cache")),
            splits=SPLITS,
            on_error="skip",
            max_bad_fraction=1,
            cache_dir=tmp_path,
        )


def test_pictures_that_stay_keep_names_that_differ_in_case_alone(tmp_path: Path) -> None:
    folder = _captions(tmp_path / "in", "image,caption", ["a.png,one", "A.png,two", "a.png,three"])
    for number, name in enumerate(("a.png", "A.png")):
        (folder / "images" / f"{number}.png").rename(folder / "images" / name)
    if len(list((folder / "images").iterdir())) < 6:
        pytest.skip("the file system knows no case")
    kept = brought(folder, tmp_path / "out", replace(DRAWN, images="keep"))
    assert kept.outside == 2, "pictures, not pairs"
    images = [json.loads(line)["image"] for line in (tmp_path / "out" / "pairs.jsonl").read_text().splitlines()]
    assert [Path(image).name for image in images] == ["a.png", "A.png", "a.png"]
    assert all(Path(image).is_file() for image in images)
    brought(folder, tmp_path / "linked", DRAWN)
    pairs = load_manifest(tmp_path / "linked").pairs
    assert [pair.image_item.path.name for pair in pairs] == ["a.png", "A-2.png", "a.png"]


def test_data_that_have_changed_since_are_not_said_to_be_complete(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = _captions(tmp_path / "in", "image,caption", [f"{number}.png,text {number}" for number in range(6)])
    brought(folder, tmp_path / "out", DRAWN)
    caplog.set_level("INFO", logger="dckt")
    brought(folder, tmp_path / "out", DRAWN)
    assert "complete already" in caplog.text
    _captions(folder, "image,caption", [f"{number}.png,word {number}" for number in range(6)])
    with pytest.raises(UsageError, match="holds an import of these data, which have changed since"):
        brought(folder, tmp_path / "out", DRAWN)


def test_split_sets_aside_splits_in_whatever_words(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [f"{number}.png,text {number},{number % 5}" for number in range(6)]
    folder = _captions(tmp_path / "in", "image,caption,fold", rows)
    with pytest.raises(DataError, match="unknown split '0'"):
        brought(folder, tmp_path / "out")
    caplog.set_level("INFO", logger="dckt")
    assert sum(brought(folder, tmp_path / "out", DRAWN).counts.values()) == 6
    assert "splits that the data state are set aside, since --split draws others (6 records)" in caplog.text


def test_joined_texts_keep_all_metadata_and_the_splits_that_data_state(tmp_path: Path) -> None:
    rows = ["0.png,a,train,Ann,1", "0.png,b,train,Ben,1", "0.png,c,test,Cy,1", "1.png,d,val,Di,2"]
    folder = _captions(tmp_path / "in", "image,caption,split,by,year", rows)
    brought(folder, tmp_path / "out", Plan(captions="joined"))
    pairs = load_manifest(tmp_path / "out").pairs
    assert [(pair.text, pair.split, dict(pair.metadata)) for pair in pairs] == [
        ("a b", "train", {"by": ["Ann", "Ben"], "year": 1}),
        ("c", "test", {"by": "Cy", "year": 1}),
        ("d", "val", {"by": "Di", "year": 2}),
    ]


def test_tables_as_spreadsheets_and_archives_as_crawlers_write_them(tmp_path: Path) -> None:
    folder = _captions(tmp_path / "in", "image,caption,,", [f"{number}.png,text {number},," for number in range(6)])
    assert sum(brought(folder, tmp_path / "out", DRAWN).counts.values()) == 6
    lines = [json.dumps({"image": f"{number}.png", "text": "", "split": "train"}) for number in range(6)]
    (folder / "mine.jsonl").write_text("\n".join(lines))
    assert brought(folder / "mine.jsonl", tmp_path / "lines").counts == {"train": 6}
    with tarfile.open(tmp_path / "long.tar", "w") as tar:
        for suffix, content in (("png", EXAMPLES[0].bytes()), ("txt", b"a text")):
            member = tarfile.TarInfo(f"{'n' * 300}.{suffix}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    brought(tmp_path / "long.tar", tmp_path / "long", DRAWN)
    (pair,) = load_manifest(tmp_path / "long").pairs
    assert len(pair.image_item.path.name) <= 204
    assert pair.image_item.path.read_bytes() == EXAMPLES[0].bytes()


def test_names_in_another_spelling_are_found_and_that_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Image.new("RGB", (8, 8), "red").save(tmp_path / "Ä.PNG", format="PNG")
    names = ["Ä.png", "A\u0308.PNG", ".\\Ä.PNG"]
    rows = [f"{name}\ttext {number}\ttrain" for number, name in enumerate(names)]
    (tmp_path / "mine.tsv").write_text("image\ttext\tsplit\n" + "\n".join(rows), encoding="utf-8")
    caplog.set_level("INFO", logger="dckt")
    brought(tmp_path / "mine.tsv", tmp_path.parent / f"{tmp_path.name}-out")
    for told in ("names in another case", "names in another form of Unicode", "paths with backslashes"):
        assert told in caplog.text
    pictures = (tmp_path.parent / f"{tmp_path.name}-out" / "images").iterdir()
    assert [file.name for file in pictures] == ["Ä.PNG"]


def test_numbers_that_are_none_are_no_texts(tmp_path: Path) -> None:
    lines = [{"image": "0.png", "text": math.nan, "label": math.nan, "split": "train"}, {"text": 7, "split": "train"}]
    (_captions(tmp_path / "in", "", []) / "mine.jsonl").write_text("\n".join(map(json.dumps, lines)))
    brought(tmp_path / "in" / "mine.jsonl", tmp_path / "out")
    pairs = load_manifest(tmp_path / "out").pairs
    assert [(pair.text, pair.label) for pair in pairs] == [(None, None), ("7", None)]


def test_items_alone_are_for_train_and_that_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="dckt")
    counts = brought(layouts.write_class_folders(tmp_path / "in"), tmp_path / "out", DRAWN).counts
    assert counts == {"train": 12}
    assert "12 of 12 have no text or no picture, and so are for train alone" in caplog.text
    with pytest.raises(UsageError, match="text 'a photo' has no {} for the class"):
        brought(tmp_path / "in", tmp_path / "other", replace(DRAWN, options={"text": "a photo"}))


def test_annotations_are_beside_their_pictures_or_in_a_folder_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _captions(
        tmp_path / "annotations", "image,caption", [f"{number}.png,text {number}" for number in range(6)]
    )
    assert sum(brought(folder / "captions.csv", tmp_path / "out", DRAWN).counts.values()) == 6
    coco = layouts.write_coco(tmp_path / "coco")
    monkeypatch.chdir(coco / "annotations")
    assert brought(Path("captions_train2017.json"), tmp_path / "named").counts["train"] > 0
