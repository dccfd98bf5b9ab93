"""`dckt runs`: what runs there are, what became of them, and how they differ."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dckt_cli import options
from dckt_cli.console import say, say_json
from dckt_core.base.errors import DataError, DcktError, UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from dckt_core.runs.record import RunRecord
    from dckt_core.runs.results import Estimate, PartResult

RUNS_DIR = click.option("--runs-dir", metavar="DIR", type=options.Place(), default=Path("runs"), show_default=True)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
LISTED = ("control", "after")
"""The networks that the list has beside each run's result."""


@click.group()
def runs() -> None:
    """List runs, show one, compare some, or plot their learning curves."""


@runs.command("list")
@RUNS_DIR
@AS_JSON
def list_runs(runs_dir: Path, as_json: bool) -> None:
    """List the runs of a folder, the oldest first: what the target offered each, and what came out.

    Figures are test mAP, or MRR where no test pair has a label, the mean of both directions: of the method's network
    after transfer and its target-only control, and of the run's result, which is the common space where that is more
    than the network.
    """
    from dckt_core.runs.record import list_runs as read_runs

    records = read_runs(runs_dir)
    rows = [_row(record) for record in records]
    if as_json:
        say_json(rows, indent=2)
        return
    if not rows:
        say(f"no runs in {runs_dir}")
        return
    from rich.table import Table

    from dckt_cli.screen import Screen

    table = Table(title="on the test split, mean of both directions", title_justify="left")
    for column in ("run", "started", "data", "target offers", "encoders, sampler"):
        table.add_column(column, overflow="fold")
    for column in (*LISTED, "result"):
        table.add_column(column, justify="right", no_wrap=True)
    for record, row in zip(records, rows, strict=True):
        table.add_row(*_cells(record, row))
    Screen().print(table)


@runs.command()
@click.argument("run", type=options.Place())
@AS_JSON
def show(run: Path, as_json: bool) -> None:
    """Show one run: how it ended, what it was trained on, and every setting."""
    from dckt_core.runs.record import flatten, read_run

    record = read_run(run)
    settings = flatten(record.config)
    if as_json:
        about = {"environment": record.environment, "summary": record.summary, "settings": settings}
        say_json(_row(record) | about, indent=2)
        return
    from rich.table import Table

    from dckt_cli.screen import Screen

    row = _row(record)
    if "error" in row:
        raise DataError(row["error"])
    console = Screen()
    console.print(f"{record.path}: {row['status']}, started {row['started']}")
    console.print(f"source {row['source']}, target {row['target']}")
    if record.summary is not None:
        from dckt_cli.outcome import of_offer, of_other_parts, of_parts, of_result

        results = record.results
        console.print(of_offer(results))
        console.print(_figures([record]))
        for line in of_result(results):
            console.print(line)
        if any(part.alone for part in results.parts):
            console.print(of_parts(results))
        for line in (*results.choices, *of_other_parts(results)):
            console.print(line)
        for part in results.parts:
            for said in part.said if part.place != "aside" else ():
                console.print(f"part '{part.name}' says: {said}")
    console.print(", ".join(f"{name} {version}" for name, version in record.packages.items()))
    table = Table("setting", "value")
    for key, value in settings.items():
        table.add_row(key, str(value))
    console.print(table)


@runs.command()
@click.argument("runs", nargs=-1, required=True, type=options.Place())
@AS_JSON
@click.pass_context
def compare(ctx: click.Context, /, runs: tuple[Path, ...], as_json: bool) -> None:
    """Show in which settings and versions RUNS differ, what the target offered each, and the figures of each.

    Figures are test mAP, or MRR where no test pair has a label, with 95 % bootstrap intervals over test pictures, run
    by run. Runs that were scored on other test pairs are named, since their figures do not compare.
    """
    if len(runs) < 2:
        raise click.UsageError("name two runs or more", ctx)
    from dckt_core.runs.record import differences, read_run

    records = [read_run(run) for run in runs]
    differing = differences(records)
    others = _other_pairs(records)
    if as_json:
        rows = [_row(record) for record in records]
        answer = {"runs": rows, "differences": differing, "same_test_pairs": not others}
        say_json(answer, indent=2)
        return
    from rich.table import Table

    from dckt_cli.screen import Screen

    console = Screen()
    table = Table("setting", *[str(record.path) for record in records], title="differences", title_justify="left")
    for key, values in differing.items():
        table.add_row(key, *["-" if value is None else str(value) for value in values])
    console.print(table if differing else "no setting and no version differs")
    offered = Table("run", "target offers", "rung of the ladder")
    for record in (record for record in records if record.summary is not None):
        offer = record.results.offer
        rung = "-" if offer.rung is None else f"{offer.rung}: {offer.rung_title}"
        offered.add_row(str(record.path), str(offer), rung)
    if offered.rows:
        console.print(offered)
    console.print(_figures(records))
    if others:
        console.print(f"not scored on the test pairs of {runs[0]}: {', '.join(others)}; these figures do not compare")


