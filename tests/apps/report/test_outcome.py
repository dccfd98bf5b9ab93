from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dckt_apps.report.outcome import outcome
from dckt_core.base.errors import DataError
from dckt_core.evaluation.figures import FIGURES
from dckt_core.runs.record import read_run
from dckt_core.runs.results import Estimate, PartResult
from dckt_core.runs.seal import seal_run


def write_run(folder: Path, summary: dict[str, Any] | None, config: str = "seed = 0\n") -> Path:
    folder.mkdir()
    (folder / "config.toml").write_text(config)
    if summary is not None:
        (folder / "summary.json").write_text(json.dumps(summary))
        seal_run(folder)
    return folder


def summary(low: float, high: float, **more: Any) -> dict[str, Any]:
    value = (low + high) / 2
    figure = {"value": 0.6, "interval": [0.5, 0.7]}
    test = {
        "map": {"chance": dict.fromkeys(("image_to_text", "text_to_image", "mean"), 0.1), "after": {"mean": figure}},
        "gain": {"control": {"value": value, "interval": [low, high]}},
    }
    return {"test": test, "target": {"test": 40}, **more}


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.01, 0.03, "is better than the target-only control by 0.020 mAP (95 % interval +0.010 to +0.030)."),
        (-0.03, -0.01, "is worse than the target-only control by 0.020 mAP (95 % interval −0.030 to −0.010)."),
        (-0.01, 0.03, "cannot be told from the target-only control: +0.010, and its"),
        (0.0, 0.04, "cannot be told from the target-only control: +0.020, and its"),
    ],
)
def test_no_more_is_said_than_the_interval_allows(tmp_path: Path, low: float, high: float, said: str) -> None:
    found = outcome(read_run(write_run(tmp_path / "run", summary(low, high))))
    reached, verdict = found.findings
    assert reached == "The network after transfer reaches 0.600 mAP; a random ranking is expected to reach 0.100."
    assert verdict.startswith(f"The network after transfer {said}")
    assert found.chance == 0.1
    assert found.test_pairs == 40
    assert found.measure == "mAP"
    assert [(row.network, row.figures) for row in found.rows] == [("after", {"mean": Estimate(0.6, (0.5, 0.7))})]


def test_figures_by_instance_stand_beside_and_alone_where_no_pair_has_a_label(tmp_path: Path) -> None:
    told = summary(0.1, 0.2)
    one = {"value": 0.25, "interval": [0.2, 0.3]}
    directions = ("image_to_text", "text_to_image", "mean")
    told["test"]["instances"] = {
        "chance": {direction: dict.fromkeys(FIGURES, 0.05) for direction in directions},
        "after": {direction: dict.fromkeys(FIGURES, one) for direction in directions},
    }
    both = outcome(read_run(write_run(tmp_path / "both", told)))
    assert both.rows[0].instances == dict.fromkeys(directions, dict.fromkeys(FIGURES, Estimate(0.25, (0.2, 0.3))))
    assert both.chance_of_instances == dict.fromkeys(directions, dict.fromkeys(FIGURES, Estimate(0.05)))
    assert both.measure == "mAP"
    told["test"] |= {"map": {}, "gain": {"control": {"value": 0.02, "interval": [0.01, 0.03]}}}
    alone = outcome(read_run(write_run(tmp_path / "alone", told)))
    assert (alone.measure, alone.chance) == ("MRR", 0.05)
    assert alone.rows[0].figures == dict.fromkeys(directions, Estimate(0.25, (0.2, 0.3)))
    assert " is better than the target-only control by 0.020 MRR" in alone.findings[1]


@pytest.mark.parametrize(
    ("iteration", "left_out", "said"),
    [
        (3, [], ["Validation kept the networks of iteration 3."]),
        (0, [], ["iteration 0: the target network as it was before transfer."]),
        (0, ["source-network"], ["iteration 0", "no labelled validation pairs vouch for: source-network."]),
    ],
)
def test_what_validation_kept(tmp_path: Path, iteration: int, left_out: list[str], said: list[str]) -> None:
    said_so = {"validation": {"after": {"iteration": iteration}}, "space": {"left_out": left_out}}
    folder = write_run(tmp_path / "run", summary(0.1, 0.2, negative_transfer=True, **said_so))
    found = outcome(read_run(folder))
    assert found.iteration == iteration
    assert all(words in " ".join(found.findings) for words in said)
    assert any("negative transfer" in finding for finding in found.findings)


def test_by_what_validation_chose(tmp_path: Path) -> None:
    by = {"iteration": "MRR of 9 validation pairs, without labels", "parts": "mAP of 9 labelled validation pairs"}
    told = summary(0.1, 0.2, chosen_by=by, space={"left_out": ["source-network"]})
    found = outcome(read_run(write_run(tmp_path / "run", told)))
    assert found.findings[-3:] == [
        "The iteration of the networks is chosen by MRR of 9 validation pairs, without labels.",
        "The parts of the common space are chosen by mAP of 9 labelled validation pairs.",
        "Of the common space, validation left out: source-network.",
    ]


def test_an_unfinished_run_has_no_outcome(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the run is not finished; it is stopped"):
        outcome(read_run(write_run(tmp_path / "run", None)))


def test_what_the_target_offered_and_what_each_part_came_to(tmp_path: Path) -> None:
    figure, gain = {"value": 0.7, "interval": [0.6, 0.8]}, {"value": 0.1, "interval": [0.05, 0.15]}
    told = summary(0.1, 0.2)
    told["target"] |= {"has": {"labelled pairs": 0, "unlabelled pairs": 800}, "rung": {"number": 2}}
    told["test"] |= {
        "result": "space",
        "map": {"chance": told["test"]["map"]["chance"], "space": {"mean": figure}},
        "parts": {"neighbours": {"alone": figure, "adds": gain}},
    }
    told |= {
        "untrained": "there are no labels",
        "space": {
            "weights": {"neighbours": 0.5},
            "widths": {"correlation": 9, "neighbours": 9},
            "aside": {"students": "there are no labels"},
            "notes": [["correlation", "a source pair counts 1"]],
        },
    }
    found = outcome(read_run(write_run(tmp_path / "run", told)))
    assert found.findings[0] == "The target offered 800 unlabelled pairs: rung 2 of the ladder (pairs without labels)."
    assert found.findings[-1] == "The method’s networks were not trained: there are no labels."
    assert found.parts == (
        PartResult("neighbours", "in", 0.5, Estimate(0.7, (0.6, 0.8)), Estimate(0.1, (0.05, 0.15))),
        PartResult("correlation", "taken in", said=("a source pair counts 1",)),
        PartResult("students", "aside", said=("there are no labels",)),
    )
    assert [(row.name, row.figures["mean"].value) for row in found.rows] == [("common space", 0.7)]
