from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import pytest

from dckt_core.contract.protocols import Observer, ObserverContext
from tests.support import box


def observer(folder: Path) -> Observer:
    spec = box.spec("observer", "csv")
    return spec.build(spec.options(), ObserverContext(run_dir=folder))


def table(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def row(phase: str, iteration: int, update: int, **measured: Any) -> dict[str, Any]:
    return {"phase": phase, "iteration": iteration, "update": update, **measured}


def test_one_measurement_a_row_each_on_disk_at_once(tmp_path: Path) -> None:
    csv_observer, file = observer(tmp_path), tmp_path / "metrics.csv"
    csv_observer.on_metrics(row("pretrain source", 0, 5, source_semantic=0.1 + 0.2))
    assert file.read_text().splitlines() == [
        "phase,iteration,update,metric,value",
        "pretrain source,0,5,source_semantic,0.30000000000000004",
    ]
    csv_observer.on_metrics(row("transfer", 1, 5, target_semantic=2, discrepancy_image_fc6=1e-9))
    assert [(line["metric"], float(line["value"])) for line in table(file)] == [
        ("source_semantic", 0.1 + 0.2),
        ("target_semantic", 2.0),
        ("discrepancy_image_fc6", 1e-9),
    ]


def test_numbers_survive_as_they_are(tmp_path: Path) -> None:
    told = [math.pi, -0.0, 1e300, math.nan, math.inf]
    observer(tmp_path).on_metrics(row("transfer", 1, 1, **{f"m{n}": value for n, value in enumerate(told)}))
    assert [repr(float(line["value"])) for line in table(tmp_path / "metrics.csv")] == [repr(value) for value in told]


def test_a_row_for_each_pair_and_iteration(tmp_path: Path) -> None:
    csv_observer = observer(tmp_path)
    for iteration in (1, 2):
        csv_observer.on_selection(
            iteration, [{"id": 'a,"b"', "kept": 1, "ap": 0.5}, {"id": "c\nd", "kept": 0, "ap": 0}]
        )
    lines = table(tmp_path / "selection.csv")
    assert list(lines[0]) == ["iteration", "id", "kept", "ap"]
    assert [(line["iteration"], line["id"], line["kept"]) for line in lines] == [
        ("1", 'a,"b"', "1"), ("1", "c\nd", "0"), ("2", 'a,"b"', "1"), ("2", "c\nd", "0"),
    ]  # fmt: skip


def test_columns_may_come_and_go(tmp_path: Path) -> None:
    csv_observer = observer(tmp_path)
    csv_observer.on_selection(1, [{"id": "a", "kept": 1, "ap": 0.5}])
    csv_observer.on_selection(2, [{"id": "a", "kept": 1, "loss": 3.0}])
    csv_observer.on_selection(3, [{"id": "a", "kept": 0}])
    assert table(tmp_path / "selection.csv") == [
        {"iteration": "1", "id": "a", "kept": "1", "ap": "0.5", "loss": ""},
        {"iteration": "2", "id": "a", "kept": "1", "ap": "", "loss": "3.0"},
        {"iteration": "3", "id": "a", "kept": "0", "ap": "", "loss": ""},
    ]


def test_a_run_that_goes_on_goes_on_in_the_same_files(tmp_path: Path) -> None:
    for update in (1, 2):
        observer(tmp_path).on_metrics(row("transfer", 1, update, loss=update))
    lines = (tmp_path / "metrics.csv").read_text().splitlines()
    assert lines == ["phase,iteration,update,metric,value", "transfer,1,1,loss,1.0", "transfer,1,2,loss,2.0"]


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    csv_observer = observer(tmp_path)
    csv_observer.on_selection(1, [{"id": "a", "kept": 1}])
    csv_observer.on_end({"test": {}})
    assert [file.name for file in tmp_path.iterdir()] == ["selection.csv"]


def test_a_metric_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="could not convert"):
        observer(tmp_path).on_metrics(row("transfer", 1, 1, loss="low"))
