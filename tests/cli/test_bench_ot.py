"""`dckt bench-ot` as a user calls it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from dckt_bench import transport
from dckt_bench.transport import COLUMNS
from dckt_cli.main import main


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls in this process; that there is one for each is seen in tests/bench."""

    def measured(name: str, n: int, d: int, eps: float, threads: int, patience: float) -> dict[str, Any]:
        return transport.measure(name, n, d, eps, torch.get_num_threads())

    monkeypatch.setattr(transport, "_in_a_process", measured)


QUICK = ["bench-ot", "--providers", "dckt", "--rows", "64", "--width", "8", "--eps", "0.1", "--rounds", "1"]


def test_json_alone_on_stdout_and_the_same_rows_in_csv(
    here: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rows.csv"
    assert main([*QUICK, "--json", "--csv", str(file)]) == 0
    out, err = capsys.readouterr()
    (row,) = json.loads(out)
    assert row["provider"] == "dckt"
    assert row["note"] == ""
    assert "n = 64, eps 0.1: dckt, 1 of 1" in err
    with file.open(newline="") as stream:
        (written,) = csv.DictReader(stream)
    assert tuple(written) == COLUMNS


def test_a_table(here: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(QUICK) == 0
    out, _ = capsys.readouterr()
    assert "64 x 64 rows of 8, eps 0.1: 1 thread(s)" in out
    assert "dckt" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--providers", "pto"], "no provider 'pto': did you mean 'pot'?"),
        (["--rows", "many"], "'many' is no list of numbers"),
        (["--rows", "1"], "1 is not in [2, 1e+06]"),
        (["--eps", "0"], "0 is not in [1e-06, 1e+06]"),
        (["--csv", "/no/such/folder/rows.csv"], "no folder '/no/such/folder' to write 'rows.csv' to"),
    ],
)
def test_errors_are_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench-ot", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
