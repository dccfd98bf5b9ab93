"""`assert_encoder_ok` passes what keeps the contract, and names the rule that a broken encoder breaks."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import pytest
import torch
from annotated_types import Ge
from torch import Tensor, nn

from dckt_core import EncoderSpec, SamplerSpec
from dckt_core.base.errors import UsageError
from dckt_core.contract.pairs import ImageItem
from dckt_core.contract.protocols import Encoder, EncoderContext
from dckt_core.testing import assert_encoder_ok
from dckt_core.testing.material import TRAINING_TEXTS

DIM = 6
WORDS = len({word for text in TRAINING_TEXTS for word in text.split()})


@dataclass(frozen=True)
class Options:
    trainable: Annotated[bool, "train it along"] = False
    side: Annotated[int, Ge(1), "pixels"] = 4


def prepare(items: Sequence[ImageItem], side: int = 4) -> Tensor:
    pixels = [list(item.open().convert("L").resize((side, side)).tobytes()) for item in items]
    return torch.tensor(pixels, dtype=torch.float32).reshape(len(items), -1) / 255


def linear(context: EncoderContext, inputs: int = 16) -> nn.Linear:
    layer = nn.Linear(inputs, DIM, device="meta").to_empty(device="cpu")
    with torch.no_grad():
        layer.weight.normal_(generator=context.generator("weights"))
        layer.bias.zero_()
    return layer


def good(options: Options, context: EncoderContext) -> Encoder:
    return Encoder(
        prepare=lambda items: prepare(items, options.side),
        module=nn.Sequential(linear(context, options.side**2), nn.ReLU()),
        dim=DIM,
        fingerprint=f"good/{options.side}/{context.seed}",
        trainable=options.trainable,
    )


def spec(build: Callable[[Any, EncoderContext], Any] = good, **fields: Any) -> EncoderSpec[Any]:
    stated: dict[str, Any] = {"name": "mine", "summary": "a test", "modality": "image", "options": Options}
    return EncoderSpec(**stated | {"build": build, "api": "1.0"} | fields)


def changed(**fields: Any) -> Callable[[Any, EncoderContext], Encoder]:
    """The good encoder with other fields."""
    return lambda options, context: replace(good(options, context), **fields)


def with_module(forward: Callable[[Tensor], Any], **fields: Any) -> Callable[[Any, EncoderContext], Encoder]:
    """The good encoder with something behind its module."""

    class Behind(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, inputs: Tensor) -> Any:
            return forward(self.inner(inputs))

    def build(options: Options, context: EncoderContext) -> Encoder:
        encoder = good(options, context)
        return replace(encoder, module=Behind(encoder.module), **fields)

    return build


def test_good_ones_pass() -> None:
    assert_encoder_ok(spec())
    assert_encoder_ok(spec(), Options(trainable=True, side=3))


def test_items_may_be_given(tmp_path: Any) -> None:
    from PIL import Image

    for name, colour in {"a": "red", "b": "blue"}.items():
        Image.new("RGB", (5, 5), colour).save(tmp_path / f"{name}.png")
    seen = []

    def build(options: Options, context: EncoderContext) -> Encoder:
        return replace(good(options, context), prepare=lambda items: (seen.extend(items), prepare(items))[1])

    assert_encoder_ok(spec(build), items=[ImageItem(name, tmp_path / f"{name}.png") for name in "ab"])
    assert {item.id for item in seen} == {"a", "b"}
    with pytest.raises(AssertionError, match="cannot be checked with fewer than two items"):
        assert_encoder_ok(spec(), items=[ImageItem("a", tmp_path / "a.png")])


def vocabulary(**fields: Any) -> EncoderSpec[Any]:
    """A text encoder that counts the words of the training texts."""

    def build(options: Any, context: EncoderContext) -> Encoder:
        learnt = sorted({word for text in context.texts for word in text.split()})
        words = learnt if context.state is None else list(context.state["words"])

        def count(items: Sequence[Any]) -> Tensor:
            return torch.tensor([[item.text.split().count(word) for word in words] for item in items]).float()

        said: dict[str, Any] = {"state": {"words": words}, "fingerprint": f"words/{words}"} | fields
        return Encoder(prepare=count, module=nn.Identity(), dim=max(1, len(words)), **said)

    return EncoderSpec(name="mine", summary="a test", modality="text", build=build, api="1.0")


def test_a_text_encoder_that_learns_words_passes() -> None:
    assert_encoder_ok(vocabulary())


def halves(**fields: Any) -> EncoderSpec[Any]:
    """An encoder of both media: the first characters of a text, as a picture's pixels are read."""

    def build(options: Options, context: EncoderContext) -> Encoder:
        layer = context.once("layer", lambda: linear(context))

        def letters(items: Sequence[Any]) -> Tensor:
            codes = [[*map(ord, item.text[:16])] for item in items]
            return torch.tensor([line + [0] * (16 - len(line)) for line in codes]) / 1000

        said: dict[str, Any] = {"space": "mine", "fingerprint": f"{context.medium}/{context.seed}"}
        if context.medium == "text":
            said |= {"cut": lambda text: len(text) > 16}
        made = Encoder(prepare=prepare if context.medium == "image" else letters, module=layer, dim=DIM, **said)
        return replace(made, **{name: say(context.medium) for name, say in fields.items()})

    return spec(build, modality="both")


