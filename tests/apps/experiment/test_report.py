from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import ttest_1samp, ttest_rel

from dckt_apps.experiment.cells import Cell, Task
from dckt_apps.experiment.plan import Plan, read_plan
from dckt_apps.experiment.report import report
from dckt_apps.experiment.results import PartRow, Row, as_csv, part_rows_of, row_of, select
from dckt_core.config import Config
from dckt_core.evaluation.figures import FIGURES

PLAN = """
seeds = [0, 1, 2]
shots = [5, "all"]
reference = "alone"
data = { photos = {} }
[arms.dckt]
[arms.alone]
checkpoint = "control"
[arms.linear]
baseline = "semantic-matching"
"""

TEST = {"dckt": [0.5, 0.6, 0.7], "alone": [0.45, 0.56, 0.64], "linear": [0.3, 0.3, 0.3]}


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    file = tmp_path / "plan.toml"
    file.write_text(PLAN)
    return read_plan(file)


def summary(network: str, value: float, *, negative: bool = False) -> dict[str, Any]:
    """As a run's `summary.json` has it; both directions a tenth apart around `value`."""
    both = {"image_to_text": value - 0.05, "text_to_image": value + 0.05}
    figures = {name: {"value": one} for name, one in (both | {"mean": value}).items()}
    other = {name: {"value": 0.99} for name in figures}
    return {
        "validation": {"other": dict.fromkeys(both, 0.99), network: both | {"kind": "map", "iteration": 1}},
        "negative_transfer": negative,
        "seconds": 12.0,
        "test": {
            "result": network,
            "map": {"chance": {"mean": 0.1}, "other": other, network: figures},
            "instances": {network: {"mean": {name: {"value": value / 2} for name in FIGURES}}},
        },
    }


def cells(plan: Plan) -> list[Cell]:
    found = []
    for seed in plan.seeds:
        for name, arm in plan.arms.items():
            config = Config.resolve(flags={"seed": seed, "shots": 5})
            found.append(Cell("photos", "5", name, seed, arm.checkpoint, Task(config, arm.baseline)))
    return found


def gathered(plan: Plan) -> list[Row]:
    rows = []
    for cell in cells(plan):
        value = TEST[cell.arm][cell.seed]
        network = cell.network({"test": {"result": "after"}})
        rows.append(row_of(cell, summary(network, value, negative=cell.seed == 2)))
    return rows


def test_a_cell_s_row_is_that_of_its_own_network(plan: Plan) -> None:
    rows = gathered(plan)
    (control,) = [row for row in rows if row.arm == "alone" and row.seed == 1]
    assert control.network == "control"
    assert (control.map_i2t, control.map_t2i, control.map_mean) == pytest.approx((0.51, 0.61, 0.56))
    assert (control.val_mean, control.val_kind) == (pytest.approx(0.56), "map")
    assert (control.recall_at_1, control.median_rank, control.mrr) == (0.28, 0.28, 0.28)
    assert (control.map_chance, control.seconds) == (0.1, 12.0)
    assert control.negative_transfer is None, "it went through no transfer"
    assert select(rows, "map_mean", data="photos", rung="5", arm="linear") == {0: 0.3, 1: 0.3, 2: 0.3}
    assert select(rows, "negative_transfer", data="photos", rung="5", arm="dckt") == {0: 0.0, 1: 0.0, 2: 1.0}
    assert select(rows, "negative_transfer", data="photos", rung="5", arm="alone") == {}


def test_the_table_has_a_row_a_cell(plan: Plan) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(gathered(plan)))))
    assert [(row["rung"], row["arm"], row["seed"]) for row in rows[:2]] == [("5", "dckt", "0"), ("5", "alone", "0")]
    assert len(rows) == len(cells(plan))
    assert rows[0]["map_mean"] == "0.5"
    assert [rows[0]["negative_transfer"], rows[1]["negative_transfer"]] == ["0", ""]
    assert rows[0]["key"] == cells(plan)[0].task.key


