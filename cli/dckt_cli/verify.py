"""`dckt verify`: whether what dckt wrote is still what it wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dckt_cli import options
from dckt_cli.console import say, say_json


@click.command()
@click.argument("places", metavar="PATH...", nargs=-1, required=True, type=options.Place())
@click.option("--accept", is_flag=True, help="Vouch for files as they are now: of runs, indexes and extractions.")
@options.quiet()
@options.as_json()
def verify(*, places: tuple[Path, ...], accept: bool, **flags: Any) -> int:
    """Read all of a run, an index, an extraction, an experiment, the cache, or a folder of these, and say which files
    are not what they were when dckt wrote them, and what makes each anew. Exit code 3 where there are any.

    --accept is for files that you changed yourself, such as a config.toml that says where its data lie now.
    """
    from dckt_apps.verify import accept as accept_place
    from dckt_apps.verify import verify as verify_place
    from dckt_cli.console import watching
    from dckt_core.base.errors import ExitCode

    with watching(quiet=flags["quiet"], verbose=flags["verbose"]) as progress:
        for place in places if accept else ():
            accept_place(place)
        found = [one for place in places for one in verify_place(place, progress)]
    whole = not any(one.faults for one in found)
    if flags["as_json"]:
        rows = [
            {
                "path": str(one.place),
                "kind": one.kind,
                "files": one.files,
                "faults": [{"file": str(f.file), "says": f.says, "remedy": f.remedy} for f in one.faults],
            }
            for one in found
        ]
        say_json({"whole": whole, "found": rows}, indent=2)
        return ExitCode.OK if whole else ExitCode.DATA
    for one in found:
        bad = len(one.faults)
        say(
            f"{one.place}: {one.kind}, "
            + (f"{bad} of {one.files} files altered" if bad else f"{one.files} files whole")
        )
        for fault in one.faults:
            say(f"  {fault.file}: {fault.says}{f'; {fault.remedy}' if fault.remedy else ''}")
    return ExitCode.OK if whole else ExitCode.DATA
