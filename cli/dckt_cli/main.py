"""The `dckt` command itself: which subcommands there are, the global options, and how errors end."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from dckt_cli.app import App
from dckt_cli.console import say, say_own, say_traceback, telling
from dckt_core import __version__
from dckt_core.base.errors import DcktError, ExitCode, StoppedError, UsageError, describe, did_you_mean, one_line
from dckt_core.base.memory import is_out_of_memory
from dckt_core.base.stopping import stopping
from dckt_core.io.text import is_unicode

COMMANDS = {
    "train": ("dckt_cli.train:train", "Train a target network with the help of a source domain, and score it."),
    "evaluate": ("dckt_cli.evaluate:evaluate", "Score a run's networks: the mAP table."),
    "experiment": ("dckt_cli.experiment:experiment", "Compare ways of training over seeds, with intervals."),
    "gap": ("dckt_cli.gap:gap", "Measure how far apart a run's domains lie, or two data sets."),
    "import": ("dckt_cli.bring:import_", "Make a data set of your data, in whatever layout they are."),
    "extract": ("dckt_cli.extract:extract", "Write the features of images or texts into files."),
    "export": ("dckt_cli.export:export", "Write a common space or embeddings for use without dckt."),
    "index": ("dckt_cli.index:index", "Make a gallery of images or texts searchable, or change one."),
    "search": ("dckt_cli.search:search", "Find texts by image and images by text."),
    "serve": ("dckt_cli.serve:serve", "Search on a page in the browser, on this machine."),
    "report": ("dckt_cli.report:report", "Write what a run did into one HTML file."),
    "runs": ("dckt_cli.runs:runs", "List runs, show one, compare some, or plot learning curves."),
    "datasets": ("dckt_cli.datasets:datasets", "List data sets, and check one on disk."),
    "plugins": ("dckt_cli.plugins:plugins", "List plugins, show their options, and check them."),
    "new-plugin": ("dckt_cli.new_plugin:new_plugin", "Write a new plugin that works as it is, to be changed."),
    "doctor": ("dckt_cli.doctor:doctor", "Say what dckt runs on here, and what is wrong."),
    "verify": ("dckt_cli.verify:verify", "Say whether what dckt wrote is still what it wrote."),
    "cache": ("dckt_cli.cache:cache", "List what the cache holds, or clear it."),
    "completion": ("dckt_cli.completion:completion", "Make a shell complete what is typed."),
    "bench-mmd": ("dckt_cli.bench_mmd:bench_mmd", "Measure the MMD kernels against their peers."),
    "bench-ot": ("dckt_cli.bench_ot:bench_ot", "Measure entropic optimal transport against its peers."),
}
"""Subcommands in the order of the help: where each lives, and its line there. `dckt --help` imports none of them."""


class LazyGroup(click.Group):
    """A group that imports a subcommand when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"no command '{args[0]}'{did_you_mean(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, envvar="DCKT_DEBUG", help="Show the traceback of an error.")
@click.option("--no-plugins", is_flag=True, help="Load only the plugins that ship with dckt.")
@click.version_option(__version__, prog_name="dckt", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, /, *, debug: bool, no_plugins: bool) -> None:
    """Deep Cross-media Knowledge Transfer: search a small image-text collection with the help of a large one."""
    ctx.obj.debug = debug
    ctx.obj.plugins = not no_plugins
    if ctx.invoked_subcommand is None:
        say_own(ctx.get_help())


def main(args: Sequence[str] | None = None) -> int:
    """Runs `dckt` and returns its exit code. Whatever goes wrong ends here, as one line on stderr."""
    app = App()
    if sys.stdout is None:  # closed by the shell (`>&-`)
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - stays open as long as the process
    try:
        with telling(), stopping():
            return _run(app, args)
    except StoppedError as error:
        _say(str(error))
        return error.exit_code


def _run(app: App, args: Sequence[str] | None) -> int:
    try:
        for word in sys.argv[1:] if args is None else args:
            if not is_unicode(word):
                raise UsageError(f"the argument {word!a} is not UTF-8")
        outcome = cli.main(args=None if args is None else list(args), prog_name="dckt", standalone_mode=False, obj=app)
        sys.stdout.flush()
        return outcome if isinstance(outcome, int) else ExitCode.OK
    except click.ClickException as error:
        return _click_error(error)
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return _reader_gone()
    except DcktError as error:
        if app.debug:
            say_traceback(error)
        _say(f"error: {app.without_repeats(str(error))}")
        return error.exit_code
    except Exception as error:
        if app.debug:
            say_traceback(error)
        if is_out_of_memory(error):
            _say(f"error: out of memory: {one_line(str(error))}")
            return ExitCode.FAILURE
        if isinstance(error, OSError) and error.strerror:
            _say(f"error: {error.filename or 'output'}: {error.strerror}")
            return ExitCode.FAILURE
        hint = "" if app.debug else " (an error that dckt did not expect; run `dckt --debug ...` for the traceback)"
        _say(f"error: {describe(error)}{hint}")
        return ExitCode.FAILURE


def _click_error(error: click.ClickException) -> int:
    """Click's own errors, in one line; a group called without its subcommand shows its help instead."""
    ctx = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError" and ctx is not None:
        say_own(ctx.get_help(), err=True)
    else:
        _say(f"error: {one_line(error.format_message())}{f' (see {ctx.command_path} --help)' if ctx else ''}")
    return error.exit_code


def _say(text: str) -> None:
    say(f"dckt: {text}", err=True)


def _reader_gone() -> int:
    """The reader of our output is gone (`dckt plugins | head -1`): no reason to complain, at exit neither."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.FAILURE
