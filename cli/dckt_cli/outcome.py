"""The table that a training ends with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dckt_core.runs.layout import Layout

if TYPE_CHECKING:
    from rich.console import Console

ROWS = {
    "chance": "chance",
    "before": "before transfer",
    "control": "target-only control",
    "after": "after transfer",
    "space": "common space",
}
MEASURES = {"map": "mAP", "mrr": "MRR"}
AGAINST = {"before": "before transfer", "control": "the target-only control", "after": "the network after transfer"}


def show_outcome(run_dir: Path, summary: Mapping[str, Any]) -> None:
    """Prints test mAP with 95 % intervals, where the run lies, and what to type next.

    Where no test pair has a label it is MRR, the mean reciprocal rank of each item's own partner.
    """
    from rich.table import Table

    from dckt_cli.screen import Screen
    from dckt_core.evaluation.directions import COLUMNS, TITLES

    test = summary["test"]
    figures, measure = test["map"], MEASURES[test["kind"]]
    if not figures:
        figures = {what: {name: row["mrr"] for name, row in rows.items()} for what, rows in test["instances"].items()}
    console = Screen()
    table = Table(title=f"{measure} on the {summary['target']['test']} test pairs (95 % interval over pictures)")
    table.add_column("representation")
    for direction in COLUMNS:
        table.add_column(TITLES[direction], justify="right")
    for what, title in ROWS.items():
        if what in figures:
            cells = [_cell(figures[what][direction]) for direction in COLUMNS]
            table.add_row(title, *cells, style="bold" if what == test["result"] else None)
    console.print(table)
    result = ROWS[test["result"]]
    for what, title in AGAINST.items():
        if what in test["gain"]:
            console.print(f"gain of {result} over {title}: {_signed(test['gain'][what])}")
    if test["parts"]:
        _show_parts(console, summary)
    if summary["space"]["left_out"]:
        console.print(
            f"left out of the common space, as validation asked: {' and '.join(summary['space']['left_out'])}"
        )
    for name, reason in summary["space"]["aside"].items():
        console.print(f"part '{name}' steps aside: {reason}", markup=False, soft_wrap=True)
    if summary["negative_transfer"]:
        console.print("Negative transfer: on validation the control scores higher.")
        instead = "" if summary["preset"] == "tuned" else ", or try --preset tuned"
        console.print(f"To use the control, add --checkpoint control to the commands below{instead}.")
    if any(summary["dropped"].values()):
        counts = ", ".join(f"{count} of the {role}" for role, count in summary["dropped"].items())
        console.print(f"bad pairs dropped: {counts}; see {Layout(run_dir).dropped}")
    console.print(f"run folder: {run_dir}")
    console.print(f"next: dckt report {run_dir}")
    console.print(f"      dckt evaluate {run_dir}")
    console.print(f'      dckt search {run_dir} --text "..." | --image FILE')


def _cell(value: Mapping[str, Any] | float) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    low, high = value["interval"]
    return f"{value['value']:.3f} ({low:.3f}-{high:.3f})"


def _show_parts(console: Console, summary: Mapping[str, Any]) -> None:
    from rich.table import Table

    table = Table(title=f"parts of the common space ({MEASURES[summary['test']['kind']]}, mean of both directions)")
    for title in ("part", "weight", "alone", "adds"):
        table.add_column(title, justify="left" if title == "part" else "right")
    for name, scores in summary["test"]["parts"].items():
        adds = _signed(scores["adds"]) if "adds" in scores else ""
        table.add_row(name, f"{summary['space']['weights'][name]:g}", _cell(scores["alone"]), adds)
    console.print(table)


def _signed(gain: Mapping[str, Any]) -> str:
    low, high = gain["interval"]
    return f"{gain['value']:+.3f} (95 % interval {low:+.3f} to {high:+.3f})"
