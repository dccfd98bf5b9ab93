"""`dckt evaluate`: how well a run searches, within and across media."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dckt_cli import options
from dckt_cli.console import say, say_json

if TYPE_CHECKING:
    from rich.table import Table

    from dckt_core.contract.pairs import Pair
    from dckt_core.evaluation.instances import Figure, Instances, InstanceSummary
    from dckt_core.evaluation.tasks import Evaluation, TaskSummary

NAMED_AT_MOST = 5
"""Queries with no relevant item that the table names; --per-query and --json have them all."""


@click.command()
@click.argument("run", type=options.Place())
@click.option("--split", type=click.Choice(["train", "val", "test"]), default="test", show_default=True)
@options.checkpoint()
@click.option(
    "--tasks",
    type=click.Choice(["all", "across"]),
    default="all",
    show_default=True,
    help="All six, or the two across media alone, which take a quarter of the time.",
)
@click.option("--per-class", is_flag=True, help="Also mAP across media by class of the query.")
@click.option("--k", "ks", type=click.IntRange(min=1), multiple=True, help="Also figures at this cut; repeatable.")
@click.option(
    "--self-hit", is_flag=True, help="Count a query in its own gallery as a hit, as the authors' release does."
)
@click.option(
    "--per-query",
    metavar="FILE",
    type=options.Place(dir_okay=False),
    help="Write the figures of every query to this CSV file.",
)
@options.moved("target")
@options.device
@options.image_root
@options.quiet()
@options.as_json()
@click.pass_context
def evaluate(ctx: click.Context, /, run: Path, ks: tuple[int, ...], **flags: Any) -> None:
    """Score RUN on a split of its target data set.

    By class, over the pairs that have a label: mean average precision over the whole ranking by cosine; relevant = same
    class. Across media the query's own partner is a legitimate hit; where the gallery holds the query itself, each
    picture and each text is in it once, and the query's own not at all. By instance, over all pairs: recall, rank and
    reciprocal rank of each picture's own texts and of each text's own pictures, the best-ranked one counting. Items of
    equal cosine count in every order, in expectation. Intervals are 95 % bootstrap intervals over pictures, chance is
    the expectation of a random ranking. The figures at a cut k are mAP, precision and recall among the k best. --json
    has precision-recall curves besides: interpolated precision at 21 levels of recall, and mAP by class.
    """
    per_query = flags["per_query"]
    if per_query is not None and not per_query.absolute().parent.is_dir():
        raise click.BadParameter(f"{per_query.parent}: no such folder", ctx, param_hint="--per-query")

    options.refuse_idle(
        ctx, "self_hit", "--tasks all: no query is in a gallery across media", there=flags["tasks"] == "all"
    )

    from dckt_cli.console import watching
    from dckt_core.base.device import find_device
    from dckt_core.evaluation.directions import DIRECTIONS, TASKS
    from dckt_core.runs.evaluate import evaluate as evaluate_run
    from dckt_core.runs.model import load_run

    with watching(quiet=flags["quiet"], verbose=flags["verbose"]) as progress:
        model = load_run(
            run,
            ctx.obj.context(progress),
            checkpoint=flags["checkpoint"],
            target=flags["target"],
            device=str(find_device(flags["device"])),
        )
        tasks = DIRECTIONS if flags["tasks"] == "across" else tuple(TASKS)
        evaluation = evaluate_run(model, split=flags["split"], tasks=tasks, ks=ks, self_hit=flags["self_hit"])
    pairs = model.target().split(flags["split"])
    if per_query is not None:
        _write_per_query(per_query, evaluation, pairs)
    if flags["as_json"]:
        about = {"run": str(run), "checkpoint": flags["checkpoint"], "split": flags["split"]}
        say_json(about | evaluation.as_json())
    else:
        title = f"{run}: {_what(flags['checkpoint'])} on {len(pairs)} {flags['split']} pairs"
        _show(title, evaluation, per_class=flags["per_class"])


def _show(title: str, evaluation: Evaluation, *, per_class: bool) -> None:
    from dckt_cli.screen import Screen
    from dckt_core.evaluation.directions import MEAN, TITLES

    console, summary = Screen(), evaluation.summary()
    say(title)
    for line in _of_pairs(evaluation):
        say(line)
    if summary:
        console.print(_by_task(summary))
        if evaluation.ks:
            console.print(_at_cuts(summary))
        if per_class:
            console.print(_by_class(summary))
    console.print(_by_instance(evaluation.instance_summary()))
    for name, row in ((name, summary[name]) for name in TITLES if name in summary and name != MEAN):
        if row.left_out:
            mean = row.left_out / len(evaluation.labelled)
            say(f"{TITLES[name]}: what is in several pairs counts once, which leaves out {mean:.1f} items a query")
        ids = row.unanswerable
        if ids:
            more = f" and {len(ids) - NAMED_AT_MOST} more" if len(ids) > NAMED_AT_MOST else ""
            found = f"{len(ids)} {'query has' if len(ids) == 1 else 'queries have'}"
            named = ", ".join(ids[:NAMED_AT_MOST])
            say(f"{TITLES[name]}: {found} no relevant item, left out of the means: {named}{more}")


def _of_pairs(evaluation: Evaluation) -> Iterator[str]:
    """What is to know of the pairs before the figures."""
    pairs, items, equal = len(evaluation.ids), evaluation.items, evaluation.equal
    if len(evaluation.labelled) < pairs:
        yield f"{pairs - len(evaluation.labelled)} of {pairs} pairs have no label: they are in no figure by class"
    if items["image"] == 1:
        yield "there is one picture, so there are no intervals: one says nothing of others"
    if any(count < pairs for count in items.values()):
        counts = [f"{count} different {name}{'' if count == 1 else 's'}"
                  for name, count in (("picture", items["image"]), ("text", items["text"]))]  # fmt: skip
        yield f"the pairs have {' and '.join(counts)}"
    yield (
        f"equal representations: {equal['image']} of {items['image']} images, {equal['text']} of {items['text']} texts"
        + ("; they count in every order" if any(equal.values()) else "")
    )


def _by_task(summary: Mapping[str, TaskSummary]) -> Table:
    from dckt_core.evaluation.directions import MEAN

    table = _table("task", "mAP (95 % interval)", "chance")
    for name, title in _titles(summary):
        row = summary[name]
        table.add_row(title, _interval(row), _figure(row.chance), style="bold" if name == MEAN else None)
    return table


def _at_cuts(summary: Mapping[str, TaskSummary]) -> Table:
    from dckt_core.evaluation.directions import MEAN

    table = _table("task", "k", "mAP", "precision", "recall")
    for name, title in _titles(summary):
        for cut in summary[name].at:
            figures = map(_figure, (cut.map, cut.precision, cut.recall))
            table.add_row(title, str(cut.k), *figures, style="bold" if name == MEAN else None)
    return table


def _by_class(summary: Mapping[str, TaskSummary]) -> Table:
    """mAP across media; --json has it for all tasks."""
    from dckt_core.evaluation.directions import COLUMNS, MEAN, TITLES

    table = _table("class", "queries", *(TITLES[name] for name in COLUMNS))
    for label, first in summary[MEAN].classes.items():
        table.add_row(label, str(first.queries), *(_figure(summary[name].classes[label].map) for name in COLUMNS))
    return table


def _by_instance(summary: Mapping[str, InstanceSummary]) -> Table:
    from dckt_core.evaluation.directions import COLUMNS, MEAN, TITLES
    from dckt_core.evaluation.figures import FIGURES, MEDIAN_RANK

    table = _table("own partner", *(TITLES[name] for name in COLUMNS), "chance")
    for figure, title in FIGURES.items():
        form = ".1f" if figure == MEDIAN_RANK else ".3f"
        found = [summary[name].figures[figure] for name in COLUMNS]
        chance = summary[MEAN].figures[figure].chance
        table.add_row(title, *(_estimate(one, form) for one in found), f"{chance:{form}}")
    return table


def _table(first: str, *columns: str) -> Table:
    from rich.table import Table

    table = Table(first)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _titles(summary: Mapping[str, TaskSummary]) -> list[tuple[str, str]]:
    from dckt_core.evaluation.directions import TITLES

    return [(name, title) for name, title in TITLES.items() if name in summary]


def _estimate(figure: Figure, form: str) -> str:
    if figure.interval is None:
        return f"{figure.value:{form}}"
    low, high = figure.interval
    return f"{figure.value:{form}} ({low:{form}}-{high:{form}})"


def _interval(row: TaskSummary) -> str:
    if row.map is None or row.interval is None:
        return _figure(row.map)
    return f"{row.map:.3f} ({row.interval[0]:.3f}-{row.interval[1]:.3f})"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _write_per_query(file: Path, evaluation: Evaluation, pairs: Sequence[Pair]) -> None:
    """One row for each task and query; no AP stands where nothing is relevant, no rank but across media."""
    from dckt_core.base.errors import UsageError
    from dckt_core.io.files import write_text
    from dckt_core.io.tables import write_table

    columns = ["task", "id", "label", "rank", "reciprocal_rank", "relevant", "ap", "chance"]
    columns += [f"{name}_at_{k}" for k in evaluation.ks for name in ("ap", "precision", "recall")]
    ranks = {name: _ranks(one) for name, one in evaluation.instances.items()}
    rows = []
    for name in dict.fromkeys([*evaluation.instances, *evaluation.tasks]):
        by_class = _rows_by_class(evaluation, name) if name in evaluation.tasks else {}
        for number, pair in enumerate(pairs):
            figures = by_class.get(number, {}) | ranks.get(name, {}).get(number, {})
            if figures:
                rows.append({"task": name, "id": pair.id, "label": pair.label} | figures)
    stream = io.StringIO()
    write_table(stream, columns, rows)
    try:
        write_text(file, stream.getvalue())
    except OSError as error:
        raise UsageError(f"{file}: cannot be written: {error.strerror or error}") from None


def _ranks(found: Instances) -> dict[int, dict[str, Any]]:
    """Of every pair, by its number."""
    columns = (found.standings.rank(), found.standings.reciprocal_rank())
    rows = zip(*(column[found.query].tolist() for column in columns), strict=True)
    return {number: {"rank": rank, "reciprocal_rank": reciprocal} for number, (rank, reciprocal) in enumerate(rows)}


def _rows_by_class(evaluation: Evaluation, name: str) -> dict[int, dict[str, Any]]:
    """A task's figures of every labelled pair, by the pair's number."""
    task = evaluation.tasks[name]
    found = task.ranking
    figures = {"ap": found.ap, "chance": task.chance}
    for k in evaluation.ks:
        cut = found.at[k]
        figures |= {f"ap_at_{k}": cut.ap, f"precision_at_{k}": cut.precision, f"recall_at_{k}": cut.recall}
    columns = zip(*(column.tolist() for column in figures.values()), strict=True)
    return {
        number: {"relevant": relevant} | (dict(zip(figures, row, strict=True)) if relevant else {})
        for number, relevant, row in zip(evaluation.labelled.tolist(), found.relevant.tolist(), columns, strict=True)
    }


def _what(checkpoint: str) -> str:
    return "common space" if checkpoint == "result" else f"target network '{checkpoint}'"
