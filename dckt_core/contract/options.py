"""Options of plugins: from words on a command line or values in TOML to the plugin's own dataclass, validated.

A plugin's options are a dataclass whose fields all have defaults; pydantic checks types and ranges. Nothing here
imports pydantic until options are parsed, so listings stay quick.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

from dckt_core.base.errors import PluginError, UsageError, did_you_mean
from dckt_core.contract.specs import Spec

if TYPE_CHECKING:
    from pydantic import TypeAdapter

OptionsT = TypeVar("OptionsT")

SEQUENCES = (tuple, list, set, frozenset)


class Option(NamedTuple):
    """One option as listings show it."""

    name: str
    type: str
    """What it takes, range included: `number in (0, 1]`, `fc6|fc7|pool5`."""
    default: Any
    help: str


def split_assignments(assignments: Iterable[str], *, option: str) -> dict[str, str]:
    """`["layer=fc6", "weights=none"]` as {"layer": "fc6", "weights": "none"}; the last word on a key counts.

    Args:
        option: how the flag is called, for the error.

    Raises:
        UsageError: one is not KEY=VALUE.
    """
    values: dict[str, str] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not key.strip() or not equals:
            raise UsageError(f"{option} takes KEY=VALUE, not '{assignment}'")
        values[key.strip()] = value.strip()
    return values


def parse_options(spec: Spec[OptionsT], values: Mapping[str, Any], *, where: str) -> OptionsT:
    """A plugin's options dataclass, every field validated.

    Strings, as they come from a command line, become what the field asks for: `0.5`, `true`, `3,4,5` for a list,
    `none` for None. Infinity and NaN are no numbers here.

    Args:
        where: whose options these are, such as "encoder 'vgg19'".

    Raises:
        UsageError: an unknown option, or a value of the wrong type or out of range; one line that names it.
        PluginError: the options class itself is at fault.
    """
    options: type = spec.options
    hints, defaults = _hints(options), _defaults(spec)
    for name in values:
        if name not in defaults:
            raise UsageError(f"unknown option '{name}' of {where}{did_you_mean(name, defaults)}")
    parsed = {}
    for name, default in defaults.items():
        value = values.get(name, default)
        try:
            parsed[name] = _validate(options, name, value)
        except ValueError as error:
            problem = f"expected {_type_text(hints[name])}, not {value!r}{_detail(error)}"
            if name in values:
                raise UsageError(f"option '{name}' of {where}: {problem}") from None
            raise PluginError(f"its default of option '{name}' is invalid: {problem}") from None
    try:
        return spec.options(**parsed)
    except ValueError as error:  # what a dataclass's __post_init__ says about options that do not go together
        if values:
            raise UsageError(f"options of {where}: {error}") from None
        raise PluginError(f"its default options are refused: {error}") from None


def check_options(spec: Spec[Any]) -> None:
    """Raises PluginError unless a configuration can hold the options, and all defaults are valid under their rules."""
    from dckt_core.config import reserved_keys

    for name in _defaults(spec):
        if name in reserved_keys(spec.kind):
            raise PluginError(f"its option '{name}' has a name that a configuration keeps for itself")
    parse_options(spec, {}, where=f"{spec.kind} '{spec.name}'")


def describe_options(spec: Spec[Any]) -> list[Option]:
    """A plugin's options in the order of their fields.

    Raises:
        PluginError: a type hint of the options class cannot be resolved.
    """
    options: type = spec.options
    hints = _hints(options)
    return [
        Option(name, _type_text(hints[name]), default, _help(hints[name])) for name, default in _defaults(spec).items()
    ]


# --- the options class ----------------------------------------------------------------------------------------


def _defaults(spec: Spec[Any]) -> dict[str, Any]:
    return {
        field.name: field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        for field in dataclasses.fields(spec.options)
        if field.init
    }


@cache
def _hints(options: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(options, include_extras=True)
    except Exception as error:  # a hint is an expression: evaluating it may raise anything
        raise PluginError(f"the type hints of its options cannot be resolved: {error}") from error


# --- values ---------------------------------------------------------------------------------------------------


def _validate(options: type, name: str, value: Any) -> Any:
    """The value as the field's type; raises pydantic's ValidationError, a ValueError."""
    word = isinstance(value, str)
    return _adapter(options, name).validate_python(_from_word(_hints(options)[name], value) if word else value)


@cache  # to make one takes a millisecond, and a run parses the options of all its plugins several times
def _adapter(options: type, name: str) -> TypeAdapter[Any]:
    from pydantic import ConfigDict, PydanticUserError, TypeAdapter

    hint = _hints(options)[name]
    try:
        return TypeAdapter(hint, config=ConfigDict(allow_inf_nan=False))
    except PydanticUserError as error:
        raise PluginError(f"an option cannot be of type {_type_text(hint)}: {error.message}") from error


def _from_word(hint: Any, word: str) -> Any:
    """What pydantic would not make of a word by itself: None from `none`, a list from `3,4,5`."""
    members = list(_members(hint))
    if word.lower() == "none" and type(None) in members:
        return None
    if any(get_origin(member) in SEQUENCES or member in SEQUENCES for member in members):
        return [part.strip() for part in word.strip("[]()").split(",") if part.strip()]
    return word


def _members(hint: Any) -> Iterable[Any]:
    """A hint's alternatives, without their annotations."""
    if get_origin(hint) is Annotated:
        yield from _members(get_args(hint)[0])
    elif get_origin(hint) in (Union, types.UnionType):
        for member in get_args(hint):
            yield from _members(member)
    else:
        yield hint


