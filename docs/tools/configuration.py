"""`python docs/tools/configuration.py` prints docs/reference/configuration.md: every key, by code and presets."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel

from dckt_core.config import DEFAULT_PRESET, Config, preset_names

HEAD = f"""# Configuration

Made by `make docs` from `dckt_core/config.py` and the presets; a test holds them together.

Layers, each winning over the one before: a preset (`--preset`, by default `{DEFAULT_PRESET}`), the target data set's
own settings, a TOML file (`--config`), environment variables, flags. Any key is set by `--set KEY=VALUE`, or by a
variable with `__` for each dot: `DCKT_TRANSFER__LR=0.001`. The run folder's `config.toml` has them all, and is a file
for `--config`. `...` stands for the options of the plugin that is named; `dckt plugins show NAME` tells them. Where a
preset has nothing, the plugin's own defaults hold.
"""


def page() -> str:
    """The whole page."""
    configs = {name: Config.resolve(preset=name) for name in preset_names()}
    parts = [HEAD.rstrip()]
    for name, section in _sections("", Config):
        rows = list(_rows(name, section, list(configs.values())))
        if rows:
            parts.append(f"## {name or 'general'}")
            if section is not Config:
                parts.append(" ".join(str(inspect.getdoc(section)).split()))
            head = ["key", "what", "takes", *configs]
            parts.append("\n".join(map(_line, [head, ["---"] * len(head), *rows])))
    return "\n\n".join(parts) + "\n"


def _sections(prefix: str, section: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """A table and those within it, by dotted name."""
    yield prefix, section
    for name, field in section.model_fields.items():
        if (inner := _table(field.annotation)) is not None:
            yield from _sections(_join(prefix, name), inner)


def _table(annotation: Any) -> type[BaseModel] | None:
    """The model that a field holds; None for a value or a list."""
    return annotation if inspect.isclass(annotation) and issubclass(annotation, BaseModel) else None


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}".lstrip(".")


def _rows(prefix: str, section: type[BaseModel], configs: list[Config]) -> Iterator[list[str]]:
    told = _docstrings(section)
    for name, field in section.model_fields.items():
        key, takes = _join(prefix, name), _takes(field.annotation, field.metadata)
        values = [_at(config, key) for config in configs]
        if takes == "tables":  # of one kind, by names that presets choose
            (_, kind) = get_args(field.annotation)
            for inner in dict.fromkeys(inner for value in values for inner in value):
                yield from _rows(_join(key, inner), kind, configs)
        elif _table(field.annotation) is None:
            yield [f"`{key}`", " ".join(told.get(name, "").split()), takes, *map(_shown, values)]
    if section.model_config.get("extra") == "allow":
        yield [f"`{prefix}...`", "", "options", *(_options(_at(config, prefix)) for config in configs)]


def _at(config: Config, key: str) -> Any:
    """The value of a dotted key; None where a preset has no table of that name."""
    value: Any = config
    for part in key.split(".") if key else []:
        value = value.get(part) if isinstance(value, dict) else getattr(value, part, None)
    return value


def _options(choice: BaseModel | None) -> str:
    extra = choice.model_extra or {} if choice else {}
    return "<br>".join(f"`{key}={_toml(value)}`" for key, value in extra.items())


def _takes(annotation: Any, metadata: list[Any]) -> str:
    """A type in words, with its range: `whole number, ≥ 1`."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin in (Union, UnionType):
        return " or ".join("nothing" if part is NoneType else _takes(part, metadata) for part in inner)
    if origin is Annotated:
        more = [item for extra in inner[1:] for item in getattr(extra, "metadata", [extra])]
        return _takes(inner[0], [*metadata, *more])
    if origin is dict:
        return "tables"
    words = {int: "whole number", float: "number", bool: "`true`, `false`", str: "text"}
    bounds = [
        (sign, getattr(item, what)) for item in metadata for kind, sign, what in _BOUNDS if isinstance(item, kind)
    ]
    return ", ".join([words.get(annotation, "list"), *(f"{sign} {bound}" for sign, bound in bounds if bound < 2**20)])


_BOUNDS = ((Ge, "≥", "ge"), (Gt, ">", "gt"), (Le, "≤", "le"), (Lt, "<", "lt"))


def _shown(value: Any) -> str:
    return "" if value is None else f"`{_toml(value)}`"


def _toml(value: Any) -> str:
    """A value as it is typed behind `KEY=`; a plugin by its name."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return ", ".join(map(_toml, value))
    return str(getattr(value, "name", value))


def _docstrings(section: type[BaseModel]) -> dict[str, str]:
    """What stands below each field, of the class itself and of those that it extends."""
    told: dict[str, str] = {}
    for base in reversed([base for base in section.__mro__ if issubclass(base, BaseModel) and base is not BaseModel]):
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(body, ast.ClassDef)
        for field, after in zip(body.body, body.body[1:], strict=False):
            match field, after:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    told[name] = text
    return told


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    print(page(), end="")
