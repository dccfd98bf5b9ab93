"""Options of plugins: from what was typed, or read from TOML, to a validated dataclass.

A range or a help text rides along in `Annotated`: `Annotated[int, Ge(32), "pixels of a side"] = 224`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from dckt_core.errors import PluginError, UsageError, did_you_mean
from dckt_core.specs import Spec


@dataclass(frozen=True)
class OptionHelp:
    """One option for a listing: its name, type with range, default and what it is."""

    name: str
    type: str
    default: Any
    help: str


def parse_options(spec: Spec[Any], values: Mapping[str, Any], *, where: str) -> Any:
    """Values by name to the spec's options dataclass; strings are converted to the option's type.

    where: whose options these are, for errors: `encoder 'vgg19'`.

    Raises:
        UsageError: an unknown option, or a value of a wrong type or out of range.
        PluginError: the options dataclass itself cannot be used.
    """
    from pydantic import TypeAdapter, ValidationError

    known = [field.name for field in fields(spec.options)]
    for name in values:
        if name not in known:
            raise UsageError(f"unknown option '{name}' of {where}: {did_you_mean(name, known)}")
    try:
        adapter = TypeAdapter(spec.options)
        defaults = {name: getattr(spec.options(), name) for name in known}
    except Exception as error:
        raise PluginError(f"options of {where} cannot be used: {' '.join(str(error).split())}") from error
    try:
        return adapter.validate_python(defaults | dict(values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        if name not in values:
            raise PluginError(
                f"{where}: its default for option '{name}' does not fit: {first['msg'].lower()}"
            ) from None
        raise UsageError(f"option '{name}' of {where} = {values[name]!r}: {first['msg'].lower()}") from None


def split_assignments(assignments: Iterable[str], *, option: str) -> dict[str, str]:
    """`["layer=fc6"]` as `{"layer": "fc6"}`; of one key given twice the last counts.

    Raises:
        UsageError: one has no `=`, or nothing before it.
    """
    pairs = {}
    for assignment in assignments:
        key, sign, value = assignment.partition("=")
        if not sign or not key.strip():
            raise UsageError(f"{option} takes KEY=VALUE, not '{assignment}'")
        pairs[key.strip()] = value
    return pairs


def describe_options(spec: Spec[Any]) -> list[OptionHelp]:
    """A spec's options for a listing, in their order. Does not import pydantic."""
    hints = get_type_hints(spec.options, include_extras=True)
    described = []
    for field in fields(spec.options):
        factory = field.default_factory
        default = field.default if factory is MISSING else factory()
        hint, notes = hints[field.name], []
        if get_origin(hint) is Annotated:
            hint, *notes = get_args(hint)
        help_text = next((note for note in notes if isinstance(note, str)), "")
        ranges = [_range(note) for note in notes if not isinstance(note, str)]
        type_text = " ".join([_type(hint), *filter(None, ranges)])
        described.append(OptionHelp(field.name, type_text, default, help_text))
    return described


def _type(hint: Any) -> str:
    """`Literal["a", "b"]` as `a|b`, `float | None` as `float|None`, a class by its name."""
    if str(get_origin(hint)) == "typing.Literal":
        return "|".join(str(value) for value in get_args(hint))
    if isinstance(hint, type) and not get_args(hint):
        return hint.__name__
    parts = get_args(hint)
    return "|".join("None" if part is type(None) else _type(part) for part in parts) if parts else str(hint)


def _range(note: object) -> str:
    """An annotated_types bound as text: `>= 0`."""
    signs = {"Gt": ("gt", ">"), "Ge": ("ge", ">="), "Lt": ("lt", "<"), "Le": ("le", "<=")}
    attribute, sign = signs.get(type(note).__name__, (None, None))
    return f"{sign} {getattr(note, attribute)}" if attribute else ""