@runs.command()
@click.argument("runs", nargs=-1, required=True, type=options.Place())
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=options.Place(dir_okay=False),
    help="[default: curves.png in the run's folder; needed for several runs]",
)
@click.pass_context
def plot(ctx: click.Context, /, runs: tuple[Path, ...], output: Path | None) -> None:
    """Plot learning curves: validation mAP, losses, discrepancy by layer and the keep rate, as a PNG.

    With several RUNS, one line for each.
    """
    if output is None and len(runs) > 1:
        raise click.UsageError("say where the picture goes: -o FILE", ctx)
    from dckt_core.runs.record import read_run

    records = [read_run(run) for run in runs]
    output = output or runs[0] / "curves.png"
    if output.suffix.lower() != ".png":
        raise UsageError(f"{output}: the picture is a PNG; name it so")
    if not output.absolute().parent.is_dir():
        raise click.BadParameter(f"{output.parent}: no such folder", ctx, param_hint="--output")
    from dckt_apps.report.plot import learning_curves
    from dckt_core.io.files import write_atomically

    figure = learning_curves(records)
    write_atomically(output, lambda temporary: figure.savefig(temporary, format="png", dpi=150))
    say(str(output))


def _row(record: RunRecord) -> dict[str, Any]:
    """A run in short, for JSON. A run that cannot be read says why in `error`."""
    from dckt_core.contract.pairs import ROLES
    from dckt_core.evaluation.directions import COLUMNS
    from dckt_core.evaluation.figures import FIGURES
    from dckt_core.runs.results import REPRESENTATIONS, lookup

    row: dict[str, Any] = {"name": record.name, "path": str(record.path), "status": record.status}
    row["started"] = record.started.isoformat(timespec="seconds")
    try:
        config, summary, results = record.config, record.summary, record.results
        for role in ROLES:
            row[role] = lookup(summary, role, "origin") or lookup(config, role, "location")
        for kind in ("encoder", "text_encoder", "discrepancy", "sampler"):
            row[kind] = lookup(config, kind, "name")
        row |= {"preset": config.get("preset"), "seed": config.get("seed"), "seconds": lookup(summary, "seconds")}
        row["offer"] = _offer(record)
        row["result"] = results.result
        row["map"] = {
            name: {direction: _as_json(results.map_of(name, direction)) for direction in COLUMNS}
            for name in ("chance", *REPRESENTATIONS)
        }
        row["instances"] = {
            name: {figure: _as_json(results.instances_of(name, figure)) for figure in FIGURES}
            for name in ("chance", *REPRESENTATIONS)
        }
        row["gain"] = {name: _as_json(results.gain_over(name)) for name in ("before", "control", "after", "transfer")}
        row["parts"] = [_part(part) for part in results.parts]
    except DcktError as error:
        row["error"] = str(error)
    return row


def _offer(record: RunRecord) -> dict[str, Any] | None:
    offer = record.results.offer
    return None if record.summary is None else {"has": dict(offer.counts), "rung": offer.rung}


def _part(part: PartResult) -> dict[str, Any]:
    return asdict(part) | {"alone": _as_json(part.alone), "adds": _as_json(part.adds), "said": list(part.said)}


def _cells(record: RunRecord, row: dict[str, Any]) -> list[str]:
    """A row of the list for a terminal."""
    head = [row["name"], row["started"].replace("T", " ")[:16]]
    if "error" in row:
        return [*head, f"unreadable; dckt runs show {row['path']}", "", "", "", "", ""]
    results, finished = record.results, row["status"] == "finished"
    figures = [results.figure_of(name) for name in (*LISTED, results.result or "")]
    shown = ["-" if figure is None else f"{figure.value:.3f}" for figure in figures]
    if finished:
        shown[-1] += f" {results.measure}" if results.measure else ""
    else:
        shown = ["", "", row["status"]]
    offer = str(results.offer) if finished else ""
    how = f"{row['encoder']} {row['text_encoder']} {row['sampler']}"
    return [*head, f"{row['source']} -> {row['target']}", offer, how, *shown]


def _figures(records: list[RunRecord]) -> Table:
    """Every representation of some runs by mAP, or MRR, with intervals, and by how early own partners are found."""
    from rich.table import Table

    from dckt_core.evaluation.directions import COLUMNS, TITLES
    from dckt_core.evaluation.figures import FIGURES, MEDIAN_RANK
    from dckt_core.runs.results import REPRESENTATIONS

    table = Table("run", "representation", "by", title="on the test split (95 % interval)", title_justify="left")
    for title in (*(TITLES[direction] for direction in COLUMNS), *FIGURES.values()):
        table.add_column(title, justify="right")
    for record in records:
        results = record.results
        for name, title in {"chance": "chance", **REPRESENTATIONS}.items():
            figures = [results.figure_of(name, direction) for direction in COLUMNS]
            found = {figure: results.instances_of(name, figure) for figure in FIGURES}
            by_partner = [_value(one, ".1f" if figure == MEDIAN_RANK else ".3f") for figure, one in found.items()]
            if any(figures):
                cells = ["-" if it is None else f"{it:.3f}" for it in figures]
                table.add_row(str(record.path), title, results.measure, *cells, *by_partner)
    return table


def _value(estimate: Estimate | None, form: str) -> str:
    return "-" if estimate is None else f"{estimate.value:{form}}"


def _as_json(estimate: Estimate | None) -> dict[str, Any] | None:
    if estimate is None:
        return None
    return {"value": estimate.value, "interval": estimate.interval and list(estimate.interval)}


def _other_pairs(records: list[RunRecord]) -> list[str]:
    """Runs whose test pairs are not the first one's."""
    first, *rest = (record.model.get("test") for record in records)
    return [str(record.path) for record, digest in zip(records[1:], rest, strict=True) if digest != first]
