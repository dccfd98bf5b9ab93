"""The contract at run time: what plugins' objects give is checked, and what they raise is put down to them.

The engine calls samplers, discrepancies and observers only through these. Each names its plugin in every error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dckt_core.base.errors import DataError, PluginError, describe, one_line
from dckt_core.contract.discovery import Registered, blame
from dckt_core.contract.formula import Formula, Value
from dckt_core.contract.pairs import Medium
from dckt_core.contract.protocols import (
    Discrepancy,
    LayerwiseDiscrepancy,
    Material,
    Observer,
    Part,
    Sampler,
    SamplerState,
    Selection,
    StepAsideError,
)
from dckt_core.contract.specs import PartSpec

INDEX_METHODS = ("add", "remove", "search", "save", "load", "__len__")


class GuardedSampler:
    """A sampler whose selections are known to be good."""

    def __init__(self, sampler: Sampler, plugin: Registered) -> None:
        require_methods("a sampler", sampler, "select", "state_dict", "load_state_dict")
        self._sampler, self._plugin = sampler, plugin

    def select(self, state: SamplerState, /) -> Selection:
        """The sampler's selection.

        Raises:
            PluginError: it is no Selection, holds no rows or rows out of range, or details of a wrong shape.
        """
        with blame(self._plugin):
            selection = self._sampler.select(state)
            if not isinstance(selection, Selection):
                raise PluginError(f"select must return a Selection, not {type(selection).__name__}")
            check_rows(selection.indices, len(state.labels), "target")
            if selection.source_indices is not None:
                check_rows(selection.source_indices, len(state.source_labels), "source")
            for name, values in selection.details.items():
                if not isinstance(values, Tensor) or values.shape != state.labels.shape:
                    raise PluginError(f"detail '{name}' must be a tensor of shape {tuple(state.labels.shape)}")
        return selection

    def state_dict(self) -> dict[str, Any]:
        with blame(self._plugin):
            return self._sampler.state_dict()

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        with blame(self._plugin):
            self._sampler.load_state_dict(state)


class GuardedDiscrepancy:
    """A discrepancy whose values are known to be differentiable scalars, one a layer."""

    def __init__(self, discrepancy: Discrepancy, plugin: Registered) -> None:
        self._discrepancy, self._plugin = discrepancy, plugin

    @property
    def plugin(self) -> Registered:
        """Who is to blame."""
        return self._plugin

    @property
    def module(self) -> nn.Module | None:
        """The discrepancy itself, where it has parameters to train."""
        owner = self._discrepancy
        trains = isinstance(owner, nn.Module) and any(p.requires_grad for p in owner.parameters())
        return owner if trains and isinstance(owner, nn.Module) else None

    def state_dict(self) -> dict[str, Tensor]:
        """What the discrepancy remembers, named tensors; empty where it has no `state_dict`."""
        with blame(self._plugin):
            return dict(self._discrepancy.state_dict()) if hasattr(self._discrepancy, "state_dict") else {}

    def load_state_dict(self, state: Mapping[str, Tensor], /) -> None:
        with blame(self._plugin):
            if hasattr(self._discrepancy, "load_state_dict"):
                self._discrepancy.load_state_dict(state)

    def many(self, layers: Mapping[str, tuple[Tensor, Tensor]], progress: float) -> Mapping[str, Tensor]:
        """Every layer's value.

        Raises:
            PluginError: a value is missing, is no scalar, or has no gradient.
        """
        with blame(self._plugin):
            if isinstance(self._discrepancy, LayerwiseDiscrepancy):
                values = dict(self._discrepancy.many(layers, progress))
            else:
                values = {name: self._discrepancy(*pair) for name, pair in layers.items()}
            if values.keys() != layers.keys():
                raise PluginError(f"many must give a value for each of {sorted(layers)}, not for {sorted(values)}")
            for name, value in values.items():
                if not isinstance(value, Tensor) or value.shape != ():
                    raise PluginError(f"the value at {name} must be a scalar tensor")
                if torch.is_grad_enabled() and not value.requires_grad:
                    raise PluginError(f"the value at {name} has no gradient")
        return values


class GuardedPart:
    """A part of the common space whose rows are known to be rows."""

    def __init__(self, part: Part, plugin: Registered) -> None:
        require_methods("a part", part, "fit", "rows", "state_dict", "load_state_dict")
        self._part, self.plugin = part, plugin

    @property
    def spec(self) -> PartSpec[Any]:
        spec: PartSpec[Any] = self.plugin.spec
        return spec

    def fit(self, material: Material) -> str | None:
        """Fits the part; why it steps aside, or None."""
        with blame(self.plugin):
            try:
                self._part.fit(material)
            except StepAsideError as reason:
                return one_line(str(reason)) or "it has nothing to learn from"
        return None

    def rows(self, medium: Medium, features: Tensor, before: Mapping[str, Tensor]) -> Tensor:
        """The part's rows [n, k], float32.

        Raises:
            PluginError: they are of another shape or kind, or not finite.
        """
        with blame(self.plugin):
            rows = self._part.rows(medium, features, before)
            if not isinstance(rows, Tensor) or rows.ndim != 2 or len(rows) != len(features):
                found = tuple(rows.shape) if isinstance(rows, Tensor) else type(rows).__name__
                raise PluginError(f"rows must give a tensor [{len(features)}, k], not {found}")
            if not rows.is_floating_point():
                raise PluginError(f"rows must give floating-point numbers, not {rows.dtype}")
            if not bool(torch.isfinite(rows).all()):
                raise PluginError(f"its rows of {medium}s are not all finite")
        return rows.float()

    def formula(self, medium: Medium, features: Value, before: Mapping[str, Value], note: Formula) -> Value | None:
        """What the part's rows are made of, noted down; None where it does not say.

        Raises:
            PluginError: it gives anything else than a value.
        """
        with blame(self.plugin):
            say = getattr(self._part, "formula", None)
            value = say(medium, features, before, note) if callable(say) else None
            if value is not None and not isinstance(value, Value):
                raise PluginError(f"formula must give a Value or None, not {type(value).__name__}")
        return value

    def state_dict(self) -> dict[str, Tensor]:
        """What the part learnt, named tensors.

        Raises:
            PluginError: it is anything else.
        """
        with blame(self.plugin):
            state = self._part.state_dict()
            tensors = isinstance(state, Mapping) and all(
                isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
            )
            if not tensors:
                raise PluginError("state_dict must hold tensors by name and nothing else")
        return dict(state)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Raises DataError where what was kept does not fit."""
        with blame(self.plugin):
            try:
                self._part.load_state_dict(state)
            except (ValueError, KeyError, RuntimeError, AttributeError) as error:
                raise DataError(f"what was kept of {self.plugin} does not fit: {describe(error)}") from error


