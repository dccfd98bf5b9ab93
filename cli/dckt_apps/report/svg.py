"""A chart as SVG inside a page: it takes the page's colours and font, and says in words what it shows."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

from matplotlib import rc_context
from matplotlib.figure import Figure

from dckt_apps.report.charts import COLOURS, FAINT, GRID, INK, STYLE

VARIABLES = {INK: "ink", FAINT: "faint", GRID: "rule", **{value: name for name, value in COLOURS.items()}}
"""CSS variables of the page, by the colour of a chart that each stands for."""

_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_FONT_FAMILY = re.compile(r"font-family:[^;]*;?\s*")
_COLOUR = re.compile("|".join(VARIABLES))


def inline_svg(figure: Figure, *, name: str, alt: str) -> str:
    """The figure as an `<svg>` element for HTML.

    Args:
        name: goes before every id in it, so that charts of one page do not mix.
        alt: what the chart shows, for those who do not see it.
    """
    stream = io.BytesIO()
    nobody: dict[str, str | None] = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with rc_context(STYLE):
        figure.savefig(stream, format="svg", transparent=True, metadata=nobody)
    root = ElementTree.fromstring(stream.getvalue())
    referenced = {key for part in root.iter() for key in _references(part)}
    for part in root.iter():
        part.tag = part.tag.removeprefix(_SVG)
        _adapt(part, name, referenced)
    for part in root.iter():
        for style in part.findall("style"):  # it would hold for the whole page
            part.remove(style)
        for path in part.findall("path"):
            if path.get("style") == "fill: none":  # a background without a colour
                part.remove(path)
    width, height = root.attrib["viewBox"].split()[2:]
    root.attrib = {"viewBox": f"0 0 {width} {height}", "role": "img", "aria-label": alt, "class": "chart"}
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)


def _references(part: ElementTree.Element) -> list[str]:
    """Ids that an element names."""
    named = [part.get(_HREF, "").removeprefix("#")]
    named += re.findall(r"url\(#([^)]+)\)", " ".join(part.attrib.values()))
    return [key for key in named if key]


def _adapt(part: ElementTree.Element, name: str, referenced: set[str]) -> None:
    key = part.attrib.pop("id", None)
    if key in referenced:
        part.set("id", f"{name}-{key}")
    if _HREF in part.attrib:
        part.set("href", f"#{name}-{part.attrib.pop(_HREF)[1:]}")
    for attribute, value in part.attrib.items():
        if attribute == "style":
            value = _COLOUR.sub(lambda found: f"var(--{VARIABLES[found[0]]})", _FONT_FAMILY.sub("", value))
        if attribute == "d":
            value = " ".join(value.split())
        part.set(attribute, value.replace("url(#", f"url(#{name}-"))
    for end in ("text", "tail"):
        if not (getattr(part, end) or "").strip():
            setattr(part, end, None)
