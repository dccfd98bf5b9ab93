"""`dckt report`: what a run did, on one page that can be sent to anybody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dckt_cli import options
from dckt_cli.console import say


@click.command()
@click.argument("run", type=options.Place())
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=options.Place(dir_okay=False),
    help="[default: report.html in the run's folder]",
)
@options.moved("target")
@options.moved("source")
@options.device
@options.image_root
@options.quiet()
@click.pass_context
def report(ctx: click.Context, /, run: Path, output: Path | None, **flags: Any) -> None:
    """Write what RUN did into one HTML file that opens offline.

    Settings and versions, mAP with its controls, learning curves, the discrepancy of each layer, the curriculum with
    easy and hard pairs, precision by recall, confusion between classes, queries with their first results, and a map of
    the common space. What cannot be had, because the run is not finished or its data are gone, is said in its place.
    """
    if output is not None and not output.absolute().parent.is_dir():
        raise click.BadParameter(f"{output.parent}: no such folder", ctx, param_hint="--output")

    from dckt_apps.report.write import write_report
    from dckt_cli.console import watching
    from dckt_core.base.device import find_device

    with watching(quiet=flags["quiet"], verbose=flags["verbose"]) as progress:
        file = write_report(
            run,
            output,
            context=ctx.obj.context(progress),
            target=flags["target"],
            source=flags["source"],
            device=str(find_device(flags["device"])),
        )
    say(str(file))
