"""`dckt plugins`: what is installed, the options it takes, and what is wrong with it. Imports no torch, no rich."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dckt_cli.app import App
from dckt_cli.console import say, say_json, show_table
from dckt_core.base.errors import ExitCode, PluginError, UsageError, did_you_mean

if TYPE_CHECKING:
    from dckt_core.contract.discovery import Registered, Registry

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def json_option(command: CommandT) -> CommandT:
    return click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")(command)


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def plugins(ctx: click.Context, /, *, as_json: bool) -> None:
    """List plugins, show their options, and check them. Alone, it lists."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_plugins, as_json=as_json)
    elif as_json:
        raise click.UsageError(f"--json belongs behind {ctx.invoked_subcommand}", ctx)


@plugins.command("list")
@json_option
@click.pass_obj
def list_plugins(app: App, /, *, as_json: bool) -> None:
    """List every plugin: its kind, its name, the distribution it came with, what it is."""
    entries = every(app.registry)
    if as_json:
        failures = [str(failure) for failure in app.registry.failures]
        echo_json({"plugins": [facts(entry, app.registry) for entry in entries], "failures": failures})
        return
    rows = [
        [e.spec.kind, typed_name(e, app.registry), f"{e.distribution} {e.version}", e.spec.summary] for e in entries
    ]
    show_table(["kind", "name", "distribution", "summary"], rows)


@plugins.command()
@click.argument("name")
@json_option
@click.pass_obj
def show(app: App, /, *, name: str, as_json: bool) -> None:
    """Show the plugins called NAME, or DISTRIBUTION:NAME, and the options that they take."""
    from dckt_core.contract.discovery import blame
    from dckt_core.contract.options import describe_options

    entries = [entry for entry in every(app.registry) if name in (entry.spec.name, entry.qualified_name)]
    if not entries:
        known = sorted({entry.spec.name for entry in every(app.registry)})
        raise UsageError(f"unknown plugin '{name}'{did_you_mean(name, known)}")
    described = []
    for entry in entries:
        with blame(entry):
            described.append((entry, describe_options(entry.spec)))
    if as_json:
        shown = [
            {**facts(entry, app.registry), "options": [{**o._asdict(), "default": plain(o.default)} for o in options]}
            for entry, options in described
        ]
        echo_json({"plugins": shown})
        return
    for number, (entry, options) in enumerate(described):
        if number:
            say()
        modality = f" ({entry.spec.modality})" if entry.spec.kind == "encoder" else ""
        say(f"{entry.spec.kind}{modality} {typed_name(entry, app.registry)}: {entry.spec.summary}")
        say(f"from {entry.distribution} {entry.version}, entry point {entry.entry_point}")
        if options:
            say()
            rows = [[option.name, option.type, word(option.default), option.help] for option in options]
            show_table(["option", "takes", "default", "meaning"], rows)
        else:
            say("takes no options")


@plugins.command()
@json_option
@click.pass_context
def check(ctx: click.Context, /, *, as_json: bool) -> None:
    """Load every plugin and what it names, validate its default options, and exit 1 if anything is wrong."""
    from dckt_core.contract.discovery import blame, discover
    from dckt_core.contract.options import check_options

    registry = discover(plugins=ctx.obj.plugins)
    entries = every(registry)
    failures = [str(failure) for failure in registry.failures]
    for entry in entries:
        try:
            with blame(entry):
                check_options(entry.spec)
                entry.spec.import_functions()
        except PluginError as error:
            failures.append(str(error))
    if as_json:
        echo_json({"ok": not failures, "checked": len(entries), "failures": failures})
    else:
        for failure in failures:
            say(failure)
        distributions = {entry.distribution for entry in entries}
        say(f"plugins: {len(entries)}, distributions: {len(distributions)}, failures: {len(failures)}")
    ctx.exit(ExitCode.FAILURE if failures else ExitCode.OK)


def every(registry: Registry) -> list[Registered]:
    """All plugins, by kind; within one kind built-ins first, and last those that a clash hides."""
    from dckt_core.contract.discovery import HOOKS

    return [e for spec in HOOKS.values() for e in [*registry.all(spec.kind), *registry.clashing(spec.kind)]]


def typed_name(entry: Registered, registry: Registry) -> str:
    """The shortest name that finds the plugin."""
    return entry.qualified_name if entry in registry.clashing(entry.spec.kind) else str(entry.spec.name)


def facts(entry: Registered, registry: Registry) -> dict[str, Any]:
    """What a program may want to know of a plugin."""
    spec = entry.spec
    modality = {"modality": spec.modality} if spec.kind == "encoder" else {}
    return {
        "kind": spec.kind,
        "name": typed_name(entry, registry),
        **modality,
        "summary": spec.summary,
        "distribution": entry.distribution,
        "version": entry.version,
        "entry_point": entry.entry_point,
        "builtin": entry.builtin,
        "api": spec.api,
    }


def plain(value: Any) -> Any:
    """A default as JSON can hold it."""
    if isinstance(value, tuple | list | set | frozenset):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def word(value: Any) -> str:
    """A default as one would type it."""
    value = plain(value)
    if isinstance(value, list):
        return ",".join(word(item) for item in value)
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def echo_json(value: Any) -> None:
    say_json(value, indent=2)
