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
        "target": {"test": 7},
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
    assert "gain of after transfer over the target-only control: -0.020 (95 % interval -0.030 to -0.010)" in out
    assert "dckt evaluate runs/a" in out
    assert "left out" not in out
    assert "Negative transfer" not in out


def test_without_labelled_test_pairs_it_is_the_reciprocal_rank(capsys: pytest.CaptureFixture[str]) -> None:
    told = summary()
    told["test"] |= {"map": {}, "kind": "mrr"}
    show_outcome(Path("runs/a"), told)
    out = capsys.readouterr().out
    assert "MRR on the 7 test pairs" in out
    assert out.count("0.500 (0.400-0.600)") == 9
    assert out.count("0.070") == 3
    assert "gain of after transfer over before transfer: -0.020" in out


@pytest.mark.parametrize(("preset", "advised"), [("paper", True), ("tuned", False)])
def test_negative_transfer_is_said_with_what_to_try(
    preset: str, advised: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    show_outcome(Path("runs/a"), summary(negative_transfer=True, preset=preset))
    out = " ".join(capsys.readouterr().out.split())
    assert "Negative transfer: on validation the control scores higher." in out
    assert ("--preset tuned" in out) is advised


def test_parts_that_were_left_out_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    space = {"weights": {"a": 2.0}, "left_out": ["b", "c"], "aside": {"d": "there is [nothing]"}}
    show_outcome(Path("runs/a"), summary(space=space))
    out = capsys.readouterr().out
    assert "left out of the common space, as validation asked: b and c" in out
    assert "part 'd' steps aside: there is [nothing]" in out
