"""`dckt train --on-error skip`: bad lines and images are dropped, counted and listed; a cap; the same each time."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from dckt_cli.main import main
from tests.support.squares import SIZES, TARGET, Capture, Train, edit, error, weights
from tests.support.tolerance import SMALL, approx


@pytest.fixture
def spoilt(target: Path) -> Path:
    """The target with a line that is no pair and two broken pictures, one of them of test."""
    edit(target, lambda rows: [rows[0] | {"label": " "}, *rows[1:]])
    for name in ("red-train-2", "green-test-3"):
        file = target / f"{name}.png"
        file.write_bytes(file.read_bytes()[:60])
    return target


PAIRS = len(TARGET) * sum(SIZES.values())
BAD = ["red-train-0", "red-train-2", "green-test-3"]


def test_fail_is_the_default(train: Train, spoilt: Path, capsys: Capture) -> None:
    assert train(target=spoilt) == 3
    assert "pairs.jsonl:1: field 'label' is empty" in error(capsys)
    assert not Path("runs").exists()


def test_skip_drops_counts_and_lists(train: Train, spoilt: Path, capsys: Capture) -> None:
    skip = ("--on-error", "skip", "--max-bad-fraction", "0.2")
    assert train(*skip, "--json", target=spoilt) == 0
    told = capsys.readouterr()
    assert f"{spoilt}: 3 of {PAIRS} pairs are bad" in told.err
    summary = json.loads(told.out)
    assert summary["dropped"] == {"source": 0, "target": 3}
    assert summary["target"]["train"] == SIZES["train"] * len(TARGET) - 2
    assert summary["target"]["test"] == SIZES["test"] * len(TARGET) - 1
    rows = [json.loads(line) for line in Path("runs/a/dropped.jsonl").read_text().splitlines()]
    assert [(row["role"], row["pair"], row["line"]) for row in rows] == [
        ("target", None, 1),
        ("target", "red-train-2", None),
        ("target", "green-test-3", None),
    ]
    assert all(row["reason"] for row in rows)
    kept = Path("runs/a/selection.csv").read_text()
    assert not any(name in kept for name in BAD)
    config = Path("runs/a/config.toml").read_text()
    assert 'on_error = "skip"' in config
    assert "max_bad_fraction = 0.2" in config

    assert train(*skip, name="b", target=spoilt) == 0
    assert weights(Path("runs/a")) == weights(Path("runs/b"))
    assert "bad pairs dropped: 0 of the source, 3 of the target; see runs/b/dropped.jsonl" in capsys.readouterr().out
    assert main(["evaluate", "runs/a", "--json", "--quiet"]) == 0
    figures = json.loads(capsys.readouterr().out)["tasks"]
    assert figures["mean"]["map"] == approx(summary["test"]["map"]["after"]["mean"]["value"], terms=SMALL)
    assert main(["search", "runs/a", "--text", "a red square", "--k", "3", "--quiet"]) == 0


def test_skip_gives_what_data_without_bad_pairs_give(train: Train, data: Path, spoilt: Path, tmp_path: Path) -> None:
    clean = Path(shutil.copytree(data / "target", tmp_path / "clean"))
    edit(clean, lambda rows: [row for row in rows if row["id"] not in BAD])
    assert train("--on-error", "skip", "--max-bad-fraction", "1", "--quiet", name="a", target=spoilt) == 0
    assert train("--quiet", name="b", target=clean) == 0
    assert weights(Path("runs/a")) == weights(Path("runs/b")), "no other pair took the place of a bad one"
    assert Path("runs/a/selection.csv").read_text() == Path("runs/b/selection.csv").read_text()


def test_the_cap_is_small_by_default(train: Train, spoilt: Path, capsys: Capture) -> None:
    assert train("--on-error", "skip", target=spoilt) == 3
    line = error(capsys)
    assert f"3 of {PAIRS} pairs are bad" in line
    assert "more than max_bad_fraction = 0.01 allows; first " in line
    assert not Path("runs").exists()


def test_the_configuration_file_has_both(train: Train, spoilt: Path, tmp_path: Path) -> None:
    (tmp_path / "skip.toml").write_text('on_error = "skip"\nmax_bad_fraction = 0.5\n')
    assert train("--config", "skip.toml", "--quiet", target=spoilt) == 0
    assert len(Path("runs/a/dropped.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--on-error", "ignore"], "'on_error' = 'ignore'"),
        (["--max-bad-fraction", "1.5"], "'max_bad_fraction' = '1.5'"),
        (["--max-bad-fraction", "nan"], "'max_bad_fraction' = 'nan'"),
        (["--max-bad-fraction", "-0.1"], "'max_bad_fraction' = '-0.1'"),
    ],
)
def test_bad_usage(train: Train, capsys: Capture, arguments: list[str], said: str) -> None:
    assert train(*arguments) == 2
    assert said in error(capsys)


def test_bad_pictures_are_found_before_an_encoder_trains(train: Train, target: Path, capsys: Capture) -> None:
    (target / "red-train-1.png").write_bytes(b"")
    assert train("--encoder-opt", "trainable=true", target=target) == 3
    assert "red-train-1.png: the file is empty" in error(capsys)
    assert not Path("runs").exists(), "found before anything was trained"


def change_a_text(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [*rows[:-1], rows[-1] | {"text": "another"}]


def test_other_pairs_than_when_the_run_began_are_refused(train: Train, target: Path, capsys: Capture) -> None:
    assert train("--quiet", target=target) == 0
    Path("runs/a/digests.json").unlink()
    edit(target, change_a_text)
    assert main(["train", "--resume", "runs/a", "--quiet"]) == 3
    assert "its target data set has other pairs than when the run began" in error(capsys)
    assert Path("runs/a/config.toml").exists(), "a run that was refused stays where it is"


@pytest.mark.parametrize("role", ["source", "target"])
def test_other_images_than_when_the_run_began_are_refused(
    train: Train, data: Path, tmp_path: Path, role: str, capsys: Capture
) -> None:
    folder = Path(shutil.copytree(data / role, tmp_path / role))
    assert train("--quiet", **{role: folder}) == 0  # type: ignore[arg-type]
    Path("runs/a/digests.json").unlink()
    first, second = sorted(folder.glob("*-train-0.png"))[:2]
    exchanged = first.read_bytes(), second.read_bytes()
    second.write_bytes(exchanged[0])
    first.write_bytes(exchanged[1])
    assert main(["train", "--resume", "runs/a", "--quiet"]) == 3
    assert f"its {role} data set has other images than when the run began" in error(capsys)
