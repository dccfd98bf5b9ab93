from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dckt_cli.main import main
from dckt_core.evaluation.figures import FIGURES
from tests.support.squares import SIZES, TARGET, error, write_squares
from tests.support.tolerance import SMALL, approx

TASKS = ["image_to_text", "text_to_image", "image_to_image", "text_to_text", "image_to_all", "text_to_all"]
Capture = pytest.CaptureFixture[str]


def told(capsys: Capture, *arguments: str) -> dict[str, Any]:
    """What the command says in JSON, which must stand alone on stdout."""
    capsys.readouterr()
    assert main(["evaluate", *arguments, "--json"]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


@pytest.mark.parametrize("checkpoint", ["before", "after", "control"])
def test_the_figures_are_those_that_training_ended_with(run: str, capsys: Capture, checkpoint: str) -> None:
    told_now = told(capsys, run, "--checkpoint", checkpoint)
    told_then = json.loads(Path(run, "summary.json").read_text())["test"]["map"]
    for task in ("image_to_text", "text_to_image", "mean"):
        assert told_now["tasks"][task]["map"] == approx(told_then[checkpoint][task]["value"], terms=SMALL)
        assert told_now["tasks"][task]["interval"] == approx(told_then[checkpoint][task]["interval"], terms=SMALL)
        assert told_now["tasks"][task]["chance"] == pytest.approx(told_then["chance"][task])
    assert (told_now["run"], told_now["checkpoint"], told_now["split"], told_now["pairs"]) == (
        run, checkpoint, "test", 8,
    )  # fmt: skip


def test_the_table(run: str, capsys: Capture) -> None:
    figures = told(capsys, run, "--k", "3", "--k", "1")["tasks"]
    assert main(["evaluate", run, "--k", "3", "--k", "1"]) == 0
    out = capsys.readouterr().out
    assert f"{run}: common space on 8 test pairs" in out
    names = ["image->text", "text->image", "mean of both", "image->image", "text->text", "image->all", "text->all"]
    rows = [
        cells
        for line in out.splitlines()
        if (cells := re.split(r"\s{2,}", line.strip()))[0] in [*names, *FIGURES.values()]
    ]
    keys = ["image_to_text", "text_to_image", "mean", *TASKS[2:]]
    expected, at_k = [], []
    for name, key in zip(names, keys, strict=True):
        row = figures[key]
        low, high = row["interval"]
        expected.append([name, f"{row['map']:.3f} ({low:.3f}-{high:.3f})", f"{row['chance']:.3f}"])
        at_k += [
            [name, str(cut["k"]), *(f"{cut[column]:.3f}" for column in ("map", "precision", "recall"))]
            for cut in row["at"]
        ]
    by_instance = []
    found = told(capsys, run)["instances"]
    for name, title in FIGURES.items():
        figures_of = [found[key]["figures"][name] for key in keys[:3]]
        form = ".1f" if name == "median_rank" else ".3f"
        by_instance.append(
            [title]
            + [f"{one['value']:{form}} ({one['interval'][0]:{form}}-{one['interval'][1]:{form}})" for one in figures_of]
            + [f"{figures_of[2]['chance']:{form}}"]
        )
    assert rows == expected + at_k + by_instance
    assert "equal representations: 0 of 8 images, 0 of 8 texts" in out
    assert [row[1] for row in at_k] == ["1", "3"] * 7, "in order, whatever the order on the command line"
    assert main(["evaluate", run]) == 0
    assert "precision" not in capsys.readouterr().out


def test_every_query_on_its_own(run: str, capsys: Capture, tmp_path: Path) -> None:
    file = tmp_path / "queries.csv"
    figures = told(capsys, run, "--k", "3", "--per-query", str(file))["tasks"]
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == [
        "task", "id", "label", "rank", "reciprocal_rank", "relevant", "ap", "chance",
        "ap_at_3", "precision_at_3", "recall_at_3",
    ]  # fmt: skip
    assert [row["task"] for row in rows] == [task for task in TASKS for _ in range(8)]
    for task in TASKS:
        own = [row for row in rows if row["task"] == task]
        assert {row["id"].split("-")[0] for row in own} == {row["label"] for row in own} == set(TARGET)
        means = {column: sum(float(row[column]) for row in own) / len(own) for column in list(rows[0])[6:]}
        assert [figures[task]["map"], figures[task]["chance"]] == pytest.approx([means["ap"], means["chance"]])
        (cut,) = figures[task]["at"]
        at_3 = [means[f"{name}_at_3"] for name in ("ap", "precision", "recall")]
        assert [cut["map"], cut["precision"], cut["recall"]] == pytest.approx(at_3)
    assert {row["relevant"] for row in rows if row["task"] == "text_to_all"} == {"7"}


def test_self_hit_counts_in_the_four_tasks_that_hold_the_query(run: str, capsys: Capture) -> None:
    left_out, counted = told(capsys, run)["tasks"], told(capsys, run, "--self-hit")["tasks"]
    for task in TASKS[:2]:
        assert counted[task] == left_out[task]
    for task in TASKS[2:]:
        assert counted[task]["map"] >= left_out[task]["map"]
        assert counted[task]["chance"] > left_out[task]["chance"]


def test_another_split(run: str, capsys: Capture) -> None:
    assert [told(capsys, run, "--split", split)["pairs"] for split in ("train", "val", "test")] == [10, 6, 8]


def test_a_query_without_an_answer_is_named_and_left_out(run: str, capsys: Capture, tmp_path: Path) -> None:
    folder = write_squares(tmp_path / "moved", TARGET, {"train": 1, "val": 1, "test": 2})
    lines = (folder / "pairs.jsonl").read_text().splitlines()
    (folder / "pairs.jsonl").write_text("\n".join(line for line in lines if '"red-test-1"' not in line))
    figures = told(capsys, run, "--target", str(folder))["tasks"]
    assert figures["image_to_image"]["unanswerable"] == ["red-test-0"]
    assert figures["image_to_text"]["unanswerable"] == []
    file = tmp_path / "queries.csv"
    assert main(["evaluate", run, "--target", str(folder), "--per-query", str(file)]) == 0
    out = capsys.readouterr().out
    assert "text->text: 1 query has no relevant item, left out of the means: red-test-0" in out
    with file.open(newline="") as stream:
        silent = [row for row in csv.DictReader(stream) if row["relevant"] == "0"]
    assert [(row["task"], row["id"], row["ap"]) for row in silent] == [
        ("image_to_image", "red-test-0", ""), ("text_to_text", "red-test-0", ""),
    ]  # fmt: skip


def test_many_of_them_are_counted(run: str, capsys: Capture, tmp_path: Path) -> None:
    folder = write_squares(tmp_path / "moved", TARGET, {"train": 1, "val": 1, "test": 1})
    assert main(["evaluate", run, "--target", str(folder), "--quiet"]) == 0
    captured = capsys.readouterr()
    assert re.search(r"image->image +- ", captured.out)
    assert "2 queries have no relevant item, left out of the means: red-test-0, green-test-0" in captured.out
    assert f"{folder}: its test pairs are not those that runs/squares has seen" in captured.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["gone"], 3, "gone: no such run"),
        (["runs"], 3, "runs: not a finished run"),
        (["RUN", "--target", "gone"], 3, "gone: no such path"),
        (["RUN", "--target", "source"], 3, "its classes are not those that runs/squares was trained on"),
        (["RUN", "--k", "0"], 2, "'--k'"),
        (["RUN", "--split", "tset"], 2, "'tset' is not one of"),
        (["RUN", "--checkpoint", "best"], 2, "'best' is not one of"),
        (["RUN", "--device", "tpu"], 2, "unknown device 'tpu'"),
        (["RUN", "--per-query", "gone/queries.csv"], 2, "gone: no such folder"),
        ([], 2, "Missing argument 'RUN'"),
    ],
)
def test_bad_usage_is_one_line(run: str, capsys: Capture, arguments: list[str], code: int, said: str) -> None:
    capsys.readouterr()
    assert main(["evaluate", *(run if word == "RUN" else word for word in arguments), *["--quiet"]]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert captured.err.count("\n") == 1


def test_an_empty_split_is_named(run: str, capsys: Capture, tmp_path: Path) -> None:
    folder = write_squares(tmp_path / "moved", TARGET, {"train": 1, "val": 1})
    capsys.readouterr()
    assert main(["evaluate", run, "--target", str(folder), "--quiet"]) == 3
    assert error(capsys) == f"dckt: error: {folder}: split 'test' is empty"


def test_the_two_tasks_across_media_alone(run: str, capsys: Capture) -> None:
    everything, across = told(capsys, run)["tasks"], told(capsys, run, "--tasks", "across")["tasks"]
    assert across == {name: everything[name] for name in ("image_to_text", "text_to_image", "mean")}
    assert main(["evaluate", run, "--tasks", "across", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "mean of both" in out
    assert "image->all" not in out


def test_classes_and_curves(run: str, capsys: Capture) -> None:
    answer = told(capsys, run)
    assert answer["recalls"] == [step / 20 for step in range(21)]
    assert answer["ties"] == "figures are expectations over all orders of items of equal cosine"
    task = answer["tasks"]["image_to_text"]
    assert len(task["curve"]) == 21
    assert {name: row["queries"] for name, row in task["classes"].items()} == {"green": 4, "red": 4}
    assert sum(row["map"] for row in task["classes"].values()) / 2 == pytest.approx(task["map"])
    assert main(["evaluate", run, "--per-class", "--quiet"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("green")]
    figures = [answer["tasks"][name]["classes"]["green"]["map"] for name in [*TASKS[:2], "mean"]]
    assert [line.split() for line in lines] == [["green", "4", *(f"{figure:.3f}" for figure in figures)]]


# --- data sets as people have them ----------------------------------------------------------------------------


def changed(folder: Path, change: Callable[[dict[str, Any]], list[dict[str, Any]]]) -> str:
    """The target data set in another folder, each record of it made into some others."""
    write_squares(folder, TARGET, SIZES)
    rows = [json.loads(line) for line in (folder / "pairs.jsonl").read_text().splitlines()]
    rows = [made for row in rows for made in (change(row) if row["split"] == "test" else [row])]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(folder)


def test_texts_that_say_nothing_score_chance_though_the_file_is_sorted_by_class(
    run: str, capsys: Capture, tmp_path: Path
) -> None:
    folder = changed(tmp_path / "silent", lambda row: [row | {"text": "..."}])
    answer = told(capsys, run, "--target", folder)
    assert answer["equal"]["text"] == 0, "they are one text"
    assert answer["items"] == {"image": 8, "text": 1}
    task = answer["tasks"]["image_to_text"]
    assert task["map"] == approx(task["chance"], terms=SMALL)
    assert task["tied"] == 8
    assert answer["tasks"]["text_to_text"]["map"] is None, "there is no other text to find"
    assert main(["evaluate", run, "--target", folder, "--quiet"]) == 0
    assert "the pairs have 8 different pictures and 1 different text" in capsys.readouterr().out


def test_words_that_nobody_knows_make_equal_representations_which_are_counted(
    run: str, capsys: Capture, tmp_path: Path
) -> None:
    folder = changed(tmp_path / "unknown", lambda row: [row | {"text": f"{row['id'].replace('-', 'x')}"}])
    answer = told(capsys, run, "--target", folder)
    assert answer["equal"] == {"image": 0, "text": 8}
    assert answer["tasks"]["image_to_text"]["map"] == pytest.approx(answer["tasks"]["image_to_text"]["chance"])
    found = answer["instances"]["image_to_text"]["figures"]
    assert all(figure["value"] == pytest.approx(figure["chance"]) for figure in found.values())
    assert main(["evaluate", run, "--target", folder, "--quiet"]) == 0
    assert "equal representations: 0 of 8 images, 8 of 8 texts; they count in every order" in capsys.readouterr().out


def test_a_picture_with_several_captions_is_one_picture(run: str, capsys: Capture, tmp_path: Path) -> None:
    home = tmp_path / "captioned"

    def captions(row: dict[str, Any]) -> list[dict[str, Any]]:
        copy = f"copy-{row['image']}"
        (home / copy).write_bytes((home / row["image"]).read_bytes())
        return [row, row | {"id": row["id"] + "-b", "image": copy, "text": "what a " + row["text"]}]

    folder = changed(home, captions)
    answer = told(capsys, run, "--target", folder)
    assert (answer["pairs"], answer["items"]) == (16, {"image": 8, "text": 16})
    assert answer["tasks"]["image_to_image"]["left_out"] == 16 * 8
    assert answer["instances"]["image_to_text"]["queries"] == 8
    assert answer["instances"]["text_to_image"]["gallery"] == 8
    assert main(["evaluate", run, "--target", folder, "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "the pairs have 8 different pictures and 16 different texts" in out
    assert "image->image: what is in several pairs counts once, which leaves out 8.0 items a query" in out


def test_pairs_without_a_label(run: str, capsys: Capture, tmp_path: Path) -> None:
    some = changed(tmp_path / "some", lambda row: [row | {"label": None if row["id"].endswith("0") else row["label"]}])
    answer, whole = told(capsys, run, "--target", some), told(capsys, run)
    assert (answer["pairs"], answer["labelled"]) == (8, 6)
    assert answer["instances"] == whole["instances"]
    assert answer["tasks"]["mean"]["classes"]["red"]["queries"] == 3
    file = tmp_path / "queries.csv"
    assert main(["evaluate", run, "--target", some, "--per-query", str(file), "--quiet"]) == 0
    assert "2 of 8 pairs have no label: they are in no figure by class" in capsys.readouterr().out
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2 * 8 + 4 * 6
    assert {row["ap"] for row in rows if row["id"].endswith("0")} == {""}
    assert all(float(row["rank"]) >= 1 for row in rows if row["task"] == "text_to_image")


def test_no_labels_at_all(run: str, capsys: Capture, tmp_path: Path) -> None:
    none = changed(tmp_path / "none", lambda row: [row | {"label": None}])
    answer = told(capsys, run, "--target", none)
    assert (answer["labelled"], answer["tasks"]) == (0, {})
    assert answer["instances"] == told(capsys, run)["instances"]
    assert main(["evaluate", run, "--target", none, "--per-class", "--k", "3", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "8 of 8 pairs have no label" in out
    assert "mAP" not in out
    assert "recall@10" in out
