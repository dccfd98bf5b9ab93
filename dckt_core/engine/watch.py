"""Notices a loss or gradient that is not finite before an optimizer spreads it over the weights.

Nothing is looked at until an update's batches have all passed; then one scalar says whether the update may be made.
The details are searched for only where it may not. All processes of a run come to the same answer together, so none
waits for another that has given up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from dckt_core.base.errors import DivergedError
from dckt_core.base.progress import logger
from dckt_core.config import Config
from dckt_core.engine.processes import Engine
from dckt_core.engine.record import Loss

IDS_SHOWN = 4
"""Pairs of a batch that an error names; the log names all of them."""

Seen = list[tuple[Loss, Callable[[], list[str]]]]


@dataclass(frozen=True)
class Fault:
    """What was not finite, in words, and the ids of the pairs of the batch in which it showed."""

    what: str
    ids: list[str]


class Learning(Protocol):
    """What is looked after: the modules that learn, by the names of their optimizers."""

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]: ...

    @property
    def at(self) -> At: ...

    def learning(self, name: str, /) -> nn.Module: ...

    def weights(self) -> Mapping[str, Mapping[str, Tensor]]: ...


class At(Protocol):
    """Where a training is."""

    @property
    def phase(self) -> str: ...

    @property
    def update(self) -> int: ...


class Watch:
    """Looks after the updates of one training, on every process of it, and says what went wrong.

    Args:
        config: where the rates stand that a message advises about.
        discrepancy: who is named where the discrepancy is to blame.
    """

    def __init__(self, engine: Engine, config: Config, discrepancy: object) -> None:
        self._engine = engine
        self._config = config
        self._discrepancy = discrepancy
        self._seen: Seen = []

    def check_update(self, state: Learning, phase: str, update: int, again: Callable[[], Loss] | None) -> None:
        """Passes where the losses seen since the last call and the gradients of all that learns are finite.

        again: makes the last joint loss anew, of which the discrepancy is a term.

        Raises:
            DivergedError: one is not; nothing was applied yet.
        """
        modules = {name: state.learning(name) for name in state.optimizers}
        fault = self.fault(modules)
        if fault is not None:
            learnt = [weight for module in modules.values() for weight in module.parameters()]
            raise self._diverged(phase, update, fault, blames_discrepancy(fault, again, learnt))

    def check_weights(self, state: Learning) -> None:
        """Passes where weights and momentum are finite, before they are kept or scored.

        Raises:
            DivergedError: a last update spoilt them.
        """
        states = ((f"{part}.{name}", value) for part, own in state.weights().items() for name, value in own.items())
        guilty = next((name for name in self._engine.from_all(first_not_finite(states)) if name), None)
        if guilty is not None:
            fault = Fault(f"'{guilty}' holds numbers that are not finite", [])
            raise self._diverged(state.at.phase, state.at.update, fault, blames_discrepancy(fault, None, []))

    def _diverged(self, phase: str, update: int, fault: Fault, by_discrepancy: bool) -> DivergedError:
        """The error that names the update, what is not finite, the pairs, and the option to try."""
        batch = ""
        if fault.ids:
            logger.info("%s, update %d: the batch was %s", phase, update, ", ".join(fault.ids))
            more = len(fault.ids) - IDS_SHOWN
            batch = f" (batch of {', '.join(fault.ids[:IDS_SHOWN])}{f' and {more} more' if more > 0 else ''})"
        name = phase.split()[0]
        rate = {"pretrain": self._config.pretrain, "transfer": self._config.transfer}[name].lr
        advice = f"try a lower rate, such as {name}.lr = {rate / 10:g}"
        what = fault.what
        if by_discrepancy:
            what += f", which {self._discrepancy} gave"
            advice += ", or a smaller loss.media.weight and loss.correlation.weight"
        if self._config.precision == "fp16":
            advice += ", or precision = 'bf16'"
        return DivergedError(f"{phase}, update {update}: {what}{batch}; {advice}")

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


def blames_discrepancy(fault: Fault, again: Callable[[], Loss] | None, learnt: Sequence[Tensor]) -> bool:
    """Whether what is not finite is the discrepancy's own value, or comes with its gradient alone."""
    if "'discrepancy_" in fault.what:
        return True
    if "the gradient of" not in fault.what or again is None:
        return False
    terms = again().terms  # once more: nothing was applied, and nothing will be
    values = [value for name, value in terms.items() if name.startswith("discrepancy_")]
    if not values:
        return False
    gradients = torch.autograd.grad(values, learnt, allow_unused=True)
    return first_not_finite(("", gradient) for gradient in gradients if gradient is not None) is not None


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
