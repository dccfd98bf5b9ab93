"""What a training ends with on the screen: what the target offered, the figures, the parts, and what to type next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dckt_core.runs.layout import Layout
from dckt_core.runs.results import MEASURES, REPRESENTATIONS, Estimate, Results, signed

if TYPE_CHECKING:
    from rich.table import Table

DEFAULT_PRESET = "tuned"


def show_outcome(run_dir: Path, summary: Mapping[str, Any]) -> None:
    """Prints test mAP with 95 % intervals, or MRR where no test pair has a label, and all that is to know of it."""
    from dckt_cli.screen import Screen

    results = Results(summary, Layout(run_dir).summary)
    console = Screen()
    console.print(of_offer(results))
    if results.result is not None:
        console.print(_of_figures(results, int(summary["target"]["test"])))
        for line in of_result(results):
            console.print(line)
    if any(part.alone for part in results.parts):
        console.print(of_parts(results))
    for line in (*results.choices, *of_other_parts(results), *_of_transfer(results)):
        console.print(line)
    if results.calibration:
        console.print(f"in search, {results.calibration}")
    if any(summary["dropped"].values()):
        counts = ", ".join(f"{count} of the {role}" for role, count in summary["dropped"].items())
        console.print(f"bad pairs dropped: {counts}; see {Layout(run_dir).dropped}")
    console.print(f"run folder: {run_dir}")
    console.print(f"next: dckt report {run_dir}")
    console.print(f"      dckt evaluate {run_dir}")
    asked = {"text": '--text "..."', "image": "--image FILE"}
    asked |= {medium: f"--{medium}-features FILE" for medium in summary["features_alone"]}
    console.print(f"      dckt search {run_dir} {asked['text']} | {asked['image']}")


def of_offer(results: Results) -> str:
    """What the target had for training."""
    offer = results.offer
    rung = "" if offer.rung is None else f" (rung {offer.rung} of the ladder: {offer.rung_title})"
    return f"the target offered: {offer}{rung}"


def of_result(results: Results) -> Iterator[str]:
    """What the result gains over the others, and how early it finds own partners: a line each."""
    from dckt_core.evaluation.figures import FIGURES, MEDIAN_RANK

    result = results.result
    if result is None:
        return
    reached = results.figure_of(result)
    if reached is not None and reached.interval is None:
        yield "the test pairs show one picture, so there are no intervals: one says nothing of others"
    for name in ("before", "control", "after"):
        gain = results.gain_over(name)
        if gain is not None:
            yield f"gain of the {REPRESENTATIONS[result]} over the {REPRESENTATIONS[name]}: {_signed(gain)}"
    transfer = results.gain_over("transfer")
    if transfer is not None:
        yield f"gain of the {REPRESENTATIONS['after']} over its control: {_signed(transfer)}"
    told = []
    for figure, title in FIGURES.items():
        form = ".1f" if figure == MEDIAN_RANK else ".3f"
        found, chance = (results.instances_of(name, figure) for name in (result, "chance"))
        if found is not None and chance is not None:
            told.append(f"{title} {found.value:{form}} (chance {chance.value:{form}})")
    if told:
        yield f"own partners found by the {REPRESENTATIONS[result]}: {', '.join(told)}"


def of_parts(results: Results) -> Table:
    """The parts in the space."""
    from rich.table import Table

    table = Table(title=f"parts of the common space ({results.measure}, mean of both directions)")
    table.add_column("part")
    for title in ("weight", "by itself", "the space has more than without it"):
        table.add_column(title, justify="right")
    for part in results.parts:
        if part.place == "in":
            weight = "" if part.weight is None else f"{part.weight:g}"
            alone = "" if part.alone is None else f"{part.alone:.3f}"
            table.add_row(part.name, weight, alone, "" if part.adds is None else _signed(part.adds))
    return table


def of_other_parts(results: Results) -> Iterator[str]:
    """What became of the other parts."""
    taken_in, left_out = results.parts_at("taken in"), results.parts_at("left out")
    if taken_in:
        yield f"built upon by these, and not counted beside them: {', '.join(taken_in)}"
    if left_out:
        why = "as validation asked" if results.left_out_by_validation else "since no labelled validation pairs vouch"
        yield f"left out of the common space, {why}: {', '.join(left_out)}"
    for part in results.parts:
        if part.place == "aside":
            yield f"part '{part.name}' steps aside: {part.said[0]}"


def _of_figures(results: Results, pairs: int) -> Table:
    from rich.table import Table

    from dckt_core.evaluation.directions import COLUMNS, TITLES

    unlabelled = int(results.summary["test"].get("unlabelled", 0))
    if results.measure != MEASURES["map"]:
        which = f"{pairs} test pairs, which have no labels"
    elif unlabelled:
        which = f"{pairs - unlabelled} of {pairs} test pairs that have a label"
    else:
        which = f"{pairs} test pairs"
    table = Table(title=f"{results.measure} on the {which} (95 % interval over pictures)")
    table.add_column("representation")
    for direction in COLUMNS:
        table.add_column(TITLES[direction], justify="right")
    for name, title in {"chance": "chance", **REPRESENTATIONS}.items():
        figures = [results.figure_of(name, direction) for direction in COLUMNS]
        if any(figures):
            cells = ["-" if figure is None else f"{figure:.3f}" for figure in figures]
            table.add_row(title, *cells, style="bold" if name == results.result else None)
    return table


def _of_transfer(results: Results) -> Iterator[str]:
    """Where transfer harmed the method's network, and what to do about it."""
    if not results.summary["negative_transfer"]:
        return
    yield "negative transfer: on validation the network after transfer scores below its target-only control"
    if results.result == "after":
        other = "" if results.summary["preset"] == DEFAULT_PRESET else f", or train with --preset {DEFAULT_PRESET}"
        yield f"to use the control, add --checkpoint control to the commands below{other}"


def _signed(gain: Estimate) -> str:
    if gain.interval is None:
        return signed(gain.value)
    low, high = gain.interval
    return f"{signed(gain.value)} (95 % interval {signed(low)} to {signed(high)})"
