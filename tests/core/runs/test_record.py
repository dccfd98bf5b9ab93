from __future__ import annotations

import fcntl
import json
import os
from datetime import datetime
from pathlib import Path

import pytest

from dckt_core.base.errors import DataError
from dckt_core.runs.record import differences, flatten, list_runs, read_run
from dckt_core.runs.results import Estimate
from dckt_core.runs.seal import seal_run

SUMMARY = {
    "test": {
        "map": {
            "chance": {"image_to_text": 0.1, "text_to_image": 0.1, "mean": 0.1},
            "after": {"mean": {"value": 0.6, "interval": [0.5, 0.7]}},
        },
        "gain": {"control": {"value": -0.01, "interval": [-0.02, 0.0]}},
    }
}


def write_run(folder: Path, *, summary: object = SUMMARY, config: str = "seed = 3\n") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(config)
    if summary is not None:
        (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def ended(folder: Path) -> Path:
    """A run as it is when all is written."""
    seal_run(folder)
    return folder


def test_figures_of_a_summary(tmp_path: Path) -> None:
    record = read_run(ended(write_run(tmp_path / "run"))).results
    assert record.map_of("after") == Estimate(0.6, (0.5, 0.7))
    assert record.map_of("chance", "image_to_text") == Estimate(0.1)
    assert record.map_of("control") is None
    assert record.gain_over("control") == Estimate(-0.01, (-0.02, 0.0))
    assert record.gain_over("before") is None


@pytest.mark.parametrize("broken", ["{", "[]", json.dumps({"test": {"map": {"after": {"mean": {"value": 1}}}}})])
def test_a_broken_summary_is_named(tmp_path: Path, broken: str) -> None:
    folder = write_run(tmp_path / "run")
    (folder / "summary.json").write_text(broken)
    seal_run(folder)
    with pytest.raises(DataError, match=r"summary\.json: "):
        read_run(folder).results.map_of("after")


def test_no_run_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name, fault in (("nowhere", "no such run"), ("folder", "no run folder")):
        with pytest.raises(DataError, match=f"{name}: {fault}"):
            read_run(tmp_path / name)


def test_status(tmp_path: Path) -> None:
    assert read_run(ended(write_run(tmp_path / "done"))).status == "finished"
    assert read_run(write_run(tmp_path / "other", summary=None)).status == "stopped"
    assert read_run(write_run(tmp_path / "other.failed-1", summary=None)).status == "failed"
    (tmp_path / "other" / ".lock").touch()
    record = read_run(tmp_path / "other")
    assert record.status == "stopped"
    held = os.open(tmp_path / "other" / ".lock", os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    assert record.status == "training"
    os.close(held)
    assert record.status == "stopped"


def test_runs_are_listed_from_the_oldest_and_nothing_else_is(tmp_path: Path) -> None:
    for name, time in (("b", "2031-01-01T10:00:00.000"), ("a", "2032-01-01T10:00:00.000"), (".c.new", "2030-01-01")):
        folder = write_run(tmp_path / name)
        (folder / "env.json").write_text(json.dumps({"started": time}))
    (tmp_path / "notes").mkdir()
    (tmp_path / "file").touch()
    records = list_runs(tmp_path)
    assert [record.name for record in records] == ["b", "a"]
    assert records[0].started == datetime(2031, 1, 1, 10)
    with pytest.raises(DataError, match="nowhere: No such file"):
        list_runs(tmp_path / "nowhere")


def test_metrics_leave_out_a_line_that_is_still_being_written(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    assert read_run(folder).metrics == []
    (folder / "metrics.csv").write_text("phase,iteration,update,metric,value\ntransfer,1,2,loss,0.5\ntransfer,1,3,lo")
    (row,) = read_run(folder).metrics
    assert (row.phase, row.iteration, row.update, row.metric, row.value) == ("transfer", 1, 2, "loss", 0.5)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("phase,iteration,update,metric\na,1,1,x\n", ":1: lacks the column 'value'"),
        ("phase,iteration,update,metric,value\na,1,1,x,1\na,one,1,x,2\n", ":3: "),
        ("phase,iteration,update,metric,value\na,1\n", ":2: "),
    ],
)
def test_broken_metrics_are_named_by_line(tmp_path: Path, text: str, fault: str) -> None:
    folder = write_run(tmp_path / "run")
    (folder / "metrics.csv").write_text(text)
    with pytest.raises(DataError, match=f"metrics.csv{fault}"):
        _ = read_run(folder).metrics


def test_selection_keeps_odd_ids_and_leaves_out_empty_details(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    odd = 'a\u2028b,\n"c"'
    cell = '"' + odd.replace('"', '""') + '"'
    (folder / "selection.csv").write_text(f"iteration,id,kept,ap\n1,{cell},1,0.25\n1,z,0,\n", newline="")
    first, second = read_run(folder).selection
    assert (first.id, first.kept, first.details) == (odd, True, {"ap": 0.25})
    assert (second.id, second.kept, second.details) == ("z", False, {})


def test_differences_are_those_settings_that_are_not_the_same(tmp_path: Path) -> None:
    records = [
        read_run(write_run(tmp_path / name, config=text))
        for name, text in (
            ("a", "seed = 1\n[sampler]\nname = 'all'\n"),
            ("b", "seed = 1\n[sampler]\nname = 'u'\nk = 2\n"),
        )
    ]
    (tmp_path / "b" / "env.json").write_text('{"packages": {"torch": "2"}}')
    assert differences(records) == {
        "sampler.name": ["all", "u"],
        "sampler.k": [None, 2],
        "environment.packages.torch": [None, "2"],
    }
    assert differences([records[0], records[0]]) == {}


def test_flatten_keeps_lists_whole() -> None:
    assert flatten({"a": {"b": {"c": 1}, "d": [{"e": 2}]}}) == {"a.b.c": 1, "a.d": [{"e": 2}]}
