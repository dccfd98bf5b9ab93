from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dckt_cli.main import main
from dckt_core.runs.results import signed
from dckt_core.runs.seal import seal_run

Capture = pytest.CaptureFixture[str]


def told(capsys: Capture, *arguments: str) -> Any:
    """What the command says in JSON, which must stand alone on stdout."""
    capsys.readouterr()
    assert main(["runs", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def home(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `runs/squares`, the trained run, and `runs/other`, one with another learning rate, unfinished."""
    shutil.copytree(trained / "runs" / "squares", tmp_path / "runs" / "squares")
    other = tmp_path / "runs" / "other"
    shutil.copytree(trained / "runs" / "squares", other)
    (other / "summary.json").unlink()
    (other / "digests.json").unlink()
    config = (other / "config.toml").read_text()
    (other / "config.toml").write_text(config.replace("momentum = 0.9", "momentum = 0.5"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_list_has_what_tells_runs_apart(home: Path, capsys: Capture) -> None:
    rows = {row["name"]: row for row in told(capsys, "list")}
    summary = json.loads((home / "runs/squares/summary.json").read_text())
    row = rows["squares"]
    assert (row["status"], row["source"], row["target"]) == ("finished", "source", "target")
    assert (row["encoder"], row["text_encoder"], row["sampler"]) == ("vgg19", "wordcnn", "ap-progressive")
    for network in ("before", "control", "after"):
        assert row["map"][network] == summary["test"]["map"][network]
    assert row["result"] == summary["test"]["result"]
    has = {what: count for what, count in summary["target"]["has"].items() if count}
    assert row["offer"] == {"has": has, "rung": summary["target"]["rung"]["number"]}
    assert row["instances"]["after"]["mrr"] == summary["test"]["instances"]["after"]["mean"]["mrr"]
    assert rows["other"]["status"] == "stopped" and rows["other"]["offer"] is None
    assert rows["other"]["map"]["after"]["mean"] is None


def test_the_list_for_people(home: Path, capsys: Capture) -> None:
    (home / "runs/other/config.toml").write_text("not TOML")
    capsys.readouterr()
    assert main(["runs", "list"]) == 0
    out = capsys.readouterr().out
    after = json.loads((home / "runs/squares/summary.json").read_text())["test"]["map"]["after"]["mean"]["value"]
    line = next(line for line in out.splitlines() if "squares" in line)
    assert f"{after:.3f}" in line and "vgg19" in line and "ap-progressive" in line
    assert "unreadable" in out, "one broken run does not hide the others"
    assert main(["runs", "show", "runs/other"]) == 3
    assert "other/config.toml: not the configuration of a run" in capsys.readouterr().err


def test_an_empty_folder_and_none(tmp_path: Path, capsys: Capture) -> None:
    assert main(["runs", "list", "--runs-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"no runs in {tmp_path}\n"
    assert main(["runs", "list", "--runs-dir", str(tmp_path / "x")]) == 3
    assert capsys.readouterr().err == f"dckt: error: {tmp_path / 'x'}: No such file or directory\n"


def test_show(home: Path, capsys: Capture) -> None:
    answer = told(capsys, "show", "runs/squares")
    assert answer["settings"]["network.media_width"] == 16
    assert answer["environment"]["packages"]["dckt"]
    assert answer["summary"]["test"]["map"]["after"] == answer["map"]["after"]
    assert main(["runs", "show", "runs/squares"]) == 0
    out = capsys.readouterr().out
    gain = answer["summary"]["test"]["gain"]["control"]
    over = f"gain of the network after transfer over the target-only control: {signed(gain['value'])}"
    assert f"{over} (95 % interval {signed(gain['interval'][0])} to" in out
    assert "the target offered: " in out
    assert any(line.split()[:2] == ["network.media_width", "16"] for line in out.splitlines())
    assert main(["runs", "show", "runs/other"]) == 0
    assert "runs/other: stopped" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "[]", "null", "{", "\0" * 50, "[" * 100_000])
def test_a_broken_summary_is_named(home: Path, capsys: Capture, content: str) -> None:
    (home / "runs/squares/summary.json").write_text(content)
    seal_run(home / "runs/squares")
    capsys.readouterr()
    assert main(["runs", "show", "runs/squares"]) == 3
    error = capsys.readouterr().err
    assert error.startswith("dckt: error: runs/squares/summary.json")
    assert error.count("\n") == 1
    assert {row["name"] for row in told(capsys, "list")} == {"squares", "other"}


def test_compare_names_what_differs_and_nothing_else(home: Path, capsys: Capture) -> None:
    answer = told(capsys, "compare", "runs/squares", "runs/other")
    assert answer["differences"] == {"optimizer.momentum": [0.9, 0.5]}
    assert answer["same_test_pairs"] is True
    assert [row["name"] for row in answer["runs"]] == ["squares", "other"]
    assert main(["runs", "compare", "runs/squares", "runs/squares"]) == 0
    assert "no setting and no version differs" in capsys.readouterr().out


def test_compare_says_where_figures_do_not_compare(home: Path, capsys: Capture) -> None:
    file = home / "runs/other/model.json"
    model = json.loads(file.read_text())
    model["pairs"]["target"] = "0" * 64  # it was offered other pairs, and scored on the same
    file.write_text(json.dumps(model))
    assert told(capsys, "compare", "runs/squares", "runs/other")["same_test_pairs"] is True
    model["test"] = "0" * 64
    file.write_text(json.dumps(model))
    assert told(capsys, "compare", "runs/squares", "runs/other")["same_test_pairs"] is False
    assert main(["runs", "compare", "runs/squares", "runs/other"]) == 0
    assert "these figures do not compare" in capsys.readouterr().out
    assert main(["runs", "compare", "runs/squares"]) == 2


def test_plot_one_run_and_several(home: Path, capsys: Capture) -> None:
    assert main(["runs", "plot", "runs/squares"]) == 0
    assert capsys.readouterr().out == "runs/squares/curves.png\n"
    assert main(["runs", "plot", "runs/squares", "runs/other", "-o", "both.png"]) == 0
    pictures = [Image.open(home / file).convert("RGB") for file in ("runs/squares/curves.png", "both.png")]
    for picture in pictures:
        assert min(picture.size) > 500
        assert len(picture.getcolors(1 << 24) or []) > 20, "it is not blank"
    assert pictures[0].tobytes() != pictures[1].tobytes()


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["runs/squares", "runs/other"], "say where the picture goes"),
        (["runs/squares", "-o", "x.svg"], "x.svg: the picture is a PNG"),
        (["runs/squares", "-o", "no/x.png"], "no: no such folder"),
        (["runs/nowhere"], "runs/nowhere: no such run"),
    ],
)
def test_what_plot_refuses(home: Path, capsys: Capture, arguments: list[str], fault: str) -> None:
    assert main(["runs", "plot", *arguments]) in (2, 3)
    assert fault in capsys.readouterr().err


def test_plot_without_measurements(home: Path, capsys: Capture) -> None:
    (home / "runs/other/metrics.csv").unlink()
    assert main(["runs", "plot", "runs/other"]) == 3
    assert "the 'csv' observer writes them" in capsys.readouterr().err
