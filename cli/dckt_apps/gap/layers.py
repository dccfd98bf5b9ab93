"""How far apart the two domains lie in a run's networks, layer by layer: the rows that `dckt gap` compares."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor, nn

from dckt_apps.gap.drawn import drawn
from dckt_core.base.errors import DataError
from dckt_core.contract.names import LAYERS, is_common
from dckt_core.contract.pairs import ROLES, Role
from dckt_core.data.context import Context
from dckt_core.data.domain import SplitData
from dckt_core.evaluation.views import layer_outputs
from dckt_core.method.network import DomainNetwork
from dckt_core.runs.layout import Layout
from dckt_core.runs.model import Checkpoint, load_run

Statistics = Literal["running", "batch"]

SOURCE_OF: dict[Checkpoint, str] = {"before": "source-before", "control": "source", "after": "source"}
"""Which source network stands beside each target network. The control has none of its own, and meets the one that it
did not learn from."""


@dataclass(frozen=True)
class LayerRows:
    """The outputs of one layer for training pairs of both domains, each through its own network.

    Attributes:
        weight: of the discrepancy on this layer in the run's loss; 0 where none is attached.
        source, target: [stacked * n, d] and [stacked * m, d] for n and m pairs.
        stacked: 2 on common layers, where the image rows come first and the text rows in the same order; 1 elsewhere.
    """

    checkpoint: Checkpoint
    layer: str
    weight: float
    source: Tensor
    target: Tensor
    stacked: int


def layer_rows(
    run_dir: Path,
    context: Context,
    *,
    pairs: int,
    seed: int = 0,
    statistics: Statistics = "running",
    source: str | None = None,
    target: str | None = None,
    device: str = "cpu",
) -> Iterator[LayerRows]:
    """The rows of every checkpoint that is there and every layer; the same training pairs for all of them.

    Args:
        pairs: at most so many of each domain, drawn by `seed` where there are more.
        statistics: what the networks' BatchNorm goes by. "running": the averages that training left, as the networks
            are used. "batch": the rows at hand, all at once, as in training, where the discrepancy is minimised.
        source, target: where the data sets lie, if not where the configuration says.

    Raises:
        DataError: no run, an unfinished one, one without its networks, or a data set that is not there any more.
    """
    model = load_run(run_dir, context, checkpoint="after", source=source, target=target, device=device)
    model.target()
    data = {role: _drawn(model.setup.domain(role).train, pairs, seed) for role in ROLES}
    weights = model.config.loss.attachments()
    kept = Layout(Path(run_dir))
    whole: dict[Checkpoint, dict[Role, str]] = {
        checkpoint: {"source": of_source, "target": checkpoint} for checkpoint, of_source in SOURCE_OF.items()
    }
    there = {
        name: whats for name, whats in whole.items() if all(kept.checkpoint(what).exists() for what in whats.values())
    }
    if "after" not in there:
        missing = next(file for file in map(kept.checkpoint, whole["after"].values()) if not file.exists())
        raise DataError(f"{missing}: no such file")
    done, total = 0, len(there) * len(LAYERS)
    for checkpoint, whats in there.items():
        networks = {role: model.setup.kept_network(model.run_dir, what, role) for role, what in whats.items()}
        outputs = {role: _outputs(networks[role], data[role], statistics, model.device) for role in data}
        for layer in LAYERS:
            rows = {role: outputs[role](layer) for role in data}
            stacked = 2 if is_common(layer) else 1
            context.progress(done, total, "comparing layers")
            yield LayerRows(checkpoint, layer, weights.get(layer, 0.0), rows["source"], rows["target"], stacked)
            done += 1
            context.progress(done, total, "comparing layers")


def _outputs(
    network: DomainNetwork, data: SplitData, statistics: Statistics, device: torch.device
) -> Callable[[str], Tensor]:
    """The outputs of all pairs by layer."""
    if statistics == "running":
        return lambda layer: layer_outputs(network, data, layer, device)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.train()
    batch = data.batch(torch.arange(len(data)), device)
    with torch.no_grad():
        outputs = network(batch.image, batch.text)
    return lambda layer: cast(Tensor, getattr(outputs, layer)).cpu()


def _drawn(data: SplitData, pairs: int, seed: int) -> SplitData:
    """At most so many of the pairs."""
    if len(data) <= pairs:
        return data
    rows = drawn(len(data), pairs, seed)
    return SplitData([data.pairs[row] for row in rows.tolist()], data.image[rows], data.text[rows], data.labels[rows])
