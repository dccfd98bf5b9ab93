"""What a run came to, out of its `summary.json`: figures, parts, and what the target offered. No torch in here.

Every command that shows an outcome takes its rows and words from here. What a summary lacks is None or empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from dckt_core.base.errors import DataError
from dckt_core.data.rungs import HOLDINGS, NAMES, RUNGS
from dckt_core.evaluation.directions import DIRECTIONS
from dckt_core.evaluation.figures import MRR

REPRESENTATIONS = {
    "before": "network before transfer",
    "control": "target-only control",
    "after": "network after transfer",
    "space": "common space",
}
"""What a run scores, in the order of training: the method's target network at three stages, and the space of all parts.
"""

MEASURES = {"map": "mAP", MRR: "MRR"}
"""Mean average precision by class; the mean reciprocal rank of each item's own partner where no pair has a label."""

CHOICES = {"iteration": "the iteration of the networks is chosen", "parts": "the parts of the common space are chosen"}
"""What validation may choose within a run."""

Place = Literal["in", "taken in", "left out", "aside"]


@dataclass(frozen=True)
class Estimate:
    """A figure and, where there is one, its 95 % interval."""

    value: float
    interval: tuple[float, float] | None = None

    def __format__(self, form: str) -> str:
        """
        >>> f"{Estimate(0.5, (0.25, 0.75)):.2f}", f"{Estimate(7):.1f}"
        ('0.50 (0.25-0.75)', '7.0')
        """
        value = format(self.value, form)
        return value if self.interval is None else f"{value} ({'-'.join(format(end, form) for end in self.interval)})"


@dataclass(frozen=True)
class Offer:
    """What the target had for training.

    Attributes:
        counts: by the words of `data.rungs`, those above 0.
        rung: its number in `data.rungs.RUNGS`; None where the run does not tell.
    """

    counts: Mapping[str, int]
    rung: int | None

    @property
    def rung_title(self) -> str:
        """
        >>> Offer({}, 2).rung_title
        'pairs without labels'
        """
        return "" if self.rung is None else RUNGS[self.rung]

    def __str__(self) -> str:
        """
        >>> str(Offer({"labelled pairs": 50, "class names": 10}, 4)), str(Offer({}, 0))
        ('50 labelled pairs, 10 class names', 'nothing')
        """
        return ", ".join(f"{count:,} {what}" for what, count in self.counts.items()) or "nothing"


