"""`dckt gap`: how far apart a run's two domains lie, layer by layer; or two data sets, medium by medium."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dckt_cli import options
from dckt_cli.console import say_json

if TYPE_CHECKING:
    from dckt_apps.gap.layers import LayerRows
    from dckt_apps.gap.picture import Gap
    from dckt_apps.gap.sets import SetRows
    from dckt_core.contract.pairs import Medium
    from dckt_core.data.context import Context
    from dckt_kernels import TwoSampleTest

PICTURES = (".png", ".svg", ".pdf")
OF_RUN = ("statistics", "source", "target")
OF_SETS = ("encoder", "encoder_opt", "text_encoder", "text_encoder_opt")
NAMES: dict[Medium, str] = {"image": "encoder", "text": "text_encoder"}
NAMED = 5
"""Items that are named, where the second data set is most of all denser than the first."""


@click.command()
@click.argument("place", metavar="RUN|FIRST")
@click.argument("other", metavar="[SECOND]", required=False)
@click.option(
    "--permutations", metavar="N", type=click.IntRange(min=1), default=999, show_default=True, help="For the p-value."
)
@click.option(
    "--method",
    type=click.Choice(["auto", "exact", "features", "nystrom", "agg", "fuse"]),
    default="exact",
    show_default=True,
    help="Of the test; docs/kernels.md says what each costs.",
)
@click.option(
    "--pairs", metavar="N", type=click.IntRange(min=2), default=500, show_default=True, help="Of each, at most."
)
@click.option("--encoder", metavar="NAME", help="Of two data sets: compare images by this encoder's features.")
@click.option("--encoder-opt", metavar="KEY=VALUE", multiple=True, help="An option of the encoder.")
@click.option("--text-encoder", metavar="NAME", help="Of two data sets: compare texts by this encoder's features.")
@click.option("--text-encoder-opt", metavar="KEY=VALUE", multiple=True, help="An option of the text encoder.")
@click.option(
    "--statistics",
    type=click.Choice(["running", "batch"]),
    default="running",
    show_default=True,
    help="Of a run's BatchNorm: the averages that training left, or those of the rows at hand, as in training.",
)
@click.option("--seed", metavar="INTEGER", type=click.IntRange(min=0), default=0, show_default=True, help="Of both.")
@click.option(
    "--picture", metavar="FILE", type=options.Place(), help="Draw it, too, as .png, .svg or .pdf; FILE is replaced."
)
@options.moved("source", "Of a run: where the source data set lies, if it was moved.")
@options.moved("target", "Of a run: where the target data set lies, if it was moved.")
@options.device
@options.image_root
@options.quiet()
@options.as_json()
@click.pass_context
def gap(ctx: click.Context, /, place: str, other: str | None, picture: Path | None, **flags: Any) -> None:
    """Measure the MMD between the domains of RUN on each layer, or between two data sets, with a permutation p-value.

    Of a run, training pairs of each domain pass their own network. Of two data sets, FIRST and SECOND, the features of
    frozen encoders are compared, or those in files.

    The squared MMD is the biased one of five kernels around the mean distance, whatever discrepancy the run was
    trained with, so that runs can be compared. p is the share of random dealings of the pooled rows whose MMD is as
    large: small where the two can be told apart, which two real data sets always can. What transfer does is the
    difference between the columns, not p.
    """
    for name in OF_RUN:
        options.refuse_idle(ctx, name, "a run, and not with two data sets", there=other is None)
    for name in OF_SETS:
        options.refuse_idle(ctx, name, "two data sets: a run has its own", there=other is not None)
    for name in ("encoder", "text_encoder"):
        there = flags[name] is not None
        options.refuse_idle(ctx, f"{name}_opt", f"--{name.replace('_', '-')}", there=there)
    if picture is not None and picture.suffix.lower() not in PICTURES:
        raise click.BadParameter(f"{picture}: the suffix is none of {', '.join(PICTURES)}", ctx, param_hint="--picture")

    from dckt_cli.console import watching

    with watching(quiet=flags["quiet"], verbose=flags["verbose"]) as progress:
        context = ctx.obj.context(progress)
        if other is None:
            said, gaps = _of_run(Path(place), context, flags)
        else:
            said, gaps = _of_sets(place, other, context, flags)
    if flags["as_json"]:
        say_json(said)
    elif other is None:
        _show_run(said, flags["permutations"])
    else:
        _show_sets(said, flags["permutations"])
    if picture is not None:
        from dckt_apps.gap.picture import draw

        draw(gaps, place if other is None else f"{place}, {other}", picture)


def _test(first: Any, second: Any, what: str, flags: dict[str, Any], stacked: int = 1) -> TwoSampleTest:
    from dckt_core.base.rng import generator_for
    from dckt_kernels import two_sample_test

    return two_sample_test(
        first,
        second,
        method=flags["method"],
        permutations=flags["permutations"],
        stacked=stacked,
        generator=generator_for(flags["seed"], f"permutations {what}"),
    )


def _figures(test: TwoSampleTest) -> dict[str, Any]:
    return {"mmd": test.mmd, "p_value": test.p_value, "by_chance": test.by_chance, "method": test.method}


def _of_run(run: Path, context: Context, flags: dict[str, Any]) -> tuple[dict[str, Any], list[Gap]]:
    """Layers by checkpoint, and how many pairs of each domain there were."""
    from dckt_apps.gap.layers import layer_rows
    from dckt_apps.gap.picture import Gap
    from dckt_core.base.device import find_device
    from dckt_core.runs.results import REPRESENTATIONS

    how = {name: flags[name] for name in ("pairs", "seed", *OF_RUN)}
    table: dict[str, dict[str, Any]] = {}
    gaps: list[Gap] = []
    last: LayerRows | None = None
    for rows in layer_rows(run, context, device=str(find_device(flags["device"])), **how):
        test = _test(rows.source, rows.target, rows.layer, flags, rows.stacked)
        table.setdefault(rows.checkpoint, {})[rows.layer] = {**_figures(test), "weight": rows.weight}
        gaps.append(Gap(rows.layer, REPRESENTATIONS[rows.checkpoint], test))
        last = rows
    assert last is not None
    pairs = {"source": len(last.source) // last.stacked, "target": len(last.target) // last.stacked}
    return {"run": str(run), "pairs": pairs, "layers": table}, gaps


def _of_sets(first: str, second: str, context: Context, flags: dict[str, Any]) -> tuple[dict[str, Any], list[Gap]]:
    """The gap of each medium, and items where the second is denser than the first."""
    from dckt_apps.gap.picture import Gap
    from dckt_apps.gap.sets import set_rows
    from dckt_core.contract.options import split_assignments
    from dckt_kernels import witness

    encoders: dict[Medium, tuple[str, dict[str, str]]] = {
        medium: (flags[name], split_assignments(flags[f"{name}_opt"], option=f"--{name.replace('_', '-')}-opt"))
        for medium, name in NAMES.items()
        if flags[name] is not None
    }
    how = {"items": flags["pairs"], "seed": flags["seed"], "device": flags["device"]}
    told: list[dict[str, Any]] = []
    gaps: list[Gap] = []
    compared: SetRows
    for compared in set_rows(first, second, context, encoders=encoders, **how):
        test = _test(compared.first, compared.second, compared.of, flags)
        order = witness(compared.first, compared.second, compared.second).argsort(stable=True)[:NAMED]
        told.append(
            {
                "of": compared.of,
                "first": len(compared.first),
                "second": len(compared.second),
                "dim": compared.first.shape[1],
                **_figures(test),
                "denser_at": [compared.ids[row] for row in order.tolist()],
            }
        )
        gaps.append(Gap(compared.of, f"{second} from {first}", test))
    return {"first": first, "second": second, "gaps": told}, gaps


def _show_run(said: dict[str, Any], permutations: int) -> None:
    from rich.table import Table

    from dckt_cli.screen import Screen
    from dckt_core.runs.results import REPRESENTATIONS

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


def _show_sets(said: dict[str, Any], permutations: int) -> None:
    from rich.table import Table

    from dckt_cli.screen import Screen

    table = Table(title=f"squared MMD between {said['first']} and {said['second']}")
    for name in ("of", "rows", "width", "squared MMD", "by chance", f"p ({permutations} permutations)"):
        table.add_column(name, justify="left" if name == "of" else "right")
    table.add_column("where the second is denser")
    for one in said["gaps"]:
        figures = (f"{one['mmd']:.4f}", f"{one['by_chance']:.4f}", f"{one['p_value']:.3g}")
        denser = ", ".join(one["denser_at"])
        table.add_row(one["of"], f"{one['first']} + {one['second']}", str(one["dim"]), *figures, denser)
    Screen().print(table)
