import json
import os
import random
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dckt_core.base.errors import DataError, ExitCode
from dckt_core.contract.pairs import Pair
from dckt_core.data.manifest import ManifestError, inspect_manifest, load_manifest
from dckt_core.io.text import MAX_LINE_BYTES

ALLOW = "; --image-root FOLDER allows what lies in a folder of yours"

GOOD = {"image": "a.png", "text": "a dog", "label": "dog", "split": "train"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(b"not looked into")
    return folder


def write(folder: Path, *lines: bytes | dict[str, Any]) -> Path:
    encoded = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    (folder / "pairs.jsonl").write_bytes(b"\n".join(encoded) + b"\n")
    return folder


def reasons(folder: Path) -> list[tuple[int | None, str]]:
    return [(problem.line, problem.reason) for problem in inspect_manifest(folder)[1]]


def test_reads_every_field(folder: Path) -> None:
    full = {**GOOD, "id": "first", "captions": ["a dog", "ein Hund"]}
    pair_set = load_manifest(write(folder, full))
    assert pair_set.name == "set"
    assert pair_set.origin == str(folder)
    assert pair_set.pairs == [
        Pair("first", folder / "a.png", "a dog", "dog", "train", captions=("a dog", "ein Hund")),
    ]


def test_takes_the_file_itself_too(folder: Path) -> None:
    write(folder, GOOD)
    assert load_manifest(folder / "pairs.jsonl", name="mine").pairs == load_manifest(folder).pairs


def test_order_is_that_of_the_file(folder: Path) -> None:
    labels = [f"class {number}" for number in range(50)]
    random.Random(0).shuffle(labels)
    pairs = load_manifest(write(folder, *({**GOOD, "label": label} for label in labels))).pairs
    assert [pair.label for pair in pairs] == labels


def test_byte_order_mark_crlf_and_blank_lines_are_accepted(folder: Path) -> None:
    line = json.dumps({**GOOD, "text": "犬 🐕"}, ensure_ascii=False).encode()
    (folder / "pairs.jsonl").write_bytes(b"\xef\xbb\xbf" + line + b"\r\n\r\n  \n" + line)
    assert [pair.text for pair in load_manifest(folder).pairs] == ["犬 🐕", "犬 🐕"]


def test_an_empty_text_is_a_text(folder: Path) -> None:
    assert load_manifest(write(folder, {**GOOD, "text": ""})).pairs[0].text == ""


def test_ids_default_to_the_image_and_stay_unique(folder: Path) -> None:
    named = {**GOOD, "id": "b.png"}
    other = {**GOOD, "image": "b.png"}
    pairs = load_manifest(write(folder, GOOD, GOOD, other, named)).pairs
    assert [pair.id for pair in pairs] == ["a.png", "a.png#2", "b.png#3", "b.png"]


def test_a_default_id_that_somebody_has_is_a_problem_not_a_double(folder: Path) -> None:
    write(folder, GOOD, GOOD, {**GOOD, "id": "a.png#2"})
    assert reasons(folder) == [(2, "id 'a.png#2' is that of line 3 too")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "not JSON: Expecting property name enclosed in double quotes at column 2"),
        (b"[1]", "not a JSON object but a list"),
        (b"7", "not a JSON object but a number"),
        (b"null", "not a JSON object but null"),
        (b"[" * 100_000, "not JSON: nested too deeply"),
        (b'{"text": "\xff"}', "not UTF-8: byte 11 of the line is 0xff"),
        (b'{"text": "a", "text": "b"}', "field 'text' is given twice"),
        ({}, "fields 'image' and 'text' are missing"),
        ({"image": None, "text": None, "split": "train"}, "fields 'image' and 'text' are missing"),
        ({"image": "a.png", "text": "a dog", "label": "dog"}, "field 'split' is missing"),
        ({"image": "a.png", "split": "val"}, "field 'text' is missing: an item alone is of use for split 'train'"),
        ({"text": "t", "label": "dog", "split": "test"}, "field 'image' is missing: an item alone is of use for"),
        ({"image": "a.png", "split": "train", "captions": ["a dog"]}, "and there is none"),
        ({**GOOD, "lable": "dog"}, "unknown field 'lable': did you mean 'label'?"),
        ({**GOOD, "label": 7}, "field 'label' must be a string, not a number"),
        ({**GOOD, "id": None}, "field 'id' must be a string, not null"),
        ({**GOOD, "split": True}, "field 'split' must be a string, not a truth value"),
        ({**GOOD, "captions": "a dog"}, "field 'captions' must be a list of strings"),
        ({**GOOD, "captions": [1]}, "field 'captions' must be a list of strings"),
        ({**GOOD, "label": " "}, "field 'label' is empty"),
        ({**GOOD, "id": ""}, "field 'id' is empty"),
        ({**GOOD, "image": ""}, "field 'image' is empty"),
        ({**GOOD, "label": "dog "}, "field 'label' 'dog ' has blanks at its ends"),
        ({**GOOD, "label": "d\ng"}, "field 'label' 'd\\ng' holds a control character"),
        ({**GOOD, "text": "\ud83d"}, "field 'text' holds half of a surrogate pair"),
        ({**GOOD, "split": "dev"}, "unknown split 'dev' (known: train, val, test)"),
        ({**GOOD, "image": "/etc/passwd"}, "image '/etc/passwd' is not a relative path"),
        ({**GOOD, "image": "C:\\a.png"}, "image 'C:\\\\a.png' is not a relative path"),
        ({**GOOD, "image": "../set/a.png"}, "image '../set/a.png' holds '..'"),
        ({**GOOD, "image": "x\\..\\..\\a.png"}, "image 'x\\\\..\\\\..\\\\a.png' holds '..'"),
        ({**GOOD, "image": "a.png\0"}, "image 'a.png\\x00' holds a NUL character"),
        ({**GOOD, "image": "c.png"}, "image 'c.png': no such file"),
        ({**GOOD, "image": "."}, "image '.': no such file"),
        ({**GOOD, "image": "a" * 5000}, "aaa...': no such file"),
    ],
)
def test_a_bad_line_is_named_with_its_reason(folder: Path, line: bytes | dict[str, Any], reason: str) -> None:
    write(folder, GOOD, line, GOOD)
    [(number, found)] = reasons(folder)
    assert number == 2
    assert reason in found
    assert "\n" not in found
    assert len(found) < 200
    with pytest.raises(DataError) as caught:
        load_manifest(folder)
    assert str(caught.value) == f"{folder / 'pairs.jsonl'}:2: {found}"
    assert caught.value.exit_code == ExitCode.DATA


