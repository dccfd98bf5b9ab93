"""A trained run scored on a split of its target data set: what `dckt evaluate` does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from dckt_core.base.errors import DataError
from dckt_core.contract.pairs import Split
from dckt_core.contract.protocols import Representation
from dckt_core.data.contents import contents_of
from dckt_core.evaluation.directions import TASKS
from dckt_core.evaluation.tasks import Evaluation
from dckt_core.evaluation.tasks import evaluate as evaluate_pairs
from dckt_core.runs.model import TrainedModel, load


def evaluate(
    run: TrainedModel | Path | str,
    *,
    split: Split = "test",
    tasks: Sequence[str] = tuple(TASKS),
    ks: Sequence[int] = (),
    self_hit: bool = False,
) -> Evaluation:
    """Scores a run. Intervals of the result's summaries are drawn from the run's seed, where no other is given.

    Args:
        run: as `load` gives it, which is told of progress, device and checkpoint; or its folder.
        split: which pairs.
        tasks: which rankings, names out of `TASKS`; all six by default.
        ks: also precision, recall and average precision among so many of the best.
        self_hit: count a query as its own hit in a gallery that holds it, and leave nothing out.

    Raises:
        DataError: the split is empty, the data set is not where it was, or its pairs are not those that the run has
            seen and no target was named.
    """
    model = run if isinstance(run, TrainedModel) else load(run)
    model.check_unchanged(split)
    data = model.target()
    pairs = data.split(split)
    if not pairs:
        raise DataError(f"{data.origin}: split '{split}' is empty")
    view = Representation(
        model.encode_images([pair.image_item for pair in pairs], cache=True),
        model.encode_texts([pair.text_item for pair in pairs], cache=True),
    )
    return evaluate_pairs(
        view,
        torch.tensor(data.labels(pairs), dtype=torch.int64),
        [pair.id for pair in pairs],
        **contents_of(pairs)._asdict(),
        classes=data.label_space,
        tasks=tasks,
        ks=sorted(set(ks)),
        self_hit=self_hit,
        seed=model.config.seed,
    )