def test_an_encoder_of_both_media_passes() -> None:
    assert_encoder_ok(halves())
    assert_encoder_ok(halves(space=lambda medium: None))
    assert_encoder_ok(halves(cut=lambda medium: None))


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"space": lambda medium: medium}, "its halves must lie in one space, with one dim, or say space=None"),
        ({"space": lambda medium: "two\nlines"}, "space must be one line"),
        ({"cut": lambda medium: len}, "cut is about texts, and it encodes images"),
        ({"cut": lambda medium: len if medium == "text" else None}, "cut must say True or False, not 29"),
        (
            {"cut": lambda medium: (lambda text: len(text) > 3) if medium == "text" else None},
            "it says that it cuts item 'text-1', and reads what stands behind it",
        ),
    ],
)
def test_halves_that_break_a_rule(fields: dict[str, Any], rule: str) -> None:
    with pytest.raises(AssertionError, match=rule):
        assert_encoder_ok(halves(**fields))


def counts_calls() -> Callable[[Any, EncoderContext], Encoder]:
    class Counting(nn.Module):
        calls: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, inputs: Tensor) -> Tensor:
            self.calls += 1
            return inputs[:, :DIM]

    return lambda options, context: replace(good(options, context), module=Counting())


def by_call() -> Callable[[Any, EncoderContext], Encoder]:
    calls = iter(range(1000))
    return with_module(lambda rows: rows + next(calls))


def pads_to_the_longest(items: Sequence[ImageItem]) -> Tensor:
    return torch.zeros(len(items), 15 + len(items))


def normed(items: Sequence[ImageItem]) -> Tensor:
    rows = prepare(items)
    return rows - rows.mean(dim=0)


def draws(function: Callable[[], object]) -> Callable[[Any, EncoderContext], Encoder]:
    def build(options: Options, context: EncoderContext) -> Encoder:
        function()
        return good(options, context)

    return build


def frozen_gradient(options: Options, context: EncoderContext) -> Encoder:
    encoder = good(options, context)
    encoder.module.requires_grad_(False)
    return encoder


def half_detached(options: Options, context: EncoderContext) -> Encoder:
    return with_module(lambda rows: rows * 0 + 1)(options, context)


def raises(error: BaseException) -> Any:
    def raise_it(*_: Any) -> Any:
        raise error

    return raise_it


def from_other_seeds() -> Callable[[Any, EncoderContext], Encoder]:
    counter = iter(range(1000))
    return lambda o, c: replace(good(o, EncoderContext(seed=next(counter), cache_dir=c.cache_dir)), fingerprint="one")