class GuardedObserver:
    """An observer whose failures carry its name."""

    def __init__(self, observer: Observer, plugin: Registered) -> None:
        require_methods("an observer", observer, "on_metrics", "on_selection", "on_end")
        self._observer, self._plugin = observer, plugin

    def state_dict(self) -> dict[str, Any]:
        """What the observer has told so far, JSON-able; empty where it has no `state_dict`."""
        with blame(self._plugin):
            return self._observer.state_dict() if hasattr(self._observer, "state_dict") else {}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        with blame(self._plugin):
            if hasattr(self._observer, "load_state_dict"):
                self._observer.load_state_dict(state)

    def on_metrics(self, row: Mapping[str, Any], /) -> None:
        with blame(self._plugin):
            self._observer.on_metrics(row)

    def on_selection(self, iteration: int, rows: Sequence[Mapping[str, Any]], /) -> None:
        with blame(self._plugin):
            self._observer.on_selection(iteration, rows)

    def on_end(self, summary: Mapping[str, Any], /) -> None:
        with blame(self._plugin):
            self._observer.on_end(summary)


def require_methods(what: str, built: object, *names: str) -> None:
    """Raises PluginError unless what a plugin's `build` gave has these methods."""
    for name in names:
        if not callable(getattr(built, name, None)):
            raise PluginError(f"build must return {what}, and {type(built).__name__} has no method {name}")


def check_rows(rows: object, count: int, role: str) -> None:
    """Raises PluginError unless `rows` are row numbers of `count` pairs, at least one."""
    if not isinstance(rows, Tensor) or rows.dtype != torch.int64 or rows.ndim != 1 or len(rows) == 0:
        raise PluginError(f"{role} rows must be a non-empty int64 tensor of one dimension")
    if int(rows.min()) < 0 or int(rows.max()) >= count:
        raise PluginError(f"{role} rows are out of range: there are {count} {role} training pairs")
