"""What the sampler chose: how much it kept, how well that was placed, and which pairs were easy or hard."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dckt_apps.report.curves import Series, selected
from dckt_apps.report.material import Material
from dckt_apps.report.pictures import Picture, embed
from dckt_core.base.errors import DataError, DcktError
from dckt_core.contract.pairs import Pair
from dckt_core.runs.record import Choice, RunRecord

EXAMPLES = 5
"""Easy pairs, and as many hard ones."""

MEASURES = {"ap": 1, "keep_rate": 1, "loss": -1}
"""Which of the sampler's values orders pairs, the first that there is: 1 where the easy ones have more of it."""

TIMES_KEPT = "times kept"
"""What orders them where there is none of these."""


@dataclass(frozen=True)
class Example:
    """A target pair with what the sampler thought of it in the last iteration."""

    id: str
    label: str
    text: str
    picture: Picture
    value: float
    kept: int
    iterations: int


@dataclass(frozen=True)
class Curriculum:
    """The choices of a run.

    Attributes:
        share: of the target pairs that was kept, by iteration.
        values: mean of `measure` over the kept and the left pairs, by iteration; empty where the sampler tells nothing.
        measure: what orders the examples: a value of the sampler's, or `times kept`.
        easy, hard: the easiest and the hardest first.
        missing: why there are no examples; empty where there are.
    """

    share: Series
    values: list[Series]
    measure: str
    easy: list[Example] = field(default_factory=list)
    hard: list[Example] = field(default_factory=list)
    missing: str = ""


def curriculum(record: RunRecord, material: Material) -> Curriculum:
    """Raises DataError where no choice was written down."""
    choices = record.selection
    if not choices:
        raise DataError(f"{record.path.name} has no selection.csv; the 'csv' observer writes it")
    by_iteration: dict[int, list[Choice]] = defaultdict(list)
    for choice in choices:
        by_iteration[choice.iteration].append(choice)
    shares = {n: sum(choice.kept for choice in rows) / len(rows) for n, rows in sorted(by_iteration.items())}
    last = by_iteration[max(by_iteration)]
    measure = next((name for name in MEASURES if all(name in choice.details for choice in last)), TIMES_KEPT)
    kept = {choice.id: 0 for choice in last}
    for choice in choices:
        kept[choice.id] = kept.get(choice.id, 0) + choice.kept
    share = Series("kept", list(shares), list(shares.values()))
    values = selected(record.metrics, {f"{measure}_kept": "kept", f"{measure}_left": "left"})
    try:
        pairs = {pair.id: pair for pair in material.target().split("train")}
    except DcktError as error:
        return Curriculum(share, values, measure, missing=str(error))
    rated = [(choice.details.get(measure, float(kept[choice.id])), choice.id) for choice in last if choice.id in pairs]
    easy, hard = highest_and_lowest(rated, {key: pairs[key].label or "" for _, key in rated})
    if MEASURES.get(measure, 1) < 0:
        easy, hard = hard, easy

    def examples(some: Sequence[tuple[float, str]]) -> list[Example]:
        return [_example(pairs[key], value, kept[key], len(shares)) for value, key in some]

    return Curriculum(share, values, measure, examples(easy), examples(hard))


def highest_and_lowest(
    rated: Sequence[tuple[float, str]], classes: Mapping[str, str], count: int = EXAMPLES
) -> tuple[list[tuple[float, str]], list[tuple[float, str]]]:
    """Pairs of the upper half, highest first, and of the lower half, lowest first, of as many classes as there are: a
    class comes again when every other of its half has come as often.

    Of equal values, the first in the data set comes first.

    Args:
        classes: of each pair.
    """
    half = len(rated) // 2
    count = min(count, half)
    order = sorted(rated, key=lambda one: -one[0])
    upper = {key for _, key in order[:half]}
    low_first = sorted((one for one in rated if one[1] not in upper), key=lambda one: one[0])
    high, low = _spread(order[:half], classes)[:count], _spread(low_first[:half], classes)[:count]
    return sorted(high, key=lambda one: -one[0]), sorted(low, key=lambda one: one[0])


def _spread(rated: Sequence[tuple[float, str]], classes: Mapping[str, str]) -> list[tuple[float, str]]:
    """The first of each class, then the second of each, and so on."""
    come: dict[str, int] = defaultdict(int)
    rounds: list[int] = []
    for _, key in rated:
        rounds.append(come[classes[key]])
        come[classes[key]] += 1
    return [rated[row] for row in sorted(range(len(rated)), key=lambda row: rounds[row])]


def _example(pair: Pair, value: float, kept: int, iterations: int) -> Example:
    text, picture = pair.text_item.text, embed(pair.image_item.path)
    return Example(pair.id, pair.label or "", text, picture, value, kept, iterations)