BROKEN: dict[str, tuple[Any, str]] = {
    "nothing": (lambda options, context: None, "build must return an Encoder, not NoneType"),
    "build raises": (raises(ValueError("a\nb")), "build raised ValueError: a b"),
    "build exits": (raises(SystemExit(3)), "build raised SystemExit: 3"),
    "prepare is none": (changed(prepare=None), "prepare cannot be called"),
    "module is none": (changed(module=lambda rows: rows), "module must be a torch.nn.Module"),
    "dim": (changed(dim=0), "dim must be an int of 1 or more, not 0"),
    "dim is a number": (changed(dim=6.0), "dim must be an int of 1 or more, not 6.0"),
    "fingerprint": (changed(fingerprint=""), "fingerprint must be one line of text"),
    "trainable": (changed(trainable="yes"), "trainable must be True or False"),
    "head of relu": (changed(head=[nn.ReLU()]), "head must hold nn.Linear layers alone"),
    "head": (
        changed(head=[nn.Linear(5, 3, device="meta")]),
        "head does not continue the module: 5 inputs after 6 values",
    ),
    "head's second": (
        changed(head=[nn.Linear(6, 3, device="meta"), nn.Linear(6, 3, device="meta")]),
        "head does not continue the module: 6 inputs after 3 values",
    ),
    "state": (changed(state={"words": {1, 2}}), "state is not JSON-able"),
    "prepare raises": (changed(prepare=raises(KeyError("x"))), "prepare raised KeyError: 'x'"),
    "prepare gives a list": (changed(prepare=list), "prepare must give a tensor with a row for each of 4 items, not "),
    "prepare drops rows": (changed(prepare=lambda items: prepare(items)[1:]), "with a row for each of 4 items"),
    "prepare pads": (changed(prepare=pads_to_the_longest), "prepare must give rows of one shape and dtype at every "),
    "prepare's dtype": (
        changed(prepare=lambda items: prepare(items).double() if len(items) == 1 else prepare(items)),
        "prepare must give rows of one shape and dtype at every call",
    ),
    "prepare looks about": (changed(prepare=normed), "gives item 'picture-0' other values alone than among others"),
    "module raises": (with_module(raises(RuntimeError("no"))), "the module raised RuntimeError: no"),
    "width": (changed(dim=5), r"must give features of shape \(4, 5\), not \(4, 6\)"),
    "tuple": (with_module(lambda rows: (rows, rows)), r"must give features of shape \(4, 6\), not tuple"),
    "integers": (with_module(lambda rows: rows.long()), "features must be floating-point numbers, not torch.int64"),
    "nan": (with_module(lambda rows: rows / 0), "features must be finite, and those of 'picture-0' are not"),
    "dropout": (by_call(), "in eval mode the same inputs must give the same features each time"),
    "counts": (counts_calls(), "in eval mode the module changes its own state: calls"),
    "batch norm": (
        with_module(lambda rows: rows - rows.mean(dim=0)),
        "a row must not depend on the batch, and 'picture-0' has other features alone",
    ),
    "positions": (
        with_module(lambda rows: rows + torch.arange(len(rows))[:, None] * (len(rows) > 1)),
        "in eval mode a row must not depend on the batch",
    ),
    "fingerprint of the moment": (
        lambda o, c: replace(good(o, c), fingerprint=f"at {next(CLOCK)}"),
        "built twice under one seed its fingerprints differ",
    ),
    "own seed": (from_other_seeds(), "built twice under one seed it must give the same bits"),
    "fingerprint without seed": (
        changed(fingerprint="always the same"),
        "equal fingerprints must mean equal features, and another seed changes the features alone",
    ),
    "random": (draws(random.random), "it draws from, or seeds, the global random generator of random"),
    "numpy": (draws(lambda: np.random.seed(3)), "the global random generator of numpy"),
    "torch": (draws(lambda: torch.rand(1)), "the global random generator of torch"),
    "seeds torch": (draws(lambda: torch.manual_seed(0)), "the global random generator of torch"),
    "environment": (draws(lambda: os.environ.update(MINE="1")), "it changes os.environ: MINE"),
    "dtype": (draws(lambda: torch.set_default_dtype(torch.float64)), "it changes torch's default dtype"),
}

TRAINABLE_BROKEN: dict[str, tuple[Any, str]] = {
    "no gradient": (frozen_gradient, "it says that it is trainable, and its features have no gradient"),
    "detached": (half_detached, "trained, all gradients of its parameters are zero"),
    "train mode": (
        with_module(lambda rows: rows[:, :5] if torch.is_grad_enabled() else rows, trainable=True),
        r"in train mode its features must be of shape \(4, 6\) too",
    ),
    "no copy": (
        lambda o, c: replace(good(o, c), module=NoCopy(good(o, c).module)),
        "copying the module raised TypeError: mine alone",
    ),
}

