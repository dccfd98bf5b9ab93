"""Options that several commands have, each written once."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

CommandT = TypeVar("CommandT", bound=Callable[..., Any])
Flag = Callable[[CommandT], CommandT]


class Place(click.Path):
    """A `Path`. An empty one is what an unset variable of the shell leaves, and not the folder one is in."""

    def __init__(self, *, dir_okay: bool = True) -> None:
        super().__init__(dir_okay=dir_okay, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("the path is empty", param, ctx)
        return super().convert(value, param, ctx)


def finite(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """A callback for numbers: what is no number lies in every range."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is no finite number", ctx, param)
    return value


def device(command: CommandT) -> CommandT:
    text = "auto, cpu, cuda or mps."
    return click.option("--device", metavar="NAME", default="auto", show_default=True, help=text)(command)


def quiet(what: str = "the outcome") -> Flag[Any]:
    """`--quiet`, and its opposite."""
    less = click.option("--quiet", is_flag=True, help=f"Warnings and {what} alone.")
    more = click.option("-v", "--verbose", is_flag=True, help="Details, too, such as which files were read.")
    return lambda command: less(more(command))


def as_json(what: str = "The outcome") -> Flag[Any]:
    return click.option("--json", "as_json", is_flag=True, help=f"{what} as JSON on stdout.")


NETWORKS = "The run's result, or the method's target network before transfer, after it, or its target-only control."


def checkpoint(text: str = NETWORKS) -> Flag[Any]:
    choice = click.Choice(["result", "before", "after", "control"])
    return click.option("--checkpoint", type=choice, default="result", show_default=True, help=text)


def moved(role: str, text: str = "Where the {role} data set lies, if it was moved.") -> Flag[Any]:
    """`--source` or `--target` of a command on a run, which knows where its data sets lay."""
    return click.option(f"--{role}", metavar="PATH", help=text.format(role=role))


def _allow(ctx: click.Context, param: click.Parameter, value: tuple[Path, ...]) -> None:
    """Notes the folders where everything that loads data will find them."""
    for folder in value:
        if not folder.is_dir():
            raise click.BadParameter(f"{folder}: no such folder", ctx, param)
    if value:
        ctx.obj.image_roots = (*ctx.obj.image_roots, *value)


def image_root(command: CommandT) -> CommandT:
    """`--image-root`, of every command that reads data sets."""
    text = "A folder that a data set's pictures may be in besides its own: by absolute paths or through links."
    return click.option(
        "--image-root", metavar="FOLDER", type=Place(), multiple=True, expose_value=False, callback=_allow, help=text
    )(command)


def _follow(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        ctx.obj.image_roots = (*ctx.obj.image_roots, Path(Path.cwd().anchor))


def follow_links(command: CommandT) -> CommandT:
    """`--follow-links`, of commands that walk through folders of files."""
    text = "Take files that a folder's links lead to, wherever they lie."
    return click.option("--follow-links", is_flag=True, expose_value=False, callback=_follow, help=text)(command)


def on_error(command: CommandT) -> CommandT:
    """`--on-error` and what limits it."""
    share = click.FloatRange(0, 1)
    text = "How much skip may leave out."
    for flag in (
        click.option("--max-bad-fraction", metavar="SHARE", type=share, default=0.01, show_default=True, help=text),
        click.option("--on-error", type=click.Choice(["fail", "skip"]), default="fail", show_default=True),
    ):
        command = flag(command)
    return command


def given(ctx: click.Context, name: str) -> bool:
    """Whether the command line says a parameter, whatever it says."""
    return ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def refuse_idle(ctx: click.Context, name: str, goes_with: str, *, there: bool) -> None:
    """Raises UsageError where the command line says something that does nothing without something else."""
    if given(ctx, name) and not there:
        raise click.UsageError(f"--{name.replace('_', '-')} goes with {goes_with}", ctx)


def batch(command: CommandT) -> CommandT:
    kind, text = click.IntRange(min=1), "Items encoded at once."
    return click.option("--batch", type=kind, default=64, show_default=True, help=text)(command)


def place(command: CommandT) -> CommandT:
    """Options of a command that searches an index or, where it is given a run, the run's target data set."""
    run = Place()
    splits = click.Choice(["all", "train", "val", "test"])
    part = "Of a run: the part of the target data set to search."
    network = "Of a run: the target network before transfer, after it, or its target-only control."
    for flag in (
        moved("target", "Of a run: where the target data set lies, if it was moved."),
        checkpoint(network),
        click.option("--split", type=splits, default="all", show_default=True, help=part),
        click.option("--run", metavar="RUN", type=run, help="The run that made INDEX, if it was moved."),
    ):
        command = flag(command)
    return command
