"""Notices a loss or gradient that is not finite before an optimizer spreads it over the weights.

Nothing is looked at until an update's batches have all passed; then one scalar says whether the update may be made.
The details are searched for only where it may not. All processes of a run come to the same answer together, so none
waits for another that has given up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dckt_core.engine.processes import Engine
from dckt_core.engine.record import Loss

Seen = list[tuple[Loss, Callable[[], list[str]]]]


@dataclass(frozen=True)
class Fault:
    """What was not finite, in words, and the ids of the pairs of the batch in which it showed."""

    what: str
    ids: list[str]


class Watch:
    """Looks after the updates of one training, on every process of it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seen: Seen = []

    def saw(self, loss: Loss, ids: Callable[[], list[str]]) -> None:
        """Takes note of a batch's loss; `ids` gives the batch's pairs, should anybody want to know."""
        self._seen.append((loss, ids))

    def fault(self, modules: Mapping[str, nn.Module]) -> Fault | None:
        """What is not finite in the losses seen since the last call, or in the modules' gradients; None if all is."""
        seen, self._seen = self._seen, []
        gradients = [parameter.grad for module in modules.values() for parameter in module.parameters()]
        numbers = [loss.total.detach() for loss, _ in seen]
        if not self._engine.scales_loss:  # fp16 leaves out an update whose gradients overflow, and tries another scale
            numbers += [torch.linalg.vector_norm(gradient) for gradient in gradients if gradient is not None]
        doubt = ~torch.isfinite(torch.stack([number.float() for number in numbers]).sum())
        if not bool(self._engine.mean(doubt.float())):
            return None
        for found in (_bad_loss(seen), _bad_gradient(seen, modules)):
            if fault := next((fault for fault in self._engine.from_all(found) if fault), None):
                return fault
        return None


def first_not_finite(tensors: Iterable[tuple[str, Tensor]]) -> str | None:
    """The name of the first tensor with a value that is not finite."""
    return next((name for name, tensor in tensors if not _finite(tensor)), None)


def _finite(tensor: Tensor) -> bool:
    if not tensor.is_floating_point():
        return True
    # A norm is quick, and not finite where any value is not; the reverse need not hold, since squares overflow.
    return math.isfinite(torch.linalg.vector_norm(tensor.detach())) or bool(torch.isfinite(tensor).all())


def _bad_loss(seen: Seen) -> Fault | None:
    for loss, ids in seen:
        if not torch.isfinite(loss.total):
            guilty = next((name for name, term in loss.terms.items() if not torch.isfinite(term)), "total")
            value = float(loss.terms.get(guilty, loss.total).detach())
            return Fault(f"the loss term '{guilty}' is {value}", ids())
    return None


def _bad_gradient(seen: Seen, modules: Mapping[str, nn.Module]) -> Fault | None:
    gradients = (
        (f"{role}.{name}", parameter.grad)
        for role, module in modules.items()
        for name, parameter in module.named_parameters()
        if parameter.grad is not None
    )
    guilty = first_not_finite(gradients)
    if guilty is None:
        return None
    what = f"every loss is finite, but the gradient of '{guilty}' is not"
    return Fault(what, [pair for _, ids in seen for pair in ids()])