def test_all_problems_are_found_and_the_first_is_raised_with_the_count_of_the_others(folder: Path) -> None:
    write(folder, {**GOOD, "id": "x"}, b"{", {**GOOD, "id": "x"}, {**GOOD, "label": ""}, GOOD)
    with pytest.raises(ManifestError) as caught:
        load_manifest(folder)
    assert [problem.line for problem in caught.value.problems] == [2, 3, 4]
    assert [pair.id for pair in caught.value.good.pairs] == ["x", "a.png"]
    assert "pairs.jsonl:2: not JSON" in str(caught.value)
    assert f"(and 2 more: dckt datasets check {folder})" in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a privilege there")
def test_links_may_not_leave_the_folder(folder: Path) -> None:
    (folder.parent / "secret.png").write_bytes(b"")
    (folder / "out.png").symlink_to(folder.parent / "secret.png")
    (folder / "up").symlink_to(folder.parent)
    (folder / "in.png").symlink_to(folder / "a.png")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    rows = ({**GOOD, "image": image} for image in ("out.png", "up/secret.png", "in.png", "loop.png"))
    assert reasons(write(folder, *rows)) == [
        (1, "image 'out.png' leaves the folder through a symbolic link" + ALLOW),
        (2, "image 'up/secret.png' leaves the folder through a symbolic link" + ALLOW),
        (4, "image 'loop.png': no such file"),
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a privilege there")
def test_the_folder_itself_may_be_a_link(folder: Path) -> None:
    write(folder, GOOD)
    (folder.parent / "link").symlink_to(folder)
    assert len(load_manifest(folder.parent / "link").pairs) == 1


def test_a_line_that_is_too_long_is_skipped_and_the_next_one_read(folder: Path) -> None:
    room = MAX_LINE_BYTES - len(json.dumps({**GOOD, "text": ""}))
    fits, too_long = ({**GOOD, "text": "x" * size} for size in (room, room + 1))
    for end in (b"\n", b"\r\n"):
        lines = (json.dumps(row).encode() for row in (fits, too_long, {**too_long, "label": "y" * 3 * room}, GOOD))
        (folder / "pairs.jsonl").write_bytes(end.join(lines))
        assert reasons(folder) == [(number, f"longer than {MAX_LINE_BYTES} bytes") for number in (2, 3)]
        assert len(inspect_manifest(folder)[0].pairs) == 2


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_a_manifest_without_pairs(folder: Path, content: bytes) -> None:
    (folder / "pairs.jsonl").write_bytes(content)
    with pytest.raises(DataError, match="holds no pairs"):
        load_manifest(folder)


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"pairs\.jsonl: cannot be read: No such file"):
        load_manifest(tmp_path)
    with pytest.raises(DataError, match=r"nowhere: cannot be read: No such file"):
        load_manifest(tmp_path / "nowhere")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read everything")
