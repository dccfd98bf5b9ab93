"""`dckt experiment`: arms x seeds x rungs x data sets, with intervals and paired contrasts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dckt_cli import options
from dckt_cli.console import say, say_json
from dckt_core.base.errors import ExitCode

if TYPE_CHECKING:
    from dckt_apps.experiment.plan import Plan
    from dckt_apps.experiment.runner import Standing

PICTURE = "ladder.png"


@click.command()
@click.argument("file", metavar="PLAN.toml", type=options.Place())
@click.option("-o", "--out", metavar="DIR", type=options.Place(), help="[default: experiments/<plan>]")
@click.option("--workers", metavar="N", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
@click.option("--threads", metavar="N", type=click.IntRange(min=1), default=1, show_default=True, help="Of each.")
@click.option("--set", "assignments", metavar="KEY=VALUE", multiple=True, help="A value of the plan: seeds=[0,1].")
@click.option("--arm", "arms", metavar="NAME", multiple=True, help="Train these arms alone, now.")
@click.option("--dry-run", is_flag=True, help="Check the plan, say what is to be trained, and train nothing.")
@options.image_root
@options.quiet()
@options.as_json()
@click.pass_context
def experiment(ctx: click.Context, /, **flags: Any) -> int:
    """Compare ways of training over seeds, data sets and what a target offers, from nothing to all labels.

    The same command goes on with an experiment that was stopped or killed. It leaves results.csv, parts.csv and
    report.md.
    """
    from dckt_apps.experiment.plan import read_plan
    from dckt_apps.experiment.runner import run_experiment, standing
    from dckt_cli.console import watching
    from dckt_core.config import assignments_layer
    from dckt_core.contract.options import split_assignments

    changes = assignments_layer(split_assignments(flags["assignments"], option="--set").items())
    plan = read_plan(flags["file"], changes)
    folder = flags["out"] or Path("experiments", plan.name)
    with watching(quiet=flags["quiet"], verbose=flags["verbose"]) as progress:
        if flags["dry_run"]:
            now = standing(plan, ctx.obj.registry, folder)
        else:
            now = run_experiment(
                plan,
                folder,
                ctx.obj.context(progress),
                workers=flags["workers"],
                threads=flags["threads"],
                arms=flags["arms"],
                plugins=ctx.obj.plugins,
            )
    if flags["as_json"]:
        say_json(_as_json(now))
    else:
        _show(plan, now, dry_run=flags["dry_run"])
    return ExitCode.FAILURE if now.failures else ExitCode.OK


def _as_json(now: Standing) -> dict[str, Any]:
    return {
        "experiment": str(now.folder),
        "cells": len(now.cells),
        "done": len(now.done),
        "tasks": len({cell.task.key for cell in now.cells}),
        "failed": {str(cell): fault for cell, fault in now.failed},
    }


def _show(plan: Plan, now: Standing, *, dry_run: bool) -> None:
    from dckt_apps.experiment.baselines import BASELINES
    from dckt_apps.experiment.picture import bars, draw, steps

    if dry_run:
        done = {id(cell) for cell in now.done}
        for arm in plan.arms:
            of_arm = [cell for cell in now.cells if cell.arm == arm]
            left = {cell.task.key for cell in of_arm if id(cell) not in done}
            say(f"{arm}: {len(of_arm)} cells, {len(left)} to be trained")
        total = {cell.task.key for cell in now.cells} - now.summaries.keys()
        say(f"{len(now.done)} of {len(now.cells)} cells are done; {len(total)} trainings are left")
        return
    for cell, fault in now.failed:
        say(f"failed: {cell}: {fault}")
    found = steps(plan, now.rows)
    if found and len(plan.rungs) > 1:
        say()
        for line in bars(found).splitlines():
            say(line)
        for arm, baseline in ((name, arm.baseline) for name, arm in plan.arms.items() if arm.baseline):
            about = BASELINES[baseline]
            say(f"{arm}: a baseline, {about.summary}; learns from {about.learns_from}")
        say("")
        draw(found, now.folder / PICTURE)
        say(f"picture: {now.folder / PICTURE}")
    say(f"{len(now.done)} of {len(now.cells)} cells are done")
    say(f"report: {now.folder / 'report.md'}")
    say(f"tables: {now.folder / 'results.csv'}, {now.folder / 'parts.csv'}")
