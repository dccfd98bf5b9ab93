"""Answers as HTML: pictures within it, nothing asked of the network, no script."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from dckt_apps.pages import filled, templates, theme
from dckt_core.data.metadata import as_words


def render(title: str, place: str, notes: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """A page.

    Args:
        title: what was looked for.
        place: what was searched.
        notes: what must be said of the answer.
        rows: what was found, best first: `rank`, `cosine`, `id`; `probability`, `label`, `text` and `metadata` where
            they are known, and `jpeg`, the picture's bytes.
    """
    environment = templates("answers")
    environment.filters["uri"] = _uri
    environment.filters["words"] = as_words
    values = {"title": title, "place": place, "notes": notes, "rows": rows, "theme": Markup(theme())}
    return filled(environment, "answers.html", **values)


def _uri(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
