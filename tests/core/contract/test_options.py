import contextlib
import enum
import math
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Le, Lt
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, Field

from dckt_core import DiscrepancySpec, EncoderSpec
from dckt_core.base.errors import PluginError, UsageError
from dckt_core.contract.discovery import HOOKS
from dckt_core.contract.options import check_options, describe_options, parse_options, split_assignments
from dckt_core.contract.specs import Spec


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


def even(value: int) -> int:
    if value % 2:
        raise ValueError("must be even")
    return value


@dataclass(frozen=True)
class Options:
    layer: Annotated[Literal["pool5", "fc6", "fc7"], "where the features are taken"] = "fc7"
    alpha: Annotated[float, Gt(0), Le(1), "upper bound"] = 0.5
    size: Annotated[int, Ge(1)] = 8
    trainable: bool = False
    weights: Literal["imagenet", "none"] | Path = "imagenet"
    limit: Annotated[float, Gt(0)] | None = None
    widths: tuple[Annotated[int, Ge(1)], ...] = (3, 4, 5)
    words: list[str] = field(default_factory=lambda: ["a", "b"])
    colour: Colour = Colour.RED
    below: Annotated[float, Field(ge=0, lt=10, description="a pydantic field")] = 1
    pairs: Annotated[int, AfterValidator(even)] = 2
    title: str = ""


def spec_of(options: type[Any]) -> DiscrepancySpec[Any]:
    return DiscrepancySpec(name="d", summary="", options=options, build=lambda options, context: None, api="1.0")  # type: ignore[arg-type,return-value]


def parse(options: type[Any] = Options, /, **values: Any) -> Any:
    return parse_options(spec_of(options), values, where="discrepancy 'd'")


def test_defaults() -> None:
    assert parse() == Options()
    assert isinstance(parse().below, float)
    check_options(spec_of(Options))


@pytest.mark.parametrize(
    ("name", "word", "value"),
    [
        ("layer", "fc6", "fc6"),
        ("alpha", "0.25", 0.25),
        ("alpha", "1", 1.0),
        ("size", "12", 12),
        ("trainable", "true", True),
        ("trainable", "no", False),
        ("weights", "none", "none"),
        ("weights", "some/file.pth", Path("some/file.pth")),
        ("limit", "none", None),
        ("limit", "2.5", 2.5),
        ("widths", "2,3", (2, 3)),
        ("widths", "[2, 3]", (2, 3)),
        ("widths", "7", (7,)),
        ("words", "", []),
        ("words", "x, y", ["x", "y"]),
        ("colour", "blue", Colour.BLUE),
        ("title", "none", "none"),
        ("title", "5", "5"),
    ],
)
def test_words_become_what_the_option_takes(name: str, word: str, value: object) -> None:
    parsed = getattr(parse(**{name: word}), name)
    assert parsed == value
    assert type(parsed) is type(value) or isinstance(parsed, Path)


def test_toml_values_are_typed_already() -> None:
    parsed = parse(alpha=0.75, size=3, trainable=True, widths=[1, 2], words=["z"], weights="none")
    assert (parsed.alpha, parsed.size, parsed.trainable, parsed.widths, parsed.words) == (0.75, 3, True, (1, 2), ["z"])


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("alpha", "0", "number in (0, 1], not '0'"),
        ("alpha", 1.5, "number in (0, 1], not 1.5"),
        ("alpha", "half", "number in (0, 1], not 'half'"),
        ("alpha", "nan", "number in (0, 1], not 'nan'"),
        ("limit", math.inf, "number > 0 or none, not inf"),
        ("size", "0", "integer >= 1, not '0'"),
        ("size", 2.5, "integer >= 1, not 2.5"),
        ("trainable", "perhaps", "true|false, not 'perhaps'"),
        ("layer", "fc9", "pool5|fc6|fc7, not 'fc9'"),
        ("widths", "3,x", "list of integer >= 1, not '3,x'"),
        ("widths", "3,0", "list of integer >= 1, not '3,0'"),
        ("colour", "green", "red|blue, not 'green'"),
        ("below", 10, "number in [0, 10), not 10"),
        ("pairs", 3, "integer, not 3 (Value error, must be even)"),
    ],
)
def test_a_bad_value_is_one_line_with_the_range(name: str, value: object, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(**{name: value})
    assert str(caught.value) == f"option '{name}' of discrepancy 'd': expected {expected}"


def test_an_unknown_option_gets_a_suggestion() -> None:
    with pytest.raises(UsageError) as caught:
        parse_options(spec_of(Options), {"lyer": "fc6"}, where="encoder 'vgg19'")
    assert str(caught.value).startswith(
        "unknown option 'lyer' of encoder 'vgg19': did you mean 'layer'? (known: alpha,"
    )


@dataclass(frozen=True)
class Range:
    low: int = 1
    high: int = 2

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low must not exceed high")


def test_options_that_do_not_go_together() -> None:
    with pytest.raises(UsageError, match="options of discrepancy 'd': low must not exceed high"):
        parse(Range, low=3)
    assert parse(Range, low=3, high=4) == Range(3, 4)


@dataclass(frozen=True)
class BadDefault:
    alpha: Annotated[float, Le(1)] = 2.0


@dataclass(frozen=True)
class BadTogether:
    low: int = 3

    def __post_init__(self) -> None:
        if self.low > 2:
            raise ValueError("too high")


@dataclass(frozen=True)
class BadHint:
    alpha: "Nowhere" = 1.0  # type: ignore[name-defined]  # noqa: F821


@dataclass(frozen=True)
class BadType:
    inner: Range = Range()  # frozen, so sharing it is safe


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (BadDefault, "its default of option 'alpha' is invalid: expected number <= 1, not 2.0"),
        (BadTogether, "its default options are refused: too high"),
        (BadHint, "the type hints of its options cannot be resolved: name 'Nowhere' is not defined"),
        (BadType, "an option cannot be of type Range"),
    ],
)
def test_unsound_options_are_the_plugins_fault(options: type[Any], reason: str) -> None:
    with pytest.raises(PluginError) as caught:
        check_options(spec_of(options))
    assert reason in str(caught.value)


