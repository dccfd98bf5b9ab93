"""Pictures on a terminal: as they are where it can show them, else as coloured half-blocks, two pixels a letter."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from dckt_cli.console import say, say_own

if TYPE_CHECKING:
    from PIL import Image

Kind = Literal["kitty", "iterm", "blocks"]

LINES = 12
"""Height of a picture on the terminal; a half-block is one pixel wide and half a line high."""

PIECE = 4096
"""Letters of a picture that kitty's protocol takes at once."""


def kind_of(environment: Mapping[str, str]) -> Kind:
    """What a terminal can, by what it says of itself. Within tmux and screen nothing but letters comes through."""
    name, term = environment.get("TERM_PROGRAM", ""), environment.get("TERM", "")
    if term.startswith(("screen", "tmux")) or "TMUX" in environment:
        return "blocks"
    if "KITTY_WINDOW_ID" in environment or "kitty" in term or name == "ghostty":
        return "kitty"
    if name in ("iTerm.app", "WezTerm", "mintty") or environment.get("LC_TERMINAL") == "iTerm2":
        return "iterm"
    return "blocks"


def drawn(jpeg: bytes, kind: Kind) -> str:
    """A picture as what is written to the terminal, `LINES` lines high at most.

    kitty: https://sw.kovidgoyal.net/kitty/graphics-protocol; iTerm2: https://iterm2.com/documentation-images.html.
    """
    from PIL import Image

    if kind == "iterm":
        content = base64.b64encode(jpeg).decode("ascii")
        return f"\x1b]1337;File=inline=1;size={len(jpeg)};height={LINES}:{content}\a\n"
    picture = Image.open(io.BytesIO(jpeg)).convert("RGB")
    if kind == "kitty":
        stream = io.BytesIO()
        picture.save(stream, format="PNG")
        return "".join(_kitty(base64.b64encode(stream.getvalue()).decode("ascii"))) + "\n"
    return "".join(f"{line}\x1b[0m\n" for line in _half_blocks(picture))


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """Pictures of what was found, each with its rank, class and id below; a row without one is passed over."""
    kind = kind_of(os.environ)
    for row in rows:
        if "jpeg" in row:
            caption = ", ".join(str(row[name]) for name in ("label", "id") if name in row)
            say_own(drawn(row["jpeg"], kind).removesuffix("\n"), color=True)
            say(f"{row['rank']}. {caption}")


def _kitty(content: str) -> Iterator[str]:
    for start in range(0, len(content), PIECE):
        more = int(start + PIECE < len(content))
        about = f"a=T,f=100,r={LINES},m={more}" if start == 0 else f"m={more}"
        yield f"\x1b_G{about};{content[start : start + PIECE]}\x1b\\"


def _half_blocks(picture: Image.Image) -> Iterator[str]:
    from PIL import Image

    height = 2 * LINES
    width = max(1, min(4 * height, round(picture.width * height / picture.height)))
    small = picture.resize((width, height), Image.Resampling.LANCZOS)
    content = small.tobytes()
    pixels = [tuple(content[start : start + 3]) for start in range(0, len(content), 3)]
    for top in range(0, height, 2):
        line = []
        for column in range(width):
            upper, lower = pixels[top * width + column], pixels[(top + 1) * width + column]
            fore, back = (";".join(map(str, one)) for one in (upper, lower))
            line.append(f"\x1b[38;2;{fore};48;2;{back}m▀")
        yield "".join(line)
