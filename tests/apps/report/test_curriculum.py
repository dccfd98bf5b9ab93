from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dckt_apps.report.curriculum import TIMES_KEPT, curriculum, highest_and_lowest
from dckt_apps.report.material import Material
from dckt_core.base.errors import DataError
from dckt_core.contract.pairs import Pair, PairSet
from dckt_core.runs.record import read_run

PAIRS = [Pair(name, Path(f"{name}.png"), f"text of {name}", "c", "train") for name in "abcd"]


class Data:
    """Stands for the run's data."""

    def __init__(self, fault: str = "") -> None:
        self.fault = fault

    def target(self) -> PairSet:
        if self.fault:
            raise DataError(self.fault)
        return PairSet("made up", "made up", PAIRS)


def choices(folder: Path, text: str) -> Path:
    folder.mkdir()
    (folder / "config.toml").write_text("seed = 0\n")
    (folder / "selection.csv").write_text(text)
    return folder


def gathered(folder: Path, fault: str = "") -> Any:
    return curriculum(read_run(folder), cast(Material, Data(fault)))


def test_shares_and_examples_of_the_last_iteration(tmp_path: Path) -> None:
    first = "1,a,1,0.9\n1,b,0,0.8\n1,c,0,0.1\n1,d,0,0.2\n"
    last = "2,a,1,0.5\n2,b,1,0.7\n2,c,0,0.3\n2,d,1,0.2\n"
    found = gathered(choices(tmp_path / "run", "iteration,id,kept,ap\n" + first + last))
    assert (found.share.x, found.share.y) == ([1, 2], [0.25, 0.75])
    assert found.measure == "ap"
    assert [(it.id, it.value, it.kept, it.iterations) for it in found.easy] == [("b", 0.7, 1, 2), ("a", 0.5, 2, 2)]
    assert [it.id for it in found.hard] == ["d", "c"]
    assert found.hard[0].text == "text of d"


def test_a_low_loss_is_easy(tmp_path: Path) -> None:
    found = gathered(choices(tmp_path / "run", "iteration,id,kept,loss\n1,a,1,0.1\n1,b,0,3.0\n"))
    assert ([it.id for it in found.easy], [it.id for it in found.hard]) == (["a"], ["b"])


def test_without_values_the_times_kept_order_the_pairs(tmp_path: Path) -> None:
    found = gathered(choices(tmp_path / "run", "iteration,id,kept,odd\n1,a,0,\n1,b,1,\n2,a,0,1\n2,b,1,1\n"))
    assert found.measure == TIMES_KEPT
    assert [(it.id, it.value) for it in found.easy] == [("b", 2.0)]


def test_data_that_are_gone_leave_the_curves(tmp_path: Path) -> None:
    found = gathered(choices(tmp_path / "run", "iteration,id,kept\n1,a,1\n1,b,0\n"), "the data are gone")
    assert found.missing == "the data are gone"
    assert found.share.y == [0.5]
    assert found.easy == found.hard == []


def test_no_choices(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.toml").write_text(json.dumps("seed") + " = 0\n")
    with pytest.raises(DataError, match=r"run has no selection\.csv"):
        gathered(folder)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=30))
def test_no_pair_is_both_high_and_low(values: list[float]) -> None:
    rated = [(value, str(row)) for row, value in enumerate(values)]
    high, low = highest_and_lowest(rated, {name: "c" for _, name in rated}, 5)
    assert len(high) == len(low) == min(5, len(values) // 2)
    assert not {name for _, name in high} & {name for _, name in low}
    assert [value for value, _ in high] == sorted(values, reverse=True)[: len(high)]
    assert [value for value, _ in low] == sorted(values)[: len(low)]


def test_examples_are_of_different_classes_as_far_as_there_are() -> None:
    rated = [(n / 100, str(n)) for n in range(100)]
    classes = {str(n): "cow" if n >= 80 else "dog" if n >= 70 else "cat" if n >= 50 else "bus" for n in range(100)}
    high, low = highest_and_lowest(rated, classes, 5)
    assert [name for _, name in high] == ["99", "98", "79", "78", "69"]
    assert [name for _, name in low] == ["0", "1", "2", "3", "4"], "of the lower half all are of one class"
    few, hard = highest_and_lowest(
        [(0.9, "a"), (0.8, "b"), (0.2, "c"), (0.1, "d")], dict(zip("abcd", "AABB", strict=True))
    )
    assert min(few) > max(hard), "no hard pair is easier than an easy one"
