import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dckt_cli.main import main
from tests.support import folders
from tests.support.data import optional_data
from tests.support.folders import picture, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes, of which 'dog' is in every split."""
    folder = tmp_path / "set"
    folder.mkdir()
    rows = []
    for number, (label, split) in enumerate([("dog", "train"), ("cat", "train"), ("dog", "val"), ("dog", "test")]):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        rows.append({"image": f"{number}.png", "text": "words", "label": label, "split": split})
    (folder / "pairs.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return folder


def harm(folder: Path) -> Path:
    with (folder / "pairs.jsonl").open("a") as manifest:
        manifest.write('{"image": "0.png"\n')
    Image.effect_noise((32, 32), 50).save(folder / "2.png")
    (folder / "2.png").write_bytes((folder / "2.png").read_bytes()[:500])
    return folder


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datasets", "list"]) == 0
    heading, *names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert heading == "name"
    assert {"jsonl", "sample-source", "sample-target"} <= set(names)
    assert main(["datasets", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == names
    assert {row["distribution"] for row in rows if row["name"] == "jsonl"} == {"dckt"}


def test_a_good_data_set(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datasets", "check", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "label  train  val  test",
        "cat        1    0     0",
        "dog        1    1     1",
        "all        2    1     1",
        "holds           train  val  test",
        "labelled pairs      2    1     1",
        "3 of 4 texts are equal to an earlier one ('1.png', '2.png', '3.png')",
        "1 of 1 val pairs have a text that is in split 'train', too ('2.png')",
        "1 of 1 test pairs have a text that is in split 'train', too ('3.png')",
        "is that meant? 2 of 2 classes have a single labelled training item ('cat', 'dog'); nothing tells what its "
        "items have in common: join it to another class, or find more of it",
        "as a target it offers all labels: rung 5 of 5",
        f"{folder}: 4 pairs read, 2 labels, 0 problems",
    ]


def test_every_bad_line_and_file_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datasets", "check", str(harm(folder))]) == 3
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith(f"{folder}/pairs.jsonl:5: not JSON")
    assert out[1].startswith(f"{folder}/2.png: cannot be decoded")
    assert out[-1] == f"{folder}: 4 pairs read, 2 labels, 2 problems"


def test_json_stands_alone_on_stdout(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datasets", "check", str(harm(folder)), "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert [(Path(problem["file"]).name, problem["line"]) for problem in told["problems"]] == [
        ("pairs.jsonl", 5),
        ("2.png", None),
    ]
    assert told["layout"] == "jsonl"
    assert told["pairs"] == 4
    assert told["labels"] == {"cat": {"train": 1}, "dog": {"train": 1, "val": 1, "test": 1}}
    assert (told["unfit"], told["named"]) == ({}, [])
    assert [(one["kind"], one["count"], one["of"], one["grave"]) for one in told["findings"]] == [
        ("classes of one", 2, 2, True),
        ("equal texts", 3, 4, False),
        ("shared texts", 1, 1, False),
        ("shared texts", 1, 1, False),
    ]
    assert told["findings"][1]["places"] == ["'1.png'", "'2.png'", "'3.png'"]
    assert told["holds"]["labelled pairs"] == {"train": 2, "val": 1, "test": 1}
    assert told["holds"]["texts alone"] == {}
    assert told["classes"] == {"cat": ["cat"], "dog": ["dog"]}
    assert told["rung"] == {"number": 5, "offers": "all labels"}


def test_what_it_cannot_serve_as_is_said_but_is_no_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (folder / "pairs.jsonl").read_text().splitlines()
    (folder / "pairs.jsonl").write_text("\n".join(lines[:2]))
    assert main(["datasets", "check", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "cannot serve as a target: split 'test' is empty" in out
    assert "as a target" not in out.replace("serve as a target", "")
    assert main(["datasets", "check", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rung"] is None


def test_how_much_there_is_of_each_and_what_it_allows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (folder / "pairs.jsonl").open("a") as manifest:
        for row in ({"image": "0.png", "text": "t"}, {"image": "1.png"}, {"text": "t"}, {"text": "t", "label": "Dog"}):
            manifest.write(json.dumps({**row, "split": "train"}) + "\n")
    (folder / "classes.toml").write_text('dog = ["a dog", "a hound"]\ncow = "a cow"\n')
    assert main(["datasets", "check", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "label  train  val  test",
        "Dog        1    0     0",
        "cat        1    0     0",
        "dog        1    1     1",
        "all        3    1     1",
        "holds             train  val  test",
        "labelled pairs        2    1     1",
        "unlabelled pairs      1    0     0",
        "images alone          1    0     0",
        "texts alone           2    0     0",
        "2 of 4 classes have names of their own; the others are called by their labels",
        "5 of 7 texts are equal to an earlier one ('1.png', '2.png', '3.png', ...)",
        "2 of 6 pictures are equal to an earlier one ('0.png#5', '1.png#6')",
        "1 of 1 val pairs have a text that is in split 'train', too ('2.png')",
        "1 of 1 test pairs have a text that is in split 'train', too ('3.png')",
        "is that meant? labels 'Dog' and 'dog' differ by case, blanks or hyphens alone, and are two classes; write "
        "them alike where they mean one class",
        "is that meant? 3 of 3 classes have a single labelled training item ('Dog', 'cat', 'dog'); nothing tells "
        "what its items have in common: join it to another class, or find more of it",
        "as a target it offers some labels, the rest without: rung 4 of 5",
        f"{folder}: 5 pairs and 3 items alone read, 3 labels, 0 problems",
    ]


def test_slips_in_the_names_are_problems(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "classes.toml").write_text('dgo = "a dog"\ncat = ""\n')
    assert main(["datasets", "check", str(folder)]) == 3
    assert capsys.readouterr().out.splitlines()[:2] == [
        f"{folder}/classes.toml: class 'dgo': no training item is labelled so: did you mean 'dog'? (known: cat, dog)",
        f"{folder}/classes.toml: class 'cat': name is empty",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["gone"], 3, "gone: no such file or folder"),
        (["."], 3, "no known layout"),
        (["set", "--layout", "jsnol"], 2, "unknown layout 'jsnol': did you mean 'jsonl'?"),
        (["set", "--layout", "sample-source"], 2, "takes no path"),
        (["set", "--layout-opt", "size=3"], 2, "unknown option 'size' of layout 'jsonl'"),
        (["set", "--layout-opt", "size"], 2, "--layout-opt takes KEY=VALUE, not 'size'"),
        ([], 2, "Missing argument 'PATH'"),
    ],
)
def test_bad_usage_is_one_line(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(folder.parent)
    assert main(["datasets", "check", *arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert captured.err.count("\n") == 1


def test_options_of_a_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture(tmp_path / "images/a.png", "red")
    write(tmp_path / "pairs.csv", "image;text;label;split\na.png;one, two;red;train\n")
    assert main(["datasets", "check", str(tmp_path), "--quiet"]) == 3
    assert "pairs.csv:1: column 'image' is missing" in capsys.readouterr().out
    assert main(["datasets", "check", str(tmp_path), "--quiet", "--layout-opt", "separator=;"]) == 0
    assert capsys.readouterr().out.endswith("1 pairs read, 1 labels, 0 problems\n")


@pytest.mark.parametrize("layout", ["image_folder_csv", "wikipedia", "pascal_sentences", "nus_wide", "xmedia"])
def test_every_layout_is_recognised_without_its_name(
    layout: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = getattr(folders, f"write_{layout}")(tmp_path / "set")
    assert main(["datasets", "check", str(folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["layout"].replace("-", "_").startswith(layout)
    assert (len(told["labels"]), told["problems"], told["unfit"]) == (2, [], {})


@pytest.mark.parametrize("arguments", [["list"], ["check", "SET"], ["check", "WIKIPEDIA"]])
def test_torch_is_not_imported(folder: Path, tmp_path: Path, arguments: list[str]) -> None:
    places = {"SET": folder, "WIKIPEDIA": folders.write_wikipedia(tmp_path / "wikipedia")}
    line = ["datasets", *(str(places.get(argument, argument)) for argument in arguments)]
    program = f"import sys; from dckt_cli.main import main; sys.exit(main({line!r}) or 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("name", "pairs", "labels"), [("pascal_sentences", 1000, 20), ("flickr8k_weak", 4344, 36)])
def test_real_data_pass(name: str, pairs: int, labels: int, capsys: pytest.CaptureFixture[str]) -> None:
    (folder,) = optional_data(name)
    assert main(["datasets", "check", str(folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["pairs"], len(told["labels"]), told["problems"], told["unfit"]) == (pairs, labels, [], {})


def test_too_few_items_alone_are_no_rung(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (folder / "pairs.jsonl").read_text().splitlines()[2:]
    alone = [{"image": "0.png", "split": "train"}] * 20 + [{"text": "words", "split": "train"}] * 20
    (folder / "pairs.jsonl").write_text("\n".join([*lines, *map(json.dumps, alone)]))
    assert main(["datasets", "check", str(folder)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert "as a target it offers nothing but the source: rung 0 of 5" in out
    assert "20 images and 20 texts alone are too few to be matched: 64 of each are needed" in out


def test_labels_cannot_steer_a_terminal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = "do\u202eg"
    with (folder / "pairs.jsonl").open("a") as manifest:
        for label in (odd, odd.upper()):
            manifest.write(json.dumps({"image": "0.png", "text": "t", "label": label, "split": "train"}) + "\n")
        manifest.write(json.dumps({"image": "0.png", "text": "t", "label": f"{odd}s", "split": "test"}) + "\n")
    assert main(["datasets", "check", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "is that meant? labels" in out
    assert "cannot serve as a target: label" in out
    assert all(letter.isprintable() or letter == "\n" for letter in out)
