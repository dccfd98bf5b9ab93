"""`assert_part_ok`: the rules of `protocols.Part` on made-up features, for whatever a target may offer."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dckt_core.base.rng import generator_for
from dckt_core.contract.formula import Formula, Value
from dckt_core.contract.guards import GuardedPart
from dckt_core.contract.pairs import MEDIA, ROLES, Medium
from dckt_core.contract.protocols import Known, PartContext, Representation, Selection
from dckt_core.contract.specs import PartSpec
from dckt_core.io.tensors import load_tensors, save_tensors
from dckt_core.testing.rules import Subject, close

IMAGE_DIM, TEXT_DIM = 40, 36
PER_CLASS = 64
EARLIER = ("correlation", "class-names", "students")
"""What was fitted before."""
TERMS = 10_000
"""What a part adds up on the way to one value of these materials: sums over columns upon sums over rows."""


def assert_part_ok(spec: PartSpec[Any], options: Any = None) -> None:
    """Fits a part on several targets and holds it to the contract.

    It learns from a target with labelled pairs, with unlabelled ones, with unpaired items and from none at all, or
    steps aside with a reason; rows of both media of one width, finite, for no item, one and many, the same in any
    batch; the same seed gives the same rows; what it learnt comes back from `state_dict` as tensors; probabilities are
    ones where it says so; it leaves what it is shown and everything global alone.

    A part with `same_space` sees images and texts in one space.

    Args:
        options: an instance of `spec.options`; its defaults by default.

    Raises:
        AssertionError: a rule is broken; one sentence with the spec's name and the rule.
    """
    subject = Subject(spec, "part", options)
    check = _Check(subject)
    materials = check.materials
    with subject.leaves_alone(first_build=True):
        check.build()
    fitted = []
    for offer, material in materials().items():
        with subject.leaves_alone():
            part = check.fit(material, offer)
        if part is not None:
            with subject.leaves_alone():
                check.rows(part, material)
                check.repeats(part, material, offer)
            fitted.append(offer)
    subject.require(fitted, "it must learn from one of: " + ", ".join(materials()))


class _Check:
    def __init__(self, subject: Subject) -> None:
        self.subject, self.require = subject, subject.require

        self.materials = partial(_materials, text_dim=IMAGE_DIM if subject.spec.same_space else TEXT_DIM)
        self.networks = {role: _Network(classes) for role, classes in zip(ROLES, (4, 3), strict=True)}

    def build(self) -> GuardedPart:
        context = PartContext(seed=0, networks=self.networks if self.subject.spec.networks else {})
        with self.subject.blamed("build"):
            built = self.subject.spec.build(self.subject.options, context)
            return GuardedPart(built, self.subject.registered)

    def fit(self, material: _Material, offer: str) -> GuardedPart | None:
        """The part fitted, or None where it steps aside."""
        part, before = self.build(), [tensor.clone() for tensor in material.tensors()]
        with self.subject.blamed(f"fit, for {offer},"):
            reason = part.fit(material)
        same = all(torch.equal(old, new) for old, new in zip(before, material.tensors(), strict=True))
        self.require(same, "it changes features or labels in place")
        return part if reason is None else None

    def rows(self, part: GuardedPart, material: _Material) -> None:
        widths = set()
        for medium in MEDIA:
            features = material.features(medium)
            whole = self.give(part, medium, features, material)
            widths.add(whole.shape[1])
            pieces = [self.give(part, medium, piece, material) for piece in (features[:1], features[1:])]
            same = close(whole, torch.cat(pieces), terms=TERMS)
            self.require(same, "an item's row must not depend on the others of its batch")
            self.formula(part, medium, features, whole, material)
            nothing = self.give(part, medium, features[:0], material)
            self.require(nothing.shape == (0, whole.shape[1]), "it must give [0, k] for no items")
            if self.subject.spec.target_network:
                given = (features, None) if medium == "image" else (None, features)
                same = torch.equal(whole, getattr(self.networks["target"].represent(*given), medium))
                self.require(same, "target_network = True promises the target network's representation")
            if self.subject.spec.classes:
                classes = material.target.classes
                fits = whole.shape[1] == classes and bool((whole >= 0).all())
                self.require(
                    fits and close(whole.sum(dim=1), torch.ones(len(whole)), terms=TERMS),
                    f"classes = True promises probabilities of the target's {classes} classes",
                )
        self.require(len(widths) == 1, "its rows of images and of texts must have one width")

    def formula(self, part: GuardedPart, medium: Medium, features: Tensor, whole: Tensor, material: _Material) -> None:
        """What it says of its arithmetic, if it does, is what it computes."""
        before, note = _Earlier(medium, features, material), Formula()
        given, values = [features], {}
        for name in before:  # their rows stand beside the features here
            start = sum(rows.shape[1] for rows in given)
            given.append(before[name])
            values[name] = (start, before[name].shape[1])
        everything = torch.cat(given, dim=1)

        def columns(start: int, width: int) -> Value:
            chosen = torch.zeros(everything.shape[1], width)
            chosen[start : start + width] = torch.eye(width)
            return note.linear(note.features, chosen)

        earlier = {name: columns(*where) for name, where in values.items()}
        with self.subject.blamed(f"formula, for {medium}s,"):
            value = part.formula(medium, columns(0, features.shape[1]), earlier, note)
        if value is not None:
            same = close(whole, note.rows(everything)[value.number], terms=TERMS)
            self.require(same, "its formula must give what its rows are")

    def repeats(self, part: GuardedPart, material: _Material, offer: str) -> None:
        again = self.fit(self.materials()[offer], offer)
        assert again is not None
        kept = self.build()
        with self.subject.blamed("state_dict"):
            state = part.state_dict()
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "state.safetensors"
            with self.subject.blamed("saving its state_dict"):
                save_tensors(file, state, {}, kind="part", format=1)
            saved, _ = load_tensors(file, kind="part", format=1)
        with self.subject.blamed("load_state_dict"):
            kept.load_state_dict(saved)
        for medium in MEDIA:
            features = material.features(medium)
            rows = self.give(part, medium, features, material)
            repeated = torch.equal(rows, self.give(again, medium, features, material))
            self.require(repeated, "with the same seed it must learn the same")
            back = torch.equal(rows, self.give(kept, medium, features, material))
            self.require(back, "with its state_dict loaded it must give the same rows: what they need belongs in there")

    def give(self, part: GuardedPart, medium: Medium, features: Tensor, material: _Material) -> Tensor:
        before = _Earlier(medium, features, material)
        with self.subject.blamed(f"rows, for {len(features)} {medium}s,"):
            return part.rows(medium, features, before)


class _Network:
    """A network that tells classes by the first features."""

    def __init__(self, classes: int) -> None:
        self.dim = classes

    def represent(self, images: Tensor | None, texts: Tensor | None) -> Representation:
        def rows(inputs: Tensor | None) -> Tensor:
            given = torch.zeros(0, self.dim) if inputs is None else inputs[:, : self.dim]
            return given.softmax(dim=1)

        return Representation(rows(images), rows(texts))


class _KeepAll:
    """A sampler that keeps all pairs."""

    def select(self, state: Any) -> Selection:
        return Selection(indices=torch.arange(len(state.labels)))

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


class _Material:
    """A `protocols.Material` over made-up domains. Some parts were fitted before."""

    def __init__(self, source: Known, target: Known, validation: Known) -> None:
        self.seed, self.source, self.target, self.validation = 0, source, target, validation
        self.sampler = _KeepAll()

    def generator(self, purpose: str) -> torch.Generator:
        return generator_for(self.seed, purpose)

    def rows(self, part: str, medium: Medium, features: Tensor) -> Tensor:
        return _Earlier(medium, features, self)[part]

    def note(self, text: str) -> None: ...

    def features(self, medium: Medium) -> Tensor:
        return self.validation.images if medium == "image" else self.validation.texts

    def tensors(self) -> list[Tensor]:
        domains = (self.source, self.target, self.validation)
        values = [getattr(domain, field.name) for domain in domains for field in fields(domain)]
        return [value for value in values if isinstance(value, Tensor)]


class _Earlier(Mapping[str, Tensor]):
    """Rows of the parts before: `correlation` keeps some features, the others tell classes by them."""

    def __init__(self, medium: Medium, features: Tensor, material: _Material) -> None:
        self._features, self._classes = features, material.target.classes

    def __getitem__(self, name: str) -> Tensor:
        if name not in EARLIER:
            raise KeyError(name)
        return self._features[:, :8] if name == "correlation" else self._features[:, : self._classes].softmax(dim=1)

    def __iter__(self) -> Iterator[str]:
        return iter(EARLIER)

    def __len__(self) -> int:
        return len(EARLIER)


def _materials(text_dim: int) -> dict[str, _Material]:
    """Targets by what they offer; the same source for all."""
    source, whole = _domain("source", 4, PER_CLASS, text_dim), _domain("target", 3, PER_CLASS, text_dim)
    unknown = torch.full_like(whole.image_labels, -1)
    some = whole.image_labels.clone()
    some[len(some) // 2 :] = -1
    half = len(unknown) // 2
    nothing = torch.zeros(0, dtype=torch.int64)
    targets = {
        "labelled pairs": whole,
        "pairs of which some are labelled": replace(whole, image_labels=some, text_labels=some),
        "unlabelled pairs": replace(whole, image_labels=unknown, text_labels=unknown),
        "images, and texts of other pairs": replace(
            whole,
            images=whole.images[:half],
            texts=whole.texts[half:],
            pairs=0,
            image_labels=unknown[:half],
            text_labels=unknown[half:],
        ),
        "nothing": replace(
            whole,
            images=whole.images[:0],
            texts=whole.texts[:0],
            pairs=0,
            image_labels=nothing,
            text_labels=nothing,
        ),
    }
    validation = _domain("validation", 3, 3, text_dim)
    return {offer: _Material(source, target, validation) for offer, target in targets.items()}


def _domain(role: str, classes: int, per_class: int, text_dim: int) -> Known:
    """Points around a centre for each class; image and text of a pair share what the first features say."""
    generator = generator_for(0, f"part {role}")
    labels = torch.arange(classes).repeat(per_class)
    shared = 2 * torch.randn(classes, 8, generator=generator)
    noise = torch.randn(len(labels), IMAGE_DIM + text_dim, generator=generator)
    images, texts = noise[:, :IMAGE_DIM].clone(), noise[:, IMAGE_DIM:].clone()
    own = torch.randn(len(labels), 8, generator=generator)
    images[:, :8] += shared[labels] + own
    texts[:, :8] += shared[labels] + own
    names = torch.randn(classes, text_dim, generator=generator)
    names[:, :8] += shared
    return Known(
        images=images,
        texts=texts,
        pairs=len(labels),
        image_labels=labels,
        text_labels=labels.clone(),
        classes=classes,
        names=names,
        name_labels=torch.arange(classes),
    )
