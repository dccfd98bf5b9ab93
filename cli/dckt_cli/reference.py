"""`python -m dckt_cli.reference` prints docs/cli.md: what `--help` says, for every command."""

from __future__ import annotations

from collections.abc import Iterator

import click

from dckt_cli.console import say_own
from dckt_cli.main import cli

WIDTH = 100
"""Columns of the help texts, whatever the terminal."""


def reference() -> str:
    """The page, from the commands themselves."""
    parts = ["# Commands", "Made by `make docs` from `dckt --help`; a test holds the two together."]
    for title, text in helps(cli, None, "dckt"):
        parts += [f"## {title}", f"```text\n{text}\n```"]
    return "\n\n".join(parts) + "\n"


def helps(command: click.Command, parent: click.Context | None, name: str) -> Iterator[tuple[str, str]]:
    """Title and help text of a command, then of its subcommands, depth first."""
    ctx = click.Context(command, info_name=name, parent=parent, terminal_width=WIDTH, **command.context_settings)
    yield ctx.command_path, command.get_help(ctx).rstrip()
    if isinstance(command, click.Group):
        for child in command.list_commands(ctx):
            subcommand = command.get_command(ctx, child)
            assert subcommand is not None
            yield from helps(subcommand, ctx, child)


if __name__ == "__main__":
    say_own(reference().rstrip("\n"))
