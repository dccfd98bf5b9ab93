"""What `summary.json` holds: what the target offered, what became of the parts, validation, and test figures."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from dckt_core.contract.pairs import MEDIA, ROLES
from dckt_core.data.domain import Domain
from dckt_core.data.rungs import RUNGS, rung_of, training_holdings
from dckt_core.evaluation.scoring import Score, chooses_by
from dckt_core.method.state import Outcome
from dckt_core.runs.setup import Setup
from dckt_core.space.space import Space


def summarise(
    setup: Setup,
    outcome: Outcome | None,
    space: Space,
    *,
    reached: Score | None,
    test: dict[str, Any],
    calibration: dict[str, Any],
    seconds: float,
) -> dict[str, Any]:
    """A finished run, for `json.dumps`.

    Args:
        outcome: what training the method's networks came to, where they were trained.
        reached: the common space's validation score, where it is more than the network after transfer.
        test: as `score_test` gives it; empty where nothing was scored.
        calibration: what probabilities of hits were learnt `by`, and their expected `error` among the `first` hits of
            the test split; empty where validation could not tell.
        seconds: how long it took.
    """
    config, source, target = setup.config, setup.domain("source"), setup.domain("target")
    rung = rung_of(target.pair_set)
    without = setup.without_networks or "no part of the common space asks for them"
    return {
        "preset": config.preset,
        "seed": config.seed,
        "source": {
            "origin": source.pair_set.origin,
            "classes": source.classes,
            "train": len(source.train),
            **_rest(source),
        },
        "target": {
            "origin": target.pair_set.origin,
            "classes": target.classes,
            **{split: len(pairs) for split, pairs in target.splits.items()},
            **_rest(target),
            "rung": {"number": rung, "offers": RUNGS[rung]},
            "has": training_holdings(target.pair_set),
        },
        "features_alone": [medium for medium in MEDIA if setup.plugins.by_id(medium)],
        "space": space.describe(),
        "validation": _validation(outcome, reached),
        "chosen_by": _choices(target, outcome, space),
        "untrained": without if outcome is None else "",
        "negative_transfer": outcome is not None and outcome.harmed,
        "test": test,
        "calibration": calibration,
        "words": {
            role: {split: one.as_json() for split, one in found.items()} for role, found in setup.coverages.items()
        },
        "cut_texts": setup.cut_texts,
        "health": {
            role: [one.as_json() for one in (*setup.screened(role).findings, *setup.findings[role])] for role in ROLES
        },
        "dropped": {role: len(setup.screened(role).dropped) for role in ROLES},
        "seconds": seconds,
    }


def _rest(domain: Domain) -> dict[str, int]:
    """What a domain has for training beside labelled pairs."""
    return {
        "unlabelled": len(domain.unlabelled),
        "images alone": len(domain.lone["image"]),
        "texts alone": len(domain.lone["text"]),
    }


def _choices(target: Domain, outcome: Outcome | None, space: Space) -> dict[str, str]:
    """What validation chose, and by what; what it did not choose is not named."""
    data = target.splits.get("val")
    kind = chooses_by(data)
    if data is None or kind is None:
        return {}
    by = f"MRR of {len(data)} validation pairs, without labels"
    if kind == "map":
        by = f"mAP of {int((data.labels >= 0).sum())} labelled validation pairs"
    chosen = {"iteration": by} if outcome is not None else {}
    if kind == "map" and len(space.description.weights) + len(space.description.left_out) > 1:
        chosen["parts"] = by
    return chosen


def _validation(outcome: Outcome | None, reached: Score | None) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if outcome is not None:
        said["before"] = asdict(outcome.before) | {"iteration": 0}
        for what, best in (("control", outcome.control), ("after", outcome.after)):
            if best is not None:
                said[what] = asdict(best.score) | {"iteration": best.iteration}
    if reached is not None:
        said["space"] = asdict(reached)
    return said
