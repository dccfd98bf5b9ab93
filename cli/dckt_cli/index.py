"""`dckt index`: images and texts, encoded by a run, into a folder that `dckt search` answers from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dckt_cli import options
from dckt_cli.console import say, say_json

if TYPE_CHECKING:
    from dckt_core.data.context import Context
    from dckt_core.retrieval.index import Encoding

OF_A_BUILD = ("gallery", "out", "index", "index_opt", "checkpoint")
OF_ENCODING = ("batch", "device", "on_error")
OF_A_CHANGE = ("add", "remove", "run")


@click.command()
@click.argument("place", metavar="RUN|INDEX", type=options.Place())
@click.option(
    "--gallery",
    metavar="PATH|NAME",
    help="What shall be found: a manifest (.jsonl), a folder with one, a folder of images or of .txt files, a data "
    "set's name, features in a file, or a folder that `dckt extract` filled.  [default: the run's target]",
)
@click.option("-o", "--output", "out", metavar="INDEX", type=options.Place(), help="The new index folder.")
@click.option("--add", metavar="PATH|NAME", help="Add all of this to INDEX; what has an id that is there replaces it.")
@click.option("--remove", metavar="ID", multiple=True, help="Take an item out of INDEX; repeatable.")
@click.option("--medium", type=click.Choice(["image", "text"]), help="This medium alone.  [default: all that there is]")
@click.option("--index", metavar="NAME", default="exact", show_default=True, help="How neighbours are found.")
@click.option("--index-opt", metavar="KEY=VALUE", multiple=True, help="An option of the index.")
@options.checkpoint("The run's result, or its target network before transfer, after it, or its target-only control.")
@click.option("--run", metavar="RUN", type=options.Place(), help="The run that made INDEX, if it was moved.")
@options.follow_links
@options.on_error
@options.batch
@options.device
@options.image_root
@options.quiet()
@options.as_json("The index's description")
@click.pass_context
def index(ctx: click.Context, /, place: Path, **flags: Any) -> None:
    """Build an index of a gallery, encoded by RUN, or add items to INDEX and take some out.

    \b
    dckt index RUN --gallery PATH -o INDEX
    dckt index INDEX --add PATH
    dckt index INDEX --remove ID

    A build or an addition that was stopped goes on where it was, by the same command. Of an index other than exact,
    the share of the true 10 nearest that it finds is measured at build.
    """
    from dckt_cli.console import watching
    from dckt_core.retrieval.index import Encoding
    from dckt_core.retrieval.index_folder import is_index, read_header
    from dckt_core.retrieval.shards import DROPPED

    changes = is_index(place)
    _check_flags(ctx, place, flags, changes=changes)
    encoding = Encoding(flags["batch"], flags["on_error"], flags["max_bad_fraction"])
    with watching(quiet=flags["quiet"], verbose=flags["verbose"]) as progress:
        act = _change if changes else _build
        told = act(ctx.obj.context(progress), place, flags, encoding)
    out = place if changes else flags["out"]
    header = read_header(out)
    if flags["as_json"]:
        say_json({"path": str(out), **asdict(header)})
        return
    for line in told:
        say(line)
    counts = " and ".join(f"{count} {medium}{'s' * (count != 1)}" for medium, count in header.counts.items())
    say(f"{out}: {counts}, {header.dim} values each, index '{header.index}'")
    for medium, found in header.history[-1].get("added", {}).items():
        if found["dropped"]:
            say(f"left out: {found['dropped']}; see {out / header.contents / medium / DROPPED}")
    if not changes:
        for medium, found in header.history[-1].get("recall_at_10", {}).items():
            asked = f"{found['queries']} {found['of']} as queries"
            say(f"recall@10 of {medium}s against exact: {found['value']:.4f} ({asked})")


def _check_flags(ctx: click.Context, place: Path, flags: Mapping[str, Any], *, changes: bool) -> None:
    """Raises UsageError for a flag that is missing, or that says nothing here."""
    for name in OF_A_BUILD if changes else OF_A_CHANGE:
        if options.given(ctx, name):
            flag = "--output" if name == "out" else f"--{name.replace('_', '-')}"
            raise click.UsageError(f"{flag} goes with {'a run' if changes else 'an index'}, and {place} is none", ctx)
    options.refuse_idle(ctx, "max_bad_fraction", "--on-error skip", there=flags["on_error"] == "skip")
    for name in OF_ENCODING:
        options.refuse_idle(
            ctx, name, "--gallery or --add: nothing is encoded", there=not changes or bool(flags["add"])
        )
    if changes and flags["add"] is None and not flags["remove"]:
        raise click.UsageError(f"say --add PATH or --remove ID to change {place}", ctx)
    if not changes and flags["out"] is None:
        raise click.UsageError("say where to: -o INDEX, and what of, if not of the run's target: --gallery PATH", ctx)


def _build(context: Context, run: Path, flags: Mapping[str, Any], encoding: Encoding) -> list[str]:
    from dckt_core.base.device import find_device
    from dckt_core.contract.options import parse_options, split_assignments
    from dckt_core.retrieval.index import build_index
    from dckt_core.runs.model import load_run

    options = split_assignments(flags["index_opt"], option="--index-opt")
    parse_options(context.registry.find("index", flags["index"]).spec, options, where=f"index '{flags['index']}'")
    device = str(find_device(flags["device"]))
    model = load_run(run, context, checkpoint=flags["checkpoint"], device=device)
    how = {name: flags[name] for name in ("medium", "index")}
    build_index(model, flags["gallery"], flags["out"], options=options, encoding=encoding, **how)
    return []


def _change(context: Context, path: Path, flags: Mapping[str, Any], encoding: Encoding) -> list[str]:
    from dckt_core.base.device import find_device
    from dckt_core.retrieval.index import add_to_index, load_model, remove_from_index
    from dckt_core.retrieval.index_folder import read_header

    told = []
    if flags["remove"]:
        gone = remove_from_index(path, flags["remove"], medium=flags["medium"], registry=context.registry)
        told += [f"removed: {count} {medium}{'s' * (count != 1)}" for medium, count in gone.items() if count]
    if flags["add"] is not None:
        device = str(find_device(flags["device"]))
        model = load_model(path, read_header(path).model, flags["run"], context, device=device)
        added = add_to_index(path, flags["add"], model, medium=flags["medium"], encoding=encoding)
        told += [
            f"added: {new} {medium}{'s' * (new != 1)}" + f", and {replaced} replaced" * (replaced > 0)
            for medium, (new, replaced) in added.items()
        ]
    return told
