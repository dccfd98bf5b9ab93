from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dckt_cli.outcome import show_outcome


def summary(**changes: Any) -> dict[str, Any]:
    estimate = {"value": 0.5, "interval": [0.4, 0.6]}
    columns = {"image_to_text": estimate, "text_to_image": estimate, "mean": estimate}
    chance = dict.fromkeys(columns, 0.1)
    gain = {"value": -0.02, "interval": [-0.03, -0.01]}
    return {
        "preset": "paper",
        "target": {
            "test": 7,
            "has": {"labelled pairs": 50, "unlabelled pairs": 500, "images alone": 0, "class names": 10},
            "rung": {"number": 4},
        },
        "features_alone": [],
        "space": {"weights": {"target-network": 1.0}, "left_out": [], "aside": {}},
        "negative_transfer": False,
        "dropped": {"source": 0, "target": 0},
        "test": {
            "result": "after",
            "kind": "map",
            "parts": {},
            "map": {"chance": chance, "before": columns, "control": columns, "after": columns},
            "gain": {"before": gain, "control": gain},
            "instances": {
                name: {column: {"mrr": one} for column in columns}
                for name, one in (("chance", 0.07), ("before", estimate), ("control", estimate), ("after", estimate))
            },
        },
    } | changes


def test_it_tells_mean_interval_and_what_to_type_next(capsys: pytest.CaptureFixture[str]) -> None:
    show_outcome(Path("runs/a"), summary())
    out = capsys.readouterr().out
    assert "mAP on the 7 test pairs" in out
    assert out.count("0.500 (0.400-0.600)") == 9
    assert (
        "gain of the network after transfer over the target-only control: -0.020 (95 % interval -0.030 to -0.010)"
        in out
    )
    assert "dckt evaluate runs/a" in out
    assert 'dckt search runs/a --text "..." | --image FILE\n' in out
    assert out.startswith("the target offered: 50 labelled pairs, 500 unlabelled pairs, 10 class names (rung 4 of the")
    assert "own partners found by the network after transfer: MRR 0.500 (chance 0.070)\n" in out
    assert "left out" not in out
    assert "parts of the common space" not in out
    assert "negative transfer" not in out


@pytest.mark.parametrize(
    ("media", "hint"),
    [
        (["image", "text"], "--text-features FILE | --image-features FILE"),
        (["image"], '--text "..." | --image-features FILE'),
    ],
)
def test_what_is_known_by_features_alone_is_searched_by_them(
    media: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show_outcome(Path("runs/a"), summary(features_alone=media))
    assert f"dckt search runs/a {hint}\n" in capsys.readouterr().out


def test_test_pairs_without_a_label_are_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    told = summary()
    told["test"] |= {"unlabelled": 2}
    show_outcome(Path("runs/a"), told)
    assert "mAP on the 5 of 7 test pairs that have a label" in capsys.readouterr().out


def test_without_labelled_test_pairs_it_is_the_reciprocal_rank(capsys: pytest.CaptureFixture[str]) -> None:
    told = summary()
    told["test"] |= {"map": {}, "kind": "mrr"}
    show_outcome(Path("runs/a"), told)
    out = capsys.readouterr().out
    assert "MRR on the 7 test pairs" in out
    assert out.count("0.500 (0.400-0.600)") == 9
    assert [line.split() for line in out.splitlines() if line.startswith("chance")] == [["chance", *["0.070"] * 3]]
    assert "which have no labels" in out
    assert "gain of the network after transfer over the network before transfer: -0.020" in out


@pytest.mark.parametrize(("preset", "advised"), [("paper", True), ("tuned", False)])
def test_negative_transfer_is_said_with_what_to_try(
    preset: str, advised: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    show_outcome(Path("runs/a"), summary(negative_transfer=True, preset=preset))
    out = " ".join(capsys.readouterr().out.split())
    assert "negative transfer: on validation the network after transfer scores below its target-only control" in out
    assert "add --checkpoint control" in out
    assert ("--preset tuned" in out) is advised


def of_space(**changes: Any) -> dict[str, Any]:
    """A run whose result is the common space of two parts."""
    by = "mAP of 9 labelled validation pairs"
    told = summary(chosen_by={"iteration": by, "parts": by}, **changes)
    figure, gain = {"value": 0.7, "interval": [0.6, 0.8]}, {"value": 0.1, "interval": [0.05, 0.15]}
    told["space"] = {
        "weights": {"students": 1.0, "network": 0.5},
        "widths": {"names": 3, "students": 3, "network": 3, "b": 3, "c": 3},
        "left_out": ["b", "c"],
        "aside": {"d": "there is [nothing]"},
        "notes": [["names", "one is unknown"]],
    }
    told["test"]["map"]["space"] = told["test"]["map"]["after"]
    told["test"] |= {
        "result": "space",
        "gain": {"after": gain, "transfer": gain},
        "parts": {name: {"alone": figure, "adds": gain} for name in ("students", "network")},
    }
    return told


def test_what_became_of_each_part(capsys: pytest.CaptureFixture[str]) -> None:
    show_outcome(Path("runs/a"), of_space(negative_transfer=True))
    out = capsys.readouterr().out
    assert "gain of the common space over the network after transfer: +0.100 (95 % interval +0.050 to +0.150)" in out
    assert "gain of the network after transfer over its control: +0.100" in out
    rows = [" ".join(line.split()) for line in out.splitlines()]
    assert "students 1 0.700 (0.600-0.800) +0.100 (95 % interval +0.050 to +0.150)" in rows
    assert "built upon by these, and not counted beside them: names" in rows
    assert "the iteration of the networks is chosen by mAP of 9 labelled validation pairs" in rows
    assert "the parts of the common space are chosen by mAP of 9 labelled validation pairs" in rows
    assert "left out of the common space, as validation asked: b, c" in rows
    assert "part 'd' steps aside: there is [nothing]" in rows
    assert "--checkpoint control" not in out, "the result is not that network"


def test_parts_that_nothing_vouches_for(capsys: pytest.CaptureFixture[str]) -> None:
    show_outcome(Path("runs/a"), of_space() | {"chosen_by": {}})
    assert "left out of the common space, since no labelled validation pairs vouch: b, c" in capsys.readouterr().out