@dataclass(frozen=True)
class PartResult:
    """What became of a part of the common space.

    Attributes:
        place: whether it is in the space; or was fitted, and others build on it that count in its place; or was left
            out; or stepped aside.
        alone: test figure of the part by itself, the mean of both directions.
        adds: what the space has more than without it, paired; None for the only one.
        said: why it stepped aside, or what it told of its choices.
    """

    name: str
    place: Place
    weight: float | None = None
    alone: Estimate | None = None
    adds: Estimate | None = None
    said: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Results:
    """The summary of a run; an empty one while it is not finished. What is broken raises DataError, naming `file`."""

    summary: Mapping[str, Any]
    file: Path

    # --- figures on the test split --------------------------------------------------------------------------

    @property
    def result(self) -> str | None:
        """Which of `REPRESENTATIONS` the run is for."""
        result = lookup(self.summary, "test", "result")
        return result if isinstance(result, str) and result in REPRESENTATIONS else None

    @property
    def measure(self) -> str | None:
        """What the figures are, `mAP` or `MRR`; None where there are none."""
        if any(self.map_of(name) for name in REPRESENTATIONS):
            return MEASURES["map"]
        return MEASURES[MRR] if any(self.instances_of(name, MRR) for name in REPRESENTATIONS) else None

    def figure_of(self, name: str, direction: str = "mean") -> Estimate | None:
        """mAP, or MRR where no test pair has a label."""
        if self.measure == MEASURES[MRR]:
            return self.instances_of(name, MRR, direction)
        return self.map_of(name, direction)

    def map_of(self, name: str, direction: str = "mean") -> Estimate | None:
        """mAP of one of `REPRESENTATIONS` or of `chance`; `image_to_text`, `text_to_image` or their mean."""
        return self._estimate("map", name, direction)

    def instances_of(self, name: str, figure: str, direction: str = "mean") -> Estimate | None:
        """A figure by instance, such as `mrr`: `FIGURES` of `dckt_core.evaluation.figures`."""
        return self._estimate("instances", name, direction, figure)

    def gain_over(self, name: str) -> Estimate | None:
        """What the result has more than `before`, `control` or `after`, paired, the mean of both directions; under
        `transfer`, what the network after transfer has more than its control.
        """
        return self._estimate("gain", name)

    def validation_of(self, name: str, measure: str) -> float | None:
        """What one of `REPRESENTATIONS` reaches on validation, the mean of both directions, if it is `measure`."""
        found = lookup(self.summary, "validation", name)
        figures = [lookup(found, direction) for direction in DIRECTIONS]
        known = [float(one) for one in figures if isinstance(one, int | float)]
        if MEASURES.get(str(lookup(found, "kind"))) != measure or len(known) < len(figures):
            return None
        return sum(known) / len(known)

    # --- the common space -----------------------------------------------------------------------------------

    @cached_property
    def parts(self) -> tuple[PartResult, ...]:
        """Every part that was asked for, those in the space first."""
        space = lookup(self.summary, "space")
        weights, widths, aside = (_table(lookup(space, name)) for name in ("weights", "widths", "aside"))
        left_out = [name for name in _list(lookup(space, "left_out")) if isinstance(name, str)]
        notes = [note for note in _list(lookup(space, "notes")) if len(_list(note)) == 2]

        def part(name: str, place: Place) -> PartResult:
            said = [str(text) for of, text in notes if of == name]
            if place == "aside":
                said.insert(0, str(aside[name]))
            alone, adds = (self._estimate("parts", name, what) for what in ("alone", "adds"))
            weight = weights.get(name)
            known = float(weight) if isinstance(weight, int | float) else None
            return PartResult(name, place, known, alone, adds, tuple(said))

        taken_in = [name for name in widths if name not in weights and name not in left_out]
        places: dict[Place, Sequence[str]] = {
            "in": list(weights), "taken in": taken_in, "left out": left_out, "aside": list(aside)
        }  # fmt: skip
        return tuple(part(name, place) for place, names in places.items() for name in names)

    def parts_at(self, place: Place) -> list[str]:
        """Names of the parts there."""
        return [part.name for part in self.parts if part.place == place]

    @property
    def left_out_by_validation(self) -> bool:
        """Whether parts were left out by what they do on labelled validation pairs; else because there are none."""
        return lookup(self.summary, "chosen_by", "parts") is not None

    @property
    def choices(self) -> list[str]:
        """What was chosen within the run, and by what: a sentence each, without its end."""
        by = {what: lookup(self.summary, "chosen_by", what) for what in CHOICES}
        return [f"{title} by {by[what]}" for what, title in CHOICES.items() if isinstance(by[what], str)]

    @property
    def untrained(self) -> str:
        """Why the run trained none of the method's networks; empty where it did."""
        reason = lookup(self.summary, "untrained")
        return reason if isinstance(reason, str) else ""

    @property
    def calibration(self) -> str | None:
        """How far the probabilities of hits are from the truth, in a clause; None where that was not measured."""
        by, error, first, bins = (lookup(self.summary, "calibration", key) for key in ("by", "error", "first", "bins"))
        if not isinstance(error, int | float):
            return None
        return (
            f"probabilities of hits, by {by}, are off by {error:.3f} on average among the first {first} of each test "
            f"query (expected calibration error in {bins} bins of equal width)"
        )

    # --- data -----------------------------------------------------------------------------------------------

    @property
    def offer(self) -> Offer:
        """What the target had for training."""
        target = lookup(self.summary, "target")
        counts = {title: lookup(target, "has", title) for title in (*HOLDINGS, NAMES)}
        rung = lookup(target, "rung", "number")
        return Offer(
            {title: count for title, count in counts.items() if isinstance(count, int) and count > 0},
            rung if isinstance(rung, int) and 0 <= rung < len(RUNGS) else None,
        )

    def _estimate(self, *keys: str) -> Estimate | None:
        value = lookup(self.summary, "test", *keys)
        if isinstance(value, int | float):
            return Estimate(float(value))
        if value is None:
            return None
        try:
            if value["interval"] is None:  # of one picture
                return Estimate(float(value["value"]))
            low, high = value["interval"]
            return Estimate(float(value["value"]), (float(low), float(high)))
        except (KeyError, TypeError, ValueError):
            raise DataError(f"{self.file}: not the summary of a run") from None


def signed(value: float, places: int = 3) -> str:
    """A gain, as it is printed; one that is nothing at so many places has no sign.

    >>> signed(0.0132), signed(-0.25), signed(-0.0004)
    ('+0.013', '-0.250', '0.000')
    """
    told = f"{value:+.{places}f}"
    return told if any(digit in told for digit in "123456789") else told[1:]


def lookup(table: Any, *keys: str) -> Any:
    """What nested tables hold under these keys; None where there is no such thing.

    >>> lookup({"test": {"map": 0.5}}, "test", "map"), lookup({"test": 3}, "test", "map")
    (0.5, None)
    """
    for key in keys:
        table = table.get(key) if isinstance(table, Mapping) else None
    return table


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []
