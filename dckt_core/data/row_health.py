"""What features tell of the items that they are of: nothing at all, or that two splits have the same ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from dckt_core.contract.pairs import MEDIA, Medium, Pair, Role
from dckt_core.data.domain import Domain
from dckt_core.data.findings import Finding, first

BLOCK = 1 << 14
"""Rows that are looked at once."""
MIN_ROWS = 100
"""Of fewer nothing is said of features that are constant."""

Part = tuple[str, Sequence[Pair], Tensor]
"""What some rows [n, d] are of: a split, and the pairs."""


def of_rows(domain: Domain, medium: Medium) -> Iterator[Finding]:
    """Rows that are all zero, and features that are the same in all of a domain's rows."""
    parts = list(parts_of(domain, medium))
    total = sum(len(rows) for _, _, rows in parts)
    zero = [pair.id for _, pairs, rows in parts for pair, at in zip(pairs, _is_zero(rows), strict=True) if at]
    if zero:
        what = f"{len(zero)} of {total} rows of {medium} features are all zero"
        advice = "such an item is like no other and found by chance: was it left out when the features were made?"
        yield Finding("zero rows", what, len(zero), total, first(map(repr, zero)), advice)
    if total >= MIN_ROWS:
        low = torch.stack([rows.amin(dim=0) for _, _, rows in parts if len(rows)]).amin(dim=0)
        high = torch.stack([rows.amax(dim=0) for _, _, rows in parts if len(rows)]).amax(dim=0)
        constant = (low == high).nonzero().flatten().tolist()
        if constant:
            what = f"{len(constant)} of {len(low)} {medium} features are the same in all {total} rows"
            named = first(f"feature {number}" for number in constant)
            yield Finding("constant features", what, len(constant), len(low), named, "", len(constant) == len(low))


def shared_rows(source: Domain, target: Domain, medium: Medium) -> Iterator[Finding]:
    """Rows of one medium of the target's val and test that are equal to one that is learnt from, bit by bit.

    Of pictures `leaks` tells the same and more; of files of features this is all that can be told.
    """
    for whose, domain in (("", target), (" of the source", source)):
        learnt = {row for split, _, rows in parts_of(domain, medium) if split == "train" for row in _names(rows)}
        learnt.discard(b"")
        for split, pairs, rows in parts_of(target, medium):
            if split == "train":
                continue
            found = [pair.id for pair, name in zip(pairs, _names(rows), strict=True) if name in learnt]
            if found:
                what = (
                    f"{len(found)} of {len(pairs)} {split} pairs have the {medium} features of a training item{whose}"
                )
                counts = len(found), len(pairs), first(map(repr, found))
                if medium == "image":
                    advice = "figures on them tell what was memorised: leave them out on one side"
                    yield Finding("shared features", what, *counts, advice)
                else:  # short texts are equal by chance
                    yield Finding("shared features", what, *counts, grave=False)


def examine_rows(domains: Mapping[Role, Domain], by_id: Sequence[Medium] = ()) -> dict[Role, list[Finding]]:
    """What the features of a run's domains tell, by role; of inputs of an encoder that trains along nothing.

    Args:
        by_id: media whose features were read from files, so that nothing else tells what is equal.
    """
    found = {role: [one for medium in MEDIA for one in of_rows(domain, medium)] for role, domain in domains.items()}
    for medium in MEDIA:
        if medium == "image" or medium in by_id:
            found["target"] += shared_rows(domains["source"], domains["target"], medium)
    return found


def parts_of(domain: Domain, medium: Medium) -> Iterator[Part]:
    """The feature rows of a domain: train (with and without a label, and those alone), val and test."""
    data = [("train", domain.train), ("train", domain.unlabelled)]
    data += [(str(split), one) for split, one in domain.splits.items() if split != "train"]
    for split, one in data:
        rows = getattr(one, medium)
        if len(one) and isinstance(rows, Tensor) and rows.ndim == 2 and rows.is_floating_point():
            yield split, one.pairs, rows
    alone = domain.lone[medium]
    if len(alone) and isinstance(alone.rows, Tensor) and alone.rows.ndim == 2:
        yield "train", alone.items, alone.rows


def _is_zero(rows: Tensor) -> list[bool]:
    zero: list[bool] = (rows == 0).all(dim=1).tolist()
    return zero


def _names(rows: Tensor) -> Iterator[bytes]:
    """Something for each row that equal rows share; nothing for one that is all zero."""
    for start in range(0, len(rows), BLOCK):
        block = (rows[start : start + BLOCK] + 0.0).contiguous()
        for row, zero in zip(block.numpy(), _is_zero(block), strict=True):
            yield b"" if zero else hashlib.blake2b(row.tobytes(), digest_size=16).digest()
