"""`dckt serve`: a page on this machine to search with."""

from __future__ import annotations

import socket
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dckt_cli import options
from dckt_cli.console import say
from dckt_core.base.errors import ExitCode, StoppedError, UsageError
from dckt_core.base.stopping import at_once

if TYPE_CHECKING:
    from dckt_core.data.context import Context
    from dckt_core.retrieval.searcher import Searcher

OF_RUNS = ("split", "checkpoint", "target")
"""Flags that make sense for a run alone: an index has it all settled."""


@click.command()
@click.argument("places", metavar="INDEX|RUN...", type=options.Place(), nargs=-1, required=True)
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(min=0, max=65535),
    default=8000,
    show_default=True,
    help="0 takes any that is free.",
)
@click.option(
    "--allow-host", metavar="NAME", multiple=True, help="Another name by which browsers may call this server."
)
@click.option(
    "--max-upload",
    metavar="MB",
    type=click.FloatRange(min=0, min_open=True, max=1e6),
    callback=options.finite,
    default=10.0,
    show_default=True,
    help="The largest picture that may be sent.",
)
@options.place
@options.device
@options.image_root
@options.quiet("the address")
@click.pass_context
def serve(ctx: click.Context, /, places: tuple[Path, ...], **flags: Any) -> None:
    """Search an index, or the target data set of a run, on a page in the browser: type a text or drop a picture.
    Several are asked the same, side by side.

    The page is for this machine alone unless --host says otherwise; there is no log-in. Pictures of the gallery are
    shown, small; no other file can be read through the server. Ctrl-C stops it.
    """
    for package in ("fastapi", "uvicorn"):
        if find_spec(package) is None:
            raise UsageError(f"dckt serve needs {package}, which is not installed: pip install 'dckt[serve]'")

    from dckt_cli.console import watching
    from dckt_core.base.progress import logger
    from dckt_core.data.coverage import tell
    from dckt_core.retrieval.index_folder import is_index

    for place in places:
        of_index = is_index(place)
        for name in OF_RUNS if of_index else ("run",):
            if ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
                raise click.UsageError(
                    f"--{name} goes with {'a run' if of_index else 'an index'}, and {place} is none", ctx
                )
    listening = _listen(flags["host"], flags["port"])
    with listening, watching(quiet=flags["quiet"], verbose=flags["verbose"]) as progress:
        searchers = [_searcher(ctx.obj.context(progress), place, flags) for place in places]
        for searcher in searchers:
            coverage = searcher.covered_gallery()
            if coverage is not None:
                tell(searcher.origin, {"": coverage})
        address, port = listening.getsockname()[:2]
        say(f"http://{f'[{address}]' if ':' in address else address}:{port}")
        if address not in ("127.0.0.1", "::1"):
            logger.warning("whoever reaches this machine can search, and see the pictures of the gallery")
        _run(places, searchers, listening, flags)


def _searcher(context: Context, place: Path, flags: dict[str, Any]) -> Searcher:
    from dckt_core.base.device import find_device
    from dckt_core.retrieval.index import searcher_of_index
    from dckt_core.retrieval.index_folder import is_index
    from dckt_core.retrieval.searcher import searcher_of_target
    from dckt_core.runs.model import load_run

    device = str(find_device(flags["device"]))
    if is_index(place):
        return searcher_of_index(place, context, run=flags["run"], device=device)
    model = load_run(place, context, checkpoint=flags["checkpoint"], target=flags["target"], device=device)
    return searcher_of_target(model, split=flags["split"])


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        UsageError: the address is none of this machine's, or is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise UsageError(f"--host {host} --port {port}: {error.strerror or error}") from None


def _run(places: tuple[Path, ...], searchers: list[Searcher], listening: socket.socket, flags: dict[str, Any]) -> None:
    import uvicorn

    from dckt_apps.serve.app import make_app
    from dckt_apps.serve.asking import Limits
    from dckt_apps.serve.connections import Patience, protocol
    from dckt_apps.serve.guard import LOOPBACK
    from dckt_apps.serve.place import names_of
    from dckt_core.base.allocator import memory_kept

    limits = Limits(upload=round(flags["max_upload"] * 1e6))
    # What is searched names the page; of several runs, which may search the same, the runs themselves.
    named = places if len(places) > 1 else [Path(searchers[0].origin)]
    app = make_app(
        dict(zip(names_of(named), searchers, strict=True)),
        hosts=(*LOOPBACK, flags["host"], *flags["allow_host"]),
        limits=limits,
    )
    config = uvicorn.Config(
        app, log_level="error", access_log=False, server_header=False, http=protocol(Patience()), ws="none"
    )
    try:
        with at_once(), memory_kept:
            uvicorn.Server(config).run(sockets=[listening])
    except StoppedError as error:
        if error.exit_code != ExitCode.INTERRUPTED:  # Ctrl-C is how it ends
            raise
