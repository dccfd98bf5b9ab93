"""`dckt bench-mmd` as a user calls it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from dckt_bench.measure import COLUMNS
from dckt_cli.main import main

QUICK = ["bench-mmd", "--providers", "dckt,gram", "--shapes", "8:6x5", "--seconds", "0", "--no-memory"]


def test_json_alone_on_stdout_and_the_same_rows_in_csv(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, picture = tmp_path / "rows.csv", tmp_path / "rows.png"
    assert main([*QUICK, "--modes", "value,both", "--json", "--csv", str(file), "--plot", str(picture)]) == 0
    out, err = capsys.readouterr()
    rows = json.loads(out)
    assert "checking gram" in err
    assert {row["provider"] for row in rows} == {"dckt", "gram", "limit"}
    assert {row["mode"] for row in rows if row["metric"] == "time"} == {"value", "both"}
    with file.open(newline="") as stream:
        written = list(csv.DictReader(stream))
    assert tuple(written[0]) == COLUMNS
    assert len(written) == len(rows)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(QUICK) == 0
    out, _ = capsys.readouterr()
    assert "8:6x5: float32 on cpu" in out
    assert "gram" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--providers", "grma"], "no provider 'grma': did you mean 'gram'?"),
        (["--modes", "all"], "no mode 'all'"),
        (["--shapes", "3xy"], "'3xy' is no shape"),
        (["--device", "tpu"], "'tpu' is not cpu or cuda"),
        (["--csv", "/no/such/folder/rows.csv"], "no folder '/no/such/folder' to write 'rows.csv' to"),
        (["--static", "--plot", "x.png"], "--static has none"),
    ],
)
def test_errors_are_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench-mmd", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
