"""`dckt search`: what lies near a text or an image, in the other medium or in the same."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dckt_cli import asking, options
from dckt_core.base.errors import one_line

if TYPE_CHECKING:
    from dckt_core.contract.pairs import Medium
    from dckt_core.data.context import Context
    from dckt_core.retrieval.gallery import Hit
    from dckt_core.retrieval.queries import Answer
    from dckt_core.retrieval.query import Joined, Query
    from dckt_core.retrieval.searcher import Searcher

AT_ONCE = 256
"""Queries of a batch that are encoded, looked for and written at once."""

NOTHING = "nothing here is likely to be what you look for"

CUT = "the text is longer than the run reads: what stands at its end is left out"

FIGURES = ("cosine", "probability", "csls")

OF_RUNS = ("split", "index", "index_opt", "checkpoint", "target")
"""Flags that make sense for a run alone: an index has it all settled."""


@click.command(cls=asking.InOrder)
@click.argument("place", metavar="INDEX|RUN", type=options.Place())
@asking.queries
@click.option(
    "--medium",
    type=click.Choice(["other", "image", "text"]),
    default="other",
    show_default=True,
    help="What to find; by default images for a text, or for both together, texts for an image, and for an item "
    "what it is; or all that there is.",
)
@click.option("-k", "--k", type=click.IntRange(min=1), default=10, show_default=True, help="How many to show.")
@click.option(
    "--threshold",
    metavar="P",
    type=click.FloatRange(0, 1),
    callback=options.finite,
    help="Show only what is at least so probable, by what the run learnt on validation pairs.",
)
@asking.refining
@click.option("--insist", is_flag=True, help="Answer even a text of which the run knows no word.")
@options.place
@click.option("--index", metavar="NAME", default="exact", show_default=True, help="Of a run: how neighbours are found.")
@click.option("--index-opt", metavar="KEY=VALUE", multiple=True, help="Of a run: an option of the index.")
@options.device
@options.image_root
@options.quiet("the results")
@click.option("--json", "as_json", is_flag=True, help="The results as JSON on stdout, a line for each query.")
@click.pass_context
def search(ctx: click.Context, /, place: Path, **flags: Any) -> None:
    """Search an index made by `dckt index`, or the target data set of a run: images for a text, texts for an image.

    Ranked by the cosine of common representations; equal cosines keep the order of the gallery, unless the index is
    an approximate one.
    """
    typed = asking.typed(ctx, flags)

    from dckt_cli.console import watching
    from dckt_core.base.errors import DataError, UsageError
    from dckt_core.retrieval.index_folder import is_index
    from dckt_core.retrieval.queries import answer
    from dckt_core.retrieval.query import EMPTY

    if any(one.kind == "text" and not one.value.strip() for one in typed):
        raise UsageError(EMPTY)
    asked: list[Query] = [] if typed else _of_file(flags)
    pictures = [one.value for one in typed if one.kind == "image"] + [one.image for one in asked if one.image]
    for picture in pictures:
        if not picture.is_file():
            raise DataError(f"{picture}: no such file")
    refine = asking.refinement(flags)
    of_index = is_index(place)
    _check_flags(ctx, place, of_index=of_index)
    with watching(quiet=flags["quiet"], verbose=flags["verbose"]) as progress:
        if of_index:
            searcher = _of_index(ctx.obj.context(progress), place, flags)
        else:
            searcher = _of_run(ctx.obj.context(progress), place, _media(typed, asked, flags), flags)
        queries: Sequence[Query | Joined] = [asking.joined(typed, searcher, flags["of"])] if typed else asked
        alone = bool(typed) or (len(queries) == 1 and flags["batch"] is None)
        how = {"threshold": flags["threshold"], "insist": flags["insist"], "refine": refine}
        for start in range(0, len(queries), AT_ONCE):
            some = queries[start : start + AT_ONCE]
            answers = answer(searcher, some, flags["k"], flags["medium"], **how)
            for query, found in zip(some, answers, strict=True):
                if found.refused and flags["batch"] is None:
                    raise UsageError(f"{found.refused} (--insist)")
                if flags["as_json"]:
                    where = {"index" if of_index else "run": str(place), "query": query.as_json()}
                    click.echo(json.dumps({**where, **_as_json(found)}, ensure_ascii=False))
                else:
                    _show(found, title=None if alone else query)


def _of_file(flags: Mapping[str, Any]) -> list[Query]:
    """The queries of a file, each for itself."""
    from dckt_core.retrieval.queries import feature_queries, read_queries

    if flags["batch"] is not None:
        return read_queries(flags["batch"])
    of: Medium = "text" if flags["text_features"] is not None else "image"
    return feature_queries(flags["text_features"] or flags["image_features"], of)


def _media(typed: Sequence[asking.One], asked: Sequence[Query], flags: Mapping[str, Any]) -> tuple[Medium, ...]:
    """The media that must be encoded to answer."""
    from dckt_core.contract.pairs import MEDIA
    from dckt_core.retrieval.query import Query, wanted_by

    if flags["csls"] or flags["like"]:
        return MEDIA
    if flags["medium"] != "other":
        return (flags["medium"],)
    together = [Query(text="any") if one.kind == "text" else Query(image=Path()) for one in typed]
    return tuple(dict.fromkeys(wanted_by(one) for one in ([together] if typed else [[one] for one in asked])))


def _check_flags(ctx: click.Context, place: Path, *, of_index: bool) -> None:
    """Raises UsageError for a flag that says nothing here."""
    for name in OF_RUNS if of_index else ("run",):
        if ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
            flag = f"--{name.replace('_', '-')}"
            raise click.UsageError(f"{flag} goes with {'a run' if of_index else 'an index'}, and {place} is none", ctx)


def _of_index(context: Context, place: Path, flags: Mapping[str, Any]) -> Searcher:
    from dckt_core.base.device import find_device
    from dckt_core.retrieval.index import searcher_of_index

    device = str(find_device(flags["device"]))
    return searcher_of_index(place, context, run=flags["run"], device=device)


def _of_run(context: Context, place: Path, media: tuple[Medium, ...], flags: Mapping[str, Any]) -> Searcher:
    from dckt_core.base.device import find_device
    from dckt_core.contract.options import parse_options, split_assignments
    from dckt_core.retrieval.searcher import searcher_of_target
    from dckt_core.runs.model import load_run

    options = split_assignments(flags["index_opt"], option="--index-opt")
    parse_options(context.registry.find("index", flags["index"]).spec, options, where=f"index '{flags['index']}'")
    device = str(find_device(flags["device"]))
    how = {name: flags[name] for name in ("checkpoint", "target")}
    model = load_run(place, context, device=device, **how)
    return searcher_of_target(model, media, split=flags["split"], index=flags["index"], options=options)


def _rows(hits: Sequence[Hit]) -> list[dict[str, Any]]:
    rows = []
    for rank, hit in enumerate(hits, start=1):
        sure = {} if hit.probability is None else {"probability": hit.probability}
        sure |= {} if hit.csls is None else {"csls": hit.csls}
        rows.append({"rank": rank, "cosine": hit.cosine, **sure, **hit.item})
    return rows


def _as_json(found: Answer) -> dict[str, Any]:
    told: dict[str, Any] = {
        "results": _rows(found.hits),
        "unknown": found.unknown,
        "cut": found.cut,
        "unlikely": found.unlikely,
    }
    return told | ({"refused": found.refused} if found.refused else {})


def _show(found: Answer, *, title: Query | Joined | None) -> None:
    from dckt_cli.console import show_table
    from dckt_core.data.metadata import as_words

    results = _rows(found.hits)
    if title is not None:
        click.echo(one_line(title.title))
    if found.refused:
        click.echo(f"{one_line(found.refused)} (--insist)")
        return
    if found.unknown:
        click.echo(one_line(f"the run does not know: {', '.join(found.unknown)}"))
    if found.cut:
        click.echo(CUT)
    if found.unlikely or not results:
        click.echo(NOTHING)
    if not results:
        return
    heads = {
        "rank": "rank",
        "cosine": "cosine",
        "probability": "probability",
        "csls": "CSLS",
        "id": "id",
        "label": "class",
        "image": "image",
        "text": "text",
        "metadata": "besides",
    }
    shown = [key for key in heads if any(key in row for row in results)]
    for row in results:
        row.update({name: f"{row[name]:.4f}" for name in FIGURES if name in row})
        row.update({"metadata": as_words(row["metadata"])} if "metadata" in row else {})
    show_table(
        [heads[key] for key in shown],
        [[str(row.get(key, "")) for key in shown] for row in results],
        right=[heads[key] for key in ("rank", *FIGURES)],
    )
