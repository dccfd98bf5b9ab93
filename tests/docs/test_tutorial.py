"""The commands of docs/tutorial.md, run as they stand, give the figures that stand below them."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from dckt_cli.main import main
from tests.support.pages import ROOT

PAGE = (ROOT / "docs/tutorial.md").read_text("utf-8")
STEPS = re.findall(r"```sh\n(dckt train --name .*?)```\n\n```text\ncommon space(.*?)```", PAGE, re.DOTALL)
"""Each command and the figures of its run: both directions and their mean."""
FAR = 0.03
"""Another processor adds up in another order, and a training carries the last bits far (docs/results.md)."""


def test_the_table_says_what_the_steps_say() -> None:
    told = re.findall(r"^\| \[.*?\]\(#.*?\) \| (.*?) \|", PAGE, re.MULTILINE)
    of_steps = [re.findall(r"0(\.\d+) \(0(\.\d+)-0(\.\d+)\)", figures)[-1] for _, figures in STEPS]
    assert told == [f"{value} ({low} to {high})" for value, low, high in of_steps]


@pytest.mark.slow  # a minute each
@pytest.mark.parametrize(("command", "figures"), STEPS, ids=[shlex.split(command)[3] for command, _ in STEPS])
def test_a_step(
    command: str,
    figures: str,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DCKT_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache of the tutorial"))
    monkeypatch.chdir(tmp_path)
    _, *words = shlex.split(command.replace("\\\n", " "))
    assert main([*words, "--quiet", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["test"]["map"]["space"]
    expected = [float(value) for value in re.findall(r"(0\.\d+) \(", figures)]
    assert [row["value"] for row in found.values()] == pytest.approx(expected, abs=FAR)
