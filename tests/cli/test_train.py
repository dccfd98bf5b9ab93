"""`dckt train` as a user meets it: what a run leaves, what repeats, and how each kind of bad input ends."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from dckt_cli.main import main
from dckt_core.config import preset_names
from dckt_core.runs.record import read_run
from tests.support.processes import as_ranks
from tests.support.squares import (
    CHECKPOINTS,
    ENCODER,
    SIZES,
    SMALL_TEXTS,
    SOURCE,
    TARGET,
    Capture,
    Train,
    edit,
    error,
    flags,
    weights,
)
from tests.support.tolerance import SMALL, approx


@dataclass(frozen=True)
class First:
    """A run of seed 7, and when its training began and ended."""

    folder: Path
    told: dict[str, Any]
    began: datetime
    ended: datetime


@pytest.fixture(scope="module")
def first(data: Path, tmp_path_factory: pytest.TempPathFactory) -> First:
    """Trained once, for the tests that look at a run or train its like."""
    home, said, began = tmp_path_factory.mktemp("first"), io.StringIO(), datetime.now().replace(microsecond=0)
    where = ["--source", str(data / "source"), "--target", str(data / "target"), "--runs-dir", str(home / "runs")]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said):
        patch.setenv("DCKT_CACHE_DIR", str(data / "cache"))
        options = [*ENCODER, *SMALL_TEXTS, *flags(), "--seed", "7", "--json", "--device", "cpu"]
        assert main(["train", *where, "--name", "first", *options]) == 0
    return First(home / "runs" / "first", json.loads(said.getvalue()), began, datetime.now())


# --- what a run leaves ----------------------------------------------------------------------------------------


def test_a_run_folder_holds_what_it_should(train: Train, capsys: Capture) -> None:
    assert train(name="first") == 0
    told = capsys.readouterr()
    for words in ("after transfer", "before transfer", "target-only control", "chance", "run folder: runs/first"):
        assert words in told.out
    run = Path("runs/first")
    assert sorted(file.name for file in run.glob("[!.]*") if file.is_file()) == [
        "calibration.json", "config.toml", "digests.json", "env.json", "log.jsonl", "metrics.csv", "model.json",
        "selection.csv", "summary.json",
    ]  # fmt: skip
    assert sorted(file.stem for file in (run / "checkpoints").glob("*.safetensors")) == CHECKPOINTS
    messages = [json.loads(line)["message"] for line in (run / "log.jsonl").read_text().splitlines()]
    assert all(message in told.err for message in messages)

    with (run / "metrics.csv").open(newline="") as stream:
        measured = {(row["phase"], row["metric"]) for row in csv.DictReader(stream)}
    for layer in ("image_fc6", "image_fc7", "text_fc6", "text_fc7", "common_fc8", "common_fc9"):
        assert any(phase == "transfer" and metric.endswith(layer) for phase, metric in measured), layer
    selection = {metric for phase, metric in measured if phase == "selection"}
    assert {"kept_share", "ap_kept", "ap_left", "keep_rate_mean"} <= selection
    validation = {metric for phase, metric in measured if phase == "validation"}
    assert {"target_map_mean", "target_map_image_to_text", "control_map_mean"} <= validation

    with (run / "selection.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    pairs = SIZES["train"] * len(TARGET)
    assert [row["iteration"] for row in rows] == ["1"] * pairs + ["2"] * pairs
    for row in rows:
        assert row["kept"] in ("0", "1")
        assert 0 <= float(row["ap"]) <= 1
        assert 0 <= float(row["keep_rate"]) <= 1


def test_help_names_every_preset(capsys: Capture) -> None:
    main(["train", "--help"])
    listed = capsys.readouterr().out
    assert all(name in listed for name in preset_names())


def test_a_run_says_when_it_began(first: First) -> None:
    assert first.began <= read_run(first.folder).started <= first.ended


def test_json_stands_alone_on_stdout(first: First) -> None:
    told = first.told
    assert told == {"run": str(first.folder), **json.loads((first.folder / "summary.json").read_text())}
    sizes = SIZES["test"] * len(TARGET)
    assert told["target"]["test"] == sizes
    figures = told["test"]["map"]
    assert set(figures) == {"chance", "before", "control", "after"}
    for figure in (figures["after"]["mean"], figures["before"]["image_to_text"]):
        low, high = figure["interval"]
        assert 0 <= low <= figure["value"] <= high <= 1


# --- what repeats ---------------------------------------------------------------------------------------------


def test_same_seed_same_bits_and_another_seed_others(train: Train, first: First, capsys: Capture) -> None:
    for name, seed in (("again", "7"), ("other", "8")):
        assert train("--seed", seed, "--quiet", name=name) == 0
        lines = capsys.readouterr().err.splitlines()
        assert all("no pair was kept" in line or "are nearly one of" in line for line in lines), "quiet: only warnings"
    again, other = Path("runs/again"), Path("runs/other")
    assert weights(first.folder) == weights(again)
    for file in ("metrics.csv", "selection.csv", "model.json", "config.toml"):
        assert (first.folder / file).read_bytes() == (again / file).read_bytes(), file
    learnt = set(CHECKPOINTS) - {"space"}  # the network's own, which keeps nothing besides
    assert all(weights(again)[name] != weights(other)[name] for name in learnt)


@pytest.mark.usefixtures("train")
def test_the_run_s_own_configuration_repeats_it(first: First) -> None:
    assert main(["train", "--config", str(first.folder / "config.toml"), "--name", "b", "--quiet"]) == 0
    assert weights(first.folder) == weights(Path("runs/b"))
    assert (first.folder / "config.toml").read_bytes() == Path("runs/b/config.toml").read_bytes()


def test_a_second_run_reads_the_cached_features(
    train: Train, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DCKT_CACHE_DIR", str(tmp_path / "fresh"))
    told = []
    for name in "ab":
        assert train(name=name) == 0
        told.append([line for line in capsys.readouterr().err.splitlines() if "read from the cache" in line])
    assert told[0] == []
    counts = [SIZES["train"] * len(SOURCE), *(SIZES[split] * len(TARGET) for split in ("train", "val", "test"))]
    assert [line.partition(" images")[0] for line in told[1]] == [f"features of {count}" for count in counts]
    assert weights(Path("runs/a")) == weights(Path("runs/b"))


# --- other ways to train --------------------------------------------------------------------------------------


def test_an_encoder_that_trains_along(train: Train, capsys: Capture) -> None:
    encoder = ("--encoder", "torchvision", "--encoder-opt", "model=squeezenet1_1", "--encoder-opt", "trainable=true")
    tiny = {"pretrain__source_updates": 1, "pretrain__target_updates": 2, "transfer__iterations": 1}
    assert train(*encoder, "--json", transfer__updates=1, transfer__control="false", **tiny) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told["test"]["map"]) == {"chance", "before", "after"}
    from safetensors.torch import load_file

    before, after = (load_file(f"runs/a/checkpoints/{name}.safetensors") for name in ("before", "after"))
    convolutions = [name for name in after if name.startswith("image_encoder.") and name.endswith("weight")]
    assert convolutions
    if told["validation"]["after"]["iteration"] > 0:
        assert any((before[name] != after[name]).any() for name in convolutions), "the convolutions learn"
    assert main(["evaluate", "runs/a", "--json", "--quiet"]) == 0
    figures = json.loads(capsys.readouterr().out)["tasks"]
    assert figures["mean"]["map"] == approx(told["test"]["map"]["after"]["mean"]["value"], terms=SMALL)
    assert main(["evaluate", "runs/a", "--checkpoint", "control"]) == 3
    assert "runs/a: has no control" in error(capsys)


def test_the_authors_preset(train: Train, capsys: Capture) -> None:
    assert train("--preset", "authors", "--json", pretrain__accumulation=2, transfer__accumulation=2) == 0
    assert json.loads(capsys.readouterr().out)["preset"] == "authors"
    config = Path("runs/a/config.toml").read_text()
    for line in ('rule = "code"', 'estimator = "quadruple"', "kernel_num = 1"):
        assert line in config


def test_the_target_may_start_from_the_source(train: Train) -> None:
    from safetensors.torch import load_file

    assert train("--quiet", network__target_init="source", pretrain__target_updates=0) == 0
    source, before = (load_file(f"runs/a/checkpoints/{name}.safetensors") for name in ("source", "before"))
    assert source.keys() == before.keys()
    assert before["fc10.weight"].shape != source["fc10.weight"].shape


@pytest.mark.parametrize("sampler", ["all", "uniform"])
def test_the_control_samplers(train: Train, capsys: Capture, sampler: str) -> None:
    assert train("--sampler", sampler, "--json") == 0
    capsys.readouterr()
    with Path("runs/a/selection.csv").open(newline="") as stream:
        kept = [int(row["kept"]) for row in csv.DictReader(stream)]
    assert (sum(kept) == len(kept)) is (sampler == "all")


@pytest.mark.parametrize("rest", ["unlabelled", "dropped"])
def test_few_shots_of_each_class(rest: str, train: Train, capsys: Capture) -> None:
    assert train("--shots", "2", "--seed", "3", "--shots-rest", rest, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    few = 2 * len(TARGET)
    assert [told["target"][split] for split in ("train", "val", "test")] == [
        few, *(SIZES[split] * len(TARGET) for split in ("val", "test"))
    ]  # fmt: skip
    assert told["source"]["train"] == SIZES["train"] * len(SOURCE)
    assert "shots = 2" in Path("runs/a/config.toml").read_text()
    with Path("runs/a/selection.csv").open(newline="") as stream:
        chosen = {row["id"] for row in csv.DictReader(stream) if row["iteration"] == "1"}
    assert len(chosen) == few
    assert main(["evaluate", "runs/a", "--split", "train", "--json"]) == 0
    kept = few if rest == "dropped" else SIZES["train"] * len(TARGET)
    assert json.loads(capsys.readouterr().out)["pairs"] == kept, "the run is read back with the pairs it had"
    assert f'rest = "{rest}"' in Path("runs/a/config.toml").read_text()
    assert main(["search", "runs/a", "--text", "a", "-k", "100", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["results"]
    of_train = [hit for hit in found if hit["split"] == "train"]
    assert len(of_train) == (few if rest == "dropped" else SIZES["train"] * len(TARGET)), "to be found without a label"
    assert sum("label" in hit for hit in of_train) == few


def test_items_whose_partners_nobody_knows_are_not_learnt_from_but_found(
    train: Train, capsys: Capture, target: Path
) -> None:
    def alone(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        first, second, *others = rows
        return [{**first, "text": None}, {"text": second["text"], "split": "train", "id": "a text"}, *others]

    picture = json.loads((target / "pairs.jsonl").read_text().splitlines()[0])["image"]
    assert train("--json", target=edit(target, alone)) == 0
    assert json.loads(capsys.readouterr().out)["target"]["train"] == SIZES["train"] * len(TARGET) - 2
    for query, missing in (["--text", "a"], "a text"), (["--image", str(target / picture)], picture):
        assert main(["search", "runs/a", *query, "-k", "100", "--json"]) == 0
        ids = {hit["id"] for hit in json.loads(capsys.readouterr().out)["results"]}
        assert len(ids) == sum(SIZES.values()) * len(TARGET) - 1
        assert missing not in ids


# --- bad usage: exit code 2, nothing left behind --------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sampler-opt", "alpha=0"], r"'alpha'"),
        (["--sampler-opt", "alpha=1.5"], r"'alpha'"),
        (["--sampler-opt", "alpha=nan"], r"'alpha'"),
        (["--encoder-opt", "wieghts=none"], "did you mean 'weights'"),
        (["--encoder-opt", "weights"], "--encoder-opt"),
        (["--encoder-opt", "size=12"], "'size'"),
        (["--encoder", "vg19"], "did you mean 'vgg19'"),
        (
            ["--encoder", "resnet50"],
            "unknown encoder 'resnet50': torchvision has it: --encoder torchvision --encoder-opt model=resnet50",
        ),
        (["--text-encoder", "resnet50"], "unknown encoder 'resnet50' (known: "),
        (["--text-encoder", "vgg19"], "text_encoder takes an encoder of texts, and 'vgg19' is one of images"),
        (["--preset", "papper"], "did you mean 'paper'"),
        (["--set", "transfer.lrr=1"], "did you mean 'lr'"),
        (["--set", "transfer.lr=-1"], "transfer.lr"),
        (["--set", "transfer.iterations=0"], "transfer.iterations"),
        (["--set", "pretrain.batch=1"], "pretrain.batch"),
        (["--seed", "-1"], "seed"),
        (["--seed", "x"], "seed"),
        (["--shots", "0"], "shots"),
        (["--shots", "1", "--shots-rest", "kept"], "'offer.rest' = 'kept': takes 'unlabelled' or 'dropped'"),
        (["--shots-rest", "unlabelled"], "--shots-rest goes with --shots"),
        (["--set", "offer.rest=dropped"], "offer.rest = 'dropped' goes with shots"),
        (["--set", "offer.folds=10"], "offer.folds = 10 goes with offer.fold"),
        (["--max-bad-fraction", "0.5"], "--max-bad-fraction goes with --on-error skip"),
        (["--device", "tpu"], "unknown device 'tpu'"),
        (["--precision", "fp16"], "fp16"),
        (["--precision", "fp8"], "precision"),
        (["--config", "gone.toml"], "gone.toml: no such file"),
        (["--name", "a/b"], "run name 'a/b'"),
        (["--name", ".."], "run name '..'"),
        (["--frobnicate"], "--frobnicate"),
    ],
)
def test_bad_usage(train: Train, capsys: Capture, arguments: list[str], said: str) -> None:
    assert train(*arguments) == 2
    assert said in error(capsys)
    assert not list(Path().glob("runs/*"))


def test_a_name_that_is_taken(train: Train, capsys: Capture) -> None:
    Path("runs/a").mkdir(parents=True)
    assert train() == 2
    line = error(capsys)
    assert "runs/a is there already" in line
    assert "choose another name" in line
    assert list(Path("runs/a").iterdir()) == []


# --- bad data: exit code 3, no run folder ---------------------------------------------------------------------


def only(**values: str) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    return lambda rows: [row for row in rows if any(row[key] != value for key, value in values.items())]


def relabel(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row | {"label": "blue"} if row["split"] == "test" else row for row in rows]


def one_class(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row | {"label": "red"} for row in rows]


def one_pair(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    first = next(row for row in rows if row["split"] == "train")
    return [first, *(row | {"label": first["label"]} for row in rows if row["split"] != "train")]


def outside(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [rows[0] | {"image": "../source/black-train-0.png"}, *rows[1:]]


def gone(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [*rows[:2], rows[2] | {"image": "gone.png"}, *rows[3:]]


def without(split: str) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    return lambda rows: [row for row in rows if row["split"] != split]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (relabel, "label 'blue' is in split 'test'"),
        (one_class, "split 'train' has one class, 'red'"),
        (one_pair, "split 'train' has one pair"),
        (without("train"), "the networks need 2 labelled training pairs of 2 classes, and it has 0 of 0"),
        (
            without("val"),
            "the networks need 2 pairs in split 'val' to be chosen by, with labels or without, and it has 0",
        ),
        (without("test"), "split 'test' is empty"),
        (outside, "pairs.jsonl:1: "),
        (gone, "gone.png"),
        (lambda rows: [], "pairs.jsonl"),
    ],
)
def test_bad_pairs(train: Train, capsys: Capture, target: Path, change: Any, said: str) -> None:
    assert train(target=edit(target, change)) == 3
    line = error(capsys)
    assert said in line
    assert "spoilt" in line, "the data set is named"
    assert not list(Path().glob("runs/*"))


def test_a_line_that_is_no_json(train: Train, capsys: Capture, target: Path) -> None:
    with (target / "pairs.jsonl").open("a") as manifest:
        manifest.write('{"image": "x.png"\n')
    lines = (target / "pairs.jsonl").read_text().count("\n")
    assert train(target=target) == 3
    assert f"pairs.jsonl:{lines}: not JSON" in error(capsys)
    assert not list(Path().glob("runs/*"))


def test_a_picture_that_is_truncated(train: Train, capsys: Capture, target: Path) -> None:
    file = target / "red-test-1.png"
    file.write_bytes(file.read_bytes()[:60])
    assert train(target=target) == 3
    assert "red-test-1.png: cannot be decoded" in error(capsys)
    assert not list(Path().glob("runs/*"))


@pytest.mark.parametrize("role", ["source", "target"])
def test_no_data_there(train: Train, capsys: Capture, role: str) -> None:
    assert train(**{role: Path("nowhere")}) == 3
    assert "nowhere: no such path" in error(capsys)
    assert not list(Path().glob("runs/*"))


# --- divergence: exit code 4, the name is free again ----------------------------------------------------------


BY_WORDS = ["--text-encoder", "mean-vectors", "--text-encoder-opt"]


def test_how_many_words_have_vectors_is_told_and_kept(
    train: Train, target: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of `a red square with mark number 3`, in the test split of the target half are unknown."""
    (tmp_path / "v.txt").write_text("a 1 2\nred 2 1\ngreen 2 2\nsquare 3 1\nwith 2 3\nblack 1 3\nwhite 2 4\n")
    more = {"train": "", "val": "", "test": " x y"}
    edit(target, lambda rows: [row | {"text": row["text"] + more[row["split"]]} for row in rows])
    assert train(*BY_WORDS, f"vectors={tmp_path / 'v.txt'}", target=target) == 0
    counted = json.loads(Path("runs/a/summary.json").read_text())["words"]
    pairs = {split: count * len(TARGET) for split, count in SIZES.items()}
    assert counted["target"] == {
        split: {"words": (9 if split == "test" else 7) * count, "known": 4 * count} for split, count in pairs.items()
    }
    shown = SIZES["train"] * len(SOURCE)
    assert counted["source"] == {"train": {"words": 7 * shown, "known": 4 * shown - SIZES["train"]}}, "grey is unknown"
    lines = [record.getMessage() for record in caplog.records if "have vectors" in record.getMessage()]
    assert [line.partition(":")[0] for line in lines] == ["source", "target"]
    assert "train 57.1% of 70, val 57.1% of 42, test 44.4% of 72; of the others nothing is learnt" in lines[1]


