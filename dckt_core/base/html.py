"""Pieces of HTML by which objects show themselves in a notebook: nothing is loaded, and every text is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape as _escape

from dckt_core.base.errors import one_line

WIDTH, HEIGHT, EDGE = 260, 170, 34
"""Of a curve, in pixels; the edge is for its labels."""


def escape(text: object) -> str:
    """A text on one line, fit for an element or an attribute in quotes."""
    return _escape(one_line(str(text)), quote=True)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column names its rows."""
    heads = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = ["".join(f"<{'td' if n else 'th'}>{escape(cell)}</{'td' if n else 'th'}>" for n, cell in enumerate(row))
             for row in rows]  # fmt: skip
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def curve(xs: Sequence[float], ys: Sequence[float], *, x: str, y: str) -> str:
    """A line through points in [0, 1] x [0, 1], as SVG in the colour of the text around it."""
    wide, high = WIDTH - 2 * EDGE, HEIGHT - 2 * EDGE
    points = " ".join(f"{EDGE + wide * a:.1f},{EDGE + high * (1 - b):.1f}" for a, b in zip(xs, ys, strict=True))
    left, right, top, bottom = EDGE, EDGE + wide, EDGE, EDGE + high
    text = '<text fill="currentColor" font-size="11" text-anchor="middle"'
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{escape(y)} by {escape(x)}">'
        f'<path d="M{left} {top}V{bottom}H{right}" fill="none" stroke="currentColor" opacity=".5"/>'
        f'<polyline points="{points}" fill="none" stroke="#2166ac" stroke-width="2"/>'
        f'{text} x="{(left + right) / 2}" y="{HEIGHT - 4}">{escape(x)}</text>'
        f'{text} x="{left}" y="{top - 8}">{escape(y)}</text>'
        f'{text} x="{left}" y="{bottom + 14}">0</text>{text} x="{right}" y="{bottom + 14}">1</text>'
        f'{text} x="{left - 10}" y="{top + 4}">1</text></svg>'
    )
