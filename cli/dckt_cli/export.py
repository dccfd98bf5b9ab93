"""`dckt export`: a common space, embeddings or a model card, for use without dckt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dckt_cli import options
from dckt_cli.console import say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from dckt_core.contract.pairs import Medium

OF_RUNS, OF_ROWS = ("onnx", "numpy", "card"), ("parquet", "faiss")


@click.command()
@click.argument("place", metavar="RUN|INDEX|FEATURES", type=options.Place())
@click.option("--to", type=click.Choice([*OF_RUNS, *OF_ROWS]), required=True, help="What to write.")
@click.option(
    "-o", "--output", "out", metavar="OUT", type=options.Place(), required=True, help="A folder; of rows a file."
)
@click.option("--medium", type=click.Choice(["image", "text"]), help="Of an index that holds both.")
@click.pass_context
def export(ctx: click.Context, /, place: Path, to: str, out: Path, medium: Medium | None) -> None:
    """Write a run's common space, or embeddings, in a form that others read.

    \b
    dckt export RUN --to onnx -o FOLDER      images.onnx and texts.onnx: features in, embeddings out
    dckt export RUN --to numpy -o FOLDER     space.json and space.safetensors, for a page of numpy
    dckt export RUN --to card -o FOLDER      README.md: how it was trained, and how it scored
    dckt export INDEX --to parquet -o FILE   embeddings by id; also of what `dckt extract` wrote
    dckt export INDEX --to faiss -o FILE     a flat index of Faiss, and a line of JSON for each row

    A part of the space that does not say its arithmetic is refused by its name. docs/exports.md has the rest.
    """
    from dckt_core.exports.exporting import export as export_run
    from dckt_core.exports.rows import write_faiss, write_parquet
    from dckt_core.runs.model import load_run

    if to in OF_RUNS:
        if medium is not None:
            raise click.UsageError("--medium goes with parquet and faiss", ctx)
        for file in export_run(load_run(place, ctx.obj.context()), out, to=to):  # type: ignore[arg-type]
            say(f"wrote {file}")
        return
    items, rows = _rows(ctx, place, medium)
    if to == "parquet":
        write_parquet(out, items, rows)
        say(f"wrote {out}: {len(items)} rows of {rows.shape[1]} values")
    else:
        beside = write_faiss(out, items, rows)
        say(f"wrote {out}: {len(items)} rows of {rows.shape[1]} values; {beside} has their items")


def _rows(ctx: click.Context, place: Path, medium: Medium | None) -> tuple[Sequence[Mapping[str, str]], Tensor]:
    """What is known of each row, and the rows, of an index or of features."""
    from dckt_core.base.errors import DataError, UsageError
    from dckt_core.io.feature_files import read_features
    from dckt_core.io.feature_kinds import is_features
    from dckt_core.retrieval.index_folder import is_index, read_galleries, read_header

    if is_index(place):
        galleries = read_galleries(place, read_header(place), ctx.obj.registry)
        if medium is None and len(galleries) > 1:
            raise UsageError(f"{place}: holds images and texts: say --medium image or text")
        found = medium or next(iter(galleries))
        if found not in galleries:
            raise DataError(f"{place}: holds no {found}s")
        return galleries[found].stored()
    if not is_features(place):
        raise UsageError(f"{place}: rows are exported of an index, or of features as dckt extract writes them")
    table = read_features(place, medium=medium)
    items: list[dict[str, str]] = [{"id": name} | dict(table.known(number)) for number, name in enumerate(table.ids)]
    return items, table.take(slice(None))
