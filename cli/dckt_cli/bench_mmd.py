"""`dckt bench-mmd`: the MMD kernels beside their peers, or what is known of the GPU kernels without a GPU."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dckt_cli import options
from dckt_cli.bench_tables import chosen, show_table, write_csv
from dckt_cli.console import say, say_json
from dckt_core.base.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from dckt_bench.measure import Row
    from dckt_bench.workloads import Workload

DTYPES = ("float32", "float64", "bfloat16", "float16")
MODES = ("value", "forward", "backward", "both")


@click.command("bench-mmd")
@click.option("--providers", metavar="NAME,...", help="Who takes part. [default: all that are installed]")
@click.option("--shapes", metavar="SHAPE,...", help="NxD, N:MxD, or dckt for the method's six layers in one call.")
@click.option("--modes", metavar="MODE,...", default="both", show_default=True, help=f"Of {', '.join(MODES)}.")
@click.option("--dtype", type=click.Choice(DTYPES), default="float32", show_default=True)
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option("--threads", type=click.IntRange(1, 1024), default=1, show_default=True, help="CPU threads.")
@click.option("--seconds", type=click.FloatRange(min=0), default=5.0, show_default=True, help="A shape and mode.")
@click.option(
    "--clock", type=click.Choice(("wall", "cpu")), default="wall", show_default=True, help="cpu: for a busy machine."
)
@click.option("--memory/--no-memory", default=True, show_default=True, help="Peak memory, in a process of its own.")
@click.option("--static", is_flag=True, help="Instead: the GPU kernels as compiled, and a computed roofline.")
@click.option("--chips", metavar="NAMES", help="With --static: comma-separated, or all.  [default: sm_80,sm_90,gfx942]")
@click.option("--json", "as_json", is_flag=True, help="The rows as JSON on stdout.")
@click.option("--csv", "csv_file", metavar="FILE", type=options.Place(dir_okay=False), help="Write rows.")
@click.option("--plot", metavar="PNG", type=options.Place(dir_okay=False), help="Draw times over the limit.")
def bench_mmd(
    providers: str | None,
    shapes: str | None,
    modes: str,
    dtype: str,
    device: str,
    threads: int,
    seconds: float,
    clock: str,
    memory: bool,
    static: bool,
    chips: str | None,
    as_json: bool,
    csv_file: Path | None,
    plot: Path | None,
) -> int:
    """Measure squared MMD, forward and backward: this package against its peers, in one process, in turn.

    Every provider's value and gradient are compared with float64 first; one that is wrong gets no time. `limit` is the
    time of the two matrix products of an exact method (4 N^2 d flops) in the same run.
    """
    for file in (csv_file, plot):
        if file is not None and not file.parent.is_dir():
            raise click.BadParameter(f"no folder '{file.parent}' to write '{file.name}' to")
    if static:
        if plot is not None:
            raise click.UsageError("--plot draws measured times; --static has none")
        return _static(chips, as_json, csv_file)
    if chips is not None:
        raise click.UsageError("--chips says what --static compiles for: pass --static")

    import torch

    from dckt_bench.measure import COLUMNS, Setting, run
    from dckt_bench.providers import PROVIDERS
    from dckt_bench.workloads import DEFAULT

    names = chosen(providers, PROVIDERS, "provider") or [n for n, p in PROVIDERS.items() if not p.missing]
    chosen_modes = chosen(modes, MODES, "mode") or ["both"]
    workloads = _workloads(shapes.split(",") if shapes else DEFAULT)
    if device not in ("cpu", "cuda"):
        raise click.BadParameter(f"'{device}' is not cpu or cuda", param_hint="--device")
    if device == "cuda" and not torch.cuda.is_available():
        raise click.BadParameter("this machine has no CUDA or ROCm device", param_hint="--device")
    torch.set_num_threads(threads)
    setting = Setting(torch.device(device), getattr(torch, dtype), seconds, "cpu" if clock == "cpu" else "wall")

    rows: list[Row] = []
    with redirect_stdout(sys.stderr):  # peers that print must not spoil the result
        for row in run(names, workloads, chosen_modes, setting, memory, lambda text: say(text, err=True)):
            rows.append(row)
    records = [row.as_dict() for row in rows]
    if csv_file is not None:
        write_csv(csv_file, COLUMNS, records)
    if plot is not None:
        _draw(plot, rows)
    if as_json:
        say_json(records, indent=1)
    else:
        _show(rows, workloads)
    ours_is_wrong = any(row.provider == "dckt" and row.note.startswith("wrong") for row in rows)
    return ExitCode.FAILURE if ours_is_wrong else ExitCode.OK


def _workloads(shapes: Sequence[str]) -> list[Workload]:
    from dckt_bench.workloads import parse

    try:
        return [parse(shape.strip()) for shape in shapes]
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--shapes") from None


def _static(chips: str | None, as_json: bool, csv_file: Path | None) -> int:
    """What compiling tells: registers, spills, shared memory, instructions, launches, bytes, computed times."""
    from dckt_bench.machine_code import MissingLinkerError
    from dckt_bench.static import MAIN, report
    from dckt_kernels.gpu.chips import ARCHITECTURES

    targets = tuple(ARCHITECTURES) if chips == "all" else MAIN if chips is None else tuple(chips.split(","))
    if unknown := [name for name in targets if name not in ARCHITECTURES]:
        known = f"known: {', '.join(ARCHITECTURES)}, all"
        raise click.BadParameter(f"unknown chip {unknown[0]!r} ({known})", param_hint="--chips")
    say("compiling the kernels for each chip ...", err=True)
    try:
        with redirect_stdout(sys.stderr):
            records = [dict(record) for record in report(targets)]
    except MissingLinkerError as error:
        raise UsageError(str(error)) from None
    columns = list(dict.fromkeys(key for record in records for key in record))
    if csv_file is not None:
        write_csv(csv_file, columns, records)
    if as_json:
        say_json(records, indent=1)
        return ExitCode.OK
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault(tuple(record), []).append(record)
    for keys, group in groups.items():
        show_table("Computed without a GPU, never measured", keys, [[_text(r[key]) for key in keys] for r in group])
    return ExitCode.OK


def _show(rows: Sequence[Row], workloads: Sequence[Workload]) -> None:
    """One table a workload: a line a provider, its errors, times, memory, or why there are none."""
    modes = list(dict.fromkeys(row.mode for row in rows if row.mode and row.metric.endswith("time")))
    for workload in workloads:
        mine = [row for row in rows if row.workload == workload.name]
        cell = {(row.provider, row.mode, row.metric): row for row in mine}
        timed = {(row.provider, row.mode): row for row in mine if row.metric.endswith("time")}
        lines = []
        for name in dict.fromkeys(row.provider for row in mine):
            line = [name]
            for metric in ("value_error", "gradient_error"):
                found = cell.get((name, "", metric))
                line.append("" if found is None or found.p50 is None else f"{found.p50:.0e}")
            for mode in modes:
                time = timed.get((name, mode))
                if time is None or time.p50 is None or time.p20 is None or time.p80 is None:
                    line += ["", ""]
                else:
                    line += [f"{time.p50:.2f} ({time.p20:.2f}-{time.p80:.2f})", f"{time.vs_limit:.2f}"]
            peak = next((row.p50 for row in mine if row.provider == name and row.metric == "peak"), None)
            line.append("" if peak is None else f"{peak:.0f}")
            line.append(next((row.note for row in mine if row.provider == name and row.note), ""))
            lines.append(line)
        headings = ["provider", "value err", "grad err"]
        headings += [text for mode in modes for text in (f"{mode}, ms (p20-p80)", "/ limit")]
        shared = mine[0]
        title = f"{workload.name}: {shared.dtype} on {shared.device}, {shared.threads} thread(s)"
        show_table(title, [*headings, "peak MB", ""], lines)


def _text(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _draw(file: Path, rows: Sequence[Row]) -> None:
    """Times over the matrix product limit of the same run, a group of bars a workload and mode, on a log scale."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    timed = [row for row in rows if row.metric.endswith("time") and row.provider != "limit" and row.vs_limit]
    groups = list(dict.fromkeys((row.workload, row.mode) for row in timed))
    names = list(dict.fromkeys(row.provider for row in timed))
    figure, axes = plt.subplots(figsize=(2 + 2 * max(len(groups), 1), 4), layout="constrained")
    width = 0.8 / max(len(names), 1)
    for number, name in enumerate(names):
        bars = {(row.workload, row.mode): row.vs_limit for row in timed if row.provider == name}
        heights = [bars.get(group) or float("nan") for group in groups]
        axes.bar([place + number * width for place in range(len(groups))], heights, width, label=name)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_yscale("log")
    axes.set_xticks([place + 0.4 - width / 2 for place in range(len(groups))])
    axes.set_xticklabels([f"{workload}\n{mode}" for workload, mode in groups])
    axes.set_ylabel("time / time of the two matrix products")
    axes.legend(fontsize="small")
    figure.savefig(file, dpi=150)
    plt.close(figure)
