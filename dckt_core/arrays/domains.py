"""From arrays to a domain as a training sees it, with counts of what is unknown and equal in them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from dckt_core.arrays.given import Given, Pairs
from dckt_core.arrays.labels import Label
from dckt_core.contract.pairs import MEDIA, SPLITS, Medium, Pair, PairSet, Role, Split
from dckt_core.data.domain import Domain, domain_of
from dckt_core.data.inputs import Inputs


def equal_numbers(rows: Tensor) -> list[int]:
    """For rows [n, d] the number of the first one that is equal to each."""
    first: dict[bytes, int] = {}
    return [first.setdefault(digest, number) for number, digest in enumerate(_digests(rows))]


def _digests(rows: Tensor) -> list[bytes]:
    array = (rows + 0.0).numpy()  # negative zeros become zeros
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in array]


def as_domain(role: Role, given: Given, widths: Mapping[Medium, int]) -> Domain:
    """The domain, its pairs in the order in which they were given; classes are numbered in that of `given.classes`.

    Equal rows are the same picture, or the same text.
    """
    builder = _Builder(role, given, widths)
    known = {builder.spelt(label): builder.named(label) for label in given.classes}
    pairs = [*builder.pairs("train", given.pairs), *builder.lone(), *builder.pairs("val", given.validation)]
    pair_set = PairSet(role, "as given", pairs, known)
    return domain_of(role, pair_set, ("train",) if role == "source" else SPLITS, builder.inputs)


def notes(role: Role, given: Given) -> Iterator[str]:
    """What is unknown and what is equal, counted."""
    for what, pairs in (("pairs", given.pairs), ("validation pairs", given.validation)):
        if pairs is not None:
            known = pairs.known
            yield f"{role}: {len(pairs)} {what}, {len(known)} of them labelled, {len(set(known))} classes"
            yield from _equal(f"{role} {what}, images", pairs.images)
            yield from _equal(f"{role} {what}, texts", pairs.texts)
    for medium, rows in given.lone.items():
        yield f"{role}: {len(rows)} unpaired {medium}s"
        yield from _equal(f"{role} unpaired {medium}s", rows)
    if given.names:
        count = sum(map(len, given.names.values()))
        yield f"{role}: {count} name{'s' * (count != 1)} of {len(given.names)} classes"


def leaks(source: Given, target: Given) -> Iterator[str]:
    """How many of the validation pairs' rows are learnt from, too, by either domain."""
    if target.validation is None:
        return
    for medium in MEDIA:
        held = _digests(target.validation.rows(medium))
        for role, given in (("target", target), ("source", source)):
            learnt = [given.pairs.rows(medium)] if given.pairs is not None else []
            learnt += [rows for of, rows in given.lone.items() if of == medium]
            known = {digest for rows in learnt for digest in _digests(rows)}
            if count := sum(digest in known for digest in held):
                yield f"validation {medium}s: {count} of {len(held)} rows are learnt from in the {role}, too"


def _equal(what: str, rows: Tensor) -> Iterator[str]:
    repeated = len(rows) - len(set(equal_numbers(rows)))
    if repeated:
        yield f"{what}: {repeated} of {len(rows)} rows are equal to an earlier one"
    zero = int((rows == 0).all(dim=1).sum())
    if zero:
        yield f"{what}: {zero} of {len(rows)} rows are zero, and have cosine 0 to everything"


class _Builder:
    """Pairs that stand for rows, and the rows that they stand for."""

    def __init__(self, role: Role, given: Given, widths: Mapping[Medium, int]) -> None:
        self.role, self.given = role, given
        every = {*given.classes, *(given.validation.known if given.validation else [])}
        self._numbers: dict[Label, int] = {label: number for number, label in enumerate(sorted(every))}
        self._places: dict[Medium, dict[str, int]] = {medium: {} for medium in MEDIA}
        self._blocks: dict[Medium, list[Tensor]] = {medium: [torch.empty(0, widths[medium])] for medium in MEDIA}
        self._rows: dict[Medium, Tensor] = {}

    def spelt(self, label: Label) -> str:
        """A label as one of a pair set, which sorts as `labels` do."""
        return f"{self._numbers[label]:09}"

    def named(self, label: Label) -> tuple[str, ...]:
        """Stand-ins for the names of a class; none where it has none."""
        rows = self.given.names.get(label)
        names = tuple(f"{self.spelt(label)}, name {number}" for number in range(0 if rows is None else len(rows)))
        if rows is not None:
            self._keep("text", [f"name:{name}" for name in names], rows)
        return names

    def pairs(self, split: Split, pairs: Pairs | None) -> list[Pair]:
        if pairs is None:
            return []
        ids = [f"{split} {number}" for number in range(len(pairs))]
        self._keep("image", ids, pairs.images)
        self._keep("text", ids, pairs.texts)
        shown = zip(ids, equal_numbers(pairs.images), equal_numbers(pairs.texts), pairs.labels, strict=True)
        return [
            Pair(
                key,
                Path(f"{split} image {image}"),
                f"{split} text {text}",
                None if label is None else self.spelt(label),
                split,
                role=self.role,
            )
            for key, image, text, label in shown
        ]

    def lone(self) -> list[Pair]:
        made = []
        for medium, rows in self.given.lone.items():
            ids = [f"unpaired {medium} {number}" for number in range(len(rows))]
            self._keep(medium, ids, rows)
            of_image = medium == "image"
            made += [
                Pair(key, Path(key) if of_image else None, None if of_image else key, None, "train", role=self.role)
                for key in ids
            ]
        return made

    def inputs(self, medium: Medium, pairs: Sequence[Pair]) -> Inputs:
        """The rows of some pairs; a view where they lie together."""
        if medium not in self._rows:
            self._rows[medium] = torch.cat(self._blocks.pop(medium))
        places = [self._places[medium][pair.id] for pair in pairs]
        if places and places == list(range(places[0], places[0] + len(places))):
            return self._rows[medium][places[0] : places[0] + len(places)]
        return self._rows[medium][torch.tensor(places, dtype=torch.int64)]

    def _keep(self, medium: Medium, ids: Sequence[str], rows: Tensor) -> None:
        known = self._places[medium]
        known.update(zip(ids, range(len(known), len(known) + len(ids)), strict=True))
        self._blocks[medium].append(rows)
