"""That the benchmark holds providers to their formula, and reports what it measured."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dckt_bench import measure
from dckt_bench.measure import LIMIT, Setting, check, run
from dckt_bench.providers import PROVIDERS
from dckt_bench.workloads import Pairs, parse
from tests.support.needs import absent

SETTING = Setting(torch.device("cpu"), torch.float32, seconds=0.0)


@pytest.mark.parametrize("name", [name for name in PROVIDERS if name not in ("gram-compiled", "keops")])
def test_every_provider_computes_what_it_says(name: str) -> None:
    """The two that call a C++ compiler are checked by the benchmark itself, before it times them."""
    provider = PROVIDERS[name]
    if provider.missing:
        absent(provider.missing)
    note, errors = check(provider, parse("12x7"), Setting(torch.device("cpu"), torch.float64))
    assert note == ""
    assert set(errors) == {"value_error", "gradient_error"}


def test_rows_for_each_provider_and_mode() -> None:
    rows = list(run(["dckt", "gram"], [parse("9:6x5")], ["value", "both"], SETTING, memory=False))
    timed = {(row.provider, row.mode): row for row in rows if row.metric == "time"}
    assert set(timed) == {(name, mode) for name in (LIMIT, "dckt", "gram") for mode in ("value", "both")}
    for row in timed.values():
        assert row.p20 is not None
        assert row.p50 is not None
        assert row.p80 is not None
        assert 0 < row.p20 <= row.p50 <= row.p80
        assert row.workload == "9:6x5"
    assert timed[LIMIT, "both"].vs_limit == pytest.approx(1)


def scaled(factor: float) -> Callable[[Pairs], Tensor]:
    return lambda pairs: factor * PROVIDERS["dckt"].loss(pairs)


def gradient_off(pairs: Pairs) -> Tensor:
    value = PROVIDERS["dckt"].loss(pairs)
    return value + (pairs[0][0] - pairs[0][0].detach()).sum()


@pytest.mark.parametrize(("loss", "what"), [(scaled(1.01), "value_error"), (gradient_off, "gradient_error")])
def test_a_wrong_provider_gets_no_time(
    monkeypatch: pytest.MonkeyPatch, loss: Callable[[Pairs], Tensor], what: str
) -> None:
    monkeypatch.setitem(PROVIDERS, "gram", replace(PROVIDERS["gram"], loss=loss))
    rows = list(run(["dckt", "gram"], [parse("9x5")], ["both"], SETTING, memory=False))
    wrong = [row for row in rows if row.provider == "gram"]
    assert {row.metric for row in wrong} == {"value_error", "gradient_error"}
    assert all(row.note.startswith("wrong:") and what in row.note for row in wrong)
    assert any(row.provider == "dckt" and row.metric == "time" for row in rows)


def test_why_a_provider_does_not_take_part(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check(PROVIDERS["tllib"], parse("9:6x5"), SETTING) == ("needs equal batches", {})
    absent = replace(PROVIDERS["geomloss"], needs=("no_such_package_at_all",))
    assert check(absent, parse("9x5"), SETTING) == ("no_such_package_at_all is not installed", {})
    monkeypatch.setattr(measure, "_available_bytes", lambda _: 1e9)
    note, _ = check(PROVIDERS["snippet"], parse("4096x256"), SETTING)
    assert note == "needs about 206.2 GB, and 1.0 GB may be used"


@pytest.mark.skipif(sys.platform != "linux", reason="peaks of a process are read from /proc")
def test_peak_memory_is_that_of_the_call() -> None:
    """Explicit differences hold N x N x d floats, 16.8 MB each here; the closed form none."""
    mine, _ = measure.peak_memory("dckt", "32x1024", "both", SETTING)
    theirs, _ = measure.peak_memory("snippet", "32x1024", "both", SETTING)
    assert mine is not None
    assert theirs is not None
    assert theirs > 4 * 64 * 64 * 1024 / 1e6
    assert mine < 8