def test_a_manifest_that_may_not_be_read(folder: Path) -> None:
    write(folder, GOOD)
    (folder / "pairs.jsonl").chmod(0)
    with pytest.raises(DataError, match="cannot be read: Permission denied"):
        load_manifest(folder)


def test_a_label_or_a_partner_may_be_unknown(folder: Path) -> None:
    lines = [
        {"image": "a.png", "text": "a dog", "split": "train"},
        {**GOOD, "label": None, "split": "test"},
        {"image": "b.png", "split": "train"},
        {"image": None, "text": "a cat", "label": "cat", "split": "train"},
        {"text": "a cow", "split": "train", "captions": ["a", "cow"]},
    ]
    pair_set = load_manifest(write(folder, *lines))
    assert pair_set.pairs == [
        Pair("a.png", folder / "a.png", "a dog", None, "train"),
        Pair("a.png#2", folder / "a.png", "a dog", None, "test"),
        Pair("b.png", folder / "b.png", None, None, "train"),
        Pair("#4", None, "a cat", "cat", "train"),
        Pair("#5", None, "a cow", None, "train", captions=("a", "cow")),
    ]
    assert (pair_set.classes, pair_set.names) == (("cat",), {})


_halves = st.fixed_dictionaries(
    {"split": st.sampled_from(["train", "val"])},
    optional={
        "image": st.sampled_from(["a.png", "b.png", None]),
        "text": st.sampled_from(["", "words", None]),
        "label": st.sampled_from(["dog", None]),
    },
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=st.lists(_halves, min_size=1, max_size=5))
def test_nothing_is_made_up_and_nothing_is_lost(folder: Path, rows: list[dict[str, Any]]) -> None:
    pair_set, problems = inspect_manifest(write(folder, *rows))
    known = [[row.get(key) for key in ("image", "text", "label", "split")] for row in rows]
    good = [row for row in known if row[0] is not None and row[1] is not None]
    good = [row for row in known if row in good or (row[3] == "train" and (row[0], row[1]) != (None, None))]
    told = [[p.image and p.image.name, p.text, p.label, p.split] for p in pair_set.pairs]
    assert told == good
    assert len(problems) == len(rows) - len(good)
    whole = pair_set.split("train") + pair_set.split("val")
    assert len(pair_set.pairs) == len(whole) + len(pair_set.lone("image")) + len(pair_set.lone("text"))


def test_names_lie_beside_the_manifest(folder: Path) -> None:
    write(folder, GOOD, {**GOOD, "label": "cat"})
    (folder / "classes.toml").write_text('dog = ["a dog", "a hound"]\n')
    assert load_manifest(folder).names == {"dog": ("a dog", "a hound")}
    assert load_manifest(folder / "pairs.jsonl").names_of("cat") == ("cat",)
    (folder / "classes.toml").write_text('dog = ["a dog", ""]\n')
    with pytest.raises(ManifestError) as caught:
        load_manifest(folder)
    assert str(caught.value) == f"{folder / 'classes.toml'}: class 'dog': name is empty"
    assert caught.value.good.names_of("dog") == ("dog",)


_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
_rows = st.fixed_dictionaries(
    {},
    optional={
        "image": st.sampled_from(["a.png", "b.png", "../a.png", "\udcff", "a\0"]) | _json,
        "text": st.just("t") | _json,
        "label": st.just("l") | _json,
        "split": st.just("val") | _json,
        "captions": st.lists(st.text()) | _json,
        "id": _json,
    },
)
_lines = st.binary(max_size=80) | _json.map(json.dumps).map(str.encode) | _rows.map(json.dumps).map(str.encode)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(lines=st.lists(_lines, max_size=6))
def test_whatever_the_bytes_only_data_errors_come_out(folder: Path, lines: list[bytes]) -> None:
    (folder / "pairs.jsonl").write_bytes(b"\n".join(lines))
    pair_set, problems = inspect_manifest(folder)
    assert all("\n" not in str(problem) for problem in problems)
    str(problems).encode()
    ids = [pair.id for pair in pair_set.pairs]
    assert len(set(ids)) == len(ids)
    if problems:
        with pytest.raises(ManifestError):
            load_manifest(folder)
    else:
        assert load_manifest(folder).pairs == pair_set.pairs != []
    for pair in pair_set.pairs:
        assert pair.complete or pair.split == "train"
        assert pair.image is None or pair.image.is_file()
        assert pair.label is None or pair.label.strip() == pair.label != ""
        json.dumps([pair.id, pair.text, pair.label, pair.captions], ensure_ascii=False).encode()
