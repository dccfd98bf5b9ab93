"""`dckt runs`: what runs there are, what became of them, and how they differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dckt_cli import options
from dckt_core.base.errors import DataError, DcktError, UsageError

if TYPE_CHECKING:
    from dckt_cli.screen import Screen
    from dckt_core.runs.record import Estimate, RunRecord

RUNS_DIR = click.option("--runs-dir", metavar="DIR", type=options.Place(), default=Path("runs"), show_default=True)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
NETWORKS = {"before": "before", "control": "control", "after": "after"}


@click.group()
def runs() -> None:
    """List runs, show one, compare some, or plot their learning curves."""


@runs.command("list")
@RUNS_DIR
@AS_JSON
def list_runs(runs_dir: Path, as_json: bool) -> None:
    """List the runs of a folder, the oldest first, with the test mAP of each (mean of both directions)."""
    from dckt_core.runs.record import list_runs as read_runs

    rows = [_row(record) for record in read_runs(runs_dir)]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    if not rows:
        click.echo(f"no runs in {runs_dir}")
        return
    from rich.table import Table

    from dckt_cli.screen import Screen

    table = Table(title="test mAP, mean of both directions", title_justify="left")
    for column in ("run", "started", "data", "encoders", "sampler"):
        table.add_column(column, overflow="fold")
    for column in NETWORKS:
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*_cells(row))
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
        click.echo(json.dumps(_row(record) | about, ensure_ascii=False, indent=2))
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
        _show_map(console, [record])
        for what, title in (("before", "before transfer"), ("control", "the target-only control")):
            gain = record.gain_over(what)
            if gain is not None:
                console.print(f"gain over {title}: {_estimate(gain, sign=True)}")
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
    """Show in which settings and versions RUNS differ, and the test mAP of each with its interval.

    Intervals are 95 % bootstrap intervals over test pairs, run by run. Runs that were scored on other test pairs are
    named, since their figures do not compare.
    """
    if len(runs) < 2:
        raise click.UsageError("name two runs or more", ctx)
    from dckt_core.runs.record import differences, read_run

    records = [read_run(run) for run in runs]
    differing = differences(records)
    others = _other_pairs(records)
    if as_json:
        rows = [_row(record) for record in records]
        answer = {"runs": rows, "differences": differing, "same_target_pairs": not others}
        click.echo(json.dumps(answer, ensure_ascii=False, indent=2))
        return
    from rich.table import Table

    from dckt_cli.screen import Screen

    console = Screen()
    table = Table("setting", *[str(record.path) for record in records], title="differences", title_justify="left")
    for key, values in differing.items():
        table.add_row(key, *["-" if value is None else str(value) for value in values])
    console.print(table if differing else "no setting and no version differs")
    _show_map(console, records)
    if others:
        console.print(f"not the target pairs of {runs[0]}: {', '.join(others)}; these figures do not compare")


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
    click.echo(str(output))


def _row(record: RunRecord) -> dict[str, Any]:
    """A run in short, for JSON. A run that cannot be read says why in `error`."""
    from dckt_core.evaluation.directions import COLUMNS
    from dckt_core.runs.record import lookup

    row: dict[str, Any] = {"name": record.name, "path": str(record.path), "status": record.status}
    row["started"] = record.started.isoformat(timespec="seconds")
    try:
        config, summary = record.config, record.summary
        for role in ("source", "target"):
            row[role] = lookup(summary, role, "origin") or lookup(config, role, "location")
        for kind in ("encoder", "text_encoder", "discrepancy", "sampler"):
            row[kind] = lookup(config, kind, "name")
        row |= {"preset": config.get("preset"), "seed": config.get("seed"), "seconds": lookup(summary, "seconds")}
        row["map"] = {
            network: {direction: _as_json(record.map_of(network, direction)) for direction in COLUMNS}
            for network in ("chance", *NETWORKS)
        }
        row["gain"] = {network: _as_json(record.gain_over(network)) for network in ("before", "control")}
    except DcktError as error:
        row["error"] = str(error)
    return row


def _cells(row: dict[str, Any]) -> list[str]:
    """A row of the list for a terminal."""
    head = [row["name"], row["started"].replace("T", " ")[:16]]
    if "error" in row:
        return [*head, f"unreadable; dckt runs show {row['path']}", "", "", "", "", ""]
    encoders = f"{row['encoder']} {row['text_encoder']}"
    figures = [row["map"][network]["mean"] for network in NETWORKS]
    if row["status"] == "finished":
        cells = ["-" if figure is None else f"{figure['value']:.3f}" for figure in figures]
    else:
        cells = [row["status"], "", ""]
    return [*head, f"{row['source']} -> {row['target']}", encoders, str(row["sampler"]), *cells]


def _show_map(console: Screen, records: list[RunRecord]) -> None:
    """mAP of every network of some runs, with intervals."""
    from rich.table import Table

    from dckt_core.evaluation.directions import COLUMNS, TITLES

    table = Table("run", "target network", title="test mAP (95 % interval)", title_justify="left")
    for direction in COLUMNS:
        table.add_column(TITLES[direction], justify="right")
    for record in records:
        for network in ("chance", *NETWORKS):
            figures = [record.map_of(network, direction) for direction in COLUMNS]
            if any(figures):
                table.add_row(str(record.path), network, *["-" if it is None else _estimate(it) for it in figures])
    console.print(table)


def _estimate(estimate: Estimate, *, sign: bool = False) -> str:
    form = "+.3f" if sign else ".3f"
    if estimate.interval is None:
        return f"{estimate.value:{form}}"
    low, high = estimate.interval
    return f"{estimate.value:{form}} ({low:{form}} to {high:{form}})"


def _as_json(estimate: Estimate | None) -> dict[str, Any] | None:
    if estimate is None:
        return None
    return {"value": estimate.value, "interval": estimate.interval and list(estimate.interval)}


def _other_pairs(records: list[RunRecord]) -> list[str]:
    """Runs whose target pairs are not the first one's."""
    from dckt_core.runs.record import lookup

    first, *rest = (lookup(record.model, "pairs", "target") for record in records)
    return [str(record.path) for record, digest in zip(records[1:], rest, strict=True) if digest != first]
