"""`python -m dckt_kernels.selftest`: one file with what came out. Its part in the interpreter is run with the wheel."""

from __future__ import annotations

import getpass
import json
import platform
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from dckt_kernels.selftest import __main__ as selftest
from dckt_kernels.selftest import speed
from dckt_kernels.selftest.checks import Check, NotPossibleError, Place, errors, within


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """On this processor alone, one round of the smallest shape."""
    monkeypatch.setattr(selftest, "_in_the_interpreter", lambda: iter(()))
    monkeypatch.setattr(selftest, "ON_A_CPU", ((16, 64),))
    monkeypatch.setattr(speed, "ROUNDS", 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)


def test_it_writes_what_came_out(short: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "sent.json"
    assert selftest.main(["--output", str(file)]) == 0
    text = file.read_text("utf-8")
    report = json.loads(text)
    assert {"form", "when", "seconds", "machine", "counted", "results"} == report.keys()
    assert report["machine"]["versions"]["torch"] == torch.__version__
    assert report["machine"]["gpus"] == []
    assert report["counted"]["failed"] == 0
    assert sum(report["counted"].values()) == len(report["results"])
    by_name = {(result["where"], result["check"]): result for result in report["results"]}
    assert by_name["cpu", "many rows"]["gradient_error"] <= by_name["cpu", "many rows"]["bar"]
    assert by_name["cpu", "torch.compile"]["state"] == "passed"
    assert by_name["cpu", "speed at 16 + 16 rows of 64"]["gram_over_dckt"] > 0
    for check in (("cpu", "CUDA graph"), ("cpu", "a second device"), ("gpu", "the Triton kernels, compiled")):
        assert by_name[check] | {"took": 0} == {
            "where": check[0],
            "check": check[1],
            "state": "not possible",
            "reason": "there is no GPU",
            "took": 0,
        }
    for private in (platform.node(), str(tmp_path), str(Path.home()), f'"{getpass.getuser()}"'):
        assert private not in text
    shown = capsys.readouterr().out
    assert "many rows" in shown
    assert shown.splitlines()[-1].endswith(f"3 not possible; written to {file}")


def test_a_check_that_fails_is_told_and_written(
    short: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def raises() -> dict[str, Any]:
        raise RuntimeError("no\nsuch kernel")

    def checks(place: Place) -> Iterator[Check]:
        yield Check("wrong", partial(within, {"value_error": 1.0, "gradient_error": 0.0}, 1e-6))
        yield Check("not a number", partial(within, {"value_error": float("nan"), "gradient_error": 0.0}, 1e-6))
        yield Check("broken", raises)

    monkeypatch.setattr(selftest, "values_and_gradients", checks)
    monkeypatch.setattr(selftest, "modes", lambda place: iter(()))
    file = tmp_path / "sent.json"
    assert selftest.main(["--output", str(file)]) == 1
    failed = [result for result in json.loads(file.read_text("utf-8"))["results"] if result["state"] == "failed"]
    assert [result["reason"] for result in failed] == [
        "AssertionError: error 1.0e+00, at most 1.0e-06 are allowed",
        "AssertionError: error nan, at most 1.0e-06 are allowed",
        "RuntimeError: no such kernel",
    ]
    assert "broken" in capsys.readouterr().out


def test_errors_are_those_against_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place("closed_form", torch.device("cpu"))
    pairs = [place.rows(9, 8, 5)]
    right = errors(place, pairs)
    assert max(right.values()) < 1e-5
    from dckt_kernels.selftest import checks

    plain = checks.mk_mmd_many
    monkeypatch.setattr(
        checks,
        "mk_mmd_many",
        lambda *args, **how: plain(*args, **how) * (1.01 if how["backend"] == "closed_form" else 1),
    )
    wrong = errors(place, pairs)
    assert wrong["value_error"] == pytest.approx(0.01, rel=1e-3)
    assert wrong["gradient_error"] == pytest.approx(0.01, rel=1e-3)


def test_a_folder_that_is_not_there_is_named_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        selftest.main(["--output", str(tmp_path / "none" / "sent.json")])
    assert ended.value.code == 2
    assert "no folder" in capsys.readouterr().err


def test_a_process_that_breaks_is_a_check_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "INTERPRETED", "--no-such-option")
    monkeypatch.setattr(selftest, "find_spec", lambda name: object())
    (result,) = selftest._in_the_interpreter()
    assert result["state"] == "failed"
    assert "--no-such-option" in result["reason"]
    monkeypatch.setattr(selftest, "find_spec", lambda name: None)
    (result,) = selftest._in_the_interpreter()
    assert (result["state"], result["reason"]) == ("not possible", "Triton is not installed")


def test_a_reason_is_needed_for_what_is_not_possible() -> None:
    def refuses() -> dict[str, Any]:
        raise NotPossibleError("there is one GPU")

    (result,) = selftest._run("cuda:0", [Check("a second device", refuses)])
    assert (result["state"], result["reason"]) == ("not possible", "there is one GPU")
