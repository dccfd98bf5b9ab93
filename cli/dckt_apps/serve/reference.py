"""The page that says what programs may ask: an OpenAPI schema for people, without a script."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

from dckt_apps.pages import filled, templates


def codes(text: str) -> Markup:
    """A text, escaped, with what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))


def reference(schema: Mapping[str, Any]) -> str:
    """An OpenAPI schema as HTML, all of its texts escaped."""
    environment = templates("serve")
    environment.filters["codes"] = codes
    schemas = schema.get("components", {}).get("schemas", {})

    def body(about: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The fields of a JSON body; a file as the body is one."""
        found = []
        for kind, content in about.get("requestBody", {}).get("content", {}).items():
            named = schemas.get(content.get("schema", {}).get("$ref", "").rpartition("/")[2])
            if named is None:
                found.append({"name": kind, "required": True, "description": "The body of the request."})
                continue
            needed = named.get("required", [])
            found += [
                {"name": name, "required": name in needed, "description": field.get("description", "")}
                for name, field in named["properties"].items()
            ]
        return found

    return filled(environment, "api.html", schema=schema, body=body)
