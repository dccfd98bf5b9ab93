"""What came out of a run: every representation that was made, scored once on the test split, each with its control."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dckt_core.contract.protocols import Representation
from dckt_core.data.domain import SplitData
from dckt_core.evaluation.ranking import bootstrap_interval, chance_ap
from dckt_core.evaluation.scoring import DIRECTIONS, pair_aps
from dckt_core.evaluation.views import Encodes, represent
from dckt_core.method.space import Space


def score_test(
    networks: Mapping[str, Encodes],
    space: Space | None,
    data: SplitData,
    device: torch.device,
    generator: torch.Generator,
) -> dict[str, Any]:
    """The table of a run. Intervals are 95 % bootstrap intervals over pairs, all from the same resamples.

    Args:
        networks: the method's, by `before`, `control` and `after`, as far as they were trained.
        space: the common space, where it is more than the network after transfer.

    Returns:
        `map`: by chance, of every network and of the `space`; `gain`: what the result gains over the others, and
        under `transfer` what transfer gave the network; `parts`: of the space, each alone and what it adds.
    """
    start = generator.get_state()
    labelled = data.labels >= 0
    labels = data.labels[labelled]

    def aps(encodes: Encodes) -> Tensor:
        view = represent(encodes, data, device)
        return pair_aps(Representation(view.image[labelled], view.text[labelled]), labels)

    def estimate(values: Tensor) -> dict[str, Any]:
        resamples = torch.Generator()
        resamples.set_state(start)
        return {"value": float(values.mean()), "interval": list(bootstrap_interval(values, resamples))}

    rows = {name: aps(network) for name, network in networks.items()}
    if space is not None:
        rows["space"] = aps(space)
    result = "space" if space is not None else "after"
    chance = float(chance_ap((labels == labels[:, None]).sum(dim=1), len(labels)).mean())
    table: dict[str, Any] = {"chance": dict.fromkeys((*DIRECTIONS, "mean"), chance)}
    for name, values in rows.items():
        columns = dict(zip(DIRECTIONS, values.unbind(dim=1), strict=True)) | {"mean": values}
        table[name] = {column: estimate(data) for column, data in columns.items()}
    gain = {name: estimate(rows[result] - values) for name, values in rows.items() if name != result}
    if result == "space" and "after" in rows:
        gain["transfer"] = estimate(rows["after"] - rows["control" if "control" in rows else "before"])
    parts = {}
    if space is not None:
        names = list(space.description.weights)
        for name in names:
            parts[name] = {"alone": estimate(aps(space.alone(name)))}
            if len(names) > 1:
                parts[name]["adds"] = estimate(rows["space"] - aps(space.without([name])))
    return {"result": result, "map": table, "gain": gain, "parts": parts}
