"""`dckt extract`: features of images or texts, by an encoder or by a trained run, into files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from dckt_cli import options
from dckt_cli.console import say, say_json


@click.command()
@click.option("--encoder", metavar="NAME", help="Features under this encoder.")
@click.option("--encoder-opt", metavar="KEY=VALUE", multiple=True, help="An option of the encoder.")
@click.option("--run", metavar="RUN", type=options.Place(), help="Places in this run's common space.")
@options.checkpoint("The run's result, or its target network before transfer, after it, or its target-only control.")
@click.option(
    "--input",
    "location",
    metavar="PATH|NAME",
    required=True,
    help="A manifest (.jsonl), a folder with one, a folder of images or of .txt files, a data set's name; or, with "
    "--run, features in a file or a folder that this command filled.",
)
@click.option(
    "--medium", type=click.Choice(["image", "text"]), help="[default: the encoder's, or the only one that there is]"
)
@click.option("-o", "--output", "out", metavar="OUT", type=options.Place(), required=True, help="A folder.")
@options.follow_links
@options.on_error
@options.batch
@click.option(
    "--shard-size", type=click.IntRange(min=1), default=4096, show_default=True, help="Items in a file of features."
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="Of the encoder's products. bfloat16 is faster where the processor has instructions for it.",
)
@click.option("--compile", is_flag=True, help="Compile the encoder first: a minute, then faster.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="For an encoder that draws.")
@options.device
@options.image_root
@options.quiet()
@options.as_json()
@click.pass_context
def extract(ctx: click.Context, /, encoder: str | None, run: Path | None, **flags: Any) -> None:
    """Write the features of images or of texts, shard by shard, with what they were made by.

    The same command once more goes on behind the last whole shard. OUT/extraction.json names weights, preprocessing,
    versions and input; docs/search.md says how to read the rest.
    """
    if (encoder is None) == (run is None):
        raise click.UsageError("say either --encoder or --run", ctx)
    for name, goes_with, there in (
        ("encoder_opt", "--encoder", run is None),
        ("seed", "--encoder: a run has its own", run is None),
        ("precision", "--encoder: a run has its own", run is None),
        ("compile", "--encoder: a run has its own", run is None),
        ("checkpoint", "--run", run is not None),
        ("max_bad_fraction", "--on-error skip", flags["on_error"] == "skip"),
    ):
        options.refuse_idle(ctx, name, goes_with, there=there)

    from dckt_cli.console import watching
    from dckt_core.base.device import find_device
    from dckt_core.contract.options import split_assignments
    from dckt_core.data.inference import Inference
    from dckt_core.retrieval.extracting import extract as extract_place
    from dckt_core.runs.model import load_run

    device = str(find_device(flags["device"]))
    said = split_assignments(flags["encoder_opt"], option="--encoder-opt")
    how = {name: flags[name] for name in ("medium", "seed", "shard_size", "batch", "on_error", "max_bad_fraction")}
    with watching(quiet=flags["quiet"], verbose=flags["verbose"]) as progress:
        context = ctx.obj.context(progress)
        if run is not None:
            how["by"] = load_run(run, context, checkpoint=flags["checkpoint"], device=device)
        else:
            how["by"], how["how"] = encoder, Inference(flags["precision"], flags["compile"])
        extraction = extract_place(flags["location"], flags["out"], options=said, device=device, context=context, **how)
    header = extraction.header
    if flags["as_json"]:
        say_json({"path": str(extraction.path), **asdict(header)})
    else:
        say(
            f"{extraction.path}: {len(extraction)} {extraction.medium}s, {extraction.dim} values each, "
            f"in {len(header.shards)} {'file' if len(header.shards) == 1 else 'files'}"
        )
        if header.dropped:
            say(f"left out: {header.dropped}; see {extraction.path / 'dropped.jsonl'}")
