"""What transfer gave: test mAP of every network, and in words what the intervals allow to say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dckt_core.base.errors import DataError
from dckt_core.runs.record import Estimate, RunRecord, lookup

DIRECTIONS = {"image_to_text": "image → text", "text_to_image": "text → image", "mean": "mean of both"}
NAMES = {
    "before": "before transfer",
    "control": "target-only control",
    "after": "after transfer",
    "space": "common space",
}


@dataclass(frozen=True)
class Row:
    """A network's test mAP, by direction.

    network: `before`, `control` or `after`.
    """

    network: str
    name: str
    figures: Mapping[str, Estimate]


@dataclass(frozen=True)
class Outcome:
    """What a finished run came to.

    Attributes:
        rows: of the networks that the run has, in the order of training.
        gains: what `after` has more than each other network, paired, by that network's name.
        findings: sentences.
        iteration: that validation kept; 0 is before transfer.
    """

    rows: list[Row]
    chance: float | None
    gains: Mapping[str, Estimate]
    findings: list[str]
    test_pairs: int | None
    iteration: int | None


def outcome(record: RunRecord) -> Outcome:
    """Raises DataError where the run is not finished, or its summary is none."""
    if record.summary is None:
        raise DataError(f"the run is not finished; it is {record.status}")
    rows = []
    for network in NAMES:
        found = {direction: record.map_of(network, direction) for direction in DIRECTIONS}
        figures = {direction: figure for direction, figure in found.items() if figure is not None}
        if figures:
            rows.append(Row(network, NAMES[network], figures))
    if not rows:
        raise DataError(f"{record.path / 'summary.json'}: tells of no test mAP")
    chance = record.map_of("chance")
    gains = {
        NAMES[name]: gain for name in ("control", "before", "after") if (gain := record.gain_over(name)) is not None
    }
    findings = [_verdict(name, gain) for name, gain in gains.items()]
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
    return Outcome(rows, None if chance is None else chance.value, gains, findings, tests, iteration)


def _verdict(other: str, gain: Estimate) -> str:
    """What a paired difference and its interval say, and no more than that."""
    size = f"{abs(gain.value):.3f} mAP"
    what = {"before transfer": "the network before transfer"}.get(other, f"the {other}")
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