def test_texts_whose_words_are_all_unknown_are_refused(train: Train, capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("black 1 3\nwhite 2 4\n")
    assert train(*BY_WORDS, f"vectors={tmp_path / 'v.txt'}") == 3
    said = error(capsys)
    assert "none of the 70 words of its training texts has a vector: give text_encoder.vectors a file" in said
    assert not Path("runs/a").exists()


@pytest.mark.parametrize("phase", ["pretrain", "transfer"])
def test_a_loss_that_is_not_finite(train: Train, capsys: Capture, phase: str) -> None:
    assert train(**{f"{phase}__lr": 1e30}) == 4
    assert phase in error(capsys)
    assert [folder.name for folder in Path("runs").iterdir()] == ["a.failed-1"]
    logged = [json.loads(line) for line in Path("runs/a.failed-1/log.jsonl").read_text().splitlines()]
    assert [line["level"] for line in logged].count("error") == 1
    assert train("--quiet") == 0, "the name is free"
    assert Path("runs/a/summary.json").exists()
    capsys.readouterr()
    assert main(["evaluate", "runs/a.failed-1"]) == 3
    assert "not a finished run" in error(capsys)


# --- processes ------------------------------------------------------------------------------------------------


def test_two_processes(data: Path, tmp_path: Path) -> None:
    """As ranks that are there already; how `torchrun` starts them, tests/reliability/test_machine.py goes through."""
    where = ["--source", str(data / "source"), "--target", str(data / "target"), "--name", "two", "--json"]

    def work() -> None:
        os.environ["DCKT_CACHE_DIR"] = str(data / "cache")
        os.chdir(tmp_path)
        with (tmp_path / f"said-{os.environ['RANK']}").open("w") as said, redirect_stdout(said):
            assert main(["train", *where, "--device", "cpu", *ENCODER, *flags()]) == 0

    as_ranks(work)
    told = json.loads((tmp_path / "said-0").read_text())
    assert (tmp_path / "said-1").read_text() == "", "one process speaks"
    assert [folder.name for folder in (tmp_path / "runs").iterdir()] == ["two"]
    assert 0 <= told["test"]["map"]["after"]["mean"]["value"] <= 1
    with (tmp_path / "runs/two/metrics.csv").open(newline="") as stream:
        rows = [tuple(row.values())[:4] for row in csv.DictReader(stream)]
    assert len(rows) == len(set(rows)), "one process writes"


def test_the_preset_tuned_trains_and_is_read_back_as_it_was_scored(train: Train, capsys: Capture) -> None:
    assert train("--preset", "tuned", "--quiet") == 0
    summary, count = json.loads(Path("runs/a/summary.json").read_text()), SIZES["val"] * len(TARGET)
    assert summary["chosen_by"] == dict.fromkeys(("iteration", "parts"), f"mAP of {count} labelled validation pairs")
    told = summary["test"]["map"]
    for checkpoint, row in {"before": "before", "control": "control", "after": "after", "result": "space"}.items():
        capsys.readouterr()
        assert main(["evaluate", "runs/a", "--json", "--checkpoint", checkpoint]) == 0
        again = json.loads(capsys.readouterr().out)["tasks"]["mean"]
        assert again["map"] == approx(told[row]["mean"]["value"], terms=SMALL)
    assert main(["search", "runs/a", "--text", "a red square", "-k", "2"]) == 0
    assert "red" in capsys.readouterr().out


def test_validation_without_labels_chooses_networks_by_partners(train: Train, capsys: Capture) -> None:
    assert train(offer__validation="unlabelled") == 0
    told, count = json.loads(Path("runs/a/summary.json").read_text()), SIZES["val"] * len(TARGET)
    by = f"MRR of {count} validation pairs, without labels"
    assert told["chosen_by"] == {"iteration": by}
    assert told["validation"]["after"]["kind"] == "mrr"
    assert f"the iteration of the networks is chosen by {by}" in capsys.readouterr().out
    with Path("runs/a/metrics.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["metric"] == "target_mrr_mean"]
    best = max(float(row["value"]) for row in rows if row["iteration"] != "0")
    assert sum(told["validation"]["after"][name] for name in ("image_to_text", "text_to_image")) / 2 == best


def test_networks_that_cannot_earn_their_place_are_not_trained(train: Train, capsys: Capture) -> None:
    assert train("--preset", "tuned", offer__validation="unlabelled") == 0
    told = json.loads(Path("runs/a/summary.json").read_text())
    assert told["untrained"] == "they have to earn their place on labelled validation pairs, and there are too few"
    assert told["chosen_by"] == {}
    assert told["validation"]["space"]["kind"] == "mrr"
    said = " ".join("".join(capsys.readouterr()).split())
    assert said.count(f"part 'target-network' steps aside: {told['untrained']}") == 1, "once, on out or err"
    assert not list(Path("runs/a/checkpoints").glob("after*"))


def test_parts_refuse_an_encoder_that_trains_along(train: Train, capsys: Capture) -> None:
    assert train("--preset", "tuned", "--text-encoder", "wordcnn", "--quiet") == 2
    said = capsys.readouterr().err
    assert "part 'correlation' needs encoders that do not train along: take another text_encoder" in said
    assert "space.parts.correlation.weight = 0" in said
    assert not Path("runs/a").exists()


def test_what_the_source_is_learnt_from_and_the_target_tested_on_is_said(
    train: Train, capsys: Capture, target: Path, data: Path
) -> None:
    shutil.copy(data / "source/black-train-0.png", target / "red-test-1.png")
    copied = {"id": "green-val-0", "text": "a white square with mark number 2"}
    edit(target, lambda rows: [row | (copied if row["id"] == copied["id"] else {}) for row in rows])
    assert train("--quiet", target=target) == 0
    said = capsys.readouterr().err
    assert "1 of 8 test pairs have a picture that is learnt from in the source" in said
    assert "1 of 6 val pairs have a text that is learnt from in the source" in said
    assert said.count("learnt from in the source") == 2


def test_where_nothing_is_to_be_learnt_no_encoder_runs(train: Train, capsys: Capture) -> None:
    assert train("--preset", "tuned", offer__source_items="none", offer__train_items="none") == 3
    said = capsys.readouterr().err
    assert "nothing says which images and texts belong together: the source is withheld" in said
    assert "encoding" not in said
    assert not Path("runs/a").exists()


@pytest.mark.parametrize("flag", [["--seed", "3"], ["--set", "seed=3"], ["--name", "b"]])
def test_a_resumed_run_takes_no_configuration(flag: list[str], tmp_path: Path, capsys: Capture) -> None:
    assert main(["train", "--resume", str(tmp_path), *flag]) == 2
    assert "--resume goes on with the run's own configuration; leave out" in error(capsys)


@pytest.mark.parametrize("flag", ["--quiet", "--verbose", "--json"])
def test_how_much_a_resumed_run_says_is_free(flag: str, tmp_path: Path, capsys: Capture) -> None:
    assert main(["train", "--resume", str(tmp_path), flag]) != 0
    assert "own configuration" not in error(capsys), "what is wrong is that there is no run"
