"""What came out of a run: every representation that was made, scored once on the test split, each with its control."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from dckt_core.contract.protocols import Representation, Represents
from dckt_core.data.contents import contents_of
from dckt_core.data.domain import SplitData
from dckt_core.evaluation.scoring import Comparison
from dckt_core.evaluation.views import batches, represent
from dckt_core.space.space import Space


def score_test(
    networks: Mapping[str, Callable[[], Represents]],
    space: Space | None,
    data: SplitData,
    device: torch.device,
    generator: torch.Generator,
) -> dict[str, Any]:
    """The tables of a run. Intervals are 95 % bootstrap intervals over pictures, all from the same resamples.

    Args:
        networks: make the method's, by `before`, `control` and `after`, as far as they were trained; one is there at a
            time.
        space: the common space, where it is more than the network after transfer.

    Returns:
        `map` and `instances`: by chance, of every network and of the `space`, by class and by partner; `gain`: what the
        result gains over the others, and under `transfer` what transfer gave the network; `parts`: of the space, each
        alone and what it adds. Gains and parts are told in mAP, or in MRR where no pair has a label, as `kind` says.
    """
    comparison = Comparison(data.labels, generator, contents_of(data.pairs))

    rows = {name: comparison.look(represent(network(), data, device)) for name, network in networks.items()}
    seen = None if space is None else SeenByParts(space, data, device)
    if space is not None and seen is not None:
        rows["space"] = comparison.look(seen.through(space))
    result = "space" if space is not None else "after"
    gain = {name: comparison.gain(rows[result], row) for name, row in rows.items() if name != result}
    if result == "space" and "after" in rows:
        gain["transfer"] = comparison.gain(rows["after"], rows["control" if "control" in rows else "before"])
    parts = {}
    if space is not None and seen is not None:
        names = list(space.description.weights)
        for name in names:
            parts[name] = {"alone": comparison.figure(comparison.look(seen.through(space.alone(name))))}
            if len(names) > 1:
                others = comparison.look(seen.through(space.without([name])))
                parts[name]["adds"] = comparison.gain(rows["space"], others)
    return {"result": result, **comparison.tables(rows), "gain": gain, "parts": parts}


class SeenByParts:
    """A split as every part of a space sees it, computed once for the space and for all that are made of its parts."""

    def __init__(self, space: Space, data: SplitData, device: torch.device) -> None:
        self._batches = [
            (space.rows("image", data.image[rows].to(device)), space.rows("text", data.text[rows].to(device)))
            for rows in batches(len(data))
        ]

    def through(self, space: Space) -> Representation:
        """What such a space makes of the split: the same bits as if it had encoded it."""
        images, texts = zip(*((space.join(image), space.join(text)) for image, text in self._batches), strict=True)
        return Representation(torch.cat(images), torch.cat(texts))