def test_the_report_says_means_contrasts_and_n(plan: Plan) -> None:
    text = report(plan, cells(plan), gathered(plan), {})
    low, high = ttest_rel(TEST["dckt"], TEST["alone"]).confidence_interval()
    assert "9 of 9 cells are done." in text
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert f"| dckt - alone | 3 | +0.050 ({low:+.3f} to {high:+.3f}) | 3 of 3 |" in lines
    assert any(line.startswith("| linear - alone | 3 | -0.250 (") and line.endswith("| 0 of 3 |") for line in lines)
    assert any(line.startswith("| dckt | 3 | 0.600 | 0.550 | 0.650 | 0.600 (0.352 to 0.848) | 12 |") for line in lines)
    assert "Best on validation, of arms with all seeds: dckt." in text
    assert "- dckt: in 1 of 3 runs" in text
    assert "Chance is 0.100." in text
    assert "Nothing is done yet." in text, "of all training pairs"


def test_what_is_missing_is_said_and_contrasts_use_common_seeds(plan: Plan) -> None:
    rows = [row for row in gathered(plan) if not (row.arm == "dckt" and row.seed == 1) and row.arm != "linear"]
    broken = next(cell for cell in cells(plan) if cell.arm == "dckt" and cell.seed == 1)
    text = report(plan, cells(plan), rows, {"another": "no matter", broken.task.key: "the loss is nan"})
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "5 of 9 cells are done." in text
    assert "Best on validation, of arms with all seeds: alone." in text
    assert "- dckt on photos, rung 5, seed 1: the loss is nan" in text
    assert any(line.startswith("| dckt - alone | 2 | +0.055 (") for line in lines)
    assert "| linear | 0 | - | - | - | - | - |" in lines
    assert "| linear - alone | 0 | - | - |" in lines


def test_a_single_seed_has_no_interval(plan: Plan) -> None:
    rows = [row for row in gathered(plan) if row.seed == 0]
    text = report(plan, cells(plan), rows, {})
    assert "+0.050 (one seed)" in text
    assert "Best on validation" not in text


def ladder(plan: Plan) -> list[Row]:
    """The rows of `gathered`, and those of all labels, .1 above; there `linear` has nothing to learn from."""
    rows = [row for row in gathered(plan) if row.arm != "linear"]
    rows += [replace(row, rung="all", map_mean=TEST[row.arm][row.seed] + 0.1) for row in rows]
    nothing = dict.fromkeys(("map_i2t", "map_t2i", "map_mean", "map_chance", "val_mean", *FIGURES))
    without = replace(rows[0], arm="linear", rung="all", not_applicable="there are no labels", **nothing)
    return [*rows, without, replace(without, seed=1)]


def test_rungs_are_compared_within_each_arm(plan: Plan) -> None:
    text = report(plan, cells(plan), ladder(plan), {})
    lines = [" ".join(line.split()) for line in text.splitlines()]
    low, high = ttest_1samp(TEST["dckt"], 0).confidence_interval()
    assert lines[lines.index("| the target offers (test mAP) | dckt | alone | linear |") + 2].startswith(
        f"| 5 labels a class | 0.600 ({low:.3f} to {high:.3f}) | 0.550 ("
    )
    assert any(line.startswith("| all labels | 0.700 (") and line.endswith(" | n/a |") for line in lines)
    (step,) = [line for line in lines if line.startswith("| all - 5 |")]
    assert step == "| all - 5 | +0.100 (+0.100 to +0.100) | +0.100 (+0.100 to +0.100) | - |"


def test_what_is_not_applicable_is_said_once_with_the_reason(plan: Plan) -> None:
    text = report(plan, cells(plan), ladder(plan), {})
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "| linear | n/a | - | - | - | - | - |" in lines
    assert lines.count("- linear: there are no labels") == 1
    table = list(csv.DictReader(io.StringIO(as_csv(ladder(plan)))))
    assert [table[-1][column] for column in ("map_mean", "not_applicable")] == ["", "there are no labels"]


def test_an_arm_without_labelled_validation_is_shown_all_the_same(plan: Plan) -> None:
    rows = [replace(row, val_mean=None, val_kind="") for row in gathered(plan)]
    text = report(plan, cells(plan), rows, {})
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert any(line.startswith("| dckt | 3 | - | 0.550 | 0.650 | 0.600 (") for line in lines)
    assert "Best on validation" not in text


def test_figures_by_partner(plan: Plan) -> None:
    text = report(plan, cells(plan), gathered(plan), {})
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "| by partner | n | recall@1 | recall@5 | recall@10 | median rank | MRR |" in lines
    assert "| dckt | 3 | 0.300 | 0.300 | 0.300 | 0.3 | 0.300 (0.176 to 0.424) |" in lines


