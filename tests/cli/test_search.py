from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from dckt_cli.main import main
from dckt_core.base.errors import NothingKnownError
from dckt_core.runs.model import load
from tests.support.tolerance import SMALL, assert_same

Capture = pytest.CaptureFixture[str]


def told(capsys: Capture, *arguments: str) -> dict[str, Any]:
    """What the command says in JSON, which must stand alone on stdout."""
    capsys.readouterr()
    assert main(["search", *arguments, "--json"]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_a_text_finds_images_as_their_cosines_say(run: str, capsys: Capture) -> None:
    answer = told(capsys, run, "--text", "a red square with a mark", "-k", "100")
    assert answer["run"] == run
    assert answer["query"] == {"text": "a red square with a mark"}
    results = answer["results"]
    model = load(run)
    pairs = {pair.id: pair for pair in model.target().pairs}
    assert {row["id"] for row in results} == set(pairs)
    query = model.encode_texts(["a red square with a mark"]).double()
    images = model.encode_images([pairs[row["id"]].image_item for row in results]).double()
    expected = torch.cosine_similarity(query, images).tolist()
    cosines = [row["cosine"] for row in results]
    assert_same(cosines, expected, terms=SMALL, scale=1, dtype=torch.float32)
    assert [row["cosine"] for row in results] == sorted((row["cosine"] for row in results), reverse=True)
    assert [row["rank"] for row in results] == list(range(1, len(pairs) + 1))
    for row in results:
        pair = pairs[row["id"]]
        assert (row["label"], row["split"], row["image"]) == (pair.label, pair.split, str(pair.image))


def test_an_image_finds_texts(run: str, capsys: Capture) -> None:
    answer = told(capsys, run, "--image", "target/green-test-1.png", "-k", "4", "--split", "test")
    assert answer["query"] == {"image": "target/green-test-1.png"}
    texts = {pair.id: pair.text for pair in load(run).target().split("test")}
    assert len(answer["results"]) == 4
    for row in answer["results"]:
        assert row["text"] == texts[row["id"]]
        assert row["split"] == "test"


@pytest.mark.parametrize("query", [["--text", "a red square with mark number 2"], ["--image", "target/red-test-2.png"]])
@pytest.mark.parametrize("medium", ["image", "text", "other"])
def test_either_medium_may_be_asked_for(run: str, capsys: Capture, query: list[str], medium: str) -> None:
    other = {"--text": "image", "--image": "text"}[query[0]]
    wanted = other if medium == "other" else medium
    results = told(capsys, run, *query, "--medium", medium, "-k", "100")["results"]
    assert all((wanted in row) and ({"image", "text"} & set(row) == {wanted}) for row in results)
    if wanted != other:  # the query itself is in the data set, so that nothing is nearer
        assert_same(results[0]["cosine"], 1, terms=SMALL, dtype=torch.float32)
        own = next(row for row in results if row["id"] == "red-test-2")
        assert_same(own["cosine"], 1, terms=SMALL, dtype=torch.float32)


def test_equal_cosines_keep_the_order_of_the_data_set(run: str, capsys: Capture) -> None:
    """Texts with the same words in the three splits have one representation."""
    results = told(capsys, run, "--image", "target/red-test-0.png", "-k", "100")["results"]
    first = [row for row in results if row["text"] == "a red square with mark number 0"]
    assert [row["id"] for row in first] == ["red-train-0", "red-val-0", "red-test-0"]
    assert len({row["rank"] for row in first}) == 3
    assert len({round(row["cosine"], 12) for row in first}) == 1


def test_for_people(run: str, capsys: Capture) -> None:
    results = told(capsys, run, "--text", "green", "-k", "3")["results"]
    assert main(["search", run, "--text", "green", "-k", "3", "--quiet"]) == 0
    captured = capsys.readouterr()
    head, *lines = captured.out.splitlines()[-4:]
    assert head.split() == ["rank", "cosine", "probability", "id", "class", "image"]
    assert [line.split() for line in lines] == [
        [str(row["rank"]), f"{row['cosine']:.4f}", f"{row['probability']:.4f}", row["id"], row["label"], row["image"]]
        for row in results
    ]
    assert captured.err == ""


def test_a_text_cannot_steer_the_terminal(run: str, capsys: Capture, trained: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (trained / "target" / "pairs.jsonl").read_text().splitlines()]
    for row in rows:
        row |= {"image": f"{tmp_path.name}.png", "text": "red \x1b[31m square\nand a second line"}
    (tmp_path / f"{tmp_path.name}.png").write_bytes((trained / "target" / "red-test-0.png").read_bytes())
    (tmp_path / "pairs.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    line = ["search", run, "--image", "target/red-test-0.png", "--target", str(tmp_path), "-k", "1", "--quiet"]
    assert main(line) == 0
    out = capsys.readouterr().out
    *_, head, line = out.splitlines()
    assert head.startswith("rank")
    assert line.endswith(r"red \x1b[31m square\nand a second line")


def test_the_features_that_training_left_are_found(run: str, capsys: Capture) -> None:
    capsys.readouterr()
    assert main(["search", run, "--text", "red"]) == 0
    err = capsys.readouterr().err
    assert err.count("read from the cache") == 3
    assert "encoding" not in err
    assert not re.search(r"[0-9a-f]{64}", err)
    assert main(["search", run, "--text", "red", "-v"]) == 0
    assert len(re.findall(r"^they lie in \S+/features/[0-9a-f]{64}$", capsys.readouterr().err, re.MULTILINE)) == 3


def test_words_that_the_run_does_not_know_are_said(run: str, capsys: Capture) -> None:
    answer = told(capsys, run, "--text", "a red wombat and a yak", "-k", "2")
    assert answer["unknown"] == ["wombat", "and", "yak"]
    assert told(capsys, run, "--text", "a red square", "-k", "2")["unknown"] == []
    assert "unknown" in told(capsys, run, "--image", "target/red-test-0.png", "-k", "2")
    assert main(["search", run, "--text", "a red wombat", "-k", "1", "--quiet"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "the run does not know: wombat"


def test_a_text_that_is_longer_than_what_is_read_is_said_to_be_cut(run: str, capsys: Capture) -> None:
    long = "red " * 201
    assert told(capsys, run, "--text", long, "-k", "2")["cut"] is True
    assert told(capsys, run, "--text", "red " * 200, "-k", "2")["cut"] is False
    assert told(capsys, run, "--image", "target/red-test-0.png", "-k", "2")["cut"] is False
    assert main(["search", run, "--text", long, "-k", "1", "--quiet"]) == 0
    first, *_ = capsys.readouterr().out.splitlines()
    assert first == "the text is longer than the run reads: what stands at its end is left out"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("xyzzy qwerty", "the run knows none of its words (xyzzy, qwerty)"),
        ("小狗", "the run knows none of its words (小, 狗)"),
        ("🐶 !?", "it has no words"),
    ],
)
def test_a_text_of_which_nothing_is_known_is_refused(run: str, capsys: Capture, text: str, why: str) -> None:
    capsys.readouterr()
    line = ["search", run, "--text", text, "-k", "3", "--quiet"]
    assert main(line) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    said = f"nothing is known of {text!r}: {why}; insist to be answered all the same (--insist)"
    assert captured.err == f"dckt: error: {said}\n"
    model = load(run)
    insisted = told(capsys, run, "--text", text, "-k", "3", "--insist")
    assert model.calibration is not None
    assert [row["probability"] for row in insisted["results"]] == 3 * [model.calibration.by_chance(30)]
    assert insisted["unlikely"] is True
    assert main([*line, "--insist", "--threshold", "0.6"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "nothing here is likely to be what you look for"
    with pytest.raises(NothingKnownError, match="nothing is known of"):
        model.predict_texts(["red", text])
    assert model.predict_texts(["red", text], insist=True)[0] == model.predict_texts("red")[0]


def test_in_a_batch_the_others_are_answered(run: str, capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "queries.txt").write_text("red\nxyzzy\ngreen\n")
    line = ["search", run, "--batch", str(tmp_path / "queries.txt"), "-k", "2", "--quiet"]
    capsys.readouterr()
    assert main([*line, "--json"]) == 0
    red, xyzzy, green = map(json.loads, capsys.readouterr().out.splitlines())
    alone = told(capsys, run, "--text", "red", "-k", "2")["results"]
    assert [row["id"] for row in red["results"]] == [row["id"] for row in alone]
    assert len(green["results"]) == 2
    assert xyzzy["results"] == [] and xyzzy["unknown"] == ["xyzzy"]
    assert xyzzy["refused"].startswith("nothing is known of 'xyzzy': ")
    assert "refused" not in red
    assert main(line) == 0
    assert "nothing is known of 'xyzzy': " in capsys.readouterr().out


def test_hits_have_the_probability_that_validation_gave_their_cosine(run: str, capsys: Capture) -> None:
    results = told(capsys, run, "--text", "a red square", "-k", "100")["results"]
    calibration = load(run).calibration
    assert calibration is not None and calibration.by == "class"
    expected = calibration.probability(torch.tensor([row["cosine"] for row in results]), len(results))
    assert [row["probability"] for row in results] == expected.tolist()
    same = told(capsys, run, "--text", "a red square", "-k", "2", "--medium", "text")
    assert all("probability" not in row for row in same["results"]), "of texts for a text nothing was learnt"
    summary = json.loads(Path(run, "summary.json").read_text())
    assert summary["calibration"]["by"] == "class"
    assert 0 <= summary["calibration"]["error"] <= 1


def test_a_threshold_leaves_out_what_is_less_probable(run: str, capsys: Capture) -> None:
    everything = told(capsys, run, "--text", "a red square", "-k", "100")["results"]
    middle = sorted(row["probability"] for row in everything)[len(everything) // 2]
    some = told(capsys, run, "--text", "a red square", "-k", "100", "--threshold", str(middle))["results"]
    assert some == [row for row in everything if row["probability"] >= middle]
    assert main(["search", run, "--text", "red", "--threshold", "1", "--quiet"]) == 0
    assert capsys.readouterr().out == "nothing here is likely to be what you look for\n"
    for arguments, said in (
        (
            ["--medium", "text"],
            "a threshold needs probabilities, and those of texts that look for texts are not learnt",
        ),
        (["--checkpoint", "before"], "runs/squares ('before') has learnt none on validation pairs"),
    ):
        assert main(["search", run, "--text", "red", "--threshold", "0.5", "--quiet", *arguments]) == 2
        assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["RUN"], 2, "say --text, --image or --like, or one of --batch, --text-features and --image-features"),
        (["RUN", "--text", "a", "--batch", "b"], 2, "say --text, --image or --like, or one of --batch"),
        (["RUN", "--weight", "2", "--text", "a"], 2, "--weight goes behind the --text, --image or --like"),
        (["RUN", "--text", "a", "--weight", "2", "--weight", "3"], 2, "--weight goes behind"),
        (["RUN", "--text", "a", "--weight", "2"], 2, "--weight goes with two queries or more"),
        (["RUN", "--text", "red", "--weight", "nan", "--text", "green"], 2, "nan is no finite number other than 0"),
        (["RUN", "--text", "red", "--weight", "0", "--text", "green"], 2, "0 is no finite number other than 0"),
        (["RUN", "--text", "red", "--text", "red", "--weight", "-1"], 2, "the queries cancel each other out"),
        (["RUN", "--text", "red", "--text", " "], 2, "the text to look for is empty"),
        (["RUN", "--text", "a", "--of", "text"], 2, "--of goes with --like"),
        (["RUN", "--like", "gone\x1b[2J"], 2, "target: no item has the id 'gone\\x1b[2J'"),
        (
            ["RUN", "--text", "red", "--class", "gren"],
            2,
            "images is of class 'gren': did you mean 'green'?",
        ),
        (["RUN", "--text", "red", "--where", "year"], 2, "'year' is not FIELD=VALUE"),
        (["RUN", "--text", "red", "--where", "spilt=test"], 2, "has a field 'spilt': did you mean 'split'?"),
        (["RUN", "--text", "red", "--where", "split=tset"], 2, "has 'split' 'tset': did you mean 'test'?"),
        (["RUN", "--text", "red", "--expand", "-1"], 2, "-1 is not in the range"),
        (
            ["RUN", "--text", "red", "--expand", "3", "--threshold", "0.5"],
            2,
            "a threshold needs probabilities, and those of queries that are expanded are not learnt",
        ),
        (
            ["RUN", "--text", "red", "--text", "green", "--threshold", "0.5"],
            2,
            "a threshold needs probabilities, and those of queries that are joined are not learnt",
        ),
        (["RUN", "--text", "a", "--medium", "sound"], 2, "'sound' is not one of"),
        (["RUN", "--image", "gone.png"], 3, "gone.png: no such file"),
        (["RUN", "--image", ""], 2, "the path is empty"),
        (["RUN", "--image", "x" * 300], 1, "File name too long"),
        (["RUN", "--text", "\udcff"], 2, "the argument '\\udcff' is not UTF-8"),
        (["RUN", "--image", "target/pairs.jsonl"], 3, "target/pairs.jsonl"),
        (["gone", "--text", "a"], 3, "gone: no such index or run"),
        (["RUN", "--text", "a", "-k", "0"], 2, "0 is not in the range"),
        (["RUN", "--text", "a", "--threshold", "2"], 2, "2.0 is not in the range"),
        (["RUN", "--text", "a", "--threshold", "nan"], 2, "nan is no finite number"),
        (["RUN", "--text", "a", "--index", "exat"], 2, "unknown index 'exat': did you mean 'exact'?"),
        (["RUN", "--text", "a", "--index-opt", "x=1"], 2, "unknown option 'x' of index 'exact'"),
        (["RUN", "--text", "a", "--index-opt", "x"], 2, "--index-opt takes KEY=VALUE"),
        (["RUN", "--text", "a", "--target", "gone"], 3, "gone: no such path"),
    ],
)
def test_bad_usage_is_one_line(run: str, capsys: Capture, arguments: list[str], code: int, said: str) -> None:
    capsys.readouterr()
    assert main(["search", *(run if word == "RUN" else word for word in arguments), "--quiet"]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert captured.err.count("\n") == 1


def test_queries_that_never_end_or_are_no_text(run: str, capsys: Capture, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "half.jsonl").write_text('{"text": "red"}\n{"text": "\\ud800"}\n')
    capsys.readouterr()
    for name, said in (("pipe", "pipe.jsonl: no file"), ("half", "half.jsonl:2: 'text' holds half a character")):
        assert main(["search", run, "--batch", str(tmp_path / f"{name}.jsonl"), "--json", "--quiet"]) == 3
        captured = capsys.readouterr()
        assert captured.out == ""
        assert said in captured.err


def test_a_truncated_image_is_named(run: str, capsys: Capture, tmp_path: Path) -> None:
    whole = Path("target/red-test-0.png").read_bytes()
    broken = tmp_path / "broken.png"
    for size, said in ((60, "broken.png: cannot be decoded"), (0, "broken.png: the file is empty")):
        broken.write_bytes(whole[:size])
        capsys.readouterr()
        assert main(["search", run, "--image", str(broken), "--quiet"]) == 3
        captured = capsys.readouterr()
        assert said in captured.err
        assert captured.err.count("\n") == 1


@pytest.mark.parametrize("command", [["search", "--text", "red"], ["evaluate"]])
def test_data_that_were_moved(
    run: str, capsys: Capture, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    line = [*command, str(trained / run), "--quiet"]
    capsys.readouterr()
    assert main(line) == 3
    captured = capsys.readouterr()
    assert "target: no such path" in captured.err
    assert "give its place as target" in captured.err
    assert captured.err.count("\n") == 1
    assert main([*line, "--target", str(trained / "target")]) == 0
    assert capsys.readouterr().err == ""