CLOCK = iter(range(1000))


class NoCopy(nn.Sequential):
    def __deepcopy__(self, memo: Any) -> Any:
        raise TypeError("mine alone")


@pytest.fixture(autouse=True)
def same_dtype() -> Any:
    dtype = torch.get_default_dtype()
    yield
    torch.set_default_dtype(dtype)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_named(name: str) -> None:
    build, rule = BROKEN[name]
    with pytest.raises(AssertionError, match=rf"^encoder 'mine': .*{rule}"):
        assert_encoder_ok(spec(build))


@pytest.mark.parametrize("name", TRAINABLE_BROKEN)
def test_a_broken_rule_of_training_is_named(name: str) -> None:
    build, rule = TRAINABLE_BROKEN[name]
    with pytest.raises(AssertionError, match=rf"^encoder 'mine': .*{rule}"):
        assert_encoder_ok(spec(build), Options(trainable=True))


def test_state_that_is_not_kept() -> None:
    with pytest.raises(AssertionError, match="without the training texts its fingerprint is another one"):
        assert_encoder_ok(vocabulary(state=None))
    with pytest.raises(AssertionError, match="built again from its state it has another dim"):
        assert_encoder_ok(vocabulary(state={"words": ["dog"]}))
    with pytest.raises(AssertionError, match="built again from its state, as a run is loaded, it must give the same"):
        assert_encoder_ok(vocabulary(state={"words": ["ball"] * WORDS}))


def test_weights_that_do_not_fit_the_encoder_built_again() -> None:
    def build(options: Options, context: EncoderContext) -> Encoder:
        encoder = good(options, context)
        module = nn.Sequential(encoder.module) if context.state is None else encoder.module
        return replace(encoder, module=module, state={"seen": 1})

    with pytest.raises(AssertionError, match="its saved weights do not fit .* another network: it has an unknown"):
        assert_encoder_ok(spec(build))


MALFORMED: dict[str, tuple[dict[str, Any], str]] = {
    "name": ({"name": "Mine!"}, "dckt leaves it out: the name 'Mine!' is not of lower-case letters"),
    "modality": ({"modality": "sound"}, "dckt leaves it out: its modality is 'sound'"),
    "contract": ({"api": "2.0"}, "dckt leaves it out: it is written for version 2.0"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_spec_is_named(name: str) -> None:
    fields, rule = MALFORMED[name]
    with pytest.raises(AssertionError, match=rule):
        assert_encoder_ok(spec(**fields))


def test_wrong_options_are_named() -> None:
    @dataclass(frozen=True)
    class BadDefault:
        side: Annotated[int, Ge(5), "pixels"] = 4

    @dataclass(frozen=True)
    class Forgets:
        side: int | None = 4

    with pytest.raises(AssertionError, match="its default of option 'side' is invalid"):
        assert_encoder_ok(spec(options=BadDefault))
    with pytest.raises(AssertionError, match="options must be of type Options, not dict"):
        assert_encoder_ok(spec(), {"side": 4})
    with pytest.raises(AssertionError, match="options do not come back from config.toml as they were: side"):
        assert_encoder_ok(spec(options=Forgets), Forgets(side=None))
    with pytest.raises(AssertionError, match="'mine': it must be of type EncoderSpec, not SamplerSpec"):
        assert_encoder_ok(SamplerSpec(name="mine", summary="", build=raises(KeyError()), api="1.0"))  # type: ignore[arg-type]


def test_what_the_user_can_help_passes_unchanged() -> None:
    error = UsageError("encoder 'mine' needs lpips, which is not installed")
    with pytest.raises(UsageError) as caught:
        assert_encoder_ok(spec(raises(error)))
    assert caught.value is error


def test_nothing_global_is_left_changed() -> None:
    states = random.getstate(), torch.get_rng_state().tolist(), dict(os.environ)
    with pytest.raises(AssertionError):
        assert_encoder_ok(spec(draws(lambda: (os.environ.update(MINE="1"), torch.rand(3), random.random()))))
    assert states == (random.getstate(), torch.get_rng_state().tolist(), dict(os.environ))
