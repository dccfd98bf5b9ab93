"""`dckt doctor`: versions, devices, kernels, plugins, cache, and what is wrong with them."""

from __future__ import annotations

from dataclasses import asdict

import click

from dckt_cli import options
from dckt_cli.console import say, say_json
from dckt_core.base.errors import ExitCode, one_line


@click.command()
@options.as_json("The findings")
@click.pass_context
def doctor(ctx: click.Context, /, *, as_json: bool) -> None:
    """Say what dckt runs on here: versions, devices, which kernels they use, plugins, extras, the cache.

    What is wrong is marked and told once more at the end; then the exit code is 1.
    """
    from dckt_apps.doctor import examine
    from dckt_core.contract.discovery import discover
    from dckt_core.data.cache import default_cache_dir

    findings = list(examine(discover(plugins=ctx.obj.plugins), default_cache_dir()))
    wrong = [one for one in findings if one.wrong]
    if as_json:
        told = {"ok": not wrong, "findings": [asdict(one) for one in findings]}
        say_json(told, indent=2)
    else:
        about = ""
        for one in findings:
            if one.about != about:
                about = one.about
                say(f"{about}:")
            say(f"  {'!' if one.wrong else ' '} {one_line(f'{one.what}: {one.says}')}")
        say(f"wrong: {'nothing' if not wrong else len(wrong)}")
        for one in wrong:
            say(one_line(f"{one.about}: {one.what}: {one.says}"))
    ctx.exit(ExitCode.FAILURE if wrong else ExitCode.OK)
