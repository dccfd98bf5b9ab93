"""The transports' benchmark: what it calls right, wrong and absent."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from dckt_bench import transport
from dckt_bench.transport import PROVIDERS, Answer, Provider, clouds, measure, run
from tests.support.needs import absent
from tests.support.processes import ended, forked


@pytest.mark.parametrize("name", ["dckt", "dckt-streamed"])
def test_ours_is_right_and_reaches_its_marginals(name: str) -> None:
    found = measure(name, 64, 8, 0.1, torch.get_num_threads())
    assert found["value_error"] < 1e-5
    assert found["marginal"] <= 2 * transport.TOLERANCE
    assert found["sweeps"] > 2
    assert found["seconds"] > 0


@pytest.mark.parametrize("name", ["pot"])
def test_peers_are_called_rightly(name: str, tmp_path: Path) -> None:
    if PROVIDERS[name].missing:  # not imported here: it imports whatever array libraries there are
        absent(PROVIDERS[name].missing)
    told = tmp_path / "told.json"
    assert ended(forked(lambda: told.write_text(json.dumps(measure(name, 64, 8, 0.1, 1))) and None)) == 0
    found = json.loads(told.read_text())
    assert found["value_error"] < transport.RIGHT
    assert found["marginal"] < 1e-3


def test_a_wrong_value_gets_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROVIDERS, "liar", Provider("liar", lambda x, y, eps: Answer(1.0, None, None)))
    assert measure("liar", 64, 8, 0.1, torch.get_num_threads())["note"].startswith(
        "wrong: its value at 300 rows is off"
    )
    monkeypatch.setitem(PROVIDERS, "lost", Provider("lost", lambda x, y, eps: Answer(float("nan"), None, None)))
    assert measure("lost", 64, 8, 0.1, torch.get_num_threads()) == {"note": "its value is not a number"}


def test_the_plan_is_looked_at_whatever_a_provider_says() -> None:
    x, _ = clouds(8, 4)
    assert transport._off((torch.full((8,), 1 / 8), torch.tensor([0.5] + [0.5 / 7] * 7))) == pytest.approx(
        0.75, abs=1e-6
    )
    assert torch.allclose(x.norm(dim=1), torch.ones(8))


def test_rows_in_processes_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = dataclasses.replace(PROVIDERS["pot"], name="absent", needs="no_such_module")
    monkeypatch.setitem(PROVIDERS, "absent", absent)
    rows = list(run(["dckt", "absent"], [(64, 8, 0.1)], threads=1, rounds=1, patience=100))
    assert [(row.provider, row.note) for row in rows] == [("dckt", ""), ("absent", "no_such_module is not installed")]
    assert rows[0].peak_mb is not None
    assert rows[0].products is not None
    assert rows[0].products > 0


def test_who_takes_too_long_is_given_up() -> None:
    (row,) = run(["dckt"], [(64, 8, 0.1)], threads=1, rounds=2, patience=0.01)
    assert row.note == "not done after 0 s"
    assert row.seconds is None
