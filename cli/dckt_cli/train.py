"""`dckt train`: from two data sets to a scored, searchable model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dckt_cli import options
from dckt_cli.console import say_json
from dckt_core.base.errors import UsageError

if TYPE_CHECKING:
    from dckt_core.runs.train import Result

PLAIN_FLAGS = ("seed", "shots", "on_error", "max_bad_fraction", "device", "precision")
PLUGIN_FLAGS = ("encoder", "text_encoder", "discrepancy", "sampler")


@click.command()
@click.option("--source", metavar="PATH|NAME", help="The large labelled data set. [default: sample-source]")
@click.option("--target", metavar="PATH|NAME", help="The small data set to search. [default: sample-target]")
@click.option("--source-layout", metavar="NAME", help="Layout of the source, where it is not recognised.")
@click.option("--target-layout", metavar="NAME", help="Layout of the target, where it is not recognised.")
@click.option("--encoder", metavar="NAME", help="Image encoder. [default: the preset's, vgg19]")
@click.option("--encoder-opt", metavar="KEY=VALUE", multiple=True, help="An option of the image encoder.")
@click.option("--text-encoder", metavar="NAME", help="Text encoder. [default: the preset's, mean-vectors]")
@click.option("--text-encoder-opt", metavar="KEY=VALUE", multiple=True, help="An option of the text encoder.")
@click.option("--discrepancy", metavar="NAME", help="Loss between the domains. [default: the preset's, mmd]")
@click.option("--discrepancy-opt", metavar="KEY=VALUE", multiple=True, help="An option of the discrepancy.")
@click.option("--sampler", metavar="NAME", help="Curriculum sampler. [default: the preset's, ap-progressive]")
@click.option("--sampler-opt", metavar="KEY=VALUE", multiple=True, help="An option of the sampler.")
@click.option("--observer", "observers", metavar="NAME", multiple=True, help="Told of metrics, beside csv.")
@click.option("--part", "parts", metavar="NAME[=WEIGHT]", multiple=True, help="A part of the common space; 0: without.")
@click.option("--part-opt", metavar="NAME.KEY=VALUE", multiple=True, help="An option of a part.")
@click.option("--preset", metavar="NAME", help="Starting values: paper, authors or tuned. [default: tuned]")
@click.option("--config", "file", metavar="FILE", type=options.Place(), help="Values in TOML.")
@click.option("--set", "assignments", metavar="KEY=VALUE", multiple=True, help="Any value, such as transfer.lr=0.001.")
@click.option("--seed", metavar="INTEGER", help="The same seed gives the same bits on CPU. [default: 0]")
@click.option("--shots", metavar="INTEGER", help="At most so many labels a class of the target. [default: all]")
@click.option("--shots-rest", metavar="NAME", help="The items beside: unlabelled or dropped. [default: unlabelled]")
@click.option("--on-error", metavar="fail|skip", help="What a bad line or image does: end the run, or drop the pair.")
@click.option("--max-bad-fraction", metavar="SHARE", help="How much of a data set skip may drop. [default: 0.01]")
@click.option("--device", metavar="NAME", help="auto, cpu, cuda or mps. [default: auto]")
@click.option("--precision", metavar="NAME", help="no, bf16 or fp16. [default: no]")
@click.option("--name", metavar="NAME", help="The run's name. [default: the time it starts]")
@click.option("--resume", "run", metavar="RUN", type=options.Place(), help="Go on with a stopped run.")
@click.option("--runs-dir", metavar="DIR", type=options.Place(), default=Path("runs"), show_default=True)
@options.image_root
@options.quiet()
@options.as_json()
@click.pass_context
def train(ctx: click.Context, /, **flags: Any) -> None:
    """Train a target network with the help of a source domain, and score it.

    With no --source and --target the embedded sample runs: drawn letters and digits help to search scanned ones.
    """
    from dckt_cli.console import watching
    from dckt_core.runs.setup import resolve_config
    from dckt_core.runs.train import resume
    from dckt_core.runs.train import train as begin

    if flags["run"] is not None:
        refuse_beside_resume(ctx)
        with watching(quiet=flags["quiet"], verbose=flags["verbose"]) as progress:
            result = resume(flags["run"], context=ctx.obj.context(progress))
        return show(result, as_json=flags["as_json"])
    with watching(quiet=flags["quiet"], verbose=flags["verbose"]) as progress:
        context = ctx.obj.context(progress)
        config = resolve_config(
            context.registry, preset=flags["preset"], file=flags["file"], environ=os.environ, flags=flags_layer(flags)
        )
        options.refuse_idle(ctx, "shots_rest", "--shots", there=config.shots is not None)
        options.refuse_idle(ctx, "max_bad_fraction", "--on-error skip", there=config.on_error == "skip")
        result = begin(config, context=context, runs_dir=flags["runs_dir"], name=flags["name"])
    return show(result, as_json=flags["as_json"])


def show(result: Result, *, as_json: bool) -> None:
    """The outcome, once where several processes ran."""
    if int(os.environ.get("RANK", "0")) != 0:
        return
    if as_json:
        say_json({"run": str(result.run_dir), **result.summary})
    else:
        from dckt_cli.outcome import show_outcome

        show_outcome(result.run_dir, result.summary)


def refuse_beside_resume(ctx: click.Context) -> None:
    """A resumed run has its configuration; a flag beside it would be ignored."""
    for name in ctx.params.keys() - {"run", "quiet", "verbose", "as_json"}:
        if options.given(ctx, name):
            raise UsageError(f"--resume goes on with the run's own configuration; leave out '{name.replace('_', '-')}'")


def flags_layer(flags: dict[str, Any]) -> dict[str, Any]:
    """The command line as a configuration layer."""
    from dckt_core.config import assignments_layer, merge
    from dckt_core.contract.options import split_assignments
    from dckt_core.contract.pairs import ROLES

    layer: dict[str, Any] = {}
    for side in ROLES:
        table = {"location": flags[side], "layout": flags[f"{side}_layout"]}
        layer[side] = {key: value for key, value in table.items() if value is not None}
    for role in PLUGIN_FLAGS:
        options = split_assignments(flags[f"{role}_opt"], option=f"--{role.replace('_', '-')}-opt")
        layer[role] = ({"name": flags[role]} if flags[role] else {}) | options
    layer["space"] = parts_layer(flags["parts"], flags["part_opt"])
    if flags["observers"]:
        layer["observers"] = [{"name": name} for name in dict.fromkeys(("csv", *flags["observers"]))]
    layer |= {key: flags[key] for key in PLAIN_FLAGS if flags[key] is not None}
    if flags["shots_rest"] is not None:
        layer["offer"] = {"rest": flags["shots_rest"]}
    layer = {key: value for key, value in layer.items() if value != {}}
    assigned = split_assignments(flags["assignments"], option="--set")
    return merge(layer, assignments_layer(assigned.items()))


def parts_layer(parts: Sequence[str], options: Sequence[str]) -> dict[str, Any]:
    """`--part students=2 --part-opt students.rounds=3` as a layer of the configuration's `space`."""
    from dckt_core.config import parse_value
    from dckt_core.contract.options import split_assignments

    tables: dict[str, dict[str, Any]] = {}
    for said in parts:
        name, equals, weight = said.partition("=")
        tables.setdefault(name.strip(), {})["weight"] = parse_value(weight.strip()) if equals else 1.0
    for key, value in split_assignments(options, option="--part-opt").items():
        name, dot, option = key.rpartition(".")
        if not dot:
            raise UsageError(f"--part-opt takes NAME.KEY=VALUE, not '{key}={value}'")
        tables.setdefault(name, {})[option] = value
    return {"parts": tables} if tables else {}