def test_arms_are_compared_by_partner_where_no_test_pair_has_a_label(plan: Plan) -> None:
    nothing = dict.fromkeys(("map_i2t", "map_t2i", "map_mean", "map_chance"))
    rows = [replace(row, val_kind="mrr", **nothing) for row in gathered(plan)]
    text = report(plan, cells(plan), rows, {})
    lines = [" ".join(line.split()) for line in text.splitlines()]
    low, high = (end / 2 for end in ttest_rel(TEST["dckt"], TEST["alone"]).confidence_interval())
    assert f"| dckt - alone | 3 | +0.025 ({low:+.3f} to {high:+.3f}) | 3 of 3 |" in lines
    assert any(line.startswith("| arm | n | validation, MRR | image->text |") for line in lines)
    assert any(line.startswith("| dckt | 3 | 0.600 | - | - | - |") for line in lines)
    assert any(line.startswith("| 5 labels a class | 0.300 (") for line in lines)


def test_what_a_plan_and_its_data_say_cannot_steer_a_terminal_or_break_a_table(tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    file.write_text(PLAN + '[rungs.odd]\ntitle = "\\u202Eno\\u001b[31m\\nlabels | at all"\n')
    plan = read_plan(file)
    failures = {cells(plan)[0].task.key: "class 'a\x1b]0;\u202e' is\nbad"}
    text = report(plan, cells(plan), gathered(plan), failures)
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert plan.title("odd") == r"\u202eno\x1b[31m labels | at all"
    assert r"### photos, \u202eno\x1b[31m labels | at all" in text
    [row] = [line for line in text.splitlines() if line.startswith(r"| \u202eno")]
    assert row.replace("\\|", "").count("|") == 5
    assert r"class 'a\x1b]0;\u202e' is bad" in text


def test_what_a_seed_decides_is_said(plan: Plan) -> None:
    assert "other seeds on the same test pairs" in report(plan, [], [], {})
    assert "which fold of the target's pairs is tested" in report(replace(plan, folds=5), [], [], {})


def of_space(seed: int, adds: float | None) -> dict[str, Any]:
    """A run whose result is a common space; the second part is in it where it adds something."""
    told = summary("space", 0.5 + seed / 100)
    interval = [0.0, 1.0]
    told["space"] = {
        "weights": {"students": 1.0} | ({} if adds is None else {"network": 0.5}),
        "widths": {"students": 3, "network": 3, "names": 3},
        "left_out": ["network"] if adds is None else [],
        "aside": {"transport": "nothing is unpaired"},
    }
    told["test"]["parts"] = {"students": {"alone": {"value": 0.4, "interval": interval}}}
    if adds is not None:
        told["test"]["parts"]["network"] = {name: {"value": adds, "interval": interval} for name in ("alone", "adds")}
    return told


def test_parts_are_told_over_the_seeds_in_which_they_are_in_the_space(plan: Plan) -> None:
    summaries = [of_space(0, 0.01), of_space(1, 0.03), of_space(2, None)]
    of_arm = [cell for cell in cells(plan) if cell.arm == "dckt"]
    rows = [row_of(cell, summaries[cell.seed]) for cell in of_arm]
    parts = [part for cell in of_arm for part in part_rows_of(cell, summaries[cell.seed], Path("summary.json"))]
    assert Counter((part.part, part.place) for part in parts) == {
        ("students", "in"): 3,
        ("network", "in"): 2,
        ("network", "left out"): 1,
        ("names", "taken in"): 3,
        ("transport", "aside"): 3,
    }
    text = " ".join(report(plan, of_arm, rows, {}, parts).split())
    low, high = ttest_1samp([0.01, 0.03], 0).confidence_interval()
    assert "| dckt | students | 3 of 3 | 0.400 | - | |" in text
    assert f"| dckt | network | 2 of 3 | 0.020 | +0.020 ({low:+.3f} to {high:+.3f}) | left out in 1 |" in text
    assert "- dckt: names (built upon by others in 3) - dckt: transport (steps aside in 3)" in text
    table = list(csv.DictReader(io.StringIO(as_csv(parts, PartRow))))
    columns = ("seed", "part", "place", "weight", "adds")
    assert [table[1][name] for name in columns] == ["0", "network", "in", "0.5", "0.01"]


def test_a_cell_that_is_a_network_has_no_parts(plan: Plan) -> None:
    cell = cells(plan)[0]
    assert part_rows_of(cell, summary("after", 0.5), Path("summary.json")) == []
