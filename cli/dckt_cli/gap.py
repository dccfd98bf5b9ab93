"""`dckt gap`: how far apart a run's two domains lie, layer by layer, before transfer and after it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dckt_cli import options
from dckt_cli.console import say_json

if TYPE_CHECKING:
    from dckt_apps.gap import LayerRows
    from dckt_kernels import TwoSampleTest


@click.command()
@click.argument("run", type=options.Place())
@click.option(
    "--permutations", metavar="N", type=click.IntRange(min=1), default=999, show_default=True, help="For the p-value."
)
@click.option(
    "--pairs", metavar="N", type=click.IntRange(min=2), default=500, show_default=True, help="Of each domain, at most."
)
@click.option(
    "--statistics",
    type=click.Choice(["running", "batch"]),
    default="running",
    show_default=True,
    help="Of BatchNorm: the averages that training left, or those of the rows at hand, as in training.",
)
@click.option("--seed", metavar="INTEGER", type=click.IntRange(min=0), default=0, show_default=True, help="Of both.")
@options.moved("source")
@options.moved("target")
@options.device
@options.image_root
@options.quiet()
@options.as_json()
@click.pass_context
def gap(ctx: click.Context, /, run: Path, **flags: Any) -> None:
    """Measure the MMD between the domains of RUN on each layer, with a permutation p-value.

    Training pairs of each domain pass their own network. The squared MMD is the biased one of five kernels around the
    mean distance, whatever discrepancy the run was trained with, so that runs can be compared. p is the share of random
    dealings of the pooled pairs whose MMD is as large: small where the domains can be told apart, which two real data
    sets always can. What transfer does is the difference between the columns, not p.
    """
    from dckt_apps.gap import layer_rows
    from dckt_cli.console import watching
    from dckt_core.base.device import find_device
    from dckt_core.base.rng import generator_for
    from dckt_kernels import two_sample_test

    found: list[tuple[LayerRows, TwoSampleTest]] = []
    with watching(quiet=flags["quiet"], verbose=flags["verbose"]) as progress:
        layers = layer_rows(
            run,
            ctx.obj.context(progress),
            pairs=flags["pairs"],
            seed=flags["seed"],
            statistics=flags["statistics"],
            source=flags["source"],
            target=flags["target"],
            device=str(find_device(flags["device"])),
        )
        for rows in layers:
            test = two_sample_test(
                rows.source,
                rows.target,
                method="exact",
                permutations=flags["permutations"],
                stacked=rows.stacked,
                generator=generator_for(flags["seed"], f"permutations {rows.layer}"),
            )
            found.append((rows, test))
    if flags["as_json"]:
        say_json({"run": str(run), **_as_json(found)})
    else:
        _show(found, flags["permutations"])


def _as_json(found: list[tuple[LayerRows, TwoSampleTest]]) -> dict[str, Any]:
    """Layers by checkpoint, and how many pairs of each domain there were."""
    table: dict[str, dict[str, Any]] = {}
    for rows, test in found:
        table.setdefault(rows.checkpoint, {})[rows.layer] = {
            "mmd": test.mmd,
            "p_value": test.p_value,
            "weight": rows.weight,
        }
    rows = found[0][0]
    pairs = {"source": len(rows.source) // rows.stacked, "target": len(rows.target) // rows.stacked}
    return {"pairs": pairs, "layers": table}


def _show(found: list[tuple[LayerRows, TwoSampleTest]], permutations: int) -> None:
    from rich.table import Table

    from dckt_cli.screen import Screen
    from dckt_core.runs.results import REPRESENTATIONS

    said = _as_json(found)
    table = Table(
        title=f"squared MMD between {said['pairs']['source']} source and {said['pairs']['target']} target pairs "
        f"(p of {permutations} permutations)"
    )
    table.add_column("layer")
    table.add_column("weight in the loss", justify="right")
    for checkpoint in said["layers"]:
        table.add_column(REPRESENTATIONS[checkpoint], justify="right")
    for layer, of_after in said["layers"]["after"].items():
        figures = [of_layer[layer] for of_layer in said["layers"].values()]
        shown = [f"{one['mmd']:.4f} ({one['p_value']:.3g})" for one in figures]
        table.add_row(layer, f"{of_after['weight']:g}", *shown)
    Screen().print(table)
