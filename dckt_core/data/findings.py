"""What is no error of data and seldom meant: how often it was found, where first, and what to do. No torch in here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dckt_core.base.errors import one_line

FIRST = 3
"""Places that are named."""

_COUNTS = ("count", "of", "grave")


@dataclass(frozen=True)
class Finding:
    """One kind of thing that was found in a data set, or in two.

    Attributes:
        kind: its name, for programs: `shared pictures`.
        what: in words, with the counts.
        count: how many pairs, items, labels or features it concerns.
        of: how many there are of these.
        places: the first of them, as people know them.
        advice: what to do; empty where that is plain.
        grave: whether figures or what is learnt suffer from it. Others are worth knowing.
    """

    kind: str
    what: str
    count: int
    of: int
    places: tuple[str, ...] = ()
    advice: str = ""
    grave: bool = True

    def __str__(self) -> str:
        more = ", ..." if self.places and self.count > len(self.places) else ""
        where = f" ({', '.join(self.places)}{more})" if self.places else ""
        return one_line(f"{self.what}{where}{f'; {self.advice}' if self.advice else ''}")

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "what": self.what,
            "count": self.count,
            "of": self.of,
            "places": list(self.places),
            "advice": self.advice,
            "grave": self.grave,
        }


def of_json(said: object) -> list[Finding]:
    """Findings that were written down; none where that is something else."""
    found = []
    for one in said if isinstance(said, list) else []:
        if not isinstance(one, dict) or one.keys() != Finding.__dataclass_fields__.keys():
            continue
        texts = [one["kind"], one["what"], one["advice"], *(one["places"] if isinstance(one["places"], list) else [0])]
        if all(isinstance(text, str) for text in texts) and all(isinstance(one[name], int) for name in _COUNTS):
            found.append(Finding(**{**one, "places": tuple(one["places"])}))
    return found


def first(names: Iterable[str]) -> tuple[str, ...]:
    """The first few of some names."""
    return tuple(name for _, name in zip(range(FIRST), names, strict=False))
