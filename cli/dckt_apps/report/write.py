"""From a run folder to a file: the whole way of a report."""

from __future__ import annotations

from pathlib import Path

from dckt_apps.report.gather import gather
from dckt_apps.report.material import Material
from dckt_apps.report.page import render
from dckt_core.data.context import Context
from dckt_core.io.files import write_text
from dckt_core.runs.record import read_run


def write_report(
    run: Path | str,
    output: Path | str | None = None,
    *,
    context: Context | None = None,
    target: str | None = None,
    source: str | None = None,
    device: str = "cpu",
) -> Path:
    """Writes the report of a run, finished or not, and returns where it is.

    Args:
        output: the HTML file; `report.html` in the run's folder by default.
        context: plugins, cache and progress; None for all that are installed, in silence.
        target, source: where the data sets lie, if not where the configuration says.

    Raises:
        DataError: there is no such run.
        StorageError: the file cannot be written.
    """
    record = read_run(run)
    file = Path(output) if output is not None else record.path / "report.html"
    context = context or Context()
    material = Material(record, context, target=target, source=source, device=device)
    write_text(file, render(gather(record, material, context.progress)))
    return file
