"""`assert_encoder_ok`: the rules of `protocols.Encoder`, one after the other, on made-up or given items."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dckt_core.base.errors import DataError
from dckt_core.contract.pairs import ImageItem, Medium, TextItem
from dckt_core.contract.protocols import Encoder, EncoderContext, Item
from dckt_core.contract.specs import EncoderSpec
from dckt_core.io.tensors import load_weights, save_weights
from dckt_core.testing.material import TRAINING_TEXTS, pictures, texts
from dckt_core.testing.rules import Subject, close

THREADS = 4


def assert_encoder_ok(spec: EncoderSpec[Any], options: Any = None, items: Sequence[Item] | None = None) -> None:
    """Builds an encoder several times and holds it to the contract.

    Shapes and types; a row does not depend on what stands beside it; the same seed gives the same bits, and equal
    fingerprints equal features; what was learnt from texts comes back from `state`; a trainable module can be copied
    and trained; where a text is said to be cut, what stands behind it does not matter; an encoder of both media is held
    to it for either, and its halves lie in one space, or in none; nothing global is touched.

    Args:
        options: an instance of `spec.options`; its defaults by default. Choose small sizes: the encoder is built
            five times.
        items: at least two images or texts that it must encode; by default pictures of noise in several sizes, or
            texts in several scripts, one of them empty.

    Raises:
        AssertionError: a rule is broken; one sentence with the spec's name and the rule.
        UsageError, DataError: what the encoder says that the user can help, such as a missing extra.
    """
    subject = Subject(spec, "encoder", options)
    with tempfile.TemporaryDirectory() as folder:
        made = []
        for medium in spec.media:
            given = items is not None and isinstance(items[0], ImageItem) == (medium == "image")
            shown = items if given or len(spec.media) == 1 else None
            made.append(_check_medium(subject, medium, shown, Path(folder)))
        spaces = {(encoder.space, encoder.dim if encoder.space else 0) for encoder in made}
        subject.require(len(spaces) == 1, "its halves must lie in one space, with one dim, or say space=None")


def _check_medium(subject: Subject, medium: Medium, items: Sequence[Item] | None, folder: Path) -> Encoder:
    """The encoder of one medium, which keeps the contract."""
    shown = items if items is not None else pictures(folder) if medium == "image" else texts()
    subject.require(len(shown) >= 2, "it cannot be checked with fewer than two items")
    check = _Check(subject, medium, list(shown), folder)
    with subject.leaves_alone(first_build=True):
        encoder = check.build()
    with subject.leaves_alone():  # first, since who draws from a global generator breaks the rules below too
        check.build()
        check.form(encoder)
        inputs = check.inputs(encoder)
        features = check.features(encoder, inputs)
    with subject.leaves_alone():
        check.cuts(encoder)
        check.rows_stand_alone(encoder, inputs, features)
        check.another_build(encoder, features)
        check.another_seed(encoder, features)
        check.rebuilt(encoder, features)
        if encoder.trainable:
            check.trains(encoder, inputs)
    return encoder


class _Check:
    """One encoder spec, the items of a medium that it is shown, and a folder for files."""

    def __init__(self, subject: Subject, medium: Medium, items: list[Item], folder: Path) -> None:
        self.subject, self.medium, self.items, self.folder = subject, medium, items, folder
        self.require = subject.require

    def build(self, *, seed: int = 0, learning: bool = True, state: Any = None) -> Encoder:
        """An encoder as a new run builds it, or with a state and no texts as one that is loaded does."""
        context = EncoderContext(
            seed=seed,
            cache_dir=self.folder / "cache",
            medium=self.medium,
            texts=TRAINING_TEXTS if learning else (),
            state=state,
        )
        with self.subject.blamed("build"):
            encoder = self.subject.spec.build(self.subject.options, context)
        self.require(isinstance(encoder, Encoder), f"build must return an Encoder, not {type(encoder).__name__}")
        assert isinstance(encoder, Encoder)
        return encoder

    def form(self, encoder: Encoder) -> None:
        require = self.require
        require(callable(encoder.prepare), "prepare cannot be called")
        require(isinstance(encoder.module, nn.Module), "module must be a torch.nn.Module")
        require(type(encoder.dim) is int and encoder.dim >= 1, f"dim must be an int of 1 or more, not {encoder.dim!r}")
        name = encoder.fingerprint
        require(isinstance(name, str) and name and name.isprintable(), "fingerprint must be one line of text")
        require(type(encoder.trainable) is bool, "trainable must be True or False")
        widths = [encoder.dim]
        for layer in encoder.head:
            require(isinstance(layer, nn.Linear), "head must hold nn.Linear layers alone")
            fits = layer.in_features == widths[-1]
            require(fits, f"head does not continue the module: {layer.in_features} inputs after {widths[-1]} values")
            widths.append(layer.out_features)
        space = encoder.space
        require(space is None or (isinstance(space, str) and space and space.isprintable()), "space must be one line")
        if encoder.state is not None:
            self.subject.json_round_trip(encoder.state, "state")

    def cuts(self, encoder: Encoder) -> None:
        """Where a text is cut, what stands behind it cannot matter."""
        if encoder.cut is None:
            return
        for item in self.items:
            self.require(isinstance(item, TextItem), "cut is about texts, and it encodes images")
            assert isinstance(item, TextItem)
            with self.subject.blamed("cut"):
                cut = encoder.cut(item.text)
            self.require(type(cut) is bool, f"cut must say True or False, not {cut!r}")
            if cut:
                longer = self.prepared(encoder, [replace(item, text=f"{item.text} more")])
                same = torch.equal(longer, self.prepared(encoder, [item]))
                self.require(same, f"it says that it cuts item '{item.id}', and reads what stands behind it")

    def inputs(self, encoder: Encoder) -> Tensor:
        """The prepared items [n, ...], the same in one call, one by one and from several threads."""
        inputs = self.prepared(encoder, self.items)
        trailing = tuple(inputs.shape[1:])
        with ThreadPoolExecutor(THREADS if self.medium == "image" else 1) as pool:
            singles = list(pool.map(lambda item: self.prepared(encoder, [item]), self.items))
        for number, (item, single) in enumerate(zip(self.items, singles, strict=True)):
            same = tuple(single.shape[1:]) == trailing and single.dtype == inputs.dtype
            self.require(
                same,
                f"prepare must give rows of one shape and dtype at every call: {list(trailing)} together, "
                f"{list(single.shape[1:])} for item '{item.id}' alone",
            )
            self.require(
                torch.equal(single[0], inputs[number]),
                f"prepare gives item '{item.id}' other values alone than among others, or from another thread",
            )
        return inputs

    def prepared(self, encoder: Encoder, items: Sequence[Item]) -> Tensor:
        with self.subject.blamed("prepare"):
            inputs = encoder.prepare(items)
        good = isinstance(inputs, Tensor) and inputs.ndim > 0 and len(inputs) == len(items)
        found = list(inputs.shape) if isinstance(inputs, Tensor) else type(inputs).__name__
        self.require(good, f"prepare must give a tensor with a row for each of {len(items)} items, not {found}")
        assert isinstance(inputs, Tensor)
        return inputs

    def features(self, encoder: Encoder, inputs: Tensor) -> Tensor:
        """Features [n, dim] in eval mode, well-formed; asking changes nothing."""
        encoder.module.eval()
        before = {name: value.clone() for name, value in encoder.module.state_dict().items()}
        given = inputs.clone()
        rows = self.forward(encoder, inputs)
        again = self.forward(encoder, inputs)
        self.require(torch.equal(rows, again), "in eval mode the same inputs must give the same features each time")
        self.require(torch.equal(given, inputs), "the module changes its inputs in place")
        after = encoder.module.state_dict()
        changed = sorted(name for name, value in before.items() if not torch.equal(value, after[name]))
        self.require(not changed, f"in eval mode the module changes its own state: {', '.join(changed)}")
        return rows

    @torch.no_grad()
    def forward(self, encoder: Encoder, inputs: Tensor) -> Tensor:
        with self.subject.blamed("the module"):
            rows = encoder.module(inputs)
        wanted = (len(inputs), encoder.dim)
        found = tuple(rows.shape) if isinstance(rows, Tensor) else type(rows).__name__
        self.require(found == wanted, f"the module must give features of shape {wanted}, not {found}")
        self.require(rows.is_floating_point(), f"features must be floating-point numbers, not {rows.dtype}")
        bad = (~torch.isfinite(rows).all(dim=1)).nonzero().flatten().tolist()
        named = self.items[bad[0]].id if bad and len(inputs) == len(self.items) else "an item"
        self.require(not bad, f"features must be finite, and those of '{named}' are not")
        features: Tensor = rows.float()
        return features

    def rows_stand_alone(self, encoder: Encoder, inputs: Tensor, features: Tensor) -> None:
        for number, item in enumerate(self.items):
            alone = self.forward(encoder, inputs[number : number + 1])
            self.require(
                close(alone[0], features[number]),
                f"in eval mode a row must not depend on the batch, and '{item.id}' has other features alone",
            )
        turned = self.forward(encoder, inputs.flip(0)).flip(0)
        self.require(close(turned, features), "in eval mode the order of a batch must not matter")

    def another_build(self, encoder: Encoder, features: Tensor) -> None:
        again = self.build()
        same = again.fingerprint == encoder.fingerprint
        self.require(same, "built twice under one seed its fingerprints differ")
        self.require(
            torch.equal(self.features(again, self.inputs(again)), features),
            "built twice under one seed it must give the same bits",
        )

    def another_seed(self, encoder: Encoder, features: Tensor) -> None:
        other = self.build(seed=1)
        if other.fingerprint == encoder.fingerprint:
            self.require(
                torch.equal(self.features(other, self.inputs(other)), features),
                "equal fingerprints must mean equal features, and another seed changes the features alone",
            )

    def rebuilt(self, encoder: Encoder, features: Tensor) -> None:
        """As a run is loaded: from the state, without texts, with the saved weights where there is a state."""
        state = None if encoder.state is None else self.subject.json_round_trip(encoder.state, "state")
        again = self.build(learning=False, state=state)
        if state is None:
            self.require(
                again.fingerprint == encoder.fingerprint,
                "without the training texts its fingerprint is another one: what it learns from them belongs in state",
            )
        self.require(again.dim == encoder.dim, "built again from its state it has another dim")
        self.require(again.space == encoder.space, "built again from its state it lies in another space")
        if state is not None or encoder.trainable:
            file = self.folder / "encoder.safetensors"
            with self.subject.blamed("saving the module's weights"):
                save_weights(file, encoder.module)
            try:
                load_weights(file, again.module)
            except DataError as error:
                fault = str(error).removeprefix(f"{file}: ")
                self.require(False, f"its saved weights do not fit the module built again from its state: {fault}")
        self.require(
            torch.equal(self.features(again, self.inputs(again)), features),
            "built again from its state, as a run is loaded, it must give the same features",
        )

    def trains(self, encoder: Encoder, inputs: Tensor) -> None:
        """As each domain network does it: a copy, in train mode, at least two rows at once."""
        with self.subject.blamed("copying the module"):
            module = copy.deepcopy(encoder.module).train()
        with self.subject.blamed("the module in train mode"):
            rows = module(inputs)
        wanted = (len(inputs), encoder.dim)
        self.require(tuple(rows.shape) == wanted, f"in train mode its features must be of shape {wanted} too")
        self.require(rows.requires_grad, "it says that it is trainable, and its features have no gradient")
        with self.subject.blamed("the backward pass"):
            rows.square().sum().backward()
        gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
        self.require(
            gradients and all(torch.isfinite(gradient).all() for gradient in gradients),
            "trained, its parameters must get finite gradients",
        )
        self.require(
            any(gradient.abs().max() > 0 for gradient in gradients), "trained, all gradients of its parameters are zero"
        )
