"""Pages of HTML that applications make of their templates: no text of a stranger's does anything in them."""

from __future__ import annotations

from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from dckt_core.base.errors import printable_lines


def templates(application: str) -> Environment:
    """The templates of an application of `dckt_apps`, whose values are escaped, and of which each must be given."""
    return Environment(
        loader=PackageLoader(f"dckt_apps.{application}"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def filled(environment: Environment, template: str, **values: Any) -> str:
    """A template with its values; what cannot be seen in them, such as a change of direction, is shown."""
    return printable_lines(environment.get_template(template).render(**values))


def theme() -> str:
    """The style sheet that all pages begin with."""
    return (resources.files("dckt_apps") / "theme.css").read_text(encoding="utf-8")
