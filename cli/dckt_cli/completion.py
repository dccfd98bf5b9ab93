"""`dckt completion`: what a shell needs to complete commands, options and their values."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from dckt_cli.console import say_own

VARIABLE = "_DCKT_COMPLETE"
"""What the shell sets when it asks; click reads it."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, /, shell: str) -> None:
    """Print what makes SHELL complete commands, options and names of files. It goes into the shell's own settings:

    \b
    bash  echo 'eval "$(dckt completion bash)"' >> ~/.bashrc
    zsh   echo 'eval "$(dckt completion zsh)"' >> ~/.zshrc
    fish  dckt completion fish > ~/.config/fish/completions/dckt.fish
    """
    of_shell = get_completion_class(shell)
    assert of_shell is not None
    made = of_shell(ctx.find_root().command, {}, "dckt", VARIABLE)
    # Not `source()`, which would run bash to see how old it is.
    say_own(made.source_template % made.source_vars())
