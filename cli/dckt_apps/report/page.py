"""The page: everything in one HTML file that asks nothing of the network and runs no script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

from markupsafe import Markup

from dckt_apps.pages import filled, templates, theme
from dckt_apps.report import drawings
from dckt_apps.report.curves import Series
from dckt_apps.report.gather import Report
from dckt_apps.report.material import Missing
from dckt_apps.report.outcome import NAMES_OF_DIRECTIONS, signed
from dckt_core import __version__
from dckt_core.evaluation.figures import FIGURES
from dckt_core.runs.results import Estimate

MATRIX_CLASSES = 40
"""With more classes the confusion is told by its largest cells alone."""

TEXT_LETTERS = 230
"""As much is shown of a text."""


PROBABILITIES = "the class probabilities of the method’s"

SCORED = {
    "source": f"{PROBABILITIES} source network",
    "target": f"{PROBABILITIES} target network at that iteration",
    "before": f"{PROBABILITIES} target network before transfer",
    "control": f"{PROBABILITIES} target-only control",
    "after": f"{PROBABILITIES} target network after transfer",
    "space": "the common space, the run’s result",
}
"""Which representation a curve of that name scores."""


def render(report: Report) -> str:
    """The report as HTML. All texts from data and configuration are escaped, and what cannot be seen in them shown."""
    environment = templates("report")
    environment.tests["missing"] = lambda part: isinstance(part, Missing)
    environment.filters |= {
        "estimate": _estimate,
        "shorten": _shorten,
        "signed": signed,
        "spoken": _spoken,
        "table": _table,
    }
    own = (resources.files("dckt_apps.report") / "templates" / "report.css").read_text(encoding="utf-8")
    return filled(
        environment,
        "report.html",
        report=report,
        style=Markup(f"{theme()}\n{own}"),
        version=__version__,
        directions=NAMES_OF_DIRECTIONS,
        by_instance=FIGURES,
        representations=SCORED,
        matrix_classes=MATRIX_CLASSES,
        charts=_charts(report),
    )


def _charts(report: Report) -> dict[str, Any]:
    """The charts of the sections that there are, by the name that the template knows them by."""
    charts: dict[str, Any] = {}
    if not isinstance(report.outcome, Missing):
        charts["outcome"] = drawings.intervals(report.outcome)
        if any(part.alone for part in report.outcome.parts):
            charts["parts"] = drawings.parts(report.outcome)
    if not isinstance(report.curves, Missing):
        if report.curves.validation:
            measure = report.curves.measure
            charts["validation"] = drawings.lines(
                "validation", f"validation {measure}", report.curves.validation, x="iteration",
                y=f"{measure}, mean of both",
            )  # fmt: skip
        charts["losses"] = drawings.loss_charts(report.curves.losses)
    if not isinstance(report.discrepancies, Missing):
        charts["discrepancies"] = drawings.lines(
            "discrepancy", "discrepancy of each layer", report.discrepancies, x="iteration", y="mean of the updates"
        )
    if not isinstance(report.curriculum, Missing):
        share, values = report.curriculum.share, report.curriculum.values
        charts["share"] = drawings.lines(
            "share", "share of target pairs kept", [share], x="iteration", y="share kept", y_range=(0, 1.04)
        )
        if values:
            measure = _spoken(report.curriculum.measure)
            charts["values"] = drawings.lines(
                "values", f"{measure} of the pairs kept and left", values, x="iteration", y=f"mean {measure}"
            )
    if not isinstance(report.precision_recall, Missing):
        charts["precision_recall"] = {
            direction: drawings.lines(
                f"pr-{number}", f"precision, {direction}", series, x="recall", y="precision",
                y_range=(0, 1.04), whole_x=False,
            )
            for number, (direction, series) in enumerate(report.precision_recall.curves.items())
        }  # fmt: skip
    if not isinstance(report.domain_map, Missing):
        charts["maps"] = drawings.domain_maps(report.domain_map)
    return charts


def _estimate(figure: Estimate, sign: bool = False, places: int = 3) -> Markup:
    """A figure, and its interval in smaller letters."""
    form: Callable[[float], str] = signed if sign else f"{{:.{places}f}}".format
    value = Markup("<b>{}</b>").format(form(figure.value))
    if figure.interval is None:
        return value
    low, high = (form(end) for end in figure.interval)
    return value + Markup(" <small>{} to {}</small>").format(low, high)


def _shorten(text: str) -> str:
    """As much of a text as fits, to the last whole word."""
    text = " ".join(text.split())
    if len(text) <= TEXT_LETTERS:
        return text
    head, _, _ = text[:TEXT_LETTERS].rpartition(" ")
    return f"{head or text[:TEXT_LETTERS]} …"


def _spoken(measure: str) -> str:
    """What a value of the sampler's is called in a sentence."""
    return {"ap": "AP"}.get(measure, measure.replace("_", " "))


def _table(series: Sequence[Series]) -> list[list[str]]:
    """Series as rows of a table: places along x, then each one's values, `–` where it has none."""
    places = sorted({place for line in series for place in line.x})
    rows = [["", *(f"{place:g}" for place in places)]]
    for line in series:
        values = dict(zip(line.x, line.y, strict=True))
        rows.append([line.name, *(f"{values[place]:.4g}" if place in values else "–" for place in places)])
    return rows
