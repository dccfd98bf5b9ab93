"""`dckt search`: which images and texts lie near to what is looked for."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dckt_cli import asking, found, options
from dckt_cli.console import say_json
from dckt_core.base.errors import DataError, UsageError

if TYPE_CHECKING:
    from dckt_core.contract.pairs import Medium
    from dckt_core.data.context import Context
    from dckt_core.retrieval.query import Joined, Query
    from dckt_core.retrieval.searcher import Searcher

AT_ONCE = 256
"""Queries of a batch that are encoded, looked for and written at once."""

OF_RUNS = ("split", "index", "index_opt", "checkpoint", "target")
"""Flags that make sense for a run alone: an index has it all settled."""


@click.command(cls=asking.InOrder)
@click.argument("place", metavar="[INDEX|RUN]", required=False, type=options.Place())
@click.option("--url", metavar="URL", help="Ask the `dckt serve` that runs there, ?run=NAME where it serves several.")
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
@click.option("--open", is_flag=True, help="The results as a page in the browser, besides.")
@click.option("--pictures", is_flag=True, help="Small pictures of what was found, on a terminal.")
@click.pass_context
def search(ctx: click.Context, /, place: Path | None, **flags: Any) -> None:
    """Search an index made by `dckt index`, or the target data set of a run: images for a text, texts for an image.
    With --url a `dckt serve` that runs already answers at once.

    Ranked by the cosine of common representations; equal cosines keep the order of the gallery, unless the index is
    an approximate one.
    """
    typed = asking.typed(ctx, flags)
    if (place is None) == (flags["url"] is None):
        raise click.UsageError("say an index, a run, or --url", ctx)
    if flags["pictures"] and (flags["as_json"] or not sys.stdout.isatty()):
        raise click.UsageError("--pictures needs a terminal to show them on", ctx)
    for flag in ("open", "pictures"):
        options.refuse_idle(ctx, flag, "a single query", there=flags["batch"] is None)
    for one in typed:
        if one.kind == "text" and not one.value.strip():
            raise UsageError("the text to look for is empty")
        if one.kind == "image" and not one.value.is_file():
            raise DataError(f"{one.value}: no such file")
    if place is None:
        _ask_server(ctx, typed, flags)
    else:
        _search_here(ctx, place, typed, flags)


def _ask_server(ctx: click.Context, typed: Sequence[asking.One], flags: Mapping[str, Any]) -> None:
    """Has a server answer; no torch is imported."""
    from dckt_cli.search_remote import Remote

    for name in (*OF_RUNS, "run", "device", "image_root", "batch"):
        options.refuse_idle(ctx, name, "an index or a run", there=False)
    remote = Remote(flags["url"])
    told = remote.ask(typed, flags)
    query = [{one.kind: str(one.value)} for one in typed] or [{"features": str(asking.feature_file(flags))}]
    if flags["as_json"]:
        say_json({"url": flags["url"], "query": query, **told})
    else:
        found.show(told, None)
    title = " + ".join(value for one in query for value in one.values())
    _show_pictures(told, title, flags["url"], flags, remote.jpeg)


def _search_here(ctx: click.Context, place: Path, typed: Sequence[asking.One], flags: Mapping[str, Any]) -> None:
    """Encodes and searches in this process."""
    from dckt_cli.console import watching
    from dckt_core.retrieval.index_folder import is_index
    from dckt_core.retrieval.queries import answer

    asked: list[Query] = [] if typed else _of_file(flags)
    for picture in [query.image for query in asked if query.image is not None]:
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
        alone = len(queries) == 1 and flags["batch"] is None
        for flag in ("open", "pictures"):
            if flags[flag] and not alone:
                raise UsageError(f"--{flag} shows a single query, and there are {len(queries)}")
        how = {"threshold": flags["threshold"], "insist": flags["insist"], "refine": refine}

        def tell(query: Query | Joined, told: Mapping[str, Any]) -> None:
            if flags["as_json"]:
                say_json({"index" if of_index else "run": str(place), "query": query.as_json(), **told})
            else:
                found.show(told, None if alone else query.title)

        for start in range(0, len(queries), AT_ONCE):
            some = queries[start : start + AT_ONCE]
            for query, one in zip(some, answer(searcher, some, flags["k"], flags["medium"], **how), strict=True):
                if one.refused and flags["batch"] is None:
                    raise UsageError(f"{one.refused} (--insist)")
                told = found.as_json(one)
                if not alone:
                    tell(query, told)
    if alone:  # when the bars are gone, which would draw over pictures
        tell(query, told)
        _show_pictures(told, query.title, str(place), flags, found.jpeg_of_file)


def _show_pictures(
    told: Mapping[str, Any], title: str, place: str, flags: Mapping[str, Any], jpeg_of: found.JpegOf
) -> None:
    if not (flags["pictures"] or flags["open"]):
        return
    rows = found.with_pictures(told, jpeg_of)
    if flags["pictures"]:
        from dckt_cli.terminal_pictures import show

        show(rows)
    if flags["open"]:
        found.open_page(told, title, place, rows)


def _of_file(flags: Mapping[str, Any]) -> list[Query]:
    """The queries of a file, each for itself."""
    from dckt_core.retrieval.queries import feature_queries, read_queries

    if flags["batch"] is not None:
        return read_queries(flags["batch"])
    of: Medium = "text" if flags["text_features"] is not None else "image"
    return feature_queries(asking.feature_file(flags), of)


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
