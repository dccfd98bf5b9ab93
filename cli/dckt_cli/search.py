"""`dckt search`: what lies near a text or an image, in the other medium or in the same."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--text", help="Look for this text.")
@click.option("--image", metavar="FILE", type=click.Path(path_type=Path), help="Look for this image.")
@click.option(
    "--medium",
    type=click.Choice(["other", "image", "text"]),
    default="other",
    show_default=True,
    help="What to find; by default images for a text and texts for an image.",
)
@click.option("-k", "--k", type=click.IntRange(min=1), default=10, show_default=True, help="How many to show.")
@click.option(
    "--split",
    type=click.Choice(["all", "train", "val", "test"]),
    default="all",
    show_default=True,
    help="The part of the target data set to search.",
)
@click.option("--index", metavar="NAME", default="exact", show_default=True, help="How neighbours are found.")
@click.option("--index-opt", metavar="KEY=VALUE", multiple=True, help="An option of the index.")
@click.option(
    "--checkpoint",
    type=click.Choice(["before", "after", "control"]),
    default="after",
    show_default=True,
    help="The target network before transfer, after it, or its target-only control.",
)
@click.option("--target", metavar="PATH", help="Where the target data set lies, if it was moved.")
@click.option("--device", metavar="NAME", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--quiet", is_flag=True, help="Warnings and the results alone.")
@click.option("--json", "as_json", is_flag=True, help="The results as JSON on stdout.")
@click.pass_context
def search(ctx: click.Context, /, run: Path, text: str | None, image: Path | None, **flags: Any) -> None:
    """Search the target data set of RUN by its trained network: images for a text, texts for an image.

    Ranked by the cosine of class probabilities; equal cosines keep the order of the data set, split by split.
    """
    if (text is None) == (image is None):
        raise click.UsageError("say either --text or --image", ctx)
    asked = {"image": str(image)} if image is not None else {"text": text}
    other = "text" if image is not None else "image"
    medium = other if flags["medium"] == "other" else flags["medium"]

    import torch

    from dckt_cli.console import watching
    from dckt_core.data.pairs import SPLITS
    from dckt_core.errors import DataError
    from dckt_core.model import load
    from dckt_core.options import parse_options, split_assignments
    from dckt_core.plugins import blame
    from dckt_core.protocols import IndexContext
    from dckt_core.training.engine import Engine

    plugin = ctx.obj.registry.find("index", flags["index"])
    said = split_assignments(flags["index_opt"], option="--index-opt")
    options = parse_options(plugin.spec, said, where=f"index '{flags['index']}'")
    with watching(quiet=flags["quiet"]) as progress:
        model = load(
            run,
            registry=ctx.obj.registry,
            checkpoint=flags["checkpoint"],
            target=flags["target"],
            device=str(Engine(flags["device"]).device),
            progress=progress,
        )
        query = model.encode_images([image]) if image is not None else model.encode_texts([text or ""])
        data = model.target()
        # Split by split, as training did, so that the features it left in the cache are found there.
        splits = [data.split(name) for name in SPLITS if flags["split"] in ("all", name)]
        pairs = [pair for split in splits for pair in split]
        if not pairs:
            raise DataError(f"{data.origin}: split '{flags['split']}' is empty")
        if medium == "text":
            parts = [model.encode_texts([pair.text_item for pair in split], cache=True) for split in splits]
        else:
            parts = [model.encode_images([pair.image_item for pair in split], cache=True) for split in splits]
        with blame(plugin):
            index = plugin.spec.build(options, IndexContext(dim=model.dim, seed=model.config.seed))
            index.add([pair.id for pair in pairs], torch.cat(parts))
            (ids,), cosines = index.search(query, flags["k"])
    by_id = {pair.id: pair for pair in pairs}
    found = [(by_id[name], cosine) for name, cosine in zip(ids, cosines[0].tolist(), strict=True)]
    results = [
        {
            "rank": rank,
            "cosine": cosine,
            "id": pair.id,
            "label": pair.label,
            "split": pair.split,
            medium: pair.text if medium == "text" else str(pair.image),
        }
        for rank, (pair, cosine) in enumerate(found, start=1)
    ]
    if flags["as_json"]:
        click.echo(json.dumps({"run": str(run), "query": asked, "results": results}, ensure_ascii=False))
    else:
        _show(results, medium)


def _show(results: Sequence[Mapping[str, Any]], medium: str) -> None:
    head = {"rank": "rank", "cosine": "cosine", "id": "id", "label": "class", medium: medium}
    rows = [head, *({**row, "cosine": f"{row['cosine']:.4f}"} for row in results)]
    cells = [[_printable(str(row[key])) for key in head] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head) - 1)]
    for rank, cosine, name, label, what in cells:
        line = [rank.rjust(widths[0]), cosine.rjust(widths[1]), name.ljust(widths[2]), label.ljust(widths[3]), what]
        click.echo("  ".join(line))


def _printable(text: str) -> str:
    """One line that cannot steer a terminal."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
