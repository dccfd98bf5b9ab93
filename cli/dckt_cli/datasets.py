"""`dckt datasets`: which data sets there are, and what is wrong with one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dckt_cli import options
from dckt_cli.console import say, say_json, show_table
from dckt_core.base.errors import ExitCode, one_line

if TYPE_CHECKING:
    from dckt_core.contract.pairs import Split
    from dckt_core.data.inspection import Inspection


@click.group()
def datasets() -> None:
    """List data sets and layouts, or check one."""


@datasets.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def list_datasets(ctx: click.Context, /, as_json: bool) -> None:
    """List registered data sets and layouts."""
    registered = ctx.obj.registry.all("dataset")
    if as_json:
        rows = [
            {"name": entry.name, "summary": entry.spec.summary, "distribution": entry.distribution}
            for entry in registered
        ]
        say_json(rows, indent=2)
        return
    show_table(["name", "summary"], [[entry.name, entry.spec.summary] for entry in registered])


@datasets.command()
@click.argument("path", type=options.Place())
@click.option("--layout", metavar="NAME", default="auto", help="The layout, where it is not recognised.")
@click.option("--layout-opt", metavar="KEY=VALUE", multiple=True, help="An option of the layout.")
@click.option("--no-pictures", is_flag=True, help="Features come from files: no picture need be there.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@options.image_root
@options.quiet("the findings")
@click.pass_context
def check(ctx: click.Context, /, path: Path, layout: str, layout_opt: tuple[str, ...], **flags: bool) -> None:
    """Read the data set at PATH and decode every image; say how much it has, and what that allows.

    Every bad line and every bad file is named with its reason; if there is any, the exit code is 3.
    """
    from dckt_cli.console import watching
    from dckt_core.contract.discovery import blame
    from dckt_core.contract.options import parse_options, split_assignments
    from dckt_core.contract.pairs import PairSet
    from dckt_core.data.inspection import inspect_dataset
    from dckt_core.data.sources import find_layout

    registered = find_layout(path, ctx.obj.registry, layout)
    pictures = registered.spec.pictures and not flags["no_pictures"]
    said = split_assignments(layout_opt, option="--layout-opt")
    options = parse_options(registered.spec, said, where=f"layout '{registered.name}'")

    def load() -> PairSet:
        with blame(registered):
            pair_set: PairSet = registered.spec.load(path, options, ctx.obj.context().for_dataset(pictures=pictures))
        return pair_set

    with watching(quiet=flags["quiet"], verbose=flags["verbose"]) as progress:
        inspection = inspect_dataset(load, path, progress, pictures=pictures)
    if flags["as_json"]:
        say_json(_as_json(path, registered.name, inspection), indent=2)
    else:
        _show(path, inspection)
    if inspection.problems:
        ctx.exit(ExitCode.DATA)


@datasets.command()
@click.argument("path", type=options.Place())
@click.option("-o", "--output", "out", metavar="FOLDER", type=options.Place(), required=True, help="Where it goes.")
@click.option("--encoder", metavar="NAME", help="What tells the images' classes apart: features of this encoder.")
@click.option("--encoder-opt", metavar="KEY=VALUE", multiple=True, help="An option of it.")
@click.option("--text-encoder", metavar="NAME", help="The same for the texts; with both, both are asked.")
@click.option("--text-encoder-opt", metavar="KEY=VALUE", multiple=True, help="An option of it.")
@click.option("--layout", metavar="NAME", default="auto", help="The layout, where it is not recognised.")
@click.option("--layout-opt", metavar="KEY=VALUE", multiple=True, help="An option of the layout.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the folds.")
@options.batch
@options.device
@options.image_root
@options.quiet("the outcome")
@click.pass_context
def audit(ctx: click.Context, /, path: Path, out: Path, **flags: Any) -> None:
    """Look for labels of the data set at PATH that are likely wrong, and show them with their pictures.

    By confident learning: a classifier of features says what each item is, from items that it is not among; an item
    that is confidently of another class than its label says is a suspect. FOLDER gets audit.html and audit.csv, the
    most suspect first. Nothing of the data set is changed.
    """
    from dckt_apps.audit.find import Chosen, audit_labels
    from dckt_apps.audit.show import write_audit
    from dckt_cli.console import watching
    from dckt_core.config import DataChoice
    from dckt_core.contract.options import split_assignments
    from dckt_core.contract.pairs import Medium
    from dckt_core.data.sources import load_pair_set

    encoders: dict[Medium, Chosen] = {}
    sides: tuple[tuple[Medium, str], ...] = (("image", "encoder"), ("text", "text_encoder"))
    for medium, flag in sides:
        name, given = flags[flag], flags[f"{flag}_opt"]
        option = f"--{flag.replace('_', '-')}"
        if name is None and given:
            raise click.UsageError(f"{option}-opt goes with {option}", ctx)
        if name is not None:
            encoders[medium] = Chosen(name, split_assignments(given, option=f"{option}-opt"))
    if not encoders:
        raise click.UsageError("say by which features: --encoder NAME, --text-encoder NAME, or both", ctx)
    said = split_assignments(flags["layout_opt"], option="--layout-opt")
    with watching(quiet=flags["quiet"], verbose=flags["verbose"]) as progress:
        context = ctx.obj.context(progress)
        choice = DataChoice(location=str(path), layout=flags["layout"], **said)
        pair_set = load_pair_set(choice, context, pictures="image" in encoders)
        how = {name: flags[name] for name in ("seed", "device", "batch")}
        found = audit_labels(pair_set, encoders, context, **how)
        page, table = write_audit(found, out, pair_set.origin)
    result = found.audit
    suspects = len(result.suspects)
    say(f"{suspects} of {result.items} labels are suspects; the classifier is right about {result.accuracy:.1%} of all")
    if result.left_out:
        say(f"left out: {sum(result.left_out.values())} items of {len(result.left_out)} classes of fewer than five")
    say(str(page))
    say(str(table))


def _as_json(path: Path, layout: str, inspection: Inspection) -> dict[str, Any]:
    from dckt_core.data.rungs import RUNGS, holdings, rung_of

    pair_set, rung = inspection.pair_set, rung_of(inspection.pair_set)
    return {
        "path": str(path),
        "layout": layout,
        "pairs": sum(pair.complete for pair in pair_set.pairs),
        "holds": holdings(pair_set),
        "labels": inspection.labels,
        "classes": {label: pair_set.names_of(label) for label in pair_set.classes},
        "named": sorted(pair_set.names),
        "rung": None if "target" in inspection.unfit else {"number": rung, "offers": RUNGS[rung]},
        "problems": [
            {"file": str(problem.file), "line": problem.line, "reason": problem.reason}
            for problem in inspection.problems
        ],
        "unfit": inspection.unfit,
        "findings": [finding.as_json() for finding in inspection.findings],
    }


def _show(path: Path, inspection: Inspection) -> None:
    from dckt_core.contract.pairs import MEDIA
    from dckt_core.data.faults import Faults
    from dckt_core.data.rungs import MIN_ALONE, RUNGS, holdings, rung_of

    for fault in Faults(inspection.problems):
        say(one_line(str(fault)))
    pair_set, labels = inspection.pair_set, inspection.labels
    if labels:
        total = Counter(pair.split for pair in pair_set.pairs if pair.label is not None)
        _show_counts("label", {**labels, "all": total})
    held = {kind: counts for kind, counts in holdings(pair_set).items() if counts}
    if held:
        _show_counts("holds", held)
    if pair_set.names:
        named, nameless = (sum(bool(names) == has for names in pair_set.names.values()) for has in (True, False))
        others = len(pair_set.classes) - named - nameless
        few = "; the others are called by their labels" if others else ""
        none = f"; {nameless} have none" if nameless else ""
        say(f"{named} of {len(pair_set.classes)} classes have names of their own{none}{few}")
    for finding in sorted(inspection.findings, key=lambda one: one.grave):
        say(f"is that meant? {finding}" if finding.grave else str(finding))
    for role, reason in inspection.unfit.items():
        say(one_line(f"cannot serve as a {role}: {reason}"))
    if "target" not in inspection.unfit:
        rung = rung_of(pair_set)
        say(f"as a target it offers {RUNGS[rung]}: rung {rung} of {len(RUNGS) - 1}")
        lone = {medium: len(pair_set.lone(medium)) for medium in MEDIA}
        if rung == 0 and any(lone.values()):
            counts = " and ".join(f"{count} {medium}s" for medium, count in lone.items())
            say(f"{counts} alone are too few to be matched: {MIN_ALONE} of each are needed")
    alone = sum(not pair.complete for pair in pair_set.pairs)
    count = f"{len(pair_set.pairs) - alone} pairs" + (f" and {alone} items alone" if alone else "")
    found = len(inspection.problems)
    say(f"{path}: {count} read, {len(labels)} labels, {found} problem{'s' * (found != 1)}")


def _show_counts(title: str, rows: Mapping[str, Mapping[Split, int]]) -> None:
    """A table of counts by split."""
    from dckt_core.contract.pairs import SPLITS

    lines = [[name, *(str(counts.get(split, 0)) for split in SPLITS)] for name, counts in rows.items()]
    show_table([title, *SPLITS], lines, right=SPLITS)
