"""Few-shot work: at most N training pairs a class, drawn by the seed. No torch before it is needed."""

from __future__ import annotations

from dataclasses import replace

from dckt_core.contract.pairs import PairSet


def few_shot(pair_set: PairSet, shots: int, *, seed: int) -> PairSet:
    """The same data set with at most `shots` training pairs a class; validation and test are left alone.

    Each class is put into a random order by a generator of its own, and its first `shots` pairs are taken. So draws
    of one seed are nested (5 shots are among the 10), and another class or its size changes nothing. A class that
    has fewer keeps all. What is kept stays in manifest order.
    """
    import torch

    from dckt_core.base.rng import generator_for

    of_class: dict[str, list[int]] = {}
    for row, pair in enumerate(pair_set.pairs):
        if pair.split == "train" and pair.label is not None:
            of_class.setdefault(pair.label, []).append(row)
    left: set[int] = set()
    for label, rows in of_class.items():
        order = torch.randperm(len(rows), generator=generator_for(seed, f"shots of {label}"))
        left |= {rows[number] for number in order[shots:].tolist()}
    return replace(pair_set, pairs=[pair for row, pair in enumerate(pair_set.pairs) if row not in left])
