"""The shell of the `dckt` command: subcommands by name, the registry, and errors as one line."""

from __future__ import annotations

import importlib
import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from dckt_core.plugins import Registry

COMMANDS = {
    "train": ("dckt_cli.train:train", "Train a target network with the help of a source domain, and score it."),
    "evaluate": ("dckt_cli.evaluate:evaluate", "Score a trained run: the mAP table."),
    "search": ("dckt_cli.search:search", "Search a run's target data set by text or by image."),
    "datasets": ("dckt_cli.datasets:datasets", "List data sets, or check one file by file."),
    "plugins": ("dckt_cli.plugins:plugins", "List what plugins offer, show one, or check them all."),
    "bench-mmd": ("dckt_cli.bench_mmd:bench_mmd", "Measure the MMD kernels against what people use today."),
}
"""Each subcommand: where it lives and its line in `dckt --help`, which imports none of them."""


class LazyGroup(click.Group):
    """A group that imports a subcommand when it is called, and not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS:
            from dckt_core.errors import did_you_mean

            ctx.fail(f"unknown command '{args[0]}': {did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


class Session:
    """What every subcommand shares (`ctx.obj`)."""

    def __init__(self, *, plugins: bool) -> None:
        self._plugins = plugins

    @cached_property
    def registry(self) -> Registry:
        """All plugins, loaded at the first use."""
        from dckt_core.plugins import load_registry

        return load_registry(plugins=self._plugins)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, envvar="DCKT_DEBUG", help="Show the traceback of an error.")
@click.option("--no-plugins", is_flag=True, help="Load what ships in the box, and nobody else's plugins.")
@click.version_option(package_name="dckt")
@click.pass_context
def dckt(ctx: click.Context, debug: bool, no_plugins: bool) -> None:
    """Search a small image-text collection across media, with the help of a large one."""
    ctx.obj = Session(plugins=not no_plugins)


def main() -> None:
    """Runs the command line and exits with a code of `dckt_core.errors.ExitCode`."""
    sys.exit(run(sys.argv[1:]))


def run(args: list[str]) -> int:
    """The exit code of a command line; whatever goes wrong is one line on stderr."""
    from dckt_core.errors import DcktError, ExitCode

    debug = "--debug" in args
    try:
        stopped = dckt.main(args, prog_name="dckt", standalone_mode=False)
        if isinstance(stopped, int):  # what `ctx.exit` was given
            return stopped
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted", ExitCode.INTERRUPTED)
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "dckt"
        return _fail(f"{' '.join(error.format_message().split())} (try '{where} --help')", ExitCode.USAGE)
    except click.ClickException as error:
        return _fail(error.format_message(), ExitCode.FAILURE)
    except BrokenPipeError:
        # The reader went away, as `| head` does; nothing is left to say, and flushing stdout at exit must not fail.
        sys.stdout = None  # type: ignore[assignment]
        return ExitCode.OK
    except DcktError as error:
        if debug:
            raise
        return _fail(str(error), error.exit_code)
    except Exception as error:
        if debug:
            raise
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return _fail(f"{text} (run with --debug for the traceback)", ExitCode.FAILURE)
    return ExitCode.OK


def _fail(message: str, code: int) -> int:
    click.echo(f"dckt: error: {message}", err=True)
    return int(code)
