"""What a run came to: test figures of every representation, the parts, and in words what the intervals allow to say.

By class mAP, or, where no test pair has a label, the mean reciprocal rank (MRR) of each item's own partner.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dckt_core.base.errors import DataError
from dckt_core.evaluation.directions import COLUMNS, MEAN, TITLES
from dckt_core.evaluation.figures import FIGURES
from dckt_core.runs.record import RunRecord
from dckt_core.runs.results import REPRESENTATIONS, Estimate, Offer, PartResult, Results, lookup
from dckt_core.runs.results import signed as plainly_signed

NAMES_OF_DIRECTIONS = {name: TITLES[name].replace("->", " → ") for name in COLUMNS}


@dataclass(frozen=True)
class Row:
    """A representation's test figures.

    network: `before`, `control`, `after` or `space`.
    figures: mAP or MRR by direction.
    instances: by direction, by the names of `FIGURES`; empty where the run has none.
    """

    network: str
    name: str
    figures: Mapping[str, Estimate]
    instances: Mapping[str, Mapping[str, Estimate]]


@dataclass(frozen=True)
class Gain:
    """What one representation has more than another, paired, the mean of both directions."""

    of: str
    over: str
    value: Estimate


@dataclass(frozen=True)
class Outcome:
    """What a finished run came to.

    Attributes:
        measure: what the figures are, `mAP` or `MRR`.
        rows: of the representations that the run has, in the order of training.
        chances: the figure of random rankings, by direction.
        findings: sentences.
        unlabelled: test pairs without a label.
        iteration: that validation kept; 0 is before transfer.
        chance_of_instances: as `Row.instances`, of random rankings.
        offer: what the target had for training.
        parts: of the common space; `left_out_for` says why some are left out.
    """

    measure: str
    rows: list[Row]
    chances: Mapping[str, float]
    gains: list[Gain]
    findings: list[str]
    test_pairs: int | None
    unlabelled: int
    iteration: int | None
    chance_of_instances: Mapping[str, Mapping[str, Estimate]]
    offer: Offer
    parts: tuple[PartResult, ...]
    left_out_for: str

    @property
    def chance(self) -> float | None:
        """Of random rankings, the mean of both directions."""
        return self.chances.get(MEAN)


def outcome(record: RunRecord) -> Outcome:
    """Raises DataError where the run is not finished, or its summary is none."""
    if record.summary is None:
        raise DataError(f"the run is not finished; it is {record.status}")
    results = record.results
    if results.measure is None:
        raise DataError(f"{record.files.summary}: tells of no test figures")

    def instances_of(name: str) -> dict[str, dict[str, Estimate]]:
        found = {
            direction: _there({figure: results.instances_of(name, figure, direction) for figure in FIGURES})
            for direction in COLUMNS
        }
        return {direction: row for direction, row in found.items() if row}

    rows = []
    for name, title in REPRESENTATIONS.items():
        figures = _there({direction: results.figure_of(name, direction) for direction in COLUMNS})
        if figures:
            rows.append(Row(name, title, figures, instances_of(name)))
    chances = _there({direction: results.figure_of("chance", direction) for direction in COLUMNS})
    iteration = lookup(record.summary, "validation", "after", "iteration")
    unlabelled = lookup(record.summary, "test", "unlabelled")
    tests = lookup(record.summary, "target", "test")
    by_validation = results.left_out_by_validation
    return Outcome(
        measure=results.measure,
        rows=rows,
        chances={direction: chance.value for direction, chance in chances.items()},
        gains=list(_gains(results)),
        findings=list(_findings(results, iteration if isinstance(iteration, int) else None)),
        test_pairs=tests if isinstance(tests, int) else None,
        unlabelled=unlabelled if isinstance(unlabelled, int) else 0,
        iteration=iteration if isinstance(iteration, int) else None,
        chance_of_instances=instances_of("chance"),
        offer=results.offer,
        parts=results.parts,
        left_out_for="validation asked for it" if by_validation else "no labelled validation pairs vouch for it",
    )


def _there(figures: Mapping[str, Estimate | None]) -> dict[str, Estimate]:
    """Those that there are."""
    return {name: figure for name, figure in figures.items() if figure is not None}


def _gains(results: Results) -> Iterator[Gain]:
    result = results.result or "after"
    transferred = results.gain_over("transfer")
    if transferred is not None:
        yield Gain(REPRESENTATIONS["after"], REPRESENTATIONS["control"], transferred)
    for name in ("control", "before", "after"):
        gain = results.gain_over(name)
        if gain is not None:
            yield Gain(REPRESENTATIONS[result], REPRESENTATIONS[name], gain)


def _findings(results: Results, iteration: int | None) -> Iterator[str]:
    measure, result = str(results.measure), results.result or "after"
    reached, chance = results.figure_of(result), results.figure_of("chance")
    if results.offer.counts or results.offer.rung is not None:
        yield f"The target offered {results.offer}{_rung(results.offer)}."
    if reached is not None and chance is not None:
        yield (
            f"The {REPRESENTATIONS[result]} reaches {reached.value:.3f} {measure}; "
            f"a random ranking is expected to reach {chance.value:.3f}."
        )
    for gain in _gains(results):
        if result == "after" or REPRESENTATIONS["after"] in (gain.of, gain.over):
            yield _verdict(gain, measure)
    if lookup(results.summary, "negative_transfer"):
        instead = " Here, prefer the target alone." if result == "after" else ""
        yield f"On validation the control scores higher than the network after transfer: negative transfer.{instead}"
    if results.untrained:
        yield f"The method’s networks were not trained: {results.untrained}."
    if iteration is not None:
        yield _kept(iteration)
    yield from (f"{choice[0].upper()}{choice[1:]}." for choice in results.choices)
    if results.calibration:
        yield f"In search, {results.calibration}."
    left_out = results.parts_at("left out")
    if left_out:
        names = " and ".join(left_out)
        if results.left_out_by_validation:
            yield f"Of the common space, validation left out: {names}."
        else:
            yield f"The common space does without what no labelled validation pairs vouch for: {names}."


def _rung(offer: Offer) -> str:
    return "" if offer.rung is None else f": rung {offer.rung} of the ladder ({offer.rung_title})"


def _verdict(gain: Gain, measure: str) -> str:
    """What a paired difference and its interval say, and no more than that."""
    who, what, value = f"The {gain.of}", f"the {gain.over}", gain.value
    size = f"{abs(value.value):.3f} {measure}"
    if value.interval is None:
        side = "above" if value.value > 0 else "below"
        return f"{who} is {side} {what} by {size}; of one test picture there is no interval."
    low, high = value.interval
    span = f"95 % interval {signed(low)} to {signed(high)}"
    if low > 0:
        return f"{who} is better than {what} by {size} ({span})."
    if high < 0:
        return f"{who} is worse than {what} by {size} ({span})."
    return f"{who} cannot be told from {what}: {signed(value.value)}, and its {span} includes zero."


def signed(value: float) -> str:
    """A gain, as it is printed, with the sign that printers use.

    >>> signed(-0.0132), signed(-0.0004)
    ('−0.013', '0.000')
    """
    return plainly_signed(value).replace("-", "−")


def _kept(iteration: int) -> str:
    if iteration:
        return f"Validation kept the networks of iteration {iteration}."
    return "Validation kept iteration 0: the target network as it was before transfer."
