"""`dckt experiment` as a user meets it: what it says and leaves, how it ends, and that it goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from dckt_apps.experiment import runner
from dckt_cli.main import main
from dckt_core.base.errors import ExitCode
from tests.support.commands import DCKT
from tests.support.plans import in_this_process, write_plan

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `plan.toml`, and `done`, where the arm `means` is."""
    folder = write_plan(tmp_path_factory.mktemp("experiment"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCKT_CACHE_DIR", str(folder / "cache"))
        patch.setattr(runner, "work", in_this_process)
        arguments = ["-o", str(folder / "done"), "--set", "seeds=[0]", "--arm", "means", "--quiet"]
        assert main(["experiment", str(folder / "plan.toml"), *arguments]) == 0
    return folder


@pytest.fixture
def in_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DCKT_CACHE_DIR", str(home / "cache"))
    monkeypatch.chdir(home)
    return home


def test_a_dry_run_says_what_is_left_and_leaves_nothing(in_home: Path, capsys: Capture) -> None:
    assert main(["experiment", "plan.toml", "-o", "dry", "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "dckt: 2 cells, 2 to be trained",
        "control: 2 cells, 2 to be trained",
        "diverges: 2 cells, 2 to be trained",
        "means: 2 cells, 2 to be trained",
        "0 of 8 cells are done; 6 trainings are left",
    ]
    assert not (in_home / "dry").exists()


def test_a_dry_run_knows_what_is_done(in_home: Path, capsys: Capture) -> None:
    assert main(["experiment", "plan.toml", "-o", "done", "--dry-run", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {"experiment": "done", "cells": 8, "done": 1, "tasks": 6, "failed": {}}


def test_it_goes_on_and_says_where_the_report_is(in_home: Path, capsys: Capture) -> None:
    assert main(["experiment", "plan.toml", "-o", "done", "--set", "seeds=[0]", "--arm", "means"]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "1 of 4 cells are done",
        "report: done/report.md",
        "tables: done/results.csv, done/parts.csv",
    ]
    assert "cells: 1/1" in told.err
    assert "1 of 4 cells are done." in (in_home / "done" / "report.md").read_text()


def test_a_failed_cell_is_named_and_the_exit_code_says_so(in_home: Path, capsys: Capture) -> None:
    arguments = ["-o", "failed", "--set", "seeds=[0]", "--arm", "diverges", "--arm", "means", "--json"]
    shutil.copytree("done", "failed")  # what is done is not done again: one process is enough
    assert main(["experiment", "plan.toml", *arguments]) == ExitCode.FAILURE
    told = capsys.readouterr()
    said = json.loads(told.out)
    assert (said["cells"], said["done"]) == (4, 1)
    ((cell, fault),) = said["failed"].items()
    assert cell == "diverges on squares, rung 4, seed 0"
    assert "transfer iteration 1 of 2" in fault
    assert f"{cell} failed: {fault}" in told.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.toml"], "nowhere.toml: no such file"),
        (["plan.toml", "--set", "sheds=[0]"], "plan.toml: unknown key 'sheds': did you mean 'seeds'?"),
        (["plan.toml", "--set", "seeds"], "--set"),
        (["plan.toml", "--arm", "mean"], "no arm 'mean': did you mean 'means'?"),
        (["plan.toml", "--set", "base.transfer.lrr=1", "--dry-run"], "unknown configuration key 'transfer.lrr'"),
        (["plan.toml", "--workers", "0"], "--workers"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_made(
    in_home: Path, capsys: Capture, arguments: list[str], said: str
) -> None:
    assert main(["experiment", *arguments, "-o", "wrong"]) == ExitCode.USAGE
    told = capsys.readouterr().err.splitlines()
    assert said in told[-1]
    assert not (in_home / "wrong").exists()


@pytest.mark.slow
def test_sigterm_keeps_a_checkpoint_and_the_same_command_goes_on(home: Path, tmp_path: Path) -> None:
    sets = ["seeds=[0]", "base.transfer.updates=400", "base.network.media_width=512"]
    command = [DCKT, "experiment", home / "plan.toml", "-o", tmp_path, "--arm", "dckt"]
    command += [word for one in sets for word in ("--set", one)]
    environment = os.environ | {"DCKT_CACHE_DIR": str(home / "cache")}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        begun = time.monotonic()
        while not any(tmp_path.glob("runs/*/selection.csv")):
            assert process.poll() is None
            assert time.monotonic() - begun < 120
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        told = process.communicate()[1]
    assert process.returncode == ExitCode.TERMINATED
    assert "stopped with 0 of 4 cells done" in told
    (run,) = (tmp_path / "runs").iterdir()
    assert list((run / "checkpoints").glob("*.state.safetensors"))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "2 of 4 cells are done" in done.stdout
    assert "resum" in (run / "log.jsonl").read_text()