RESERVED = {kind: {"name", "location"} for kind in ("encoder", "discrepancy", "sampler", "index", "observer")} | {
    "dataset": {"name", "location", "layout"},
    "part": {"name", "location", "weight", "earn"},
}


@pytest.mark.parametrize("hook", HOOKS)
def test_an_option_is_not_called_as_a_key_of_the_plugins_table_of_its_kind(hook: str) -> None:
    described = HOOKS[hook]
    reasons = {name: _refusal(described, name) for name in ("name", "location", "layout", "weight", "earn", "side")}
    assert {name for name, reason in reasons.items() if reason} == RESERVED[described.kind]
    assert reasons["name"] == "its option 'name' has a name that a configuration keeps for itself"


def _refusal(described: type[Spec[Any]], name: str) -> str:
    functions = {field: lambda *given: None for field in described.functions}
    more = {"modality": "image"} if described is EncoderSpec else {}
    options = make_dataclass("Options", [(name, int, field(default=1))], frozen=True)
    spec = described(name="mine", summary="", options=options, api="1.0", **functions, **more)
    try:
        check_options(spec)
    except PluginError as error:
        return str(error)
    return ""


def test_describe() -> None:
    described = {option.name: option for option in describe_options(spec_of(Options))}
    assert list(described) == list(Options.__dataclass_fields__)
    assert {name: option.type for name, option in described.items()} == {
        "layer": "pool5|fc6|fc7",
        "alpha": "number in (0, 1]",
        "size": "integer >= 1",
        "trainable": "true|false",
        "weights": "imagenet|none or path",
        "limit": "number > 0 or none",
        "widths": "list of integer >= 1",
        "words": "list of text",
        "colour": "red|blue",
        "below": "number in [0, 10)",
        "pairs": "integer",
        "title": "text",
    }
    assert described["layer"].help == "where the features are taken"
    assert described["below"].help == "a pydantic field"
    assert described["words"].default == ["a", "b"]
    with pytest.raises(PluginError, match="Nowhere"):
        describe_options(spec_of(BadHint))


def test_the_bound_of_a_union_stands_at_its_type() -> None:
    @dataclass(frozen=True)
    class Union:
        a: Annotated[float | None, Gt(0), Lt(5)] = None

    assert describe_options(spec_of(Union))[0].type == "number in (0, 5) or none"


def test_split_assignments() -> None:
    assert split_assignments(["layer=fc6", " size = 3 ", "title=a=b", "title=", "words=x y"], option="--opt") == {
        "layer": "fc6",
        "size": "3",
        "title": "",
        "words": "x y",
    }
    for bad in ("layer", "=fc6", "", " =x"):
        with pytest.raises(UsageError, match=f"--encoder-opt takes KEY=VALUE, not '{bad}'"):
            split_assignments([bad], option="--encoder-opt")


@given(st.floats(min_value=0, max_value=1, exclude_min=True), st.integers(min_value=1))
def test_what_is_written_is_what_is_read(alpha: float, size: int) -> None:
    parsed = parse(alpha=repr(alpha), size=str(size))
    assert (parsed.alpha, parsed.size) == (alpha, size)


@given(st.text())
def test_any_word_is_taken_or_refused_as_a_usage_error(word: str) -> None:
    for name in Options.__dataclass_fields__:
        with contextlib.suppress(UsageError):
            parsed = parse(**{name: word})
            assert parse(**{name: getattr(parsed, name)}) == parsed
