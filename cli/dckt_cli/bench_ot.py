"""`dckt bench-ot`: entropic optimal transport beside its peers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dckt_cli import options
from dckt_cli.bench_tables import chosen, show_table, write_csv
from dckt_cli.console import say, say_json
from dckt_core.base.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dckt_bench.transport import Row


@click.command("bench-ot")
@click.option("--providers", metavar="NAME,...", help="Who takes part. [default: all that are installed]")
@click.option("--rows", metavar="N,...", default="1000,4000", show_default=True, help="Rows a side.")
@click.option("--width", type=click.IntRange(1, 1 << 16), default=256, show_default=True, help="Values of a row.")
@click.option("--eps", metavar="E,...", default="0.05", show_default=True, help="Entropies; costs reach from 0 to 4.")
@click.option("--threads", type=click.IntRange(1, 1024), default=1, show_default=True, help="CPU threads.")
@click.option("--rounds", type=click.IntRange(1, 100), default=3, show_default=True, help="Calls of each.")
@click.option("--patience", type=click.FloatRange(min=1), default=600.0, show_default=True, help="Seconds of a call.")
@click.option("--json", "as_json", is_flag=True, help="The rows as JSON on stdout.")
@click.option("--csv", "csv_file", metavar="FILE", type=options.Place(dir_okay=False), help="Write rows.")
def bench_ot(
    providers: str | None,
    rows: str,
    width: int,
    eps: str,
    threads: int,
    rounds: int,
    patience: float,
    as_json: bool,
    csv_file: Path | None,
) -> int:
    """Measure entropic optimal transport on a CPU: this package against its peers, each call in a process of its own.

    All run to an L1 error of the marginals of 1e-4, in float32 where they can. Each one's value is compared with
    float64 first; one that is wrong gets no time. `/ products` is the time over that of one product X Y' a sweep.
    """
    from dckt_bench.transport import COLUMNS, PROVIDERS, run

    if csv_file is not None and not csv_file.parent.is_dir():
        raise click.BadParameter(f"no folder '{csv_file.parent}' to write '{csv_file.name}' to")
    names = chosen(providers, PROVIDERS, "provider") or [n for n, p in PROVIDERS.items() if not p.missing]
    workloads = [
        (int(n), width, e)
        for n in _numbers(rows, "--rows", least=2, most=1_000_000, whole=True)
        for e in _numbers(eps, "--eps", least=1e-6, most=1e6)
    ]
    found = list(
        run(
            names,
            workloads,
            threads=threads,
            rounds=rounds,
            patience=patience,
            progress=lambda text: say(text, err=True),
        )
    )
    records = [row.as_dict() for row in found]
    if csv_file is not None:
        write_csv(csv_file, COLUMNS, records)
    if as_json:
        say_json(records, indent=1)
    else:
        _show(found)
    wrong = any(row.provider.startswith("dckt") and row.note for row in found)
    return ExitCode.FAILURE if wrong else ExitCode.OK


def _numbers(text: str, option: str, *, least: float, most: float, whole: bool = False) -> list[float]:
    try:
        numbers = [int(part) if whole else float(part) for part in text.split(",")]
    except ValueError:
        raise click.BadParameter(f"'{text}' is no list of numbers", param_hint=option) from None
    for number in numbers:
        if not least <= number <= most:
            raise click.BadParameter(f"{number:g} is not in [{least:g}, {most:g}]", param_hint=option)
    return numbers


def _show(rows: Sequence[Row]) -> None:
    for n, d, eps, threads in dict.fromkeys((row.n, row.d, row.eps, row.threads) for row in rows):
        lines = [
            [
                row.provider,
                _or_nothing(row.value_error, ".0e"),
                _or_nothing(row.marginal, ".0e"),
                _or_nothing(row.sweeps, "d"),
                _or_nothing(row.seconds, ".2f"),
                _or_nothing(row.products, ".2f"),
                _or_nothing(row.peak_mb, ".0f"),
                row.note,
            ]
            for row in rows
            if (row.n, row.d, row.eps) == (n, d, eps)
        ]
        headings = ["provider", "value err", "marginals", "sweeps", "s", "/ products", "peak MB", ""]
        show_table(f"{n:,} x {n:,} rows of {d}, eps {eps:g}: {threads} thread(s)", headings, lines)


def _or_nothing(number: float | None, form: str) -> str:
    return "" if number is None else format(number, form)
