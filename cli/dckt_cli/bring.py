"""`dckt import`: data in any layout to a data set with pairs.jsonl."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dckt_cli import options
from dckt_cli.console import say, say_json

if TYPE_CHECKING:
    from dckt_core.contract.pairs import Split
    from dckt_core.data.partition import Shares
    from dckt_core.data.partitioning import Together

COLUMNS = ("image", "text", "label", "split", "id")


def _columns(command: Any) -> Any:
    for field in reversed(COLUMNS):
        text = f"Column with the {field}, of a table. [default: by its name]"
        command = click.option(f"--{field}-column", metavar="NAME", help=text)(command)
    return command


@click.command("import")
@click.argument("place", type=options.Place())
@click.option("-o", "--output", "out", metavar="FOLDER", type=options.Place(), required=True, help="The data set.")
@click.option("--layout", metavar="NAME", default="auto", help="The layout, where it is not recognised.")
@click.option("--layout-opt", metavar="KEY=VALUE", multiple=True, help="An option of the layout.")
@_columns
@click.option(
    "--images",
    type=click.Choice(["link", "copy", "keep"]),
    default="link",
    show_default=True,
    help="Pictures that are files: link (copied between file systems), copy, or leave where they are.",
)
@click.option(
    "--captions",
    type=click.Choice(["each", "joined"]),
    default="each",
    show_default=True,
    help="A pair for each text of a picture, or one pair with all of them.",
)
@click.option("--split", "shares", metavar="A/B/C", help="Draw train, val and test in these shares, such as 80/10/10.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Draws other splits.")
@click.option(
    "--together",
    metavar="KINDS",
    default="pictures,near,texts",
    show_default=True,
    help="What --split keeps in one split: equal pictures, pictures that are nearly the same, equal texts.",
)
@click.option("--split-name", metavar="WORD=SPLIT", multiple=True, help="A further word for train, val or test.")
@options.on_error
@options.image_root
@options.quiet()
@options.as_json()
@click.pass_context
def import_(ctx: click.Context, /, place: Path, out: Path, **flags: Any) -> None:
    """Make a data set of what lies at PLACE: a table, a folder, an archive, in any layout that dckt knows.

    \b
    dckt import captions.csv -o data/mine --split 80/10/10
    dckt import table.tsv -o data/mine --image-column file --text-column caption --label-column kind
    dckt import photos/ -o data/mine --layout class-folders --layout-opt text="a photo of a {}"

    What is neither picture, text, label, split nor id is kept as metadata. The same command once more goes on where an
    import was stopped. docs/data.md has the layouts.
    """
    options.refuse_idle(ctx, "max_bad_fraction", "--on-error skip", there=flags["on_error"] == "skip")
    options.refuse_idle(ctx, "seed", "--split", there=flags["shares"] is not None)
    options.refuse_idle(ctx, "together", "--split", there=flags["shares"] is not None)

    from dckt_cli.console import watching
    from dckt_core.contract.options import split_assignments
    from dckt_core.data.importing import Plan, import_data

    shares = _shares(ctx, flags["shares"]) if flags["shares"] is not None else None
    named = {f"{field}_column": flags[f"{field}_column"] for field in COLUMNS}
    said = split_assignments(flags["layout_opt"], option="--layout-opt")
    plan = Plan(
        layout=flags["layout"],
        options={**said, **{key: value for key, value in named.items() if value is not None}},
        images=flags["images"],
        captions=flags["captions"],
        shares=shares,
        seed=flags["seed"],
        together=_together(ctx, flags["together"]),
        splits=_splits(ctx, split_assignments(flags["split_name"], option="--split-name")),
        on_error=flags["on_error"],
        max_bad_fraction=flags["max_bad_fraction"],
    )
    with watching(quiet=flags["quiet"], verbose=flags["verbose"]) as progress:
        imported = import_data(place, out, plan, context=ctx.obj.context(progress))
    if flags["as_json"]:
        say_json({**asdict(imported), "path": str(imported.path)})
        return
    from dckt_core.contract.pairs import SPLITS

    counts = ", ".join(f"{imported.counts.get(split, 0)} {split}" for split in SPLITS)
    say(f"{out}: {sum(imported.counts.values())} pairs and items ({counts}), from the layout {imported.layout}")
    equal, near = (imported.kept_together.get(kind, 0) for kind in ("equal", "near"))
    if equal or near:
        say(f"kept on one side: {equal} pictures equal to another one, {near} nearly the same as another one")
    total = sum(imported.counts.values())
    beside = f"; kept as metadata: {', '.join(imported.metadata)}" if imported.metadata else ""
    say(f"{imported.labelled or 'none'} of {total} have a label{beside}")
    if imported.dropped:
        say(f"left out: {imported.dropped}; see {out / 'dropped.jsonl'}")
    if imported.outside:
        say(f"{imported.outside} pictures stay where they are: commands that read them need --image-root FOLDER")


def _shares(ctx: click.Context, text: str) -> Shares:
    parts = text.replace(",", "/").split("/")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) != 3 or not all(0 <= one < float("inf") for one in numbers) or numbers[0] <= 0:
        raise click.BadParameter(
            f"three shares such as 80/10/10, the first above 0, not '{text}'", ctx, param_hint="--split"
        )
    total = sum(numbers)
    train, val, test = (one / total for one in numbers)
    return train, val, test


def _together(ctx: click.Context, text: str) -> tuple[Together, ...]:
    from dckt_core.base.errors import did_you_mean
    from dckt_core.data.partitioning import TOGETHER

    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if word not in TOGETHER:
            raise click.BadParameter(f"no kind '{word}'{did_you_mean(word, TOGETHER)}", ctx, param_hint="--together")
    return tuple(kind for kind in TOGETHER if kind in words)


def _splits(ctx: click.Context, said: dict[str, Any]) -> dict[str, Split]:
    from dckt_core.contract.pairs import SPLITS

    for word, split in said.items():
        if split not in SPLITS:
            raise click.BadParameter(
                f"'{word}' is to be train, val or test, not '{split}'", ctx, param_hint="--split-name"
            )
    return said
