"""`dckt extract`: features of images or texts, by an encoder or by a trained run, into files."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dckt_cli import options
from dckt_core.base.errors import UsageError

if TYPE_CHECKING:
    from dckt_core.contract.discovery import Registry
    from dckt_core.contract.pairs import Medium


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
    help="A manifest (.jsonl), a folder with one, a folder of images or of .txt files, or a data set's name.",
)
@click.option(
    "--medium", type=click.Choice(["image", "text"]), help="[default: the encoder's, or the only one that there is]"
)
@click.option("-o", "--output", "out", metavar="OUT", type=options.Place(), required=True, help="A folder.")
@options.on_error
@options.batch
@click.option(
    "--shard-size", type=click.IntRange(min=1), default=4096, show_default=True, help="Items in a file of features."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="For an encoder that draws.")
@options.device
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
    if run is not None and flags["encoder_opt"]:
        raise click.UsageError("--encoder-opt goes with --encoder", ctx)

    from dckt_cli.console import watching
    from dckt_core.base.device import find_device
    from dckt_core.contract.options import split_assignments
    from dckt_core.data.cache import default_cache_dir
    from dckt_core.retrieval.extract import extract as extract_items
    from dckt_core.retrieval.extractor import by_encoder, by_run
    from dckt_core.retrieval.listing import list_items
    from dckt_core.runs.model import load

    registry = ctx.obj.registry
    device = find_device(flags["device"])
    with watching(quiet=flags["quiet"]) as progress:
        where: dict[str, Any] = {"cache_dir": default_cache_dir(), "progress": progress}
        if run is not None:
            medium = _medium(flags["location"], flags["medium"], registry)
            listing = list_items(flags["location"], medium, registry, **where)
            model = load(run, registry=registry, checkpoint=flags["checkpoint"], device=str(device), progress=progress)
            extractor = by_run(model, medium)
        else:
            assert encoder is not None
            medium = _encoders_medium(registry, encoder, flags["medium"])
            said = split_assignments(flags["encoder_opt"], option="--encoder-opt")
            listing = list_items(flags["location"], medium, registry, **where)
            texts = [entry.item.text for entry in listing.entries if hasattr(entry.item, "text")]
            extractor = by_encoder(
                registry, encoder, said, texts=texts, seed=flags["seed"], cache_dir=where["cache_dir"], device=device
            )
        how = {name: flags[name] for name in ("shard_size", "batch", "on_error", "max_bad_fraction")}
        extraction = extract_items(extractor, listing, flags["out"], progress=progress, **how)
    header = extraction.header
    if flags["as_json"]:
        click.echo(json.dumps({"path": str(extraction.path), **asdict(header)}, ensure_ascii=False))
    else:
        click.echo(
            f"{extraction.path}: {len(extraction)} {medium}s, {extraction.dim} values each, "
            f"in {len(header.shards)} {'file' if len(header.shards) == 1 else 'files'}"
        )
        if header.dropped:
            click.echo(f"left out: {header.dropped}; see {extraction.path / 'dropped.jsonl'}")


def _medium(location: str, said: Medium | None, registry: Registry) -> Medium:
    """The medium of a place for a run, which has an encoder for either."""
    from dckt_core.retrieval.listing import media_at

    if said is not None:
        return said
    media = media_at(location, registry)
    if len(media) != 1:
        raise UsageError(f"{location}: say which medium: --medium image or --medium text")
    return media[0]


def _encoders_medium(registry: Registry, encoder: str, said: Medium | None) -> Medium:
    medium: Medium = registry.find("encoder", encoder).spec.modality
    if said not in (None, medium):
        raise UsageError(f"encoder '{encoder}' is one of {medium}s, and --medium says {said}")
    return medium
