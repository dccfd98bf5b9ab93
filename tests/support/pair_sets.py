"""Data sets of made-up pairs, for tests that look at labels and splits alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dckt_core.contract.pairs import Pair, PairSet

ALONE: dict[str, dict[str, None]] = {"I": {"text": None}, "T": {"image": None}}


def pair_set(origin: str, **splits: str) -> PairSet:
    """A data set from one letter a pair: `train="aab"` is three train pairs of classes a, a, b; - has no label, I is
    an image alone and T a text alone, both without a label."""
    pairs = [
        replace(
            Pair(f"{split}{number}", Path("x.png"), "text", None if label in "-IT" else label, split),  # type: ignore[arg-type]
            **ALONE.get(label, {}),
        )
        for split, labels in splits.items()
        for number, label in enumerate(labels)
    ]
    return PairSet(origin, origin, pairs)