def _detail(error: ValueError) -> str:
    """What a plugin's own validator said; pydantic's stock phrases add nothing to the expected type."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f" ({first['msg']})" if first["type"] in ("value_error", "assertion_error") else ""
    return f" ({error})"


# --- listings -------------------------------------------------------------------------------------------------

WORDS = {bool: "true|false", int: "integer", float: "number", str: "text", type(None): "none", Any: "anything"}


def _type_text(hint: Any) -> str:
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _with_range(_type_text(args[0]), args[1:])
    if origin is Literal:
        return "|".join(str(value) for value in args)
    if origin in (Union, types.UnionType):
        return " or ".join(_type_text(member) for member in args)
    if origin in SEQUENCES:
        return f"list of {_type_text(args[0])}"
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return "|".join(str(member.value) for member in hint)
    if isinstance(hint, type) and issubclass(hint, PurePath):
        return "path"
    return WORDS[hint] if hint in WORDS else str(getattr(hint, "__name__", hint))


def _with_range(text: str, annotations: Iterable[Any]) -> str:
    """A type's text with the bounds among its annotations, annotated-types' own or in a pydantic Field."""
    bounds = {}
    for annotation in _flattened(annotations):
        for sign, name in ((">", "gt"), (">=", "ge"), ("<", "lt"), ("<=", "le")):
            if getattr(annotation, name, None) is not None:
                bounds[sign] = getattr(annotation, name)
    low = next((sign for sign in (">", ">=") if sign in bounds), None)
    high = next((sign for sign in ("<", "<=") if sign in bounds), None)
    if low and high:
        left, right = "(" if low == ">" else "[", ")" if high == "<" else "]"
        text_range = f" in {left}{bounds[low]}, {bounds[high]}{right}"
    else:
        text_range = "".join(f" {sign} {bound}" for sign, bound in bounds.items())
    kind, *rest = text.split(" or ")
    return " or ".join([f"{kind}{text_range}", *rest])


def _flattened(annotations: Iterable[Any]) -> Iterable[Any]:
    for annotation in annotations:
        yield annotation
        yield from getattr(annotation, "metadata", ())


def _help(hint: Any) -> str:
    if get_origin(hint) is not Annotated:
        return ""
    for annotation in get_args(hint)[1:]:
        if isinstance(annotation, str):
            return annotation
        if isinstance(getattr(annotation, "description", None), str):
            return str(annotation.description)
    return ""
