"""What transfer gave: the test figures of every network, and in words what the intervals allow to say.

By class mAP, or, where no test pair has a label, the mean reciprocal rank (MRR) of each item's own partner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dckt_core.base.errors import DataError
from dckt_core.evaluation.directions import COLUMNS, TITLES
from dckt_core.evaluation.instances import FIGURES, MRR
from dckt_core.runs.record import Estimate, RunRecord, lookup

NAMES_OF_DIRECTIONS = {name: TITLES[name].replace("->", " → ") for name in COLUMNS}
NAMES = {
    "before": "before transfer",
    "control": "target-only control",
    "after": "after transfer",
    "space": "common space",
}


@dataclass(frozen=True)
class Row:
    """A representation's test figures.

    network: `before`, `control`, `after` or `space`.
    figures: mAP or MRR by direction.
    instances: by the names of `FIGURES`, the mean of both directions; empty where the run has none.
    """

    network: str
    name: str
    figures: Mapping[str, Estimate]
    instances: Mapping[str, Estimate]


@dataclass(frozen=True)
class Outcome:
    """What a finished run came to.

    Attributes:
        measure: what the figures are, `mAP` or `MRR`.
        rows: of the networks that the run has, in the order of training.
        gains: what `after` has more than each other network, paired, by that network's name.
        findings: sentences.
        iteration: that validation kept; 0 is before transfer.
        chance_of_instances: as `Row.instances`, of random rankings.
    """

    measure: str
    rows: list[Row]
    chance: float | None
    gains: Mapping[str, Estimate]
    findings: list[str]
    test_pairs: int | None
    iteration: int | None
    chance_of_instances: Mapping[str, Estimate]


def outcome(record: RunRecord) -> Outcome:
    """Raises DataError where the run is not finished, or its summary is none."""
    if record.summary is None:
        raise DataError(f"the run is not finished; it is {record.status}")
    by_class = any(record.map_of(network) for network in NAMES)
    measure = "mAP" if by_class else "MRR"

    def figure_of(network: str, direction: str = "mean") -> Estimate | None:
        return record.map_of(network, direction) if by_class else record.instances_of(network, MRR, direction)

    def instances_of(network: str) -> dict[str, Estimate]:
        return _there({name: record.instances_of(network, name) for name in FIGURES})

    rows = []
    for network in NAMES:
        figures = _there({direction: figure_of(network, direction) for direction in COLUMNS})
        if figures:
            rows.append(Row(network, NAMES[network], figures, instances_of(network)))
    if not rows:
        raise DataError(f"{record.files.summary}: tells of no test figures")
    chance = figure_of("chance")
    gains = _there({NAMES[name]: record.gain_over(name) for name in ("control", "before", "after")})
    findings = [_verdict(name, gain, measure) for name, gain in gains.items()]
    if record.summary.get("negative_transfer"):
        findings.append("On validation the control scores higher: negative transfer. Here, prefer the target alone.")
    said = lookup(record.summary, "space", "left_out")
    left_out = [str(part) for part in said] if isinstance(said, list) else []
    iteration = lookup(record.summary, "validation", "after", "iteration")
    if isinstance(iteration, int):
        findings.append(_kept(iteration))
    if left_out:
        findings.append(f"Of the common space, validation left out: {' and '.join(left_out)}.")
    tests = lookup(record.summary, "target", "test")
    by_chance = None if chance is None else chance.value
    return Outcome(measure, rows, by_chance, gains, findings, tests, iteration, instances_of("chance"))


def _there(figures: Mapping[str, Estimate | None]) -> dict[str, Estimate]:
    """Those that there are."""
    return {name: figure for name, figure in figures.items() if figure is not None}


def _verdict(other: str, gain: Estimate, measure: str) -> str:
    """What a paired difference and its interval say, and no more than that."""
    size = f"{abs(gain.value):.3f} {measure}"
    what = f"the network {other}" if other in (NAMES["before"], NAMES["after"]) else f"the {other}"
    if gain.interval is None:
        return f"{'Above' if gain.value > 0 else 'Below'} {what} by {size}."
    low, high = gain.interval
    span = f"95 % interval {signed(low)} to {signed(high)}"
    if low > 0:
        return f"Better than {what} by {size} ({span})."
    if high < 0:
        return f"Worse than {what} by {size} ({span})."
    return f"No difference from {what} can be told: {signed(gain.value)}, and its {span} includes zero."


def signed(value: float) -> str:
    """A figure with its sign, as it is printed.

    >>> signed(-0.0132)
    '−0.013'
    """
    return f"{value:+.3f}".replace("-", "−")


def _kept(iteration: int) -> str:
    if iteration:
        return f"Validation kept the networks of iteration {iteration}."
    return "Validation kept iteration 0: the target network as it was before transfer."
