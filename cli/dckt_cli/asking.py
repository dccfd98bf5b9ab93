"""What the command line looks for: texts, images and items, each with the weight that stands behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from dckt_cli import options

if TYPE_CHECKING:
    from pathlib import Path

    from dckt_core.retrieval.query import Joined, Query
    from dckt_core.retrieval.refine import Refine
    from dckt_core.retrieval.searcher import Searcher

KINDS = ("text", "image", "like")
FILES = ("batch", "text_features", "image_features")
ORDER = "dckt.order"
NEIGHBOURS = click.IntRange(min=0, max=1000)


class InOrder(click.Command):
    """A command that knows in which order its options came, the repeated ones too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        ctx.meta[ORDER] = [param.name for param in order]
        return super().parse_args(ctx, args)


@dataclass(frozen=True)
class One:
    """A query as it was typed."""

    kind: str
    value: Any
    weight: float | None = None


def typed(ctx: click.Context, flags: Mapping[str, Any]) -> list[One]:
    """The queries that are one together, in order; none where a file has them.

    Raises:
        click.UsageError: there are none or too many of them, or a weight behind none.
    """
    files = [name for name in FILES if flags[name] is not None]
    values = {name: iter(flags[name]) for name in (*KINDS, "weight")}
    found: list[One] = []
    for name in ctx.meta[ORDER]:
        if name in KINDS:
            found.append(One(name, next(values[name])))
        elif name == "weight":
            if not found or found[-1].weight is not None:
                raise click.UsageError("--weight goes behind the --text, --image or --like that it is of", ctx)
            found[-1] = replace(found[-1], weight=next(values[name]))
    if len(files) + bool(found) != 1:
        raise click.UsageError(
            "say --text, --image or --like, or one of --batch, --text-features and --image-features", ctx
        )
    if len(found) == 1 and found[0].weight is not None:
        raise click.UsageError("--weight goes with two queries or more that are one together", ctx)
    options.refuse_idle(ctx, "of", "--like", there=bool(flags["like"]))
    return found


def joined(found: Sequence[One], searcher: Searcher, of: Any) -> Query | Joined:
    """What was typed as one query."""
    from dckt_core.retrieval.query import Query, join

    how: dict[str, Callable[[Any], Query]] = {
        "text": lambda value: Query(text=value),
        "image": lambda value: Query(image=value),
        "like": lambda value: searcher.like(value, of),
    }
    queries = [how[one.kind](one.value) for one in found]
    return join(queries, [1.0 if one.weight is None else one.weight for one in found] if len(found) > 1 else ())


def feature_file(flags: Mapping[str, Any]) -> Path:
    """The file of features that is looked for."""
    file: Path = flags["text_features"] or flags["image_features"]
    return file


def refinement(flags: Mapping[str, Any]) -> Refine:
    """How the search is narrowed and corrected.

    Raises:
        UsageError: `--where` is not FIELD=VALUE.
    """
    from dckt_core.retrieval.refine import Refine, wishes

    return Refine(flags["classes"], wishes(flags["where"]), flags["expand"], flags["csls"])


def queries(command: options.CommandT) -> options.CommandT:
    """Options that say what is looked for."""
    of = click.Choice(["image", "text"])
    lines = 'Look for each line: a text, or in .jsonl {"text": ...} or {"image": path}.'
    rows = "Look for each row of a file of text features, as the run's encoder gives them."
    for flag in (
        click.option("--image-features", metavar="FILE", type=options.Place(), help="The same for features of images."),
        click.option("--text-features", metavar="FILE", type=options.Place(), help=rows),
        click.option("--batch", metavar="FILE", type=options.Place(), help=lines),
        click.option(
            "--weight",
            metavar="W",
            type=float,
            multiple=True,
            help="Where several of the above are one query: weight of the one before it, else 1. "
            "Below 0 it looks away from it.",
        ),
        click.option("--of", type=of, help="What --like names; by default an image, or a text where no image has it."),
        click.option(
            "--like", metavar="ID", multiple=True, help="Look for what is like this item of the index or data set."
        ),
        click.option("--image", metavar="FILE", type=options.Place(), multiple=True, help="Look for this image."),
        click.option("--text", multiple=True, help="Look for this text. Several texts, images and items are one."),
    ):
        command = flag(command)
    return command


def refining(command: options.CommandT) -> options.CommandT:
    """Options that say what may be found, and how it is ranked."""
    for flag in (
        click.option(
            "--csls",
            metavar="K",
            type=NEIGHBOURS,
            default=0,
            help="Hold back hubs, items near to everything, by their K nearest (10 is usual).",
        ),
        click.option(
            "--expand",
            metavar="K",
            type=NEIGHBOURS,
            default=0,
            help="Average the query with the K nearest, and look again.",
        ),
        click.option(
            "--where",
            metavar="FIELD=VALUE",
            multiple=True,
            help="Find only items with this in their metadata, or split=...; repeat it for more.",
        ),
        click.option(
            "--class", "classes", metavar="NAME", multiple=True, help="Find only items of this class, or of several."
        ),
    ):
        command = flag(command)
    return command
